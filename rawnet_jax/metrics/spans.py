"""How well fake parts of recordings are found: by frames at a resolution, and by time.

A time line gives scores to windows, which may overlap. The score at a moment is the mean of those
windows that cover it. All times are in seconds, and all scores higher = more bona fide.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.det import DetCurve, EqualErrorRate, eer_of_curve

_TINY_S = 1e-6  # times in files are rounded


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """A score that is constant over each of several stretches of time.

    Attributes:
        start_s: float64 [K], rising.
        end_s: float64 [K], at most the next start.
        score: float64 [K].
    """

    start_s: np.ndarray
    end_s: np.ndarray
    score: np.ndarray


def pieces_of(start_s: ArrayLike, end_s: ArrayLike, score: ArrayLike) -> Pieces:
    """Return the score at every moment that a window covers: the mean of those that do.

    Args:
        start_s: [W], where windows begin.
        end_s: [W], where they end.
        score: [W]; NaN = the window has none, and does not cover anything.

    Raises:
        MetricError: shapes differ, or a window ends before it begins.
    """
    start, end, value = (np.asarray(a, np.float64) for a in (start_s, end_s, score))
    if not start.shape == end.shape == value.shape or start.ndim != 1:
        raise MetricError(f"windows of shapes {start.shape}, {end.shape} and {value.shape}")
    if (end <= start).any():
        raise MetricError("a window ends before it begins")
    known = ~np.isnan(value)
    start, end, value = start[known], end[known], value[known]
    bounds = np.unique(np.concatenate((start, end)))
    if bounds.size < 2:
        return Pieces(*(np.zeros(0) for _ in range(3)))
    first, last = np.searchsorted(bounds, start), np.searchsorted(bounds, end)
    sums, counts = np.zeros(bounds.size), np.zeros(bounds.size)
    for begin, behind, one in zip(first.tolist(), last.tolist(), value.tolist(), strict=True):
        sums[begin:behind] += one
        counts[begin:behind] += 1
    covered = counts[:-1] > 0
    mean = sums[:-1][covered] / counts[:-1][covered]
    return Pieces(bounds[:-1][covered], bounds[1:][covered], mean)


def frame_scores(pieces: Pieces, frame_s: float, num_frames: int) -> np.ndarray:
    """Return float64 [num_frames], the lowest score in each frame; NaN where there is none.

    The lowest one, because a frame with any fake in it is a fake one.

    Args:
        pieces: of a recording.
        frame_s: length of a frame.
        num_frames: from the start of the recording.
    """
    scores = np.full(num_frames, np.inf)
    first = np.floor(pieces.start_s / frame_s + _TINY_S).astype(np.int64)
    behind = np.ceil(pieces.end_s / frame_s - _TINY_S).astype(np.int64)
    for begin, end, score in zip(
        first.tolist(), behind.tolist(), pieces.score.tolist(), strict=True
    ):
        part = scores[begin:end]
        np.minimum(part, score, out=part)
    scores[np.isinf(scores)] = np.nan
    return scores


@dataclass(frozen=True, slots=True, eq=False)
class WeighedTime:
    """Stretches of time of all recordings, each of one class and one score.

    Attributes:
        score: float64 [K].
        bonafide_s: float64 [K], how much of it is bona fide.
        spoof_s: float64 [K], how much of it is fake.
    """

    score: np.ndarray
    bonafide_s: np.ndarray
    spoof_s: np.ndarray


def weighed_time(pieces: Pieces, fake: Sequence[tuple[float, float]]) -> WeighedTime:
    """Return how much of each piece of a recording is bona fide and fake.

    Args:
        pieces: of the recording; what they do not cover does not count.
        fake: its fake stretches (start, end), apart and rising.
    """
    spoof = np.zeros(len(pieces.score))
    for start, end in fake:
        overlap = np.minimum(pieces.end_s, end) - np.maximum(pieces.start_s, start)
        spoof += np.maximum(overlap, 0)
    return WeighedTime(pieces.score, pieces.end_s - pieces.start_s - spoof, spoof)


def all_time(parts: Sequence[WeighedTime]) -> WeighedTime:
    """Return the time of several recordings together.

    Raises:
        MetricError: there is no bona fide or no fake time.
    """
    joined = WeighedTime(
        np.concatenate([part.score for part in parts] or [np.zeros(0)]),
        np.concatenate([part.bonafide_s for part in parts] or [np.zeros(0)]),
        np.concatenate([part.spoof_s for part in parts] or [np.zeros(0)]),
    )
    for name, total in (("bona fide", joined.bonafide_s.sum()), ("fake", joined.spoof_s.sum())):
        if not total > 0:
            raise MetricError(f"there is no {name} time with a score")
    return joined


def range_eer(time: WeighedTime) -> EqualErrorRate:
    """Compute the equal error rate of time: fake time taken for bona fide, and the reverse.

    It is what the EER of frames comes to as they get short, without choosing their length. There is
    no interpolation, as in `rawnet_jax.metrics.det.eer`.

    Source: Zhang et al., "Range-based equal error rate for spoof localization", Interspeech 2023.
    """
    order = np.argsort(time.score, kind="stable")
    score = time.score[order]
    bonafide, spoof = (np.cumsum(weight[order]) for weight in (time.bonafide_s, time.spoof_s))
    ends = np.append(np.flatnonzero(score[1:] != score[:-1]), score.size - 1)
    frr = np.append(0.0, bonafide[ends] / bonafide[-1])
    far = np.append(1.0, 1 - spoof[ends] / spoof[-1])
    return eer_of_curve(DetCurve(far, frr, np.append(score[ends], np.inf)))


@dataclass(frozen=True, slots=True)
class Detection:
    """Fake time that is found at a threshold.

    Attributes:
        threshold: a moment is called fake where its score is below it.
        precision: share of the time called fake that is fake; None where none is called fake.
        recall: share of the fake time that is called fake.
        false_alarms: share of the bona fide time that is called fake.
    """

    threshold: float
    precision: float | None
    recall: float
    false_alarms: float

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where nothing is found."""
        if not self.precision or not self.recall:
            return 0.0
        return 2 * self.precision * self.recall / (self.precision + self.recall)


def detection_at(time: WeighedTime, threshold: float) -> Detection:
    """Compute precision and recall of fake time at a threshold."""
    called = time.score < threshold
    hit, false = time.spoof_s[called].sum(), time.bonafide_s[called].sum()
    return Detection(
        float(threshold),
        float(hit / (hit + false)) if hit + false > 0 else None,
        float(hit / time.spoof_s.sum()),
        float(false / time.bonafide_s.sum()),
    )
