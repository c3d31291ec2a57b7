"""Pictures of one system: its scores, its decisions, its training."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from rawnet_jax.evaluation.summary import Summary, percent
from rawnet_jax.metrics.classification import Confusion
from rawnet_jax.reports.canvas import BONAFIDE_COLOUR, INK, SPOOF_COLOUR, WIDE, legend_below, svg
from rawnet_jax.reports.score_axis import score_axis

PART_STYLES = {"train": ("#009e73", "--", "s"), "dev": ("#cc79a7", "-", "o")}
MAX_BINS = 60


def histogram_svg(summary: Summary, prefix: str = "histogram") -> str:
    """Draw how the scores of each class are spread, as shares of the class."""
    both = np.concatenate((summary.bonafide_scores, summary.spoof_scores))
    axis = score_axis(both)
    # With few trials narrow bins would show chance, not shape.
    num_bins = int(
        np.clip(2 * math.sqrt(min(summary.num_bonafide, summary.num_spoof)), 10, MAX_BINS)
    )
    edges = np.linspace(axis.low, axis.high, num_bins + 1)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for scores, name, colour, line in (
            (summary.bonafide_scores, "bona fide", BONAFIDE_COLOUR, "-"),
            (summary.spoof_scores, "spoof", SPOOF_COLOUR, "--"),
        ):
            # Scores beyond the shown range count in the outermost bins, so that none is lost.
            counts, _ = np.histogram(np.clip(axis.place(scores), axis.low, axis.high), edges)
            share = counts / scores.size
            label = f"{name} ({scores.size:,} trials)"
            axes.stairs(share, edges, fill=True, color=colour, alpha=0.25)
            axes.stairs(share, edges, color=colour, linewidth=1.4, linestyle=line, label=label)
        axes.axvline(
            float(axis.place(np.array(summary.eer.threshold))),
            color=INK,
            linewidth=1,
            linestyle=":",
            label=f"threshold of the EER ({summary.eer.threshold:.4g})",
        )
        axis.label(axes, "score (higher = more bona fide)")
        axes.set_ylabel("share of the class a bin")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_ylim(bottom=0)
        legend_below(figure)

    return svg(draw, WIDE, prefix)


def confusion_svg(confusion: Confusion, prefix: str = "confusion") -> str:
    """Draw the confusion matrix: counts, and shares of the true class."""
    matrix = confusion.matrix
    totals = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shares = matrix / totals
    classes = ("bona fide", "spoof")

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for (row, column), share in np.ndenumerate(shares):
            colour = BONAFIDE_COLOUR if row == column else SPOOF_COLOUR
            corner = (column - 0.5, row - 0.5)
            # Never quite transparent, so that an empty cell is still seen as a cell.
            axes.add_patch(
                Rectangle(corner, 1, 1, facecolor=colour, alpha=0.06 + 0.5 * share, linewidth=0)
            )
            count = f"{matrix[row, column]:,}"
            axes.text(column, row - 0.07, count, ha="center", va="center", fontsize=17)
            note = f"{percent(share)} of {classes[row]}"
            axes.text(column, row + 0.2, note, ha="center", va="center", fontsize=9)
        axes.set(xlim=(-0.5, 1.5), ylim=(1.5, -0.5), aspect="equal")
        axes.set_xticks([0, 1], [f"called\n{name}" for name in classes])
        names = [f"truly\n{name}" for name in classes]
        axes.set_yticks([0, 1], names, rotation=90, va="center", ha="center")
        axes.tick_params(length=0, pad=6)
        axes.tick_params(axis="y", pad=18)
        axes.grid(False)
        for spine in axes.spines.values():
            spine.set_visible(False)

    return svg(draw, (3.9, 3.9), prefix)


def learning_curves_svg(history: Sequence[Mapping[str, Any]]) -> str | None:
    """Draw loss, accuracy, AUC and EER over the epochs.

    Args:
        history: one mapping an epoch with ``epoch`` and the mappings ``train`` and ``dev``, each
            with any of ``loss``, ``accuracy``, ``auc``, ``eer``; a number may be None or NaN.

    Returns:
        The picture, or None if there is nothing to draw.
    """
    panels = [
        (name, title)
        for name, title in (
            ("loss", "Loss"),
            ("accuracy", "Accuracy"),
            ("auc", "ROC-AUC"),
            ("eer", "EER"),
        )
        if any(series(history, part, name)[0] for part in PART_STYLES)
    ]
    if not panels:
        return None
    best = best_epoch(history)

    def draw(figure: Figure) -> None:
        num_rows = math.ceil(len(panels) / 2)
        grid = figure.subplots(num_rows, 2, squeeze=False).ravel()
        for axes, (name, title) in zip(grid, panels, strict=False):
            _draw_panel(axes, history, name)
            axes.set_title(title)
            if best is not None:
                axes.axvline(best, color=INK, alpha=0.6, linewidth=1, linestyle=":")
        for axes in grid[len(panels) :]:
            axes.set_visible(False)

    return svg(draw, (9.2, 2.7 * math.ceil(len(panels) / 2)), "learning")


def best_epoch(history: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the first epoch with the lowest EER on dev, or None where no EER is known."""
    epochs, values = series(history, "dev", "eer")
    return epochs[values.index(min(values))] if values else None


def series(
    history: Sequence[Mapping[str, Any]], part: str, name: str
) -> tuple[list[int], list[float]]:
    """Return epochs and values of one figure, without the epochs where it is not finite."""
    epochs, values = [], []
    for number, entry in enumerate(history, start=1):
        value = (entry.get(part) or {}).get(name)
        if value is not None and math.isfinite(value):
            epochs.append(int(entry.get("epoch", number)))
            values.append(float(value))
    return epochs, values


def _draw_panel(axes: Axes, history: Sequence[Mapping[str, Any]], name: str) -> None:
    for part, (colour, line, marker) in PART_STYLES.items():
        epochs, values = series(history, part, name)
        if not epochs:
            continue
        few = len(epochs) <= 30
        axes.plot(
            epochs,
            values,
            color=colour,
            linestyle=line,
            marker=marker if few else "",
            label=f"{part} (last {values[-1]:.4g})",
        )
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if name in ("accuracy", "eer"):
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend()
