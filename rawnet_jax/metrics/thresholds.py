"""Thresholds that are chosen on one set of scores (dev) and applied to another (eval).

A trial is accepted, that is called bona fide, where its score is at least the threshold. All rules
but `at_bayes_risk` look for the best of the thresholds that tell the given trials apart: each
distinct score, and the next number above the highest. Trials with equal scores change sides
together, so a given rate is met from below where no threshold meets it exactly.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.dcf import CostModel, min_dcf
from rawnet_jax.metrics.det import DetCurve, det_curve, eer
from rawnet_jax.metrics.validation import validate_class_scores, validate_scores


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold and where it is from.

    Attributes:
        value: accept where ``score >= value``; finite.
        rule: by which it was chosen, as text.
        p_miss: share of bona fide trials that it rejects on the scores that it was chosen on; None
            where it was chosen without scores.
        p_fa: share of spoof trials that it accepts there.
    """

    value: float
    rule: str
    p_miss: float | None = None
    p_fa: float | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """What a threshold does to a set of trials.

    Attributes:
        threshold: accept at and above it.
        num_bonafide: bona fide trials.
        num_bonafide_rejected: those that were rejected.
        num_spoof: spoof trials; 0 in a development set of bona fide speech alone.
        num_spoof_accepted: those that were accepted.
    """

    threshold: float
    num_bonafide: int
    num_bonafide_rejected: int
    num_spoof: int
    num_spoof_accepted: int

    @property
    def p_miss(self) -> float:
        """Share of bona fide trials that are rejected."""
        return self.num_bonafide_rejected / self.num_bonafide

    @property
    def p_fa(self) -> float:
        """Share of spoof trials that are accepted; NaN without any."""
        return self.num_spoof_accepted / self.num_spoof if self.num_spoof else math.nan

    @property
    def accuracy(self) -> float:
        """Share of right decisions; it follows the larger class where one is much larger."""
        wrong = self.num_bonafide_rejected + self.num_spoof_accepted
        return 1.0 - wrong / (self.num_bonafide + self.num_spoof)

    @property
    def half_total_error(self) -> float:
        """Mean of both rates; 0.5 = chance."""
        return (self.p_miss + self.p_fa) / 2

    def cost(self, costs: CostModel) -> float:
        """Detection cost, see `rawnet_jax.metrics.dcf`; 1 = deciding without the scores."""
        return float(costs.weights.normalised(np.array(self.p_miss), np.array(self.p_fa)))


def at_eer(bonafide_scores: ArrayLike, spoof_scores: ArrayLike) -> Threshold:
    """Choose the threshold where both error rates are most nearly the same; the lowest of several.

    Raises:
        MetricError: see `validate_scores`.
    """
    bonafide, spoof = validate_scores(bonafide_scores, spoof_scores)
    point = eer(bonafide, spoof)
    value = _finite_threshold(point.threshold, bonafide, spoof)
    return Threshold(value, "equal error rate", point.frr, point.far)


def at_false_alarm(bonafide_scores: ArrayLike, spoof_scores: ArrayLike, rate: float) -> Threshold:
    """Choose the threshold that accepts as much spoof as `rate` allows, and no more.

    Of the thresholds with that false-alarm rate it is the lowest, which misses least. A rate of 0
    gives a threshold above every spoof score.

    Args:
        bonafide_scores: [Nb], higher = more bona fide.
        spoof_scores: [Ns].
        rate: highest share of spoof trials to accept, from 0 to 1.

    Raises:
        MetricError: see `validate_scores`; or `rate` is not in [0, 1].
    """
    check_rate(rate)
    bonafide, spoof = validate_scores(bonafide_scores, spoof_scores)
    curve = det_curve(bonafide, spoof)
    point = int(np.argmax(curve.far <= rate))
    return _chosen(curve, point, f"false-alarm rate of at most {rate:g}", bonafide, spoof)


