"""``robustness-table``: robustness reports of several runs side by side."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rawnet_jax.atomic_file import make_folder
from rawnet_jax.errors import DataError
from rawnet_jax.jobs.console import say_written
from rawnet_jax.reports.report import context_now
from rawnet_jax.reports.robustness_page import write_comparison_files
from rawnet_jax.reports.robustness_tables import comparable, format_comparison
from rawnet_jax.robustness.figures import RECORD_NAME, Robustness, read_robustness


def compare_robustness(
    runs: Sequence[Path], given: Sequence[str] | None, output: Path | None
) -> int:
    """Set reports side by side; returns the exit status.

    Args:
        runs: work directories, folders of results or ``robustness.json``; two or more.
        given: names for the table, one per run; None = the runs' own.
        output: folder for the results; None = print alone.

    Raises:
        DataError: a report cannot be read, or numbers do not fit.
    """
    if len(runs) < 2:
        raise DataError("robustness-table: must be two runs or more")
    if given is not None and len(given) != len(runs):
        raise DataError(f"--names: {len(given)} names for {len(runs)} runs")
    reports = [read_robustness(_record_of(path)) for path in runs]
    names = given or _names(runs, reports)
    named = [replace(report, name=name) for report, name in zip(reports, names, strict=True)]
    alike, left_out = comparable(named)
    print(format_comparison(alike, left_out))
    if output:
        make_folder(output)
        details = {report.name: report.checkpoint for report in alike}
        context = context_now(f"Robustness of {', '.join(names)}", details)
        print()
        say_written(write_comparison_files(output, alike, left_out, context))
    return 0


def _record_of(path: Path) -> Path:
    places = [path, path / RECORD_NAME, path / "robustness" / RECORD_NAME]
    for place in places:
        if place.is_file():
            return place
    raise DataError(f"{path}: no {RECORD_NAME} here; evaluate --workdir RUN --robustness makes it")


def _names(paths: Sequence[Path], reports: Sequence[Robustness]) -> list[str]:
    """Return names of the runs, or their paths where two have the same name."""
    counts = Counter(report.name for report in reports)
    return [
        report.name if counts[report.name] == 1 else str(path)
        for path, report in zip(paths, reports, strict=True)
    ]
