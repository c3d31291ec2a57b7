"""Sections of a report that every system has: results, curves, scores, training."""

from collections.abc import Mapping, Sequence
from typing import Any

from rawnet_jax.evaluation.summary import Summary, trials
from rawnet_jax.metrics.table import METRICS
from rawnet_jax.reports import plots, plots_tradeoff
from rawnet_jax.reports.blocks import Picture, Section, Table
from rawnet_jax.reports.tables import headline_rows


def results(summaries: Sequence[Summary]) -> Section:
    """Make the metrics at one threshold, both EERs, and the confusion matrices."""
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
    """Make the table: with counts for one system, with a column per system for several."""
    if len(summaries) == 1:
        rows = _rows(summaries[0])
        return Table(["Metric", "Value", "Detail"], rows, text_columns=(0, 2))
    columns = [_rows(summary) for summary in summaries]
    rows_of_all = [[row[0][0], *(cell[1] for cell in row)] for row in zip(*columns, strict=True)]
    return Table(["Metric", *(summary.name for summary in summaries)], rows_of_all, wide=True)


def _rows(summary: Summary) -> list[tuple[str, str, str]]:
    counts = summary.confusion
    notes = {"auc": "chance is 0.5"} | {
        name: f"at score {estimate.point.threshold:.6g}"
        for name, estimate in summary.metrics.items()
        if estimate.point is not None
    }
    of_bonafide = trials(summary.num_bonafide, "bona fide")
    of_spoof = trials(summary.num_spoof, "spoof")
    return [
        *headline_rows(summary),
        *(
            (METRICS[name].title, METRICS[name].text(summary.metrics[name].value), note)
            for name, note in notes.items()
        ),
        ("Bona fide accepted", f"{counts.bonafide_accepted:,}", of_bonafide),
        ("Bona fide rejected", f"{counts.bonafide_rejected:,}", of_bonafide),
        ("Spoof accepted", f"{counts.spoof_accepted:,}", of_spoof),
        ("Spoof rejected", f"{counts.spoof_rejected:,}", of_spoof),
    ]


def trade_offs(summaries: Sequence[Summary]) -> Section:
    """Make DET and ROC of all systems together."""
    det = Picture(
        plots_tradeoff.det_svg(summaries),
        "Detection error trade-off on probit axes: lower left is better. The dot is the EER, where "
        "the curve meets the dotted diagonal.",
    )
    roc = Picture(
        plots_tradeoff.roc_svg(summaries),
        "Receiver operating characteristic, spoof positive: upper left is better, the dotted "
        "diagonal is chance.",
    )
    text = "Both curves move the threshold over all scores; equal scores change sides together."
    return Section("Error trade-offs", "trade-offs", [det, roc], text)


def distributions(summaries: Sequence[Summary]) -> Section:
    """Make the histograms of scores."""
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


def learning(history: Sequence[Mapping[str, Any]]) -> Section | None:
    """Make the learning curves; None without."""
    svg = plots.learning_curves_svg(history)
    if svg is None:
        return None
    best = plots.best_epoch(history)
    marked = "" if best is None else f" The dotted line marks epoch {best}, the lowest EER on dev."
    picture = Picture(svg, "Metrics after each epoch." + marked, wide=True)
    return Section("Learning curves", "learning", [picture, _epoch_table(history)])


def _epoch_table(history: Sequence[Mapping[str, Any]]) -> Table:
    """List every metric that some epoch has, in the order of first appearance."""
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
    return Table(header, rows, "All metrics of every epoch", folded=True, wide=True)
