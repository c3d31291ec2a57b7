"""The report of spoofing-aware systems: one page, its tables, its record."""

import json
from collections.abc import Sequence
from pathlib import Path

from rawnet_jax.atomic_file import write_files
from rawnet_jax.csv_text import csv_text
from rawnet_jax.evaluation.sasv import TITLES, SasvSummary, SystemFigures
from rawnet_jax.evaluation.summary import percent
from rawnet_jax.metrics.bootstrap import Interval
from rawnet_jax.metrics.presentation import LIMITS, Count
from rawnet_jax.reports.blocks import Picture, Section, Table
from rawnet_jax.reports.plots_tradeoff import DetLine, det_lines_svg
from rawnet_jax.reports.report import ReportContext, render_page
from rawnet_jax.reports.sasv_record import (
    ATTACKS_HEADER,
    FIGURES_HEADER,
    attack_rows,
    claim_text,
    figure_rows,
    sasv_record,
)

TERMS = (
    (
        "Target, nontarget, spoof",
        "Bona fide speech of the claimed speaker; bona fide speech of another one; speech that was "
        "replayed, synthesised or converted. Targets alone are to be accepted.",
    ),
    (
        "SASV-EER, SV-EER, SPF-EER",
        "Equal error rates of targets against nontargets and spoof together, against nontargets, "
        "and against spoof, each at a threshold of its own. Lower is better.",
    ),
    (
        "a-DCF",
        "What errors cost at one threshold: misses, nontargets and spoof accepted, each weighed by "
        "prior and cost; 1 is what a system costs that ignores its input. Minimum: at the best "
        "threshold of these very trials. Actual: at the threshold stated.",
    ),
    (
        "APCER, BPCER",
        "Of the countermeasure alone, at one threshold: the share of an attack's trials taken for "
        "bona fide speech, and of bona fide trials taken for attacks. The worst attack's APCER is "
        "the result. BPCER10: the BPCER where no attack has an APCER above 1/10.",
    ),
    (
        "IAPAR, RIAPAR",
        "Of the whole system: the share of an attack's trials that is accepted, and the same plus "
        "the share of targets that is rejected.",
    ),
    (
        "No answer",
        "Share of trials without a score (APNRR, BPNRR). It is not a success: error rates are of "
        "the trials with an answer.",
    ),
    (
        "Shown",
        "That a rate is below a limit is shown where its exact upper bound (95 %, one-sided) is: "
        "42 attacks without an error show less than 7 %, 41 do not.",
    ),
)


def write_sasv(
    folder: Path, summaries: Sequence[SasvSummary], context: ReportContext
) -> list[tuple[str, Path]]:
    """Write record, tables and page; each file whole or not at all.

    Args:
        folder: exists.
        summaries: one per system; at least one.
        context: title, origin, notes.

    Returns:
        (what, where) of what was written, for people.

    Raises:
        DataError: a file cannot be written.
    """
    record = json.dumps(sasv_record(summaries), indent=2, ensure_ascii=False, allow_nan=False)
    files: list[tuple[str, str, str | bytes]] = [
        ("metrics", "metrics.json", record + "\n"),
        ("table", "sasv_figures.csv", csv_text([FIGURES_HEADER, *figure_rows(summaries)])),
        ("attacks", "sasv_attacks.csv", csv_text([ATTACKS_HEADER, *attack_rows(summaries)])),
        ("report", "report.html", render_sasv(summaries, context)),
    ]
    return write_files(folder, files)


def render_sasv(summaries: Sequence[SasvSummary], context: ReportContext) -> str:
    """Return the page as HTML text."""
    warnings = [("", warning) for warning in context.warnings] + [
        (summary.name if len(summaries) > 1 else "", warning)
        for summary in summaries
        for warning in summary.warnings
    ]
    found = [_systems(summaries), _trade_offs(summaries), _countermeasures(summaries)]
    found += [_attacks(summaries)]
    return render_page(
        context,
        [section for section in found if section is not None],
        terms=TERMS,
        tiles=_tiles(summaries[0]),
        warnings=warnings,
    )


def _tiles(summary: SasvSummary) -> list[tuple[str, str, str]]:
    counts = ", ".join(f"{number:,} {key}" for key, number in summary.counts.items())
    tiles = [("Trials", f"{sum(summary.counts.values()):,}", counts)]
    if summary.systems:
        first = summary.systems[0]
        tiles += [
            ("SASV-EER", percent(first.eers.sasv.eer), TITLES[first.kind]),
            ("actual a-DCF", f"{first.actual.cost:.4f}", "lower is better"),
        ]
        if first.worst is not None and first.worst.rate is not None:
            tiles.append(("IAPAR", percent(first.worst.rate), f"worst attack {first.worst.name}"))
    return tiles


