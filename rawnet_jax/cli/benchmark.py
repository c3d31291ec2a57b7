"""``benchmark``: a run, and the packaged detector, on all known corpora below a folder."""

import argparse
from pathlib import Path

from rawnet_jax.cli import flags

EPILOG = """\
Example:

  python -m rawnet_jax benchmark --workdir runs/x --data /data

looks into /data and two levels below it for the corpora of docs/datasets.md, says which it found
and what shows it, and scores the eval partition of each with the run and with the default preset.
Written into the output folder: benchmark.md (one table, as papers have it), benchmark.csv,
benchmark.json and scores/. What was scored before is kept, so a benchmark that was cut off goes on.
A corpus that cannot be read is one line on standard error, and the exit status is 1.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "EER, min t-DCF where it is defined, and C_llr of a run on every known corpus in a folder, "
        "each and pooled, with intervals."
    )
    parser.epilog = EPILOG
    flags.add_run(parser)
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder that holds corpora"
    )
    parser.add_argument(
        "--corpora", nargs="+", metavar="NAME", help="only these of those that are found"
    )
    parser.add_argument(
        "--no-packaged",
        dest="packaged",
        action="store_false",
        help="without the default preset beside the run",
    )
    parser.add_argument(
        "--problems",
        choices=("error", "warn"),
        default="",
        help="what a bad line or a missing file leads to: the corpus is left out, or the trial "
        "(default: as the run's config.data.problems says)",
    )
    parser.add_argument("--list", action="store_true", help="say what is found and stop")
    flags.add_rule(parser)
    flags.add_intervals(parser)
    parser.add_argument(
        "--output", type=Path, help="folder for the results (default: WORKDIR/benchmark)"
    )
    flags.add_progress(parser)
    parser.set_defaults(takes_overrides=True)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    from rawnet_jax.jobs.benchmark import BenchmarkOptions, benchmark

    return benchmark(flags.run_options_of(BenchmarkOptions, args, overrides))
