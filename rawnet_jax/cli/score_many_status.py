"""``score-many-status``: how far ``score-many`` is."""

import argparse

from rawnet_jax.cli import flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show the progress of a score-many job, read from its output folder."
    parser.add_argument("--output", required=True, metavar="URI", help="output folder of the job")
    parser.add_argument("--json", action="store_true", help="print all numbers as one JSON object")
    parser.add_argument(
        "--summary", action="store_true", help="write summary.json and summary.html into it"
    )


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.score_many_status import ScoreManyStatusOptions, show_status

    show_status(flags.options_of(ScoreManyStatusOptions, args, overrides))
    return 0
