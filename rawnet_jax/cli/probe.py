"""``probe``: a linear classifier of a frozen speech encoder."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags
from rawnet_jax.encoders.config import DTYPES, INPUT_NORMS
from rawnet_jax.poolings import POOLINGS

EPILOG = """\
A folder as Hugging Face lays it out says the encoder's sizes; for a file alone, --encoder does:

  %(prog)s --encoder-weights wav2vec2-xls-r-300m --config configs/ssl_probe_asvspoof2019_la.py \\
      --config.data.root=/data/LA --workdir runs/probe
  %(prog)s --encoder-weights xlsr2_300m.pt --encoder xlsr_300m --layers 1-12 …

Train and dev clips go through the encoder once, as the run will score them: their first
config.data.num_samples, or with --config.eval.aggregate=mean all of their windows. Their features
are kept on disk, so the same command resumes a run that was killed, and other --strengths take
seconds. Logistic regression is fitted for each layer, pooling and strength; the one with the lowest
dev EER becomes a run, without the layers above its own:

  python evaluate.py --workdir runs/probe

evaluates it, and every other command takes it, too. Eval is not touched here. More: docs/probe.md.
"""

STRENGTHS = (1e-4, 1e-3, 1e-2, 0.1, 1.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Fit a linear classifier to each layer of a frozen speech encoder, choose one on dev and "
        "write it as a run. Minutes on a CPU, for a small corpus and encoder."
    )
    parser.epilog = EPILOG
    flags.add_config(parser)
    parser.add_argument("--workdir", required=True, type=Path, help="folder to make")
    _add_encoder(parser.add_argument_group("the encoder"))
    _add_fits(parser.add_argument_group("what to try"))
    parser.add_argument(
        "--features",
        type=Path,
        metavar="DIR",
        help="folder that keeps features of clips (default: probe_features, beside the decoded "
        "audio: config.data.cache_dir); it may be deleted at any time",
    )
    flags.add_progress(parser)


def _add_encoder(group: flags.Parser) -> None:
    group.add_argument(
        "--encoder-weights",
        required=True,
        type=Path,
        metavar="PATH",
        help="folder, safetensors file or PyTorch file (docs/encoders.md)",
    )
    group.add_argument(
        "--encoder",
        metavar="NAME",
        help="architecture, such as xlsr_300m (default: from config.json beside the weights)",
    )
    group.add_argument(
        "--input-norm",
        choices=INPUT_NORMS,
        help="normalisation of a clip's samples (default: as in the encoder's training)",
    )
    group.add_argument(
        "--dtype",
        choices=DTYPES,
        help="number type in which the encoder computes (default: float32)",
    )
    group.add_argument(
        "--batch-size", type=int, metavar="N", help="windows at once (default: config.eval's)"
    )


def _add_fits(group: flags.Parser) -> None:
    group.add_argument(
        "--layers",
        nargs="+",
        type=_layers,
        metavar="N",
        help="numbers or ranges such as 5-12; 0 is what goes into the first layer (default: all)",
    )
    group.add_argument(
        "--poolings",
        nargs="+",
        choices=tuple(POOLINGS),
        default=tuple(POOLINGS)[:2],
        help=f"over time (default: {' '.join(tuple(POOLINGS)[:2])})",
    )
    group.add_argument(
        "--strengths",
        nargs="+",
        type=float,
        default=STRENGTHS,
        metavar="C",
        help="inverse strengths of the L2 penalty (default: "
        f"{' '.join(format(c, 'g') for c in STRENGTHS)})",
    )
    group.add_argument(
        "--class-weight",
        choices=("balanced", "none"),
        default="balanced",
        help="balanced: both classes weigh the same in a fit (default: %(default)s)",
    )


def _layers(text: str) -> range:
    first, dash, last = text.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text}: must be a number, or a range such as 5-12")
    return range(int(first), int(last or first) + 1)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.probe import ProbeOptions, probe

    return probe(flags.options_of(ProbeOptions, args, overrides))
