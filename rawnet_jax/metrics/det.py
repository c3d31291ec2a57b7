"""Error trade-offs over all thresholds: DET, ROC, AUC and the equal error rate.

Every function takes the scores of the two classes, higher = more bona fide, and decides "bona fide"
where a score is at least the threshold. Two error rates follow, both fractions in [0, 1]:

- ``far``, false acceptance: share of spoof trials taken for bona fide;
- ``frr``, false rejection: share of bona fide trials taken for spoof.

Trials with equal scores cannot be told apart by any threshold, so they change sides together.
The scripts of the ASVspoof challenges move them one by one; `eer_official` does that too, and is to
be used only beside numbers that those scripts made.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import SupportsFloat

import numpy as np
from numpy.typing import ArrayLike

from rawnet_jax.metrics.validation import validate_scores


@dataclass(frozen=True, slots=True)
class DetCurve:
    """Error rates at every threshold that matters, from "accept all" to "reject all".

    Attributes:
        far: float64 [K], falling from 1 to 0.
        frr: float64 [K], rising from 0 to 1.
        thresholds: float64 [K], rising; see the function that made the curve.
    """

    far: np.ndarray
    frr: np.ndarray
    thresholds: np.ndarray


@dataclass(frozen=True, slots=True)
class CurveMetric:
    """A metric that reads the scores through their tie-grouped DET curve alone.

    Nearly every metric of a countermeasure is of that kind, since the curve tells which share of
    each class has which score. Called with the scores of the two classes it is an ordinary
    metric; the bootstrap hands it curves of resampled trials, without sorting anything again.

    Attributes:
        of_curve: the metric from a curve as `det_curve` makes it, read by ``float()``. A resampled
            curve also holds thresholds at which no trial changes sides.
    """

    of_curve: Callable[[DetCurve], SupportsFloat]

    def __call__(self, bonafide_scores: ArrayLike, spoof_scores: ArrayLike) -> float:
        """Compute the metric from the scores [Nb] and [Ns]."""
        return float(self.of_curve(det_curve(bonafide_scores, spoof_scores)))


@dataclass(frozen=True, slots=True)
class RocCurve:
    """Detection of spoof, the positive class, against false alarms on bona fide speech.

    Attributes:
        false_positive_rate: float64 [K], rising from 0 to 1: bona fide trials called spoof.
        true_positive_rate: float64 [K], rising from 0 to 1: spoof trials called spoof.
        thresholds: float64 [K], rising: a trial is called spoof below it; the last is infinity.
    """

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    thresholds: np.ndarray


@dataclass(frozen=True, slots=True)
class EqualErrorRate:
    """The point where both error rates are (most nearly) the same.

    Attributes:
        eer: fraction in [0, 1], the mean of the two rates at that point; lower is better.
        threshold: in the unit of the scores.
        far: false acceptance rate there.
        frr: false rejection rate there.
    """

    eer: float
    threshold: float
    far: float
    frr: float

    def __float__(self) -> float:
        return self.eer


def det_curve(bonafide_scores: ArrayLike, spoof_scores: ArrayLike) -> DetCurve:
    """Compute the DET curve with equal scores kept together.

    Args:
        bonafide_scores: [Nb], higher = more bona fide.
        spoof_scores: [Ns].

    Returns:
        K = distinct scores + 1 points. A trial is accepted at ``score >= threshold``; the
        thresholds are the distinct scores and, last, infinity.

    Raises:
        MetricError: see `validate_scores`.
    """
    bonafide, spoof = validate_scores(bonafide_scores, spoof_scores)
    scores, is_bonafide = _sorted(bonafide, spoof)
    group_ends = np.append(np.flatnonzero(scores[1:] != scores[:-1]), scores.size - 1)
    far, frr = _error_rates(is_bonafide)
    points = np.append(0, group_ends + 1)
    thresholds = np.append(scores[group_ends], np.inf)
    return DetCurve(far[points], frr[points], thresholds)


def det_curve_official(bonafide_scores: ArrayLike, spoof_scores: ArrayLike) -> DetCurve:
    """Compute the DET curve as the ASVspoof challenges do, one trial per step.

    Equal scores are moved one after the other, bona fide first, so that with ties the curve depends
    on that order and holds points that no threshold reaches.

    Args:
        bonafide_scores: [Nb], higher = more bona fide.
        spoof_scores: [Ns].

    Returns:
        K = Nb + Ns + 1 points. A trial is rejected at ``score <= threshold``; the thresholds are
        the smallest score minus 0.001 and then all scores, rising.

    Raises:
        MetricError: see `validate_scores`.

    Source: the evaluation package of ASVspoof 2019 and 2021, ``compute_det_curve``.
    """
    bonafide, spoof = validate_scores(bonafide_scores, spoof_scores)
    scores, is_bonafide = _sorted(bonafide, spoof)
    far, frr = _error_rates(is_bonafide)
    return DetCurve(far, frr, np.append(scores[0] - 0.001, scores))


def eer(bonafide_scores: ArrayLike, spoof_scores: ArrayLike) -> EqualErrorRate:
    """Compute the equal error rate with equal scores kept together.

    Constant scores give 50 %; the result does not depend on the order of trials, nor on a strictly
    increasing map of the scores. Without ties it equals `eer_official`. There is no interpolation
    between points.

    Args:
        bonafide_scores: [Nb], higher = more bona fide.
        spoof_scores: [Ns].

    Returns:
        The rate; accepting at ``score >= threshold`` gives its ``far`` and ``frr``.

    Raises:
        MetricError: see `validate_scores`.
    """
    return eer_of_curve(det_curve(bonafide_scores, spoof_scores))


def eer_official(bonafide_scores: ArrayLike, spoof_scores: ArrayLike) -> EqualErrorRate:
    """Compute the equal error rate exactly as the ASVspoof challenges publish it.

    Args:
        bonafide_scores: [Nb], higher = more bona fide.
        spoof_scores: [Ns].

    Returns:
        The rate; its threshold rejects at ``score <= threshold``. With ties the rate depends on
        the order of equal scores (constant scores: 100 %), so prefer `eer` where no published
        number is to be matched.

    Raises:
        MetricError: see `validate_scores`.

    Source: the evaluation package of ASVspoof 2019 and 2021, ``compute_eer``.
    """
    return eer_of_curve(det_curve_official(bonafide_scores, spoof_scores))


def eer_of_curve(curve: DetCurve) -> EqualErrorRate:
    """Find the first point of a curve where both error rates are most nearly the same."""
    point = int(np.argmin(np.abs(curve.frr - curve.far)))
    far, frr = float(curve.far[point]), float(curve.frr[point])
    return EqualErrorRate((far + frr) / 2, float(curve.thresholds[point]), far, frr)


def roc_curve(bonafide_scores: ArrayLike, spoof_scores: ArrayLike) -> RocCurve:
    """Compute the ROC curve with spoof as the positive class and equal scores kept together.

    Args:
        bonafide_scores: [Nb], higher = more bona fide.
        spoof_scores: [Ns].

    Raises:
        MetricError: see `validate_scores`.
    """
    curve = det_curve(bonafide_scores, spoof_scores)
    return RocCurve(curve.frr, 1.0 - curve.far, curve.thresholds)


def auc(bonafide_scores: ArrayLike, spoof_scores: ArrayLike) -> float:
    """Compute the area under the ROC curve.

    It is the probability that a bona fide trial scores above a spoof trial, a tie counting one half
    (the Mann-Whitney statistic), and the same number whichever class is called positive.

    Args:
        bonafide_scores: [Nb], higher = more bona fide.
        spoof_scores: [Ns].

    Returns:
        Fraction in [0, 1]: 1 is perfect, 0.5 is chance, 0 is perfect with the sign reversed.

    Raises:
        MetricError: see `validate_scores`.
    """
    bonafide, spoof = validate_scores(bonafide_scores, spoof_scores)
    spoof = np.sort(spoof)
    below = np.searchsorted(spoof, bonafide, side="left").sum(dtype=np.int64)
    not_above = np.searchsorted(spoof, bonafide, side="right").sum(dtype=np.int64)
    return (int(below) + int(not_above)) / (2 * bonafide.size * spoof.size)


def auc_of_curve(curve: DetCurve) -> float:
    """Compute the same area from a curve with equal scores kept together."""
    height = (curve.far[1:] + curve.far[:-1]) / 2
    return 1.0 - float(np.dot(height, np.diff(curve.frr)))


def eer_of_negated(bonafide_scores: ArrayLike, spoof_scores: ArrayLike) -> float:
    """Compute the tie-grouped equal error rate that the scores would have with their sign reversed.

    Raises:
        MetricError: see `validate_scores`.
    """
    bonafide, spoof = validate_scores(bonafide_scores, spoof_scores)
    return eer(-bonafide, -spoof).eer


def looks_negated(bonafide_scores: ArrayLike, spoof_scores: ArrayLike) -> bool:
    """Tell whether the scores would do better with their sign reversed.

    True for files that hold higher = more spoofed, and by chance for a system that has learnt
    nothing. Nothing may be flipped on this ground alone: tell the user.

    Raises:
        MetricError: see `validate_scores`.
    """
    return eer_of_negated(bonafide_scores, spoof_scores) < eer(bonafide_scores, spoof_scores).eer


def _sorted(bonafide: np.ndarray, spoof: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all scores, rising, and which of them are bona fide; bona fide first among equals."""
    scores = np.concatenate((bonafide, spoof))
    order = np.argsort(scores, kind="stable")
    return scores[order], order < bonafide.size


def _error_rates(is_bonafide: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return far and frr [N + 1] after rejecting the 0 … N lowest trials."""
    num_rejected = np.arange(is_bonafide.size + 1)
    bonafide_rejected = np.append(0, np.cumsum(is_bonafide))
    spoof_rejected = num_rejected - bonafide_rejected
    num_spoof = spoof_rejected[-1]
    far = (num_spoof - spoof_rejected) / num_spoof
    return far, bonafide_rejected / bonafide_rejected[-1]
