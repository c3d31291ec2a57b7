"""The HTML report: one file that holds everything, to be read by people.

A report is a list of sections, a section a list of blocks. What is new in a report is a new
function that makes a section; template and style stay as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.errors import MetricError
from rawnet_jax.evaluation import plots
from rawnet_jax.evaluation.summary import Summary, headline_rows, percent, trials

TEMPLATE = "report.html.jinja"


@dataclass(frozen=True)
class Table:
    """A table; cells are text.

    Attributes:
        header: of the columns.
        rows: one cell a column.
        caption: stands above.
        text_columns: indices of the columns that hold words; numbers stand to the right.
        folded: closed until the reader opens it.
        wide: over the whole page.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    text_columns: Sequence[int] = (0,)
    folded: bool = False
    wide: bool = False
    kind: str = field(default="table", init=False)


@dataclass(frozen=True)
class Picture:
    """A picture with its caption.

    Attributes:
        svg: an ``<svg>`` element made by `rawnet_jax.evaluation.plots`; the only thing in the page
            that is not escaped.
        caption: what it shows and how to read it.
        wide: over the whole page; two narrow ones stand side by side.
    """

    svg: str
    caption: str
    wide: bool = False
    kind: str = field(default="picture", init=False)


@dataclass(frozen=True)
class Section:
    """A part of the report under a heading.

    Attributes:
        title: the heading.
        anchor: its id in the page; unique.
        blocks: tables and pictures in order.
        text: stands under the heading.
    """

    title: str
    anchor: str
    blocks: Sequence[Table | Picture]
    text: str = ""


@dataclass(frozen=True)
class ReportContext:
    """What a reader must know beside the figures.

    Attributes:
        title: heading of the report.
        created: date, as it shall be shown; passed in so that a report can be made again.
        command: how the report was made.
        details: names and values: config, dataset, checkpoint step, machine, versions …
        notes: sentences such as what the figures do not say.
    """

    title: str
    created: str = ""
    command: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


