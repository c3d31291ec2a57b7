"""The metrics as plain text for a terminal."""

import math
from collections.abc import Sequence

from rawnet_jax.evaluation.decision import Decision
from rawnet_jax.evaluation.summary import Comparison, Summary, percent, trials
from rawnet_jax.metrics.fairness import FairnessTable
from rawnet_jax.metrics.table import DECISION_METRICS, METRICS

MAX_ATTACKS = 60
"""More attacks than this are left to the CSV tables and the report."""

UNKNOWN = "–"
"""Stands for a number that is not known."""


def headline_rows(summary: Summary) -> list[tuple[str, str, str]]:
    """Return the metrics at one threshold as rows of (title, value, counts)."""
    counts = summary.confusion
    note_of = {
        "accuracy": f"{counts.num_correct:,} of {counts.num_trials:,}",
        "precision": f"{counts.spoof_rejected:,} of {counts.num_called_spoof:,} called spoof",
        "recall": f"{counts.spoof_rejected:,} of {trials(counts.num_spoof, 'spoof')}",
        "f1": "of precision and recall",
    }
    return [
        (metric.title, metric.text(getattr(counts, name)), note_of[name])
        for name, metric in DECISION_METRICS.items()
    ]


def metric_rows(summaries: Sequence[Summary]) -> list[tuple[str, list[str]]]:
    """Return (title, one text per system) for every metric; "" = not known."""
    rows: list[tuple[str, list[str]]] = []
    plain = [summary.metrics for summary in summaries]
    calibrated = [s.calibrated.metrics if s.calibrated else {} for s in summaries]
    for name, metric in METRICS.items():
        for suffix, found in (("", plain), (", calibrated", calibrated)):
            cells = [metric.text_of(known[name]) if name in known else "" for known in found]
            if any(cells):
                rows.append((metric.title + suffix, cells))
    return rows


def decision_rows(decision: Decision) -> list[tuple[str, str]]:
    """Return the chosen threshold and what it does as rows of (name, value)."""
    threshold, scale = decision.threshold, "llr" if decision.is_calibrated else "score"
    rows = [
        ("Rule", threshold.rule + (", chosen on dev" if threshold.p_miss is not None else "")),
        ("Accepted", f"{scale} >= {threshold.value:.6g}"),
    ]
    for part, rates in (("dev", decision.dev_rates), ("these trials", decision.eval_rates)):
        if rates is None:
            continue
        missed, accepted = rates.num_bonafide_rejected, rates.num_spoof_accepted
        row = f"{percent(rates.p_miss)} ({missed:,} of {rates.num_bonafide:,})"
        rows.append((f"Bona fide rejected, {part}", row))
        interval = decision.miss_interval
        if part == "dev" and interval is not None:
            ends = f"{100 * interval.low:.2f} to {percent(interval.high)}"
            how = f"{100 * interval.level:g} % interval, Clopper and Pearson"
            rows.append(("Expected of new speech", f"{ends} ({how})"))
        if rates.num_spoof:
            row = f"{percent(rates.p_fa)} ({accepted:,} of {rates.num_spoof:,})"
            rows.append((f"Spoof accepted, {part}", row))
    return rows


def comparison_rows(comparisons: Sequence[Comparison]) -> list[tuple[str, str, str, str, str]]:
    """Return (system, metric, difference, its interval, p value) of every comparison."""
    rows = []
    for item in comparisons:
        metric, result = METRICS[item.metric], item.result
        scale, unit = (100, " points") if metric.is_rate else (1, "")
        digits = 2 if metric.is_rate else 4
        low, high = (scale * end for end in (result.interval.low, result.interval.high))
        rows.append(
            (
                f"{item.system} − {item.reference}",
                metric.title,
                f"{scale * result.difference:+.{digits}f}{unit}",
                f"[{low:+.{digits}f}, {high:+.{digits}f}]",
                f"{result.p_value:.3f}",
            )
        )
    return rows


def rate_cell(rate: float | None) -> str:
    """Write a rate; a dash where it is not known, or NaN."""
    return UNKNOWN if rate is None or math.isnan(rate) else percent(rate)


def interval_cell(rate: float | None, low: float | None, high: float | None) -> str:
    """Write a rate and, where it has one, its interval."""
    if low is None or high is None:
        return rate_cell(rate)
    return f"{rate_cell(rate)} [{100 * low:.2f}, {100 * high:.2f}]"


def decisions_sentence(threshold: float | None, rule: str) -> str:
    """Say where decisions are taken on lists of trials that have one threshold.

    Args:
        threshold: on scores; None = none was chosen.
        rule: as a phrase.
    """
    if threshold is None:
        return "No threshold was chosen, so there are no decisions: dev was not scored."
    return f"Decisions at {threshold:.6g} ({rule}), the same everywhere."


