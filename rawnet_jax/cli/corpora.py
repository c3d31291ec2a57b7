"""``demo-corpus`` and ``replay``: write corpora that need no download."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rawnet_jax.simulate.corpus_writer import CorpusSummary


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register both commands."""
    _add_demo(commands)
    _add_replay(commands)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", required=True, type=Path, help="folder to write; new")
    parser.add_argument("--seed", type=int, default=0, help="decides every sample (default: 0)")
    parser.add_argument(
        "--num-workers", type=int, default=0, help="processes (default: 0 = one a core)"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a corpus that this command wrote before"
    )
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")


def _add_demo(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "demo-corpus",
        help="write the synthetic demo corpus",
        description="Write a small synthetic corpus in ASVspoof 2017 V2 layout: voices of a "
        "source-filter synthesiser, and replays of them through simulated loudspeakers, rooms "
        "and microphones. Figures on it say nothing about real attacks.",
    )
    _add_common(parser)
    parser.add_argument("--num-clips", type=int, default=800, help="default: %(default)s")
    parser.set_defaults(run=run_demo)


def run_demo(args: argparse.Namespace, _overrides: list[str]) -> int:
    """Write the demo corpus; returns the exit status."""
    # Brings SciPy, which --help does not need.
    from rawnet_jax.simulate.demo_corpus import write_demo_corpus

    summary = write_demo_corpus(
        args.output,
        num_clips=args.num_clips,
        seed=args.seed,
        num_workers=args.num_workers,
        progress=not args.no_progress,
        overwrite=args.overwrite,
    )
    return _report(summary)


def _add_replay(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "replay",
        help="write a replay corpus from bona fide recordings",
        description="Play every recording of a folder over simulated loudspeakers, rooms and "
        "microphones, and write both as a corpus in ASVspoof 2017 V2 layout whose protocol names "
        "environment, playback and recording device.",
        epilog="Example: %(prog)s --input digits --output replayed --speaker-pattern "
        r"'(?P<phrase>\d)_(?P<speaker>\w+)_\d+\.wav'",
    )
    parser.add_argument(
        "--input", required=True, type=Path, help="folder of recordings, searched recursively"
    )
    _add_common(parser)
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
        help="measured room responses, one a file, instead of simulated rooms",
    )
    parser.add_argument(
        "--skip-bad-audio", action="store_true", help="leave out and list what cannot be read"
    )
    parser.set_defaults(run=run_replay)


def run_replay(args: argparse.Namespace, _overrides: list[str]) -> int:
    """Write a replay corpus; returns the exit status."""
    # Brings SciPy, which --help does not need.
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
        progress=not args.no_progress,
        overwrite=args.overwrite,
    )
    return _report(summary)


def _report(summary: "CorpusSummary") -> int:
    for problem in summary.problems:
        print(f"left out: {problem}")
    print(summary)
    return 0