def write_report(
    path: str | Path,
    summaries: Sequence[Summary],
    context: ReportContext,
    history: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write the report of one or several systems as one HTML file, whole or not at all.

    The file needs no network and no scripts; the same input gives the same bytes.

    Args:
        path: file to write; its folder must exist.
        summaries: one a system; at least one.
        context: title, date, origin.
        history: one mapping an epoch, see `learning_curves_svg`; empty without training.

    Raises:
        MetricError: there is no system.
        DataError: the file cannot be written.
    """
    if not summaries:
        raise MetricError("a report needs at least one system")
    write_text_atomically(path, render_report(summaries, context, history))


def render_report(
    summaries: Sequence[Summary],
    context: ReportContext,
    history: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return the report as HTML text; arguments as for `write_report`."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = resources.files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source).render(
        context=context,
        tiles=_tiles(summaries[0]) if len(summaries) == 1 else [],
        warnings=[
            (summary.name if len(summaries) > 1 else "", warning)
            for summary in summaries
            for warning in summary.warnings
        ],
        sections=build_sections(summaries, history),
    )


def build_sections(
    summaries: Sequence[Summary], history: Sequence[Mapping[str, Any]] = ()
) -> list[Section]:
    """Return the sections of a report, without those that have nothing to show."""
    sections = [
        _results(summaries),
        _trade_offs(summaries),
        _distributions(summaries),
        _attacks(summaries),
        _learning(history),
    ]
    return [section for section in sections if section is not None]


def _tiles(summary: Summary) -> list[tuple[str, str, str]]:
    return [
        ("EER", percent(summary.eer.eer), "lower is better"),
        ("ROC-AUC", f"{summary.auc:.4f}", "higher is better"),
        ("Accuracy", percent(summary.confusion.accuracy), "higher is better"),
        (
            "Trials",
            f"{summary.confusion.num_trials:,}",
            f"{summary.num_bonafide:,} bona fide, {summary.num_spoof:,} spoof",
        ),
    ]


def _results(summaries: Sequence[Summary]) -> Section:
    thresholds = sorted({summary.spoof_threshold for summary in summaries})
    at = " or ".join(f"{threshold:g}" for threshold in thresholds)
    blocks: list[Table | Picture] = [_headline_table(summaries)]
    for index, summary in enumerate(summaries):
        caption = (
            f"Confusion matrix of {summary.name}: rows are the truth, columns the decision at "
            f"P(spoof) ≥ {summary.spoof_threshold:g}."
        )
        blocks.append(Picture(plots.confusion_svg(summary.confusion, f"confusion{index}"), caption))
    text = (
        f"Spoof is the positive class. A trial is called spoof where P(spoof) is at least {at}; "
        "ROC-AUC and EER look at all thresholds."
    )
    return Section("Results", "results", blocks, text)


def _headline_table(summaries: Sequence[Summary]) -> Table:
    """Make the table: with counts for one system, with a column a system for several."""
    if len(summaries) == 1:
        rows = headline_rows(summaries[0]) + _count_rows(summaries[0])
        return Table(["Figure", "Value", "Detail"], rows, text_columns=(0, 2))
    columns = [headline_rows(summary) + _count_rows(summary) for summary in summaries]
    rows_of_all = [[row[0][0], *(cell[1] for cell in row)] for row in zip(*columns, strict=True)]
    return Table(["Figure", *(summary.name for summary in summaries)], rows_of_all, wide=True)


def _count_rows(summary: Summary) -> list[tuple[str, str, str]]:
    counts = summary.confusion
    of_bonafide = trials(summary.num_bonafide, "bona fide")
    of_spoof = trials(summary.num_spoof, "spoof")
    return [
        ("Bona fide accepted", f"{counts.bonafide_accepted:,}", of_bonafide),
        ("Bona fide rejected", f"{counts.bonafide_rejected:,}", of_bonafide),
        ("Spoof accepted", f"{counts.spoof_accepted:,}", of_spoof),
        ("Spoof rejected", f"{counts.spoof_rejected:,}", of_spoof),
    ]


def _trade_offs(summaries: Sequence[Summary]) -> Section:
    det = Picture(
        plots.det_svg(summaries),
        "Detection error trade-off on probit axes: lower left is better. The dot is the EER, where "
        "the curve meets the dotted diagonal.",
    )
    roc = Picture(
        plots.roc_svg(summaries),
        "Receiver operating characteristic, spoof positive: upper left is better, the dotted "
        "diagonal is chance.",
    )
    text = "Both curves move the threshold over all scores; equal scores change sides together."
    return Section("Error trade-offs", "trade-offs", [det, roc], text)


def _distributions(summaries: Sequence[Summary]) -> Section:
    blocks = [
        Picture(
            plots.histogram_svg(summary, f"histogram{index}"),
            f"Scores of {summary.name}. Each class sums to 100 %; scores outside the range count "
            "in the outermost bins.",
            wide=True,
        )
        for index, summary in enumerate(summaries)
    ]
    return Section("Scores by class", "scores", blocks)


def _attacks(summaries: Sequence[Summary]) -> Section | None:
    tables = []
    for summary in summaries:
        if not summary.attacks:
            continue
        rows = [
            [
                row.attack_id,
                f"{row.num_spoof:,}",
                percent(row.eer.eer),
                f"{row.num_called_spoof:,}",
                percent(row.num_called_spoof / row.num_spoof),
            ]
            for row in summary.attacks
        ]
        header = ["Attack", "Trials", "EER", "Called spoof", "Recall"]
        tables.append(Table(header, rows, summary.name if len(summaries) > 1 else "", wide=True))
    if not tables:
        return None
    counts = " or ".join(
        sorted({trials(summary.num_bonafide, "bona fide") for summary in summaries})
    )
    text = f"The EER of each attack is taken against all {counts}."
    return Section("By attack", "attacks", tables, text)


def _learning(history: Sequence[Mapping[str, Any]]) -> Section | None:
    svg = plots.learning_curves_svg(history)
    if svg is None:
        return None
    best = plots.best_epoch(history)
    marked = "" if best is None else f" The dotted line marks epoch {best}, the lowest EER on dev."
    picture = Picture(svg, "Figures after each epoch." + marked, wide=True)
    return Section("Learning curves", "learning", [picture, _epoch_table(history)])


def _epoch_table(history: Sequence[Mapping[str, Any]]) -> Table:
    """List every figure that some epoch has, in the order of first appearance."""
    names: dict[tuple[str, str], None] = {}
    for entry in history:
        for part in plots.PART_STYLES:
            names.update(dict.fromkeys((part, name) for name in entry.get(part) or {}))
    cells: dict[tuple[str, str], dict[int, str]] = {}
    for part, name in names:
        epochs, values = plots.series(history, part, name)
        cells[part, name] = {
            epoch: f"{value:.4f}" for epoch, value in zip(epochs, values, strict=True)
        }
    header = ["epoch", *(f"{part} {name}" for part, name in names)]
    rows = []
    for number, entry in enumerate(history, start=1):
        epoch = int(entry.get("epoch", number))
        rows.append([str(epoch), *(column.get(epoch, "–") for column in cells.values())])
    return Table(header, rows, "All figures of every epoch", folded=True, wide=True)
