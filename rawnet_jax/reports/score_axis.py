"""How scores are spread along an axis of a picture.

Most scores are drawn as they are. Probabilities crowd at 0 and 1, where a plain axis shows nothing;
they are drawn by their log odds and labelled with what they are.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from scipy.special import expit, logit

_EDGE = 1e-5  # probabilities nearer to 0 or 1 are drawn there
_TICKS = (1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 1 - 1e-4, 1 - 1e-5)
_CROWDED = 0.02


@dataclass(frozen=True, slots=True)
class ScoreAxis:
    """Places for scores.

    Attributes:
        is_logit: whether places are log odds.
        low: lowest place that is shown.
        high: highest place.
    """

    is_logit: bool
    low: float
    high: float

    def place(self, scores: np.ndarray) -> np.ndarray:
        """Return the places of scores, float64 of the same shape; some may be out of the range."""
        scores = np.asarray(scores, np.float64)
        return logit(np.clip(scores, _EDGE, 1 - _EDGE)) if self.is_logit else scores

    def score(self, place: float) -> float:
        """Return the score at a place."""
        return float(expit(place)) if self.is_logit else place

    def shows(self, score: float) -> bool:
        """Say whether a score lies in the range."""
        return self.low <= float(self.place(np.array(score))) <= self.high

    def label(self, axes: Axes, text: str) -> None:
        """Set range, ticks and label of the horizontal axis."""
        axes.set_xlim(self.low, self.high)
        if self.is_logit:
            shown = [tick for tick in _TICKS if self.shows(tick)]
            axes.set_xticks(logit(shown), [_tick_text(tick) for tick in shown])
            text += ", drawn by its log odds"
        axes.set_xlabel(text)


def score_axis(scores: np.ndarray) -> ScoreAxis:
    """Choose an axis that shows all scores, unless a few are far out.

    Args:
        scores: [N] of both classes, finite.
    """
    lowest, highest = float(scores.min()), float(scores.max())
    quartiles = np.quantile(scores, [0.25, 0.75])
    crowded = quartiles[0] < _CROWDED or quartiles[1] > 1 - _CROWDED
    is_logit = lowest >= 0 and highest <= 1 and lowest < highest and bool(crowded)
    places = logit(np.clip(scores, _EDGE, 1 - _EDGE)) if is_logit else scores
    return ScoreAxis(is_logit, *score_range(places))


def score_range(scores: np.ndarray) -> tuple[float, float]:
    """Return the range to show: all scores, unless a few are far out."""
    low, high = (float(v) for v in np.quantile(scores, [0.001, 0.999]))
    smallest, largest = float(scores.min()), float(scores.max())
    if largest - smallest <= 1.5 * (high - low):
        low, high = smallest, largest
    if low == high:
        margin = max(0.5, 0.01 * abs(low))
        return low - margin, high + margin
    return low, high


def _tick_text(tick: float) -> str:
    return f"{tick:.5f}".rstrip("0").rstrip(".")
