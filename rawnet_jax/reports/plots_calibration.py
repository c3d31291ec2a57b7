"""Pictures of what scores are worth as log-likelihood ratios, and of costs over thresholds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, PercentFormatter, StrMethodFormatter

from rawnet_jax.evaluation.summary import Summary
from rawnet_jax.labels import spoof_probability
from rawnet_jax.metrics.dcf import tdcf_curve, tdcf_weights_legacy, tdcf_weights_revised
from rawnet_jax.metrics.det import det_curve
from rawnet_jax.reports.canvas import (
    INK,
    SQUARE,
    SYSTEM_COLOURS,
    WIDE,
    legend_below,
    legend_label,
    svg,
    system_style,
)
from rawnet_jax.reports.score_axis import score_axis

NUM_BINS = 10
_HIGHEST_COST = 1.25


def reliability_svg(summaries: Sequence[Summary]) -> str:
    """Draw the share of bona fide speech against the probability that the scores stand for.

    Both classes weigh the same (a prior of one half), so that how common spoof is in the list
    does not change the picture. Systems with calibrated scores have a second, dotted curve of the
    scores as they are.
    """

    def draw(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        upper.plot([0, 1], [0, 1], color=INK, alpha=0.5, linewidth=1, linestyle=":")
        for index, summary in enumerate(summaries):
            for name, (bonafide, spoof), faint in _llrs(summary):
                predicted, observed, counts = reliability(bonafide, spoof)
                colour = SYSTEM_COLOURS[index % len(SYSTEM_COLOURS)]
                looks: dict[str, Any] = {"color": colour, "linestyle": ":" if faint else "-"}
                looks |= {"alpha": 0.7 if faint else 1.0}
                label = legend_label(name)
                upper.plot(predicted, observed, marker="o", label=label, **looks)
                edges = np.linspace(0, 1, NUM_BINS + 1)
                lower.stairs(np.maximum(counts, 0.5), edges, baseline=0.5, **looks)
        lower.set_yscale("log")
        lower.set_ylim(bottom=0.5)
        lower.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        lower.yaxis.set_minor_formatter(NullFormatter())
        lower.set_ylabel("trials")
        lower.set_xlabel("P(bona fide) by the scores, classes equally common")
        upper.set_ylabel("share that is bona fide")
        upper.set(xlim=(-0.01, 1.01), ylim=(-0.02, 1.02))
        for axis in (upper.yaxis, lower.xaxis):
            axis.set_major_formatter(PercentFormatter(1.0))
        legend_below(figure)

    return svg(draw, (SQUARE[0], SQUARE[1] + 1.0), "reliability")


def reliability(
    bonafide: np.ndarray, spoof: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bin log-likelihood ratios by the probability they stand for, classes weighing the same.

    Args:
        bonafide: [Nb], in nats.
        spoof: [Ns].

    Returns:
        Mean probability and share of bona fide speech of each bin that is not empty, both [<= K],
        and the number of trials in every bin [K].
    """
    probability = 1 - spoof_probability(np.concatenate((bonafide, spoof)))
    is_bonafide = np.arange(probability.size) < bonafide.size
    weight = np.where(is_bonafide, 0.5 / bonafide.size, 0.5 / spoof.size)
    bins = np.minimum((probability * NUM_BINS).astype(int), NUM_BINS - 1)
    mass = np.bincount(bins, weight, NUM_BINS)
    filled = mass > 0
    predicted = np.bincount(bins, weight * probability, NUM_BINS)[filled] / mass[filled]
    observed = np.bincount(bins, weight * is_bonafide, NUM_BINS)[filled] / mass[filled]
    return predicted, observed, np.bincount(bins, minlength=NUM_BINS)


