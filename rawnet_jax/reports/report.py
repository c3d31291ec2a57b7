"""The HTML report: one file that holds everything, to be read by people.

A report is a list of sections, a section a list of blocks. What is new in a report is a new
function that makes a section; template and style stay as they are.
"""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.errors import MetricError
from rawnet_jax.evaluation.summary import Comparison, Summary, percent
from rawnet_jax.metrics.table import METRICS
from rawnet_jax.reports import sections, sections_analysis, sections_groups
from rawnet_jax.reports.blocks import Section
from rawnet_jax.reports.glossary import glossary

TEMPLATE = "report.html.jinja"


@dataclass(frozen=True)
class ReportContext:
    """What a reader must know beside the numbers.

    Attributes:
        title: heading of the report.
        created: date, as it shall be shown; passed in so that a report can be made again.
        command: how the report was made.
        details: names and values: config, dataset, checkpoint step, machine, versions …
        notes: sentences such as what the numbers do not say.
        warnings: what a reader must know of the trials of all systems; those of one system stand
            in its summary.
    """

    title: str
    created: str = ""
    command: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()


def context_now(
    title: str,
    details: Mapping[str, str],
    *,
    notes: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> ReportContext:
    """Return the context of a report that this very command makes now; see `ReportContext`."""
    return ReportContext(
        title=title,
        created=datetime.now().strftime("%Y-%m-%d %H:%M"),
        command=shlex.join(sys.argv),
        details=details,
        notes=notes,
        warnings=warnings,
    )


def write_report(
    path: str | Path,
    summaries: Sequence[Summary],
    context: ReportContext,
    history: Sequence[Mapping[str, Any]] = (),
    comparisons: Sequence[Comparison] = (),
) -> None:
    """Write the report of one or several systems as one HTML file, whole or not at all.

    The file needs no network and no scripts; the same input gives the same bytes.

    Args:
        path: file to write; its folder must exist.
        summaries: one per system; at least one.
        context: title, date, origin.
        history: one mapping per epoch, see `learning_curves_svg`; empty without training.
        comparisons: between the systems.

    Raises:
        MetricError: there is no system.
        DataError: the file cannot be written.
    """
    if not summaries:
        raise MetricError("a report needs at least one system")
    write_text_atomically(path, render_report(summaries, context, history, comparisons))


def render_report(
    summaries: Sequence[Summary],
    context: ReportContext,
    history: Sequence[Mapping[str, Any]] = (),
    comparisons: Sequence[Comparison] = (),
) -> str:
    """Return the report as HTML text; arguments as for `write_report`."""
    warnings = [("", warning) for warning in context.warnings] + [
        (summary.name if len(summaries) > 1 else "", warning)
        for summary in summaries
        for warning in summary.warnings
    ]
    return render_page(
        context,
        build_sections(summaries, history, comparisons),
        tiles=_tiles(summaries[0]) if len(summaries) == 1 else (),
        warnings=warnings,
        terms=glossary(summaries),
    )


def render_page(
    context: ReportContext,
    page_sections: Sequence[Section],
    *,
    terms: Sequence[tuple[str, str]],
    tiles: Sequence[tuple[str, str, str]] = (),
    warnings: Sequence[tuple[str, str]] = (),
) -> str:
    """Return a page in the style of all reports.

    Args:
        context: title, date, origin; its warnings are not read.
        page_sections: in order.
        terms: (term, meaning) of the glossary.
        tiles: (name, value, note) of the numbers in front.
        warnings: (of whom, or "", sentence).
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = resources.files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source).render(
        context=context,
        tiles=tiles,
        warnings=warnings,
        terms=terms,
        sections=page_sections,
    )


def build_sections(
    summaries: Sequence[Summary],
    history: Sequence[Mapping[str, Any]] = (),
    comparisons: Sequence[Comparison] = (),
) -> list[Section]:
    """Return the sections of a report, without those that have nothing to show."""
    found = [
        sections.results(summaries),
        sections_analysis.metrics(summaries, comparisons),
        sections_analysis.threshold(summaries),
        sections.trade_offs(summaries),
        sections_analysis.tandem(summaries),
        sections.distributions(summaries),
        sections_analysis.calibration(summaries),
        sections_groups.attacks(summaries),
        *sections_groups.breakdowns(summaries, num_columns=2),
        sections_groups.fairness(summaries),
        *sections_groups.breakdowns(summaries, num_columns=1),
        sections.learning(history),
    ]
    return [section for section in found if section is not None]


def _tiles(summary: Summary) -> list[tuple[str, str, str]]:
    return [
        ("EER", percent(summary.eer.eer), "lower is better"),
        ("ROC-AUC", f"{summary.metrics['auc'].value:.4f}", "higher is better"),
        _third_tile(summary),
        (
            "Trials",
            f"{summary.confusion.num_trials:,}",
            f"{summary.num_bonafide:,} bona fide, {summary.num_spoof:,} spoof",
        ),
    ]


def _third_tile(summary: Summary) -> tuple[str, str, str]:
    """Show the cost that the field compares."""
    name = "min_dcf" if summary.asv is None else "min_tdcf_revised"
    metric = METRICS[name]
    return metric.title, metric.text(summary.metrics[name].value), f"{metric.better} is better"
