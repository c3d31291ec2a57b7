"""``robustness-table``: robustness reports of several runs side by side."""

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rawnet_jax.atomic_file import make_folder
from rawnet_jax.errors import DataError

if TYPE_CHECKING:
    from rawnet_jax.robustness.figures import Robustness

EPILOG = """\
Example:

  python evaluate.py --workdir runs/plain --robustness --noise-dir NOISE --rir-dir RIR
  python evaluate.py --workdir runs/augmented --robustness --noise-dir NOISE --rir-dir RIR
  python -m rawnet_jax robustness-table runs/plain runs/augmented --output runs/side_by_side

Only conditions that were measured alike, on the same trials and with the same recordings, are set
side by side; what is left out is said. Written with --output: comparison.csv, .png and .html.
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "robustness-table",
        help="set robustness reports side by side",
        description="EER under every condition for each run, the mean loss of each, and how much "
        "of the first run's loss the others have.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="work directory after evaluate --robustness, a folder of its results, or a "
        "robustness.json; two or more",
    )
    parser.add_argument("--names", nargs="+", metavar="NAME", help="one a run, for the table")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for the results")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, _overrides: list[str]) -> int:
    """Run the command; returns the exit status."""
    if len(args.runs) < 2:
        raise DataError("robustness-table: must be two runs or more")
    if args.names is not None and len(args.names) != len(args.runs):
        raise DataError(f"--names: {len(args.names)} names for {len(args.runs)} runs")
    # These bring matplotlib and SciPy, which --help does not need.
    from rawnet_jax.cli.report_context import report_context, say_written
    from rawnet_jax.reports.robustness_page import write_comparison_files
    from rawnet_jax.reports.robustness_tables import comparable, format_comparison
    from rawnet_jax.robustness.figures import read_robustness

    reports = [read_robustness(_record_of(path)) for path in args.runs]
    names = args.names or _names(args.runs, reports)
    named = [replace(report, name=name) for report, name in zip(reports, names, strict=True)]
    alike, left_out = comparable(named)
    print(format_comparison(alike, left_out))
    if args.output:
        make_folder(args.output)
        details = {report.name: report.checkpoint for report in alike}
        context = report_context(f"Robustness of {', '.join(names)}", details)
        print()
        say_written(write_comparison_files(args.output, alike, left_out, context))
    return 0


def _record_of(path: Path) -> Path:
    from rawnet_jax.robustness.figures import RECORD_NAME

    places = [path, path / RECORD_NAME, path / "robustness" / RECORD_NAME]
    for place in places:
        if place.is_file():
            return place
    raise DataError(f"{path}: no {RECORD_NAME} here; evaluate --workdir RUN --robustness makes it")


def _names(paths: Sequence[Path], reports: "Sequence[Robustness]") -> list[str]:
    """Return names of the runs, or their paths where two have the same name."""
    counts = Counter(report.name for report in reports)
    return [
        report.name if counts[report.name] == 1 else str(path)
        for path, report in zip(paths, reports, strict=True)
    ]
