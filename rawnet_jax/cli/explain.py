"""``explain``: which times and frequencies moved the score of a file."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Which spans of time and which bands of frequency moved the score of audio files, and "
        "which way: as a picture and as JSON."
    )
    parser.epilog = EPILOG
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="FILE",
        help="audio file; also a folder, a quoted pattern, or - for standard input",
    )
    flags.add_run(parser)
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
    flags.add_channel(parser)
    flags.add_speech(parser, "a window without speech cannot be judged")
    flags.add_decision(parser)
    flags.add_stdin(parser)
    _add_methods(parser.add_argument_group("how a score is explained"))
    flags.add_progress(parser)
    parser.set_defaults(takes_overrides=True)


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
        "--no-grid",
        dest="grid",
        action="store_false",
        help="spans and bands alone, not each span of each band",
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
    from rawnet_jax.jobs.explain import ExplainOptions, explain_files

    return explain_files(flags.run_options_of(ExplainOptions, args, overrides))
