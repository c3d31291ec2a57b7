"""The metrics as plain numbers and strings: ``metrics.json``."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.evaluation.decision import Decision
from rawnet_jax.evaluation.summary import Breakdown, Comparison, Summary
from rawnet_jax.metrics.bootstrap import Interval
from rawnet_jax.metrics.breakdown import GroupRow
from rawnet_jax.metrics.fairness import FairnessRow, FairnessTable
from rawnet_jax.metrics.table import DECISION_METRICS, METRICS, Estimate
from rawnet_jax.metrics.thresholds import Rates


def units() -> dict[str, str]:
    """Return what the numbers of `metrics_record` are, by field."""
    rows = {**METRICS, **DECISION_METRICS}
    return {
        "num_*": "trials; accepted = called bona fide, rejected = called spoof, at spoof_threshold",
        **{name: row.unit_text for name, row in rows.items()},
        "eer_threshold": "score; accept at and above it",
        "eer_official_threshold": "score; reject at and below it",
        "eer_of_negated_scores": "fraction from 0 to 1; below eer means that the sign looks "
        "reversed",
        "spoof_threshold": "P(spoof) = 1 / (1 + exp(score)), from 0 to 1; spoof at and above it",
        "intervals": "ends of confidence intervals, by metric, in its unit",
        "p_miss": "fraction from 0 to 1: bona fide trials rejected, lower is better",
        "expected_p_miss": "Clopper-Pearson interval of p_miss on new speech, by the dev trials; "
        "one-class rule",
        "p_fa": "fraction from 0 to 1: spoof trials accepted, lower is better",
        "threshold.value": "accept at and above it; score, or llr where applies_to says so",
        "llr": "natural-log likelihood ratio of bona fide speech to spoof",
    }


def metrics_record(summary: Summary) -> dict[str, Any]:
    """Return all that was found of one system as plain numbers and strings, ready for JSON."""
    counts = summary.confusion
    record = {
        "name": summary.name,
        "num_trials": counts.num_trials,
        "num_bonafide": summary.num_bonafide,
        "num_spoof": summary.num_spoof,
        **_estimates(summary.metrics),
        "eer_of_negated_scores": summary.eer_negated,
        "spoof_threshold": summary.spoof_threshold,
        **{name: getattr(counts, name) for name in DECISION_METRICS},
        "num_bonafide_accepted": counts.bonafide_accepted,
        "num_bonafide_rejected": counts.bonafide_rejected,
        "num_spoof_accepted": counts.spoof_accepted,
        "num_spoof_rejected": counts.spoof_rejected,
        "attacks": attacks_record(summary),
        "costs": {
            "name": summary.costs.name,
            "p_spoof": summary.costs.p_spoof,
            "c_miss": summary.costs.c_miss,
            "c_fa": summary.costs.c_fa,
        },
        "threshold": _decision(summary.decision),
        "breakdowns": [breakdown_record(breakdown) for breakdown in summary.breakdowns],
        "fairness": {name: fairness_record(table) for name, table in summary.fairness.items()},
        "warnings": list(summary.warnings),
    }
    if summary.resampling:
        record["resampling"] = summary.resampling
    if summary.asv is not None:
        asv = summary.asv
        record["asv"] = {
            "eer": asv.eer,
            "threshold": asv.threshold,
            "p_miss": asv.p_miss,
            "p_fa": asv.p_fa,
            "p_fa_spoof": asv.p_fa_spoof,
        }
    if summary.calibrated is not None:
        kept = summary.calibrated.calibration.to_dict()
        # The knots of an isotonic one are thousands of numbers; the saved calibration has them.
        plain = {name: value for name, value in kept.items() if not isinstance(value, list)}
        record["calibrated"] = {"calibration": plain, **_estimates(summary.calibrated.metrics)}
    return record


def comparison_record(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison of two systems as plain numbers and strings."""
    result = comparison.result
    return {
        "system": comparison.system,
        "reference": comparison.reference,
        "figure": comparison.metric,
        "value": result.value_a,
        "reference_value": result.value_b,
        "difference": result.difference,
        "interval": interval_record(result.interval),
        "p_value": result.p_value,
    }