def fairness_sentence(table: FairnessTable) -> str:
    """Say which group is rejected most, and by how much."""
    worst, best = table.worst, table.best
    if worst is None or best is None:
        return "no group is named."
    few = " Every group has few trials." if table.judged_small else ""
    if worst.p_miss == best.p_miss:
        return f"{percent(worst.p_miss)} rejected in every group that is compared.{few}"
    low, high = (f"{100 * end:.2f}" for end in (worst.interval.low, worst.interval.high))
    clear = "above that of all" if table.stands_out(worst) else "not clearly above that of all"
    return (
        f"worst {worst.group}, {percent(worst.p_miss)} [{low}, {high}] of "
        f"{trials(worst.num_bonafide, 'bona fide')} rejected, {clear}, "
        f"{percent(table.overall.p_miss)}; best {best.group}, {percent(best.p_miss)}.{few}"
    )


def format_summaries(
    summaries: Sequence[Summary],
    comparisons: Sequence[Comparison] = (),
    warnings: Sequence[str] = (),
) -> str:
    """Return all metrics of systems side by side as plain text, without a final line end.

    Args:
        summaries: one per system; at least one.
        comparisons: between them.
        warnings: on the trials of all systems.
    """
    lines = _heading(summaries)
    if len(summaries) == 1:
        lines += _threshold_table(summaries[0])
    lines += _metric_table(summaries)
    lines += _comparison_table(comparisons)
    for summary in summaries:
        lines += _decision_lines(summary, len(summaries) > 1)
    lines += _attack_table(summaries)
    return "\n".join(lines + _warnings(summaries, warnings))


def _heading(summaries: Sequence[Summary]) -> list[str]:
    first = summaries[0]
    counts = (
        f"{trials(first.num_bonafide + first.num_spoof)} "
        f"({first.num_bonafide:,} bona fide, {first.num_spoof:,} spoof)"
    )
    return [f"{', '.join(summary.name for summary in summaries)}: {counts}"]


def _threshold_table(summary: Summary) -> list[str]:
    counts = summary.confusion
    return [
        f"Spoof is the positive class; called spoof where P(spoof) >= {summary.spoof_threshold:g}",
        "",
        *(f"  {name:<14}{value:>9}   {note}" for name, value, note in headline_rows(summary)),
        "",
        f"  {'':<16}{'called bona fide':>17}{'called spoof':>14}",
        f"  {'truly bona fide':<16}{counts.bonafide_accepted:>17,}{counts.bonafide_rejected:>14,}",
        f"  {'truly spoof':<16}{counts.spoof_accepted:>17,}{counts.spoof_rejected:>14,}",
    ]


def _metric_table(summaries: Sequence[Summary]) -> list[str]:
    names = [summary.name for summary in summaries] if len(summaries) > 1 else ["value"]
    rows = [[title, *cells] for title, cells in metric_rows(summaries)]
    lines, resampling = in_columns([["metric", *names], *rows]), summaries[0].resampling
    return ["", *lines, *([f"  In brackets: {resampling}."] if resampling else [])]


def _comparison_table(comparisons: Sequence[Comparison]) -> list[str]:
    if not comparisons:
        return []
    header = ["paired bootstrap", "metric", "difference", "interval", "p"]
    return ["", *in_columns([header, *comparison_rows(comparisons)])]


def _decision_lines(summary: Summary, is_named: bool) -> list[str]:
    rows = decision_rows(summary.decision)
    width = max(len(name) for name, _ in rows)
    lines = ["", f"  Threshold{f', {summary.name}' if is_named else ''}"]
    lines += [f"    {name:<{width}}  {value}" for name, value in rows]
    if summary.fairness:
        lines += ["    Bona fide speech rejected, by group:"]
        lines += [
            f"      {column}: {fairness_sentence(table)}"
            for column, table in summary.fairness.items()
        ]
    return lines


def _attack_table(summaries: Sequence[Summary]) -> list[str]:
    by_attack = [{row.attack_id: row for row in summary.attacks} for summary in summaries]
    first = by_attack[0]
    if not first or len(first) > MAX_ATTACKS:
        return []
    names = ["EER"] if len(summaries) == 1 else [f"EER {s.name}" for s in summaries]
    rows = [
        [
            attack_id,
            f"{row.num_spoof:,}",
            *(
                percent(attacks[attack_id].eer.eer) if attack_id in attacks else ""
                for attacks in by_attack
            ),
        ]
        for attack_id, row in first.items()
    ]
    return ["", *in_columns([["attack", "trials", *names], *rows], right_from=1)]


def _warnings(summaries: Sequence[Summary], general: Sequence[str] = ()) -> list[str]:
    several = len(summaries) > 1
    lines = [f"  WARNING: {warning}" for warning in general]
    lines += [
        f"  WARNING{f', {summary.name}' if several else ''}: {warning}"
        for summary in summaries
        for warning in summary.warnings
    ]
    return ["", *lines] if lines else []


def in_columns(rows: Sequence[Sequence[str]], right_from: int | None = None) -> list[str]:
    """Set rows in columns; those from `right_from` on end at the same place."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "   ".join(
            f"{cell:>{width}}" if right_from is not None and i >= right_from else f"{cell:<{width}}"
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
