"""Pictures of error trade-offs over all thresholds: ROC and DET."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from scipy.special import ndtri

from rawnet_jax.evaluation.summary import Summary, percent
from rawnet_jax.metrics.det import EqualErrorRate, det_curve, roc_curve
from rawnet_jax.reports.canvas import (
    INK,
    SQUARE,
    SYSTEM_COLOURS,
    legend_below,
    legend_label,
    svg,
    system_style,
)

DET_TICKS = (0.0001, 0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95, 0.99)


def roc_svg(summaries: Sequence[Summary]) -> str:
    """Draw ROC curves of several systems over each other; spoof is the positive class."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=INK, alpha=0.5, linewidth=1, linestyle=":")
        for index, summary in enumerate(summaries):
            curve = roc_curve(summary.bonafide_scores, summary.spoof_scores)
            label = legend_label(
                f"{summary.name} (AUC {summary.metrics['auc'].value:.4f}; {_counts(summary)})"
            )
            axes.plot(
                curve.false_positive_rate,
                curve.true_positive_rate,
                label=label,
                **system_style(index),
            )
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0))
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.set_xlabel("bona fide called spoof (false positives)")
        axes.set_ylabel("spoof called spoof (true positives)")
        legend_below(figure)

    return svg(draw, SQUARE, "roc")


@dataclass(frozen=True, slots=True, eq=False)
class DetLine:
    """A curve of a DET plot.

    Attributes:
        name: in the legend.
        positive: scores of trials to be accepted.
        negative: scores of trials to be rejected.
        eer: of both.
        counts: how many trials, in words.
    """

    name: str
    positive: np.ndarray
    negative: np.ndarray
    eer: EqualErrorRate
    counts: str


def det_svg(summaries: Sequence[Summary]) -> str:
    """Draw DET curves of several systems over each other, both axes on the probit scale."""
    accepted, rejected = "spoof called bona fide", "bona fide called spoof"
    return det_lines_svg([line_of(s) for s in summaries], accepted, rejected, "det")


def line_of(summary: Summary) -> DetLine:
    """Return the curve of a countermeasure."""
    scores = summary.bonafide_scores, summary.spoof_scores
    return DetLine(summary.name, *scores, summary.eer, _counts(summary))


def det_lines_svg(lines: Sequence[DetLine], accepted: str, rejected: str, prefix: str) -> str:
    """Draw DET curves over each other.

    Args:
        lines: the curves.
        accepted: what a false acceptance is.
        rejected: what a false rejection is.
        prefix: of ids in the picture.
    """
    lowest, highest = _det_limits(lines)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        ends = ndtri([lowest, highest])
        axes.plot(ends, ends, color=INK, alpha=0.5, linewidth=1, linestyle=":")
        for index, line in enumerate(lines):
            curve = det_curve(line.positive, line.negative)
            # Rates of exactly 0 and 1 lie at infinity; just outside the frame is far enough.
            far, frr = (
                ndtri(np.clip(rate, lowest / 2, (1 + highest) / 2))
                for rate in (curve.far, curve.frr)
            )
            label = legend_label(f"{line.name} (EER {percent(line.eer.eer)}; {line.counts})")
            axes.plot(far, frr, label=label, **system_style(index))
            point = ndtri(np.clip([line.eer.far, line.eer.frr], lowest, highest))
            colour = SYSTEM_COLOURS[index % len(SYSTEM_COLOURS)]
            axes.plot(*point, marker="o", color=colour, clip_on=False)
        ticks = _det_ticks(lowest, highest)
        labels = [f"{100 * tick:g}%" for tick in ticks]
        axes.set_xticks(ndtri(ticks), labels)
        axes.set_yticks(ndtri(ticks), labels)
        axes.set(xlim=ends, ylim=ends, aspect="equal")
        axes.set_xlabel(f"false acceptance: {accepted}")
        axes.set_ylabel(f"false rejection: {rejected}")
        legend_below(figure)

    return svg(draw, SQUARE, prefix)


def _det_limits(lines: Sequence[DetLine]) -> tuple[float, float]:
    """Return the ends of both DET axes: down to what the largest class can resolve."""
    coarsest = 0.1
    most = max(max(line.positive.size, line.negative.size) for line in lines)
    worst = max(line.eer.eer for line in lines)
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


def _counts(summary: Summary) -> str:
    return f"{summary.num_bonafide:,} bona fide, {summary.num_spoof:,} spoof"
