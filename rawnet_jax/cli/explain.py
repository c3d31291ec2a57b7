"""``explain``: the flags; what it does is in `explain_run`."""

import argparse
from pathlib import Path

from rawnet_jax.cli.run_flags import (
    add_channel_argument,
    add_judge_arguments,
    add_run_arguments,
    check_prior_and_channel,
)
from rawnet_jax.errors import ConfigError

EPILOG = """\
Examples:

  python -m rawnet_jax explain --workdir runs/x call.wav
  python -m rawnet_jax explain --workdir runs/x talk.flac --window 12.5 --output pictures
  python -m rawnet_jax explain --workdir runs/x call.wav --bands 0,300,3400,8000 --spans 50

For each file a picture and a JSON file with the same numbers. Each part of the clip is replaced by
the clip's own noise floor and scored again (occlusion), and the score is divided among the samples
by its gradient (integrated gradients). Above 0, a part moved the score toward bona fide; below 0,
toward spoof. Of networks that have attention, what it weighs is shown too. What this can tell and
what not: docs/explain.md.

Of a file longer than the network's window, one window is explained: the most spoofed one.

Exit status: 0 every file is explained; 1 a file could not be read (the others are explained);
3 all could be read, but one cannot be judged; 2 an error, such as a wrong flag; 130 Ctrl-C.
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "explain",
        help="show which times and frequencies moved the score of a file",
        description="Which spans of time and which bands of frequency moved the score of audio "
        "files, and which way: as a picture and as JSON.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="FILE",
        help="audio file; also a folder, a quoted pattern, or - for standard input",
    )
    add_run_arguments(parser)
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder for results (default: WORKDIR/explain)"
    )
    parser.add_argument(
        "--window",
        default="most-spoofed",
        metavar="WHICH",
        help="of a longer file: most-spoofed, most-bonafide, or where the window begins in s "
        "(default: %(default)s)",
    )
    add_channel_argument(parser)
    add_judge_arguments(parser)
    _add_methods(parser.add_argument_group("how a score is explained"))
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")
    parser.set_defaults(run=run, takes_overrides=True)


def _add_methods(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--spans",
        type=int,
        default=20,
        metavar="N",
        help="equal spans of time; fewer where they would be shorter than 10 ms "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--bands",
        metavar="N|HZ,HZ,…",
        help="number of equal bands, or their edges in Hz (default: 250, 500, 1000 Hz, then every "
        "1000)",
    )
    group.add_argument(
        "--fill",
        choices=("floor", "silence"),
        default="floor",
        help="what a part is replaced by: noise as quiet as the clip gets, or nothing "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--no-grid", action="store_true", help="spans and bands alone, not each span of each band"
    )
    group.add_argument(
        "--gradient",
        choices=("integrated", "smooth", "none"),
        default="integrated",
        help="integrated: from the replaced clip to the clip; smooth: around the clip "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--max-gradients",
        type=int,
        default=64,
        metavar="N",
        help="gradients that are averaged, at most (default: %(default)s)",
    )
    group.add_argument("--seed", type=int, default=0, help="of the noise (default: %(default)s)")


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    """Run the command; returns the exit status."""
    check_prior_and_channel(args)
    if args.spans < 1:
        raise ConfigError(f"--spans {args.spans}: 1 or more was wanted")
    if args.max_gradients < 2:
        raise ConfigError(f"--max-gradients {args.max_gradients}: 2 or more was wanted")
    if args.seed < 0:
        raise ConfigError(f"--seed {args.seed}: 0 or more was wanted")
    # Brings JAX, which a wrong flag does not need.
    from rawnet_jax.cli.explain_run import explain_run

    return explain_run(args, overrides)
