"""``train-vocoder``: a neural vocoder of one's own, from any folder of genuine speech."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Train a neural vocoder (log-mel spectrogram in, waveform out) or a neural codec on every "
        "recording of a folder. Its copies of genuine speech are matched fakes to train detectors "
        "on. Run the same command again to resume."
    )
    parser.epilog = (
        "Example: %(prog)s --input speech --family vocos --output vocoders/vocos_80 --steps 20000"
    )
    parser.add_argument(
        "--input", required=True, type=Path, help="folder of genuine speech, searched recursively"
    )
    parser.add_argument("--output", required=True, type=Path, help="folder of the vocoder")
    parser.add_argument(
        "--family",
        required=True,
        metavar="NAME",
        help="hifigan_v2, hifigan_v3, melgan (transposed convolutions), mb_melgan (the same in "
        "four bands), vocos (inverse STFT), istftnet (both), flow (a flow from noise, without "
        "discriminators) or codec (waveform to codes and back)",
    )
    mel = parser.add_argument_group("the spectrogram that it takes; a codec takes --hop alone")
    mel.add_argument("--bands", type=int, default=80, help="mel bands (default: %(default)s)")
    mel.add_argument("--hop", type=int, default=256, help="samples per frame (default: 256)")
    mel.add_argument("--size", type=int, default=1024, help="samples of a window (default: 1024)")
    mel.add_argument(
        "--high-hz", type=float, default=8000.0, help="top of the last band (default: 8000)"
    )
    group = parser.add_argument_group("training")
    group.add_argument("--steps", type=int, default=20_000, help="default: %(default)s")
    group.add_argument(
        "--spectral-steps",
        type=int,
        default=5_000,
        help="of these, the first ones without discriminators (default: %(default)s)",
    )
    group.add_argument("--batch-size", type=int, default=16, help="default: %(default)s")
    group.add_argument(
        "--segment", type=int, default=8192, help="samples of a segment (default: %(default)s)"
    )
    group.add_argument("--learning-rate", type=float, default=5e-4, help="default: %(default)s")
    group.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    group.add_argument("--save-every", type=int, default=500, help="steps (default: %(default)s)")
    group.add_argument(
        "--start-from",
        type=Path,
        metavar="PATH",
        help="begin with what another vocoder of the family learned, in layers of the same shape: "
        "a folder of train-vocoder, or for hifigan_v3 and istftnet a Piper voice (.onnx) of low or "
        "medium quality, whose licence then counts",
    )
    flags.add_progress(parser)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.train_vocoder import TrainVocoderOptions, train_vocoder

    return train_vocoder(flags.options_of(TrainVocoderOptions, args, overrides))
