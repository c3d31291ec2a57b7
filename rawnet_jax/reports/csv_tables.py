"""The metrics as CSV tables, one row per number or group, for spreadsheets and scripts."""

from collections.abc import Sequence
from pathlib import Path

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.csv_text import csv_text
from rawnet_jax.evaluation.summary import Summary
from rawnet_jax.metrics.table import METRICS, Estimate

Row = Sequence[object]

FIGURES_CSV = "figures.csv"
ATTACKS_CSV = "attacks.csv"
BREAKDOWNS_CSV = "breakdowns.csv"
FAIRNESS_CSV = "fairness.csv"
UNMATCHED_CSV = "unmatched.csv"


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
    tables: dict[str, tuple[Row, list[Row]]] = {
        FIGURES_CSV: (
            ("system", "scores", "figure", "value", "low", "high", "level", "unit"),
            [row for summary in summaries for row in _metrics(summary)],
        ),
        ATTACKS_CSV: (
            ("system", "attack", "num_spoof", "num_spoof_rejected", "eer", "eer_threshold"),
            [row for summary in summaries for row in _attacks(summary)],
        ),
        BREAKDOWNS_CSV: (
            (
                *("system", "by", "group", "num_bonafide", "num_spoof", "against_all_bonafide"),
                *("eer", "eer_threshold", "p_miss", "p_fa", "few_trials"),
            ),
            [row for summary in summaries for row in _breakdowns(summary)],
        ),
        FAIRNESS_CSV: (
            (
                *("system", "column", "group", "num_bonafide", "num_bonafide_rejected", "p_miss"),
                *("low", "high", "level", "num_speakers", "few_trials", "worst", "above_overall"),
            ),
            [row for summary in summaries for row in _fairness(summary)],
        ),
        UNMATCHED_CSV: (("system", "what", "utterance"), list(unmatched)),
    }
    written = []
    for name, (header, rows) in tables.items():
        if rows:
            write_text_atomically(folder / name, csv_text([header, *rows]))
            written.append(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    return written


def _metrics(summary: Summary) -> list[Row]:
    calibrated = {} if summary.calibrated is None else summary.calibrated.metrics
    return [
        _estimate(summary.name, scores, name, estimate)
        for scores, metrics in (("as they are", summary.metrics), ("calibrated", calibrated))
        for name, estimate in metrics.items()
    ]


def _estimate(system: str, scores: str, name: str, estimate: Estimate) -> Row:
    interval = estimate.interval
    ends = (None,) * 3 if interval is None else (interval.low, interval.high, interval.level)
    return (system, scores, name, estimate.value, *ends, METRICS[name].unit_text)


def _attacks(summary: Summary) -> list[Row]:
    return [
        (
            *(summary.name, row.attack_id, row.num_spoof, row.num_called_spoof),
            *(row.eer.eer, row.eer.threshold),
        )
        for row in summary.attacks
    ]


def _breakdowns(summary: Summary) -> list[Row]:
    return [
        (
            *(summary.name, breakdown.name, row.name, row.num_bonafide, row.num_spoof),
            *(row.shares_bonafide, row.eer and row.eer.eer, row.eer and row.eer.threshold),
            *(row.p_miss, row.p_fa, row.is_small),
        )
        for breakdown in summary.breakdowns
        for row in breakdown.rows
    ]


def _fairness(summary: Summary) -> list[Row]:
    return [
        (
            *(summary.name, column, row.group, row.num_bonafide, row.num_rejected, row.p_miss),
            *(row.interval.low, row.interval.high, row.interval.level, row.num_speakers),
            *(row.is_small, row is table.worst, table.stands_out(row)),
        )
        for column, table in summary.fairness.items()
        for row in (*table.rows, table.overall)
    ]