def _systems(summaries: Sequence[SasvSummary]) -> Section | None:
    every = [(summary, found) for summary in summaries for found in summary.systems]
    if not every:
        return None
    rates = [
        [
            *(summary.name, TITLES[found.kind]),
            *(_with_interval(found, name) for name in ("sasv", "sv", "spf")),
            f"{found.least.cost:.4f}",
        ]
        for summary, found in every
    ]
    header = ["System", "Score", "SASV-EER", "SV-EER", "SPF-EER", "min a-DCF"]
    over_all = Table(header, rates, "Over all thresholds", text_columns=(0, 1), wide=True)
    rows = [
        [
            *(summary.name, TITLES[found.kind], f"{found.actual.threshold:.4g}", found.rule),
            *(percent(rate) for rate in _rates_there(found)),
            "–" if found.worst is None else f"{_rate(found.worst)} ({found.worst.name})",
            "–" if found.riapar is None else percent(found.riapar),
            f"{found.actual.cost:.4f}",
        ]
        for summary, found in every
    ]
    header = ["System", "Score", "threshold", "its rule", "targets rejected", "others accepted"]
    header += ["spoof accepted", "IAPAR", "RIAPAR", "actual a-DCF"]
    at_one = Table(header, rows, "At one threshold", text_columns=(0, 1, 3), wide=True)
    text = (
        "SV-EER tells whether other speakers get in, SPF-EER whether spoof does, SASV-EER both. A "
        "system may be good at one and useless at the other."
    )
    return Section("Verification", "verification", [over_all, at_one], text)


def _rates_there(found: SystemFigures) -> tuple[float, float, float]:
    return found.actual.p_miss, found.actual.p_fa, found.actual.p_fa_spoof


def _with_interval(found: SystemFigures, name: str) -> str:
    rate = percent(getattr(found.eers, name).eer)
    interval: Interval | None = found.intervals.get(name)
    if interval is None:
        return rate
    return f"{rate} [{percent(interval.low)}, {percent(interval.high)}]"


def _trade_offs(summaries: Sequence[SasvSummary]) -> Section | None:
    pictures = []
    of_systems = [(s, found) for s in summaries for found in s.systems]
    for negative, accepted in (("nontarget", "another speaker"), ("spoof", "spoof")):
        at = ("nontarget", "spoof").index(negative) + 1
        lines = [
            DetLine(
                f"{summary.name}, {found.kind}",
                found.classes[0],
                found.classes[at],
                found.eers.sv if at == 1 else found.eers.spf,
                f"{found.classes[0].size:,} target, {found.classes[at].size:,} {negative}",
            )
            for summary, found in of_systems
        ]
        if lines:
            svg = det_lines_svg(lines, accepted, "target rejected", f"det-{negative}")
            pictures.append(Picture(svg, f"Targets against {negative} trials, probit axes."))
    lines = [
        DetLine(
            s.name,
            s.cm.bonafide,
            s.cm.spoof,
            s.cm.eer,
            f"{s.cm.bonafide.size:,} bona fide, {s.cm.spoof.size:,} spoof",
        )
        for s in summaries
        if s.cm is not None
    ]
    if lines:
        svg = det_lines_svg(lines, "spoof called bona fide", "bona fide called spoof", "det-cm")
        pictures.append(Picture(svg, "The countermeasure alone, probit axes."))
    return Section("Error trade-offs", "trade-offs", pictures) if pictures else None


def _countermeasures(summaries: Sequence[SasvSummary]) -> Section | None:
    rows = []
    for summary in summaries:
        cm = summary.cm
        if cm is None:
            continue
        rows.append(
            [
                *(summary.name, percent(cm.eer.eer), _rate(cm.worst), cm.worst.name),
                *(_rate(cm.bpcer), percent(cm.bpcer.share_without_answer)),
                *(_rate(count) for count in cm.at_apcer.values()),
                *(f"{cm.threshold:.4g}", cm.rule),
                "–" if summary.t_eer is None else percent(summary.t_eer),
            ]
        )
    if not rows:
        return None
    at = [f"BPCER{number}" for number in next(s.cm for s in summaries if s.cm).at_apcer]
    header = ["System", "EER", "APCER", "of attack", "BPCER", "BPNRR", *at, "threshold"]
    table = Table([*header, "its rule", "t-EER"], rows, text_columns=(0, 3, 7 + len(at)), wide=True)
    return Section("Countermeasure", "countermeasure", [table])


def _attacks(summaries: Sequence[SasvSummary]) -> Section:
    rows = []
    for summary in summaries:
        groups: list[tuple[str, Sequence[Count]]] = [
            (f"IAPAR, {found.kind}", found.attacks) for found in summary.systems
        ]
        if summary.cm is not None:
            groups.append(("APCER, cm", summary.cm.attacks))
        rows += [
            [
                *(summary.name, rate, count.name, f"{count.num_errors:,} of {count.num_trials:,}"),
                *(_rate(count), percent(count.upper), percent(count.share_without_answer)),
                *(claim_text(count, limit) for limit in LIMITS),
            ]
            for rate, counts in groups
            for count in counts
        ]
    limits = [f"below {limit:.0%}" for limit in LIMITS]
    header = ["System", "Rate", "Attack", "accepted", "rate", "upper bound", "no answer", *limits]
    table = Table(header, rows, text_columns=(0, 1, 2, 7, 8), wide=True)
    text = "Each attack at the fixed threshold of its score; the worst attack is the result."
    return Section("Attacks", "attacks", [table], text)


def _rate(count: Count) -> str:
    return "–" if count.rate is None else percent(count.rate)
