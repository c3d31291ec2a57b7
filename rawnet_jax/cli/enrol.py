"""``enrol``: make a template of a voice."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags

EPILOG = """\
Example:

  python -m rawnet_jax enrol --workdir runs/x --encoder ge2e --key templates.key \\
      --output ana.voice clips/ana/

Every clip goes through the detector first; one that it does not call bona fide, that it cannot
judge, or that is another voice than the rest ends the enrolment, and nothing is written. The
template is one vector; no audio is kept. Exit status: 0 enrolled, 3 not enrolled.

A template of a voice identifies a person: docs/speaker.md says what that means.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Make a template of a voice, of clips that are all bona fide."
    parser.epilog = EPILOG
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="recordings of one speaker, or folders of them"
    )
    flags.add_voice(parser)
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="template")
    parser.add_argument("--overwrite", action="store_true", help="replace a template")
    parser.add_argument(
        "--min-clips", type=int, default=3, metavar="N", help="that it takes (default: %(default)s)"
    )
    parser.add_argument(
        "--min-speech",
        type=float,
        default=30.0,
        metavar="S",
        help="net speech in all of them, seconds (default: %(default)g)",
    )
    flags.add_progress(parser)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.enrol import EnrolOptions, enrol_voice

    return enrol_voice(flags.run_options_of(EnrolOptions, args, overrides))
