"""The results of an evaluation on disk: ``metrics.json``, CSV tables, report, calibrations."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rawnet_jax.evaluation.summary import Comparison, Summary
from rawnet_jax.reports.csv_tables import write_tables
from rawnet_jax.reports.record import write_metrics
from rawnet_jax.reports.report import ReportContext, write_report
from rawnet_jax.scoring.verdict import CALIBRATION_JSON, save_calibration


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """What there is to write.

    Attributes:
        summaries: one per system; at least one.
        context: title, origin, notes.
        comparisons: between systems.
        unmatched: (system, missing or extra, utterance); see `ScoreSet`.
        history: one mapping per epoch; empty without training.
        cannot_judge: what the input gate found, see `CannotJudge.record`; None without audio.
    """

    summaries: Sequence[Summary]
    context: ReportContext
    comparisons: Sequence[Comparison] = ()
    unmatched: Sequence[tuple[str, str, str]] = ()
    history: Sequence[Mapping[str, Any]] = ()
    cannot_judge: Mapping[str, Any] | None = None


def write_results(folder: Path, results: Results) -> list[tuple[str, str]]:
    """Write everything; each file whole or not at all.

    Args:
        folder: exists.
        results: what to write.

    Returns:
        (what, where) of what was written, for people.

    Raises:
        DataError: a file cannot be written.
    """
    summaries, context = results.summaries, results.context
    metrics, report = folder / "metrics.json", folder / "report.html"
    write_metrics(
        *(metrics, summaries, context.details, results.comparisons, context.warnings),
        results.cannot_judge,
    )
    tables = write_tables(folder, summaries, results.unmatched)
    calibrations = _write_calibrations(folder, summaries)
    write_report(report, summaries, context, results.history, results.comparisons)
    written = [("metrics", str(metrics))]
    if tables:
        written.append(("tables", f"{folder}: {', '.join(path.name for path in tables)}"))
    written += [("calibration", str(path)) for path in calibrations]
    return [*written, ("report", str(report))]


def _write_calibrations(folder: Path, summaries: Sequence[Summary]) -> list[Path]:
    paths = []
    for index, summary in enumerate(summaries):
        if summary.calibrated is None:
            continue
        name = CALIBRATION_JSON
        if len(summaries) > 1:
            name = f"calibration_{index + 1}_{re.sub(r'[^A-Za-z0-9.-]+', '_', summary.name)}.json"
        save_calibration(folder / name, summary.calibrated.calibration)
        paths.append(folder / name)
    return paths