def at_miss(bonafide_scores: ArrayLike, spoof_scores: ArrayLike, rate: float) -> Threshold:
    """Choose the threshold that rejects as much bona fide speech as `rate` allows, and no more.

    Of the thresholds with that miss rate it is the highest, which has the fewest false alarms. A
    rate of 0 gives the lowest bona fide score.

    Args:
        bonafide_scores: [Nb], higher = more bona fide.
        spoof_scores: [Ns].
        rate: highest share of bona fide trials to reject, from 0 to 1.

    Raises:
        MetricError: see `validate_scores`; or `rate` is not in [0, 1].
    """
    check_rate(rate)
    bonafide, spoof = validate_scores(bonafide_scores, spoof_scores)
    curve = det_curve(bonafide, spoof)
    point = int(np.flatnonzero(curve.frr <= rate)[-1])
    return _chosen(curve, point, f"miss rate of at most {rate:g}", bonafide, spoof)


def at_min_cost(bonafide_scores: ArrayLike, spoof_scores: ArrayLike, costs: CostModel) -> Threshold:
    """Choose the threshold of least cost on the given scores (minDCF), the lowest of several.

    For scores in any unit. Log-likelihood ratios need no search, see `at_bayes_risk`.

    Args:
        bonafide_scores: [Nb], higher = more bona fide.
        spoof_scores: [Ns].
        costs: prior of spoof and costs of both errors.

    Raises:
        MetricError: see `validate_scores`.
    """
    bonafide, spoof = validate_scores(bonafide_scores, spoof_scores)
    best = min_dcf(bonafide, spoof, costs)
    value = _finite_threshold(best.threshold, bonafide, spoof)
    return Threshold(value, f"least cost, {_in_words(costs)}", best.p_miss, best.p_fa)


def at_bayes_risk(costs: CostModel) -> Threshold:
    """Return the threshold of least expected risk for natural-log likelihood ratios.

    It is ln(c_fa p_spoof / (c_miss p_bonafide)): for the costs of ASVspoof 5, -ln 1.9 = -0.641854.
    It needs no scores, but scores that are calibrated.
    """
    return Threshold(costs.bayes_threshold, f"least expected cost, {_in_words(costs)}")


def decisions_at(
    bonafide_scores: ArrayLike, spoof_scores: ArrayLike, threshold: Threshold | float
) -> Rates:
    """Count what a threshold does to a set of trials, for example one chosen on dev to eval.

    Args:
        bonafide_scores: [Nb], higher = more bona fide.
        spoof_scores: [Ns], may be none at all.
        threshold: accept at and above it; a number may be infinite.

    Raises:
        MetricError: see `validate_scores`; or the threshold is NaN.
    """
    bonafide = validate_class_scores(bonafide_scores, "bona fide")
    spoof = np.zeros(0)
    if np.size(np.asarray(spoof_scores)):
        spoof = validate_class_scores(spoof_scores, "spoof")
    value = threshold.value if isinstance(threshold, Threshold) else float(threshold)
    if np.isnan(value):
        raise MetricError("the threshold is NaN; it must be a number")
    return Rates(
        value,
        bonafide.size,
        int(np.count_nonzero(bonafide < value)),
        spoof.size,
        int(np.count_nonzero(spoof >= value)),
    )


def _chosen(
    curve: DetCurve, point: int, rule: str, bonafide: np.ndarray, spoof: np.ndarray
) -> Threshold:
    value = _finite_threshold(float(curve.thresholds[point]), bonafide, spoof)
    return Threshold(value, rule, float(curve.frr[point]), float(curve.far[point]))


def _finite_threshold(value: float, bonafide: np.ndarray, spoof: np.ndarray) -> float:
    # Infinity would reject whatever comes; JSON cannot write it either.
    if np.isfinite(value):
        return value
    return float(np.nextafter(max(bonafide.max(), spoof.max()), np.inf))


def check_rate(rate: float) -> None:
    """Check a share of trials.

    Raises:
        MetricError: it is not in [0, 1].
    """
    if not 0.0 <= rate <= 1.0:
        raise MetricError(f"rate is {rate}; it must be from 0 to 1")


def _in_words(costs: CostModel) -> str:
    return f"p_spoof {costs.p_spoof:g}, c_miss {costs.c_miss:g}, c_fa {costs.c_fa:g}"
