"""The record of `rawnet_jax.reports.record` as CSV tables, for spreadsheets and scripts."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.csv_text import csv_text
from rawnet_jax.evaluation.summary import Summary
from rawnet_jax.metrics.table import METRICS
from rawnet_jax.reports.record import (
    attacks_record,
    breakdown_record,
    fairness_record,
    interval_record,
)

_COLUMNS = {
    "figures.csv": ("system", "scores", "figure", "value", "low", "high", "level", "unit"),
    "attacks.csv": ("system", "attack", "num_spoof", "num_spoof_rejected", "eer", "eer_threshold"),
    "breakdowns.csv": (
        *("system", "by", "group", "num_bonafide", "num_spoof", "against_all_bonafide"),
        *("eer", "eer_threshold", "p_miss", "p_fa", "few_trials"),
    ),
    "fairness.csv": (
        *("system", "column", "group", "num_bonafide", "num_bonafide_rejected", "p_miss"),
        *("low", "high", "level", "num_speakers", "few_trials", "worst", "above_overall"),
    ),
    "unmatched.csv": ("system", "what", "utterance"),
}

Row = Mapping[str, Any]


def write_tables(
    folder: Path, summaries: Sequence[Summary], unmatched: Sequence[tuple[str, str, str]] = ()
) -> list[Path]:
    """Write all tables that have rows; remove those of an earlier run that have none.

    Numbers are written so that they read back to the last bit; rates are fractions, an unknown
    value is blank.

    Args:
        folder: exists.
        summaries: one per system.
        unmatched: (system, missing or extra, utterance).

    Returns:
        The files.

    Raises:
        DataError: a file cannot be written.
    """
    makers = (_metrics, _attacks, _breakdowns, _fairness)
    found = [
        [{"system": summary.name, **row} for summary in summaries for row in make(summary)]
        for make in makers
    ]
    found.append([dict(zip(_COLUMNS["unmatched.csv"], row, strict=True)) for row in unmatched])
    written = []
    for (name, columns), rows in zip(_COLUMNS.items(), found, strict=True):
        path = folder / name
        if rows:
            lines = [[row.get(column) for column in columns] for row in rows]
            write_text_atomically(path, csv_text([columns, *lines]))
            written.append(path)
        else:
            path.unlink(missing_ok=True)
    return written


def _metrics(summary: Summary) -> Iterator[Row]:
    calibrated = {} if summary.calibrated is None else summary.calibrated.metrics
    for scores, metrics in (("as they are", summary.metrics), ("calibrated", calibrated)):
        for name, estimate in metrics.items():
            row = {"scores": scores, "figure": name, "unit": METRICS[name].unit_text}
            ends = {} if estimate.interval is None else interval_record(estimate.interval)
            yield {**row, "value": estimate.value, **ends}


def _attacks(summary: Summary) -> Iterator[Row]:
    for attack, row in attacks_record(summary).items():
        yield {"attack": attack, **row}


def _breakdowns(summary: Summary) -> Iterator[Row]:
    for breakdown in summary.breakdowns:
        for group, row in zip(breakdown.rows, breakdown_record(breakdown)["groups"], strict=True):
            yield row | {"by": breakdown.name, "group": group.name}


def _fairness(summary: Summary) -> Iterator[Row]:
    for column, table in summary.fairness.items():
        record = fairness_record(table)
        for row in (*record["groups"], record["overall"]):
            own = {"column": column, "worst": row["group"] == record["worst"]}
            yield {"above_overall": False} | row | row["interval"] | own