def tippett_svg(summaries: Sequence[Summary]) -> str:
    """Draw the share of trials whose log-likelihood ratio is a value or more, a curve per class.

    Where the curve of spoof is right of 0, or that of bona fide left of it, ratios mislead.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axvline(0, color=INK, alpha=0.5, linewidth=1, linestyle=":")
        for index, summary in enumerate(summaries):
            name, scores, _ = _llrs(summary)[-1]
            looks: dict[str, Any] = {"color": SYSTEM_COLOURS[index % len(SYSTEM_COLOURS)]}
            for llrs, kind, style in zip(scores, ("bona fide", "spoof"), ("-", "--"), strict=True):
                values = np.sort(llrs)
                share = 1 - np.arange(values.size) / values.size
                label = legend_label(f"{name}: {kind}")
                axes.step(values, share, where="pre", label=label, linestyle=style, **looks)
            calibrated = summary.calibrated
            for bound in (calibrated and calibrated.calibration.bounds) or ():
                axes.axvline(bound, linewidth=1, alpha=0.5, linestyle=":", **looks)
        axes.set_xlabel("log-likelihood ratio, nats")
        axes.set_ylabel("trials at or above it")
        axes.set_ylim(-0.02, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        legend_below(figure)

    return svg(draw, (SQUARE[0], SQUARE[1] + 0.5), "tippett")


def tdcf_svg(summary: Summary, prefix: str) -> str | None:
    """Draw both t-DCFs against the threshold with their minima; None without ASV scores."""
    asv = summary.asv
    if asv is None:
        return None
    scores = summary.bonafide_scores, summary.spoof_scores
    axis, found = score_axis(np.concatenate(scores)), det_curve(*scores)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for index, (name, curve) in enumerate(
            (
                ("legacy (2019)", tdcf_curve(found, tdcf_weights_legacy(asv))),
                ("revised (2021)", tdcf_curve(found, tdcf_weights_revised(asv))),
            )
        ):
            best = int(np.argmin(curve.cost))
            # The last threshold is infinite: from the highest score on, everything is rejected.
            places = axis.place(np.append(curve.thresholds[:-1], curve.thresholds[-2]))
            cost = curve.cost[best]
            label = f"{name}: least {cost:.4f} at {curve.thresholds[best]:.4g}"
            axes.plot(places, curve.cost, label=label, **system_style(index))
            colour = SYSTEM_COLOURS[index]
            place = float(np.clip(places[best], axis.low, axis.high))
            axes.plot(place, cost, marker="o", color=colour, clip_on=False, zorder=5)
        floor = tdcf_weights_revised(asv).floor
        axes.axhline(floor, color=SYSTEM_COLOURS[1], alpha=0.6, linewidth=1, linestyle=":")
        axes.text(
            axis.high,
            floor,
            f"perfect countermeasure {floor:.4f} ",
            ha="right",
            va="bottom",
            fontsize=8,
        )
        axes.axhline(1, color=INK, alpha=0.5, linewidth=1, linestyle=":")
        middle = (axis.low + axis.high) / 2
        axes.text(middle, 1, "accept all or reject all", ha="center", va="bottom", fontsize=8)
        decision = summary.decision
        if not decision.is_calibrated and axis.shows(decision.threshold.value):
            value = decision.threshold.value
            label = f"chosen threshold {value:.4g}"
            place = float(axis.place(np.array(value)))
            axes.axvline(place, color=INK, linewidth=1, linestyle="--", alpha=0.7, label=label)
        axes.set_ylim(0, _HIGHEST_COST)
        axis.label(axes, "threshold (score; accepted at and above it)")
        axes.set_ylabel("normalised t-DCF")
        legend_below(figure)

    return svg(draw, WIDE, prefix)


def _llrs(summary: Summary) -> list[tuple[str, tuple[np.ndarray, np.ndarray], bool]]:
    """Return (name, scores of both classes, whether they are faint) of each curve."""
    plain = summary.bonafide_scores, summary.spoof_scores
    calibrated = summary.calibrated
    if calibrated is None:
        return [(f"{summary.name}, as it is", plain, False)]
    return [
        (f"{summary.name}, as it is", plain, True),
        (
            f"{summary.name}, calibrated on dev",
            (calibrated.bonafide_scores, calibrated.spoof_scores),
            False,
        ),
    ]
