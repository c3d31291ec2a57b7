"""What is known of spoofing-aware systems as plain numbers: JSON, CSV rows, text for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rawnet_jax.evaluation.sasv import TITLES, CmFigures, SasvSummary, SystemFigures
from rawnet_jax.evaluation.summary import percent
from rawnet_jax.metrics.presentation import LIMITS, Claim, Count, trials_needed

SCHEMA_VERSION = 1
UNITS = {
    "sasv_eer, sv_eer, spf_eer, eer, t_eer": "fraction from 0 to 1, lower is better",
    "min_a_dcf, act_a_dcf": "normalised cost, lower is better",
    "threshold": "score; accept at and above it",
    "apcer, iapar, bpcer, frr, riapar": "fraction of trials with an answer; lower is better",
    "apnrr, bpnrr, no_answer": "fraction of all trials that have no score",
    "upper": "exact one-sided upper bound of the rate at 95 % confidence",
    "below_*": "whether the trials show a rate below that limit",
}
FIGURES_HEADER = ("system", "scores", "figure", "value", "low", "high", "level")
ATTACKS_HEADER = (
    *("system", "scores", "rate", "attack", "num_trials", "num_accepted", "value", "upper"),
    *("no_answer", *(f"below_{limit:g}" for limit in LIMITS), "worst"),
)


def sasv_record(summaries: Sequence[SasvSummary]) -> dict[str, Any]:
    """Return all figures, ready for JSON."""
    return {
        "content": "spoofing-aware verification",
        "schema_version": SCHEMA_VERSION,
        "units": UNITS,
        "systems": [_system_record(summary) for summary in summaries],
    }


def _system_record(summary: SasvSummary) -> dict[str, Any]:
    return {
        "name": summary.name,
        "trials": summary.counts,
        "scores": {figures.kind: _figures(figures) for figures in summary.systems},
        "cm": None if summary.cm is None else _cm(summary.cm),
        "t_eer": summary.t_eer,
        "calibrations": {kind: c.to_dict() for kind, c in summary.calibrations.items()},
        "warnings": list(summary.warnings),
    }


def _figures(found: SystemFigures) -> dict[str, Any]:
    actual, least = found.actual, found.least
    return {
        "sasv_eer": found.eers.sasv.eer,
        "sv_eer": found.eers.sv.eer,
        "spf_eer": found.eers.spf.eer,
        "intervals": {
            f"{name}_eer": {"low": one.low, "high": one.high, "level": one.level}
            for name, one in found.intervals.items()
        },
        "min_a_dcf": least.cost,
        "act_a_dcf": actual.cost,
        "threshold": actual.threshold,
        "threshold_rule": found.rule,
        "p_fa": actual.p_fa,
        "p_fa_spoof": actual.p_fa_spoof,
        "frr": count_record(found.frr),
        "iapar": {count.name: count_record(count) for count in found.attacks},
        "worst": None if found.worst is None else found.worst.name,
        "riapar": found.riapar,
    }


def _cm(found: CmFigures) -> dict[str, Any]:
    return {
        "eer": found.eer.eer,
        "threshold": found.threshold,
        "threshold_rule": found.rule,
        "bpcer": count_record(found.bpcer),
        "apcer": {count.name: count_record(count) for count in found.attacks},
        "worst": found.worst.name,
        **{f"bpcer{number}": count_record(count) for number, count in found.at_apcer.items()},
    }


def count_record(count: Count) -> dict[str, Any]:
    """Return a count, its rate, and what it shows."""
    return {
        "num_trials": count.num_trials,
        "num_errors": count.num_errors,
        "value": count.rate,
        "upper": count.upper,
        "no_answer": count.share_without_answer,
        **{f"below_{limit:g}": count.claim(limit).value for limit in LIMITS},
    }


def figure_rows(summaries: Sequence[SasvSummary]) -> list[tuple[Any, ...]]:
    """Return the rows of ``sasv_figures.csv``."""
    rows: list[tuple[Any, ...]] = []
    for summary in summaries:
        for found in summary.systems:
            record = _figures(found)
            for name in ("sasv_eer", "sv_eer", "spf_eer", "min_a_dcf", "act_a_dcf", "riapar"):
                ends = record["intervals"].get(name, {})
                cells = (ends.get("low"), ends.get("high"), ends.get("level"))
                rows.append((summary.name, found.kind, name, record[name], *cells))
            rows.append((summary.name, found.kind, "frr", found.frr.rate, None, None, None))
        if summary.cm is not None:
            cm = summary.cm
            counts = {"bpcer": cm.bpcer} | {f"bpcer{n}": c for n, c in cm.at_apcer.items()}
            values = {"eer": cm.eer.eer, "apcer": cm.worst.rate}
            values |= {name: count.rate for name, count in counts.items()}
            rows += [(summary.name, "cm", n, v, None, None, None) for n, v in values.items()]
        if summary.t_eer is not None:
            rows.append((summary.name, "cm+asv", "t_eer", summary.t_eer, None, None, None))
    return rows


def attack_rows(summaries: Sequence[SasvSummary]) -> list[tuple[Any, ...]]:
    """Return the rows of ``sasv_attacks.csv``."""
    rows: list[tuple[Any, ...]] = []
    for summary in summaries:
        groups: list[tuple[str, str, Sequence[Count], Count | None]] = [
            (found.kind, "iapar", found.attacks, found.worst) for found in summary.systems
        ]
        if summary.cm is not None:
            groups.append(("cm", "apcer", summary.cm.attacks, summary.cm.worst))
        for kind, rate, counts, highest in groups:
            for count in counts:
                record = count_record(count)
                claims = [record[f"below_{limit:g}"] for limit in LIMITS]
                rows.append(
                    (
                        *(summary.name, kind, rate, count.name, count.num_trials),
                        *(count.num_errors, count.rate, count.upper, record["no_answer"]),
                        *(*claims, count == highest),
                    )
                )
    return rows


def claim_text(count: Count, limit: float) -> str:
    """Return what trials show of a limit, for people: "shown", or how many it takes."""
    claim = count.claim(limit)
    if claim != Claim.NOT_SHOWN:
        return claim.value
    return f"not shown: it takes {trials_needed(limit, count.num_errors):,} trials"


def format_sasv(summaries: Sequence[SasvSummary]) -> str:
    """Return the figures for a terminal."""
    lines: list[str] = []
    for summary in summaries:
        counts = ", ".join(f"{number:,} {key}" for key, number in summary.counts.items())
        lines += [f"{summary.name}: {counts} trials", ""]
        if summary.systems:
            lines.append(
                f"  {'':<26}{'SASV-EER':>10}{'SV-EER':>10}{'SPF-EER':>10}{'min a-DCF':>11}"
                f"{'act a-DCF':>11}"
            )
        for found in summary.systems:
            rates = "".join(f"{percent(e.eer):>10}" for e in _three(found))
            lines.append(
                f"  {_short(found.kind):<26}{rates}{found.least.cost:>11.4f}"
                f"{found.actual.cost:>11.4f}"
            )
        lines += _worst_lines(summary)
        lines += [f"  note: {warning}" for warning in summary.warnings]
        lines.append("")
    return "\n".join(lines).rstrip()


def _three(found: SystemFigures) -> tuple[Any, Any, Any]:
    return found.eers.sasv, found.eers.sv, found.eers.spf


def _short(kind: str) -> str:
    names: Mapping[str, str] = {"asv": "voices alone (asv)", "sasv": "system (sasv)"}
    return names.get(kind, "fused LLR" if kind in TITLES else kind)


def _worst_lines(summary: SasvSummary) -> list[str]:
    lines = []
    for found in summary.systems:
        highest = found.worst
        if highest is not None and found.riapar is not None:
            lines.append(
                f"  {_short(found.kind)}: worst attack {highest.name}, IAPAR "
                f"{_rate(highest)}, RIAPAR {percent(found.riapar)}; below {LIMITS[0]:.0%}: "
                f"{claim_text(highest, LIMITS[0])}"
            )
    if summary.cm is not None:
        cm = summary.cm
        fixed = ", ".join(f"BPCER{n} {_rate(count)}" for n, count in cm.at_apcer.items())
        lines.append(
            f"  countermeasure: EER {percent(cm.eer.eer)}, worst attack {cm.worst.name}, APCER "
            f"{_rate(cm.worst)}, BPCER {_rate(cm.bpcer)}; {fixed}; below {LIMITS[0]:.0%}: "
            f"{claim_text(cm.worst, LIMITS[0])}"
        )
    if summary.t_eer is not None:
        lines.append(f"  t-EER {percent(summary.t_eer)}")
    return ["", *lines] if lines else []


def _rate(count: Count) -> str:
    return "-" if count.rate is None else percent(count.rate)
