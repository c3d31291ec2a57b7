"""``replay``: a replay corpus from bona fide recordings."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags
from rawnet_jax.terminal import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Play every recording of a folder over simulated loudspeakers, rooms and microphones, and "
        "write both as a corpus in ASVspoof 2017 V2 layout whose protocol names environment, "
        "playback and recording device."
    )
    parser.epilog = (
        "Example: %(prog)s --input digits --output replayed --speaker-pattern "
        r"'(?P<phrase>\d)_(?P<speaker>\w+)_\d+\.wav'"
    )
    parser.add_argument(
        "--input", required=True, type=Path, help="folder of recordings, searched recursively"
    )
    flags.add_corpus_writer(parser)
    parser.add_argument(
        "--speaker-pattern",
        metavar="REGEX",
        help="finds the speaker (and phrase) in a file's path by groups of these names; without "
        "it, the first sub-folder is the speaker",
    )
    parser.add_argument(
        "--copies", type=int, default=1, help="replays of each recording (default: %(default)s)"
    )
    parser.add_argument(
        "--impulse-responses",
        type=Path,
        metavar="DIR",
        help="measured room responses, one per file, instead of simulated rooms",
    )
    parser.add_argument(
        "--skip-bad-audio", action="store_true", help="leave out and list what cannot be read"
    )


def run(args: argparse.Namespace, _overrides: list[str]) -> int:
    from rawnet_jax.simulate.replay_corpus import write_replay_corpus

    summary = write_replay_corpus(
        args.input,
        args.output,
        speaker_pattern=args.speaker_pattern,
        copies_per_clip=args.copies,
        impulse_response_dir=args.impulse_responses,
        skip_bad_audio=args.skip_bad_audio,
        seed=args.seed,
        num_workers=args.num_workers,
        progress=args.progress,
        overwrite=args.overwrite,
    )
    for problem in summary.problems:
        show(f"left out: {problem}")
    show(summary)
    return 0
