"""``robustness-table``: robustness reports of several runs side by side."""

import argparse
from pathlib import Path

EPILOG = """\
Example:

  python evaluate.py --workdir runs/plain --robustness --noise-dir NOISE --rir-dir RIR
  python evaluate.py --workdir runs/augmented --robustness --noise-dir NOISE --rir-dir RIR
  python -m rawnet_jax robustness-table runs/plain runs/augmented --output runs/side_by_side

Only conditions that were measured alike, on the same trials and with the same recordings, are set
side by side; what is left out is said. Written with --output: comparison.csv, .png and .html.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "EER under every condition for each run, the mean loss of each, and how much of the first "
        "run's loss the others have."
    )
    parser.epilog = EPILOG
    parser.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="work directory after evaluate --robustness, a folder of its results, or a "
        "robustness.json; two or more",
    )
    parser.add_argument("--names", nargs="+", metavar="NAME", help="one per run, for the table")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for the results")


def run(args: argparse.Namespace, _overrides: list[str]) -> int:
    from rawnet_jax.jobs.robustness_table import compare_robustness

    return compare_robustness(args.runs, args.names, args.output)
