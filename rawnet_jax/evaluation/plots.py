"""Pictures of an evaluation, as SVG text to stand inside an HTML page.

Every function is pure: the same numbers give the same bytes. Text and axes are drawn in the colour
of the page's text (``currentColor``), so that a picture fits a light page, a dark one and paper.
The hues are those of Okabe and Ito, told apart by colour-blind readers too; line styles differ as
well.
"""

import io
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from scipy.special import ndtri

from rawnet_jax.evaluation.summary import Summary, percent
from rawnet_jax.metrics.classification import Confusion
from rawnet_jax.metrics.det import det_curve, roc_curve

BONAFIDE_COLOUR = "#0072b2"
SPOOF_COLOUR = "#d55e00"
SYSTEM_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
LINE_STYLES = ("-", "--", "-.", ":")
PART_STYLES = {"train": ("#009e73", "--", "s"), "dev": ("#cc79a7", "-", "o")}

DET_TICKS = (0.0001, 0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95, 0.99)
MAX_BINS = 60

_INK = "#010203"  # stands for currentColor until the SVG text is made
_STYLE = {
    "axes.edgecolor": _INK,
    "axes.grid": True,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "grid.alpha": 0.16,
    "grid.color": _INK,
    "legend.fontsize": "small",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "svg.fonttype": "path",  # the same picture on every machine, whatever its fonts
    "svg.hashsalt": "rawnet_jax",
    "text.color": _INK,
    "text.parse_math": False,  # names from outside may hold dollar signs
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_WIDE = (9.2, 3.5)  # inches; 72 points each in the SVG
_SQUARE = (4.6, 4.6)


def roc_svg(summaries: Sequence[Summary]) -> str:
    """Draw ROC curves of several systems over each other; spoof is the positive class."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=_INK, alpha=0.5, linewidth=1, linestyle=":")
        for index, summary in enumerate(summaries):
            curve = roc_curve(summary.bonafide_scores, summary.spoof_scores)
            label = _label(f"{summary.name} (AUC {summary.auc:.4f}; {_counts(summary)})")
            axes.plot(
                curve.false_positive_rate,
                curve.true_positive_rate,
                label=label,
                **_system_style(index),
            )
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0))
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.set_xlabel("bona fide called spoof (false positives)")
        axes.set_ylabel("spoof called spoof (true positives)")
        _legend_below(figure)

    return _svg(draw, _SQUARE, "roc")


def det_svg(summaries: Sequence[Summary]) -> str:
    """Draw DET curves of several systems over each other, both axes on the probit scale."""
    lowest, highest = _det_limits(summaries)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        ends = ndtri([lowest, highest])
        axes.plot(ends, ends, color=_INK, alpha=0.5, linewidth=1, linestyle=":")
        for index, summary in enumerate(summaries):
            curve = det_curve(summary.bonafide_scores, summary.spoof_scores)
            # Rates of exactly 0 and 1 lie at infinity; just outside the frame is far enough.
            far, frr = (
                ndtri(np.clip(rate, lowest / 2, (1 + highest) / 2))
                for rate in (curve.far, curve.frr)
            )
            label = _label(f"{summary.name} (EER {percent(summary.eer.eer)}; {_counts(summary)})")
            axes.plot(far, frr, label=label, **_system_style(index))
            point = ndtri(np.clip([summary.eer.far, summary.eer.frr], lowest, highest))
            colour = SYSTEM_COLOURS[index % len(SYSTEM_COLOURS)]
            axes.plot(*point, marker="o", color=colour, clip_on=False)
        ticks = _det_ticks(lowest, highest)
        labels = [f"{100 * tick:g}%" for tick in ticks]
        axes.set_xticks(ndtri(ticks), labels)
        axes.set_yticks(ndtri(ticks), labels)
        axes.set(xlim=ends, ylim=ends, aspect="equal")
        axes.set_xlabel("false acceptance: spoof called bona fide")
        axes.set_ylabel("false rejection: bona fide called spoof")
        _legend_below(figure)

    return _svg(draw, _SQUARE, "det")


def histogram_svg(summary: Summary, prefix: str = "histogram") -> str:
    """Draw how the scores of each class are spread, as shares of the class."""
    both = np.concatenate((summary.bonafide_scores, summary.spoof_scores))
    low, high = _score_range(both)
    # With few trials narrow bins would show chance, not shape.
    num_bins = int(
        np.clip(2 * math.sqrt(min(summary.num_bonafide, summary.num_spoof)), 10, MAX_BINS)
    )
    edges = np.linspace(low, high, num_bins + 1)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for scores, name, colour, line in (
            (summary.bonafide_scores, "bona fide", BONAFIDE_COLOUR, "-"),
            (summary.spoof_scores, "spoof", SPOOF_COLOUR, "--"),
        ):
            # Scores beyond the shown range count in the outermost bins, so that none is lost.
            counts, _ = np.histogram(np.clip(scores, low, high), edges)
            share = counts / scores.size
            label = f"{name} ({scores.size:,} trials)"
            axes.stairs(share, edges, fill=True, color=colour, alpha=0.25)
            axes.stairs(share, edges, color=colour, linewidth=1.4, linestyle=line, label=label)
        axes.axvline(
            summary.eer.threshold,
            color=_INK,
            linewidth=1,
            linestyle=":",
            label=f"threshold of the EER ({summary.eer.threshold:.4g})",
        )
        axes.set(xlim=(low, high), xlabel="score (higher = more bona fide)")
        axes.set_ylabel("share of the class a bin")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_ylim(bottom=0)
        _legend_below(figure)

    return _svg(draw, _WIDE, prefix)


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

    return _svg(draw, (3.9, 3.9), prefix)


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
                axes.axvline(best, color=_INK, alpha=0.6, linewidth=1, linestyle=":")
        for axes in grid[len(panels) :]:
            axes.set_visible(False)

    return _svg(draw, (9.2, 2.7 * math.ceil(len(panels) / 2)), "learning")


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


def _det_limits(summaries: Sequence[Summary]) -> tuple[float, float]:
    """Return the ends of both DET axes: down to what the largest class can resolve."""
    coarsest = 0.1
    most = max(max(s.num_bonafide, s.num_spoof) for s in summaries)
    worst = max(s.eer.eer for s in summaries)
    lowest = max(
        (tick for tick in DET_TICKS if tick <= min(1 / most, coarsest)), default=DET_TICKS[0]
    )
    highest = next((tick for tick in DET_TICKS if tick >= max(0.4, 1.5 * worst)), DET_TICKS[-1])
    return lowest, highest


def _det_ticks(lowest: float, highest: float) -> list[float]:
    """Return the ticks between the ends whose labels do not touch."""
    closest = 0.09 * (ndtri(highest) - ndtri(lowest))
    ticks = [lowest]
    for tick in DET_TICKS:
        if lowest < tick <= highest and ndtri(tick) - ndtri(ticks[-1]) >= closest:
            ticks.append(tick)
    return ticks


def _score_range(scores: np.ndarray) -> tuple[float, float]:
    """Return the range to show: all scores, unless a few are far out."""
    low, high = (float(v) for v in np.quantile(scores, [0.001, 0.999]))
    smallest, largest = float(scores.min()), float(scores.max())
    if largest - smallest <= 1.5 * (high - low):
        low, high = smallest, largest
    if low == high:
        margin = max(0.5, 0.01 * abs(low))
        return low - margin, high + margin
    return low, high


def _system_style(index: int) -> dict[str, Any]:
    return {
        "color": SYSTEM_COLOURS[index % len(SYSTEM_COLOURS)],
        "linestyle": LINE_STYLES[index % len(LINE_STYLES)],
    }


def _counts(summary: Summary) -> str:
    return f"{summary.num_bonafide:,} bona fide, {summary.num_spoof:,} spoof"


def _label(text: str, longest: int = 90) -> str:
    """Return one line for a legend; matplotlib would drop a label that begins with ``_``."""
    text = " ".join(text.split())
    if len(text) > longest:
        text = text[: longest // 2] + "…" + text[-longest // 2 + 1 :]
    return f" {text}" if text.startswith("_") else text


def _legend_below(figure: Figure) -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    columns = 3 if figure.get_figwidth() > 6 else 1
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def _svg(draw: Callable[[Figure], None], size_inches: tuple[float, float], prefix: str) -> str:
    """Run `draw` in the house style; return an ``<svg>`` element whose ids begin with `prefix`."""
    buffer = io.StringIO()
    with style.context(["default", _STYLE]), warnings.catch_warnings():
        # A name in a script that the font lacks is shown as boxes; the page has it as text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=size_inches)
        FigureCanvasSVG(figure)
        draw(figure)
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    # Several pictures share one page, and ids must be unique in it.
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = text.replace('href="#', f'href="#{prefix}-').replace("url(#", f"url(#{prefix}-")
    text = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", text, count=1)
    return text.replace(_INK, "currentColor").strip()
