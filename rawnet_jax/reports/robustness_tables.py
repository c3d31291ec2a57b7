"""Robustness reports as tables: for a terminal, for CSV, and several runs side by side."""

from collections.abc import Sequence
from dataclasses import replace

from rawnet_jax.errors import DataError
from rawnet_jax.evaluation.summary import percent
from rawnet_jax.reports.tables import (
    UNKNOWN,
    decisions_sentence,
    in_columns,
    interval_cell,
    rate_cell,
)
from rawnet_jax.robustness.conditions import CLEAN
from rawnet_jax.robustness.figures import Robustness, Row

CSV_HEADER = (
    *("condition", "family", "title", "eer", "eer_low", "eer_high", "eer_change", "p_miss"),
    *("p_fa", "accuracy", "bonafide_shift", "spoof_shift", "missing"),
)
HEADER = (
    *("condition", "EER", "change", "bona fide rejected", "spoof accepted", "accuracy"),
    *("bona fide shift", "spoof shift"),
)


def report_cells(report: Robustness) -> list[list[str]]:
    """Return the measured conditions as rows of text under `HEADER`."""
    return [
        [
            row.title,
            interval_cell(row.eer, row.eer_low, row.eer_high),
            UNKNOWN if row.name == CLEAN else points(report.losses[row.name]),
            rate_cell(row.p_miss),
            rate_cell(row.p_fa),
            rate_cell(row.accuracy),
            _shift(row.bonafide_shift),
            _shift(row.spoof_shift),
        ]
        for row in report.rows
        if row.eer is not None
    ]


def missing_lines(report: Robustness) -> list[str]:
    """Return a line for each condition that was not measured, and why."""
    return [f"{row.title}: {row.missing}" for row in report.rows if row.missing]


def summary_sentences(report: Robustness) -> list[str]:
    """Say what the conditions cost."""
    worst, loss = report.worst, report.mean_loss
    if worst is None or loss is None:
        return [f"EER {percent(report.clean_eer)}, clean; no other condition was measured."]
    number = f"{len(report.losses)} condition{'s' if len(report.losses) > 1 else ''}"
    sentences = [
        f"Over {number} the EER is {percent(report.clean_eer + loss)} on average, clean "
        f"{percent(report.clean_eer)}: {points(loss)} points.",
        f"Worst: {worst.title}, {points(report.losses[worst.name])} points.",
    ]
    clean, moved = report.rows[0].half_total_error, report.mean_threshold_loss
    if clean is not None and moved is not None:
        sentences.append(
            "At the run's own threshold the mean of both error rates is "
            f"{percent(clean + moved)} on average, clean {percent(clean)}: {points(moved)} points."
        )
    return sentences


def format_report(report: Robustness) -> str:
    """Return the table for a terminal, without a final line end."""
    counts = f"{report.num_bonafide:,} bona fide, {report.num_spoof:,} spoof trials"
    lines = [f"{report.name}, {report.partition}, {report.checkpoint}: {counts}", ""]
    lines += in_columns([HEADER, *report_cells(report)], right_from=1)
    lines += ["", *(f"  {sentence}" for sentence in summary_sentences(report))]
    lines += [f"  {threshold_line(report)}"]
    lines += [f"  Not measured: {line}" for line in missing_lines(report)]
    return "\n".join(lines)


def threshold_line(report: Robustness) -> str:
    """Say where decisions are taken."""
    sentence = decisions_sentence(report.threshold, report.threshold_rule)
    if report.threshold is None:
        return sentence
    return f"{sentence} Shifts of mean scores are in standard deviations of clean bona fide scores."


def csv_rows(report: Robustness) -> list[tuple[object, ...]]:
    """Return all conditions under `CSV_HEADER`; rates are fractions, None = not known."""
    return [
        (
            *(row.name, row.family, row.title, row.eer, row.eer_low, row.eer_high),
            *(report.losses.get(row.name), row.p_miss, row.p_fa, row.accuracy),
            *(row.bonafide_shift, row.spoof_shift, row.missing or None),
        )
        for row in report.rows
    ]