def write_metrics(
    path: str | Path,
    summaries: Sequence[Summary],
    context: Mapping[str, str] | None = None,
    comparisons: Sequence[Comparison] = (),
    warnings: Sequence[str] = (),
    cannot_judge: Mapping[str, Any] | None = None,
) -> None:
    """Write ``metrics.json``, whole or not at all.

    Args:
        path: file to write; its folder must exist.
        summaries: one per system.
        context: what was evaluated, by name: config, dataset, step, versions …
        comparisons: between systems.
        warnings: on the trials of all systems.
        cannot_judge: what the input gate found.

    Raises:
        DataError: the file cannot be written.
    """
    record: dict[str, Any] = {
        "schema_version": 1,
        "context": dict(context or {}),
        "units": units(),
        "systems": [metrics_record(summary) for summary in summaries],
    }
    if warnings:
        record["warnings"] = list(warnings)
    if cannot_judge is not None:
        record["cannot_judge"] = dict(cannot_judge)
    if comparisons:
        record["comparisons"] = [comparison_record(comparison) for comparison in comparisons]
    text = json.dumps(record, indent=2, allow_nan=False, ensure_ascii=False)
    write_text_atomically(path, text + "\n")


def _estimates(metrics: Mapping[str, Estimate]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for name, estimate in metrics.items():
        record[name] = estimate.value
        if estimate.point is not None:
            record[f"{name}_threshold"] = estimate.point.threshold
    intervals = {
        n: interval_record(e.interval) for n, e in metrics.items() if e.interval is not None
    }
    return record | ({"intervals": intervals} if intervals else {})


def interval_record(interval: Interval) -> dict[str, float]:
    """Return an interval, ready for JSON."""
    return {"low": interval.low, "high": interval.high, "level": interval.level}


def _decision(decision: Decision) -> dict[str, Any]:
    interval = decision.miss_interval
    expected = {} if interval is None else {"expected_p_miss": interval_record(interval)}
    return expected | {
        "value": decision.threshold.value,
        "rule": decision.threshold.rule,
        "applies_to": "llr" if decision.is_calibrated else "score",
        "from_dev": decision.from_dev,
        "dev": None if decision.dev_rates is None else _rates(decision.dev_rates),
        "eval": _rates(decision.eval_rates),
    }


def _rates(rates: Rates) -> dict[str, Any]:
    return {
        "p_miss": rates.p_miss,
        "p_fa": rates.p_fa if rates.num_spoof else None,
        "num_bonafide": rates.num_bonafide,
        "num_bonafide_rejected": rates.num_bonafide_rejected,
        "num_spoof": rates.num_spoof,
        "num_spoof_accepted": rates.num_spoof_accepted,
    }


def attacks_record(summary: Summary) -> dict[str, dict[str, Any]]:
    """Return each attack against all bona fide trials, ready for JSON."""
    return {
        row.attack_id: {
            "num_spoof": row.num_spoof,
            "num_spoof_rejected": row.num_called_spoof,
            "eer": row.eer.eer,
            "eer_threshold": row.eer.threshold,
        }
        for row in summary.attacks
    }


def breakdown_record(breakdown: Breakdown) -> dict[str, Any]:
    """Return the groups of a column or pair, ready for JSON."""
    return {"by": list(breakdown.by), "groups": [_group(row) for row in breakdown.rows]}


def _group(row: GroupRow) -> dict[str, Any]:
    return {
        "group": list(row.group),
        "num_bonafide": row.num_bonafide,
        "num_spoof": row.num_spoof,
        "against_all_bonafide": row.shares_bonafide,
        "eer": None if row.eer is None else row.eer.eer,
        "eer_threshold": None if row.eer is None else row.eer.threshold,
        "p_miss": row.p_miss,
        "p_fa": row.p_fa,
        "few_trials": row.is_small,
    }


def fairness_record(table: FairnessTable) -> dict[str, Any]:
    """Return false rejections by group, ready for JSON."""
    return {
        "method": "Wilson score intervals, trials divided by the design effect of speakers",
        "overall": _fairness_row(table.overall),
        "worst": table.worst.group if table.worst else None,
        "best": table.best.group if table.best else None,
        "gap_to_best": table.gap_to_best,
        "gap_to_overall": table.gap_to_overall,
        "only_small_groups": table.judged_small,
        "groups": [
            {**_fairness_row(row), "above_overall": table.stands_out(row)} for row in table.rows
        ],
    }


def _fairness_row(row: FairnessRow) -> dict[str, Any]:
    return {
        "group": row.group,
        "p_miss": row.p_miss,
        "interval": interval_record(row.interval),
        "num_bonafide": row.num_bonafide,
        "num_bonafide_rejected": row.num_rejected,
        "num_speakers": row.num_speakers,
        "few_trials": row.is_small,
    }