def comparable(reports: Sequence[Robustness]) -> tuple[list[Robustness], list[str]]:
    """Reduce reports to the conditions that all of them measured in the same way.

    Returns:
        The reports with those conditions, in the order of the first, and a sentence on each
        condition that is left out.

    Raises:
        DataError: the runs were measured on other trials, or have only clean in common.
    """
    first = reports[0]
    for other in reports[1:]:
        if other.trials != first.trials:
            raise DataError(
                f"{other.name} and {first.name} were measured on other trials "
                f"({other.num_bonafide + other.num_spoof:,} and "
                f"{first.num_bonafide + first.num_spoof:,}); they must have the same "
                "--partition, --limit and corpus"
            )
    known = [{row.name: row for row in report.rows if row.eer is not None} for report in reports]
    names = dict.fromkeys(row.name for report in reports for row in report.rows)
    common, left_out = [], []
    for name in names:
        if any(name not in rows for rows in known):
            lacking = [r.name for r, rows in zip(reports, known, strict=True) if name not in rows]
            if len(lacking) < len(reports):
                left_out.append(f"{name}: left out, not measured in {', '.join(lacking)}")
        elif len({rows[name].fingerprint for rows in known}) > 1:
            left_out.append(
                f"{name}: left out, other recordings; --noise-dir and --rir-dir must be the same"
            )
        else:
            common.append(name)
    if len(common) < 2:
        raise DataError(
            f"{', '.join(report.name for report in reports)}: no condition was measured alike in "
            "all of them; --conditions, --noise-dir and --rir-dir must be the same"
        )
    return [
        replace(report, rows=tuple(rows[name] for name in common))
        for report, rows in zip(reports, known, strict=True)
    ], left_out


def comparison_cells(reports: Sequence[Robustness]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of runs side by side: EERs, then mean losses.

    Args:
        reports: from `comparable`.
    """
    header = ["condition", *(report.name for report in reports)]
    rows = [
        [row.title, *(_with_change(report, report.rows[i]) for report in reports)]
        for i, row in enumerate(reports[0].rows)
    ]
    means = [report.clean_eer + (report.mean_loss or 0.0) for report in reports]
    rows.append(["mean of the conditions", *(percent(mean) for mean in means)])
    rows.append(["mean loss, points", *(points(report.mean_loss or 0.0) for report in reports)])
    if all(report.mean_threshold_loss is not None for report in reports):
        at_threshold = (points(report.mean_threshold_loss or 0.0) for report in reports)
        rows.append(["the same at the runs' thresholds", *at_threshold])
    return header, rows


def comparison_sentences(reports: Sequence[Robustness]) -> list[str]:
    """Say how much each further run loses beside the first."""
    first = reports[0]
    lines = []
    for report in reports[1:]:
        text = f"{report.name} loses {_beside(report.mean_loss, first.mean_loss, first.name)}"
        if report.mean_threshold_loss is not None and first.mean_threshold_loss is not None:
            beside = _beside(report.mean_threshold_loss, first.mean_threshold_loss, first.name)
            text += f"; at the runs' own thresholds {beside}"
        lines.append(text + ".")
    return lines


def _beside(loss: float | None, first: float | None, name: str) -> str:
    loss, first = loss or 0.0, first or 0.0
    text = f"{points(loss)} points, {name} {points(first)}"
    return f"{text} ({loss / first:.2f} times as much)" if first > 0 and loss >= 0 else text


def format_comparison(reports: Sequence[Robustness], left_out: Sequence[str]) -> str:
    """Return runs side by side for a terminal, without a final line end."""
    header, rows = comparison_cells(reports)
    first = reports[0]
    lines = [f"EER of {first.num_bonafide + first.num_spoof:,} trials ({first.partition})", ""]
    lines += in_columns([header, *rows], right_from=1)
    lines += ["", *(f"  {sentence}" for sentence in comparison_sentences(reports))]
    lines += [f"  {line}" for line in left_out]
    return "\n".join(lines)


def points(fraction: float) -> str:
    """Write a difference of rates in percentage points, with its sign."""
    return f"{100 * fraction:+.2f}"


def _with_change(report: Robustness, row: Row) -> str:
    text = rate_cell(row.eer)
    return text if row.name == CLEAN else f"{text} ({points(report.losses[row.name])})"


def _shift(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:+.2f}"
