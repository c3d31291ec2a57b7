"""Detection costs: minDCF and actDCF, the two t-DCFs, and the priors and costs behind them.

All costs are normalised: 1 is what the better of two systems costs that ignore their input, one
that accepts everything and one that rejects everything; lower is better. Scores are higher = more
bona fide, and a trial is accepted where its score is at least the threshold.

**Two metrics are called t-DCF.** `min_tdcf_legacy` is that of ASVspoof 2019, `min_tdcf_revised`
that of ASVspoof 2021. Their values cannot be compared: the revised one also counts the errors that
the ASV system makes by itself, so that even a perfect countermeasure costs `CostWeights.floor`.

**Ties.** Equal scores are kept together. The scripts of the challenges move them one by one, bona
fide first; a cost then rises before it falls, so that its minimum is the same.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.asv import AsvOperatingPoint
from rawnet_jax.metrics.det import DetCurve, det_curve


@dataclass(frozen=True, slots=True)
class CostWeights:
    """A cost as ``c0 + c1 p_miss + c2 p_fa`` of the countermeasure's error rates.

    Attributes:
        c0: what remains with a perfect countermeasure.
        c1: weight of rejecting bona fide speech.
        c2: weight of accepting spoof.
    """

    c0: float
    c1: float
    c2: float

    @property
    def default(self) -> float:
        """The normaliser: cost of accepting everything or of rejecting everything, the lower."""
        return self.c0 + min(self.c1, self.c2)

    @property
    def floor(self) -> float:
        """Normalised cost of a perfect countermeasure."""
        return self.c0 / self.default

    def normalised(self, p_miss: np.ndarray, p_fa: np.ndarray) -> np.ndarray:
        """Return the normalised cost, float64 of the rates' shape."""
        return (self.c0 + self.c1 * p_miss + self.c2 * p_fa) / self.default


@dataclass(frozen=True, slots=True)
class CostModel:
    """Prior and costs of a countermeasure that stands alone.

    Attributes:
        name: for tables.
        p_spoof: prior probability of spoof, in (0, 1).
        c_miss: cost of rejecting bona fide speech, above 0.
        c_fa: cost of accepting spoof, above 0.
        plan: the evaluation plan that sets these numbers.

    Raises:
        MetricError: a number is out of its range.
    """

    name: str
    p_spoof: float
    c_miss: float
    c_fa: float
    plan: str = ""

    def __post_init__(self) -> None:
        if not 0.0 < self.p_spoof < 1.0:
            raise MetricError(
                f"costs {self.name!r}: p_spoof is {self.p_spoof}; it must be in (0, 1)"
            )
        _check_costs(self.name, {"c_miss": self.c_miss, "c_fa": self.c_fa})

    @property
    def weights(self) -> CostWeights:
        """C_miss (1 − π_spoof) P_miss + C_fa π_spoof P_fa, as weights."""
        return CostWeights(0.0, self.c_miss * (1.0 - self.p_spoof), self.c_fa * self.p_spoof)

    @property
    def bayes_threshold(self) -> float:
        """Threshold of least expected cost for log-likelihood ratios.

        It is −ln β with β = C_miss (1 − π_spoof) / (C_fa π_spoof).
        """
        return -math.log(self.weights.c1 / self.weights.c2)


@dataclass(frozen=True, slots=True)
class TandemCosts:
    """Priors and costs of verification under attack.

    Attributes:
        name: for tables.
        p_target: prior probability of a target trial.
        p_nontarget: prior probability of a nontarget trial.
        p_spoof: prior probability of a spoof trial; the three sum to 1.
        c_miss: cost of rejecting a target, above 0.
        c_fa: cost of accepting a nontarget, above 0.
        c_fa_spoof: cost of accepting a spoof, above 0.
        plan: the evaluation plan that sets these numbers.

    Raises:
        MetricError: a number is out of its range, or the priors do not sum to 1.
    """

    name: str
    p_target: float
    p_nontarget: float
    p_spoof: float
    c_miss: float
    c_fa: float
    c_fa_spoof: float
    plan: str = ""

    def __post_init__(self) -> None:
        priors = (self.p_target, self.p_nontarget, self.p_spoof)
        if not (min(priors) >= 0.0 and abs(sum(priors) - 1.0) < 1e-9):
            raise MetricError(f"costs {self.name!r}: the priors are {priors}; they must sum to 1")
        costs = {"c_miss": self.c_miss, "c_fa": self.c_fa, "c_fa_spoof": self.c_fa_spoof}
        _check_costs(self.name, costs)


def _check_costs(name: str, costs: dict[str, float]) -> None:
    for field, cost in costs.items():
        if not (cost > 0.0 and math.isfinite(cost)):
            raise MetricError(f"costs {name!r}: {field} is {cost}; it must be above 0")


ASVSPOOF5_COSTS = CostModel("ASVspoof 5", 0.05, 1.0, 10.0, "ASVspoof 5 evaluation plan, track 1")
"""Prior and costs of minDCF and actDCF."""

ASVSPOOF2019_TDCF = TandemCosts(
    "ASVspoof 2019", 0.9405, 0.0095, 0.05, 1.0, 10.0, 10.0, "ASVspoof 2019 evaluation plan"
)
"""Priors and costs of the legacy t-DCF, where `c_fa_spoof` is the plan's C_fa of the CM."""

ASVSPOOF2021_TDCF = TandemCosts(
    "ASVspoof 2021", 0.9405, 0.0095, 0.05, 1.0, 10.0, 10.0, "ASVspoof 2021 evaluation plan"
)
"""Priors and costs of the revised t-DCF."""

ASVSPOOF5_ADCF = TandemCosts(
    "ASVspoof 5", 0.9405, 0.0095, 0.05, 1.0, 10.0, 10.0, "ASVspoof 5 evaluation plan, track 2"
)
"""Priors and costs of a-DCF."""

ODYSSEY2024_ADCF = TandemCosts(
    "Odyssey 2024", 0.9, 0.05, 0.05, 1.0, 10.0, 20.0, "Shim et al., a-DCF, Odyssey 2024"
)
"""The a-DCF script's own defaults, for numbers that were made without naming the costs."""


@dataclass(frozen=True, slots=True)
class MinCost:
    """The threshold of least cost on these very trials, and what happens there.

    Attributes:
        cost: normalised cost, lower is better.
        threshold: a trial is accepted at ``score >= threshold``; infinity where rejecting
            everything is cheapest.
        p_miss: share of bona fide trials that are rejected.
        p_fa: share of spoof trials that are accepted.
    """

    cost: float
    threshold: float
    p_miss: float
    p_fa: float


@dataclass(frozen=True, slots=True)
class TdcfCurve:
    """Normalised t-DCF against the countermeasure's threshold.

    Attributes:
        thresholds: float64 [K], rising: the distinct scores and, last, infinity.
        cost: float64 [K], of accepting at ``score >= threshold``.
    """

    thresholds: np.ndarray
    cost: np.ndarray


def min_dcf(
    bonafide_scores: ArrayLike, spoof_scores: ArrayLike, costs: CostModel = ASVSPOOF5_COSTS
) -> MinCost:
    """Compute the least detection cost over all thresholds.

    DCF = (C1 P_miss + C2 P_fa) / min(C1, C2) with C1 = C_miss (1 − π_spoof), C2 = C_fa π_spoof.

    Args:
        bonafide_scores: [Nb], higher = more bona fide.
        spoof_scores: [Ns].
        costs: prior and costs.

    Returns:
        A cost in [0, 1], at the first threshold that reaches it.

    Raises:
        MetricError: see `validate_scores`.

    Source: ASVspoof 5 evaluation plan, minDCF.
    """
    return min_cost_of_curve(det_curve(bonafide_scores, spoof_scores), costs.weights)


def act_dcf(
    bonafide_scores: ArrayLike, spoof_scores: ArrayLike, costs: CostModel = ASVSPOOF5_COSTS
) -> float:
    """Compute the detection cost at the Bayes threshold, for log-likelihood ratios.

    The cost is that of `min_dcf`; the threshold is `CostModel.bayes_threshold` (−0.641854 for
    ASVspoof 5), whatever the scores are. Scores in another unit, for example probabilities, have a
    low minDCF and a high actDCF.

    Args:
        bonafide_scores: [Nb], natural log-likelihood ratios, higher = more bona fide.
        spoof_scores: [Ns].
        costs: prior and costs.

    Returns:
        At least `min_dcf`; above 1 where a system that ignores its input would cost less.

    Raises:
        MetricError: see `validate_scores`.

    Source: ASVspoof 5 evaluation plan, actDCF.
    """
    return act_dcf_of_curve(det_curve(bonafide_scores, spoof_scores), costs)


def min_tdcf_legacy(
    bonafide_scores: ArrayLike,
    spoof_scores: ArrayLike,
    asv: AsvOperatingPoint,
    costs: TandemCosts = ASVSPOOF2019_TDCF,
) -> MinCost:
    """Compute the least t-DCF of ASVspoof 2019, for a fixed ASV system.

    Args:
        bonafide_scores: [Nb], higher = more bona fide.
        spoof_scores: [Ns].
        asv: the ASV system; see `rawnet_jax.metrics.asv.operating_point`.
        costs: priors and costs.

    Returns:
        A cost in [0, 1], at the first threshold that reaches it.

    Raises:
        MetricError: see `validate_scores` and `tdcf_weights_legacy`.
    """
    curve = det_curve(bonafide_scores, spoof_scores)
    return min_cost_of_curve(curve, tdcf_weights_legacy(asv, costs))


def min_tdcf_revised(
    bonafide_scores: ArrayLike,
    spoof_scores: ArrayLike,
    asv: AsvOperatingPoint,
    costs: TandemCosts = ASVSPOOF2021_TDCF,
) -> MinCost:
    """Compute the least t-DCF of ASVspoof 2021, for a fixed ASV system.

    Args and errors are those of `min_tdcf_legacy`; the cost is in [floor, 1], with the floor of
    `tdcf_weights_revised`.
    """
    curve = det_curve(bonafide_scores, spoof_scores)
    return min_cost_of_curve(curve, tdcf_weights_revised(asv, costs))


def tdcf_weights_legacy(
    asv: AsvOperatingPoint, costs: TandemCosts = ASVSPOOF2019_TDCF
) -> CostWeights:
    """Compute the weights of the t-DCF of ASVspoof 2019.

    - C0 = 0
    - C1 = π_tar (C_miss − C_miss P_miss^asv) − π_non C_fa P_fa^asv
    - C2 = C_fa,spoof π_spoof P_fa,spoof^asv

    Raises:
        MetricError: the ASV system is so weak that C1 is not positive, or it accepts no spoof, so
            that there is nothing to normalise by.

    Source: ASVspoof 2019 evaluation plan, and Kinnunen et al., "t-DCF: a detection cost function
    for the tandem assessment of spoofing countermeasures and automatic speaker verification",
    Odyssey 2018.
    """
    c1 = (
        costs.p_target * costs.c_miss * (1.0 - asv.p_miss)
        - costs.p_nontarget * costs.c_fa * asv.p_fa
    )
    c2 = costs.c_fa_spoof * costs.p_spoof * asv.p_fa_spoof
    return _checked(CostWeights(0.0, c1, c2), asv, "legacy")


def tdcf_weights_revised(
    asv: AsvOperatingPoint, costs: TandemCosts = ASVSPOOF2021_TDCF
) -> CostWeights:
    """Compute the weights of the t-DCF of ASVspoof 2021.

    - C0 = π_tar C_miss P_miss^asv + π_non C_fa P_fa^asv
    - C1 = π_tar C_miss − C0
    - C2 = π_spoof C_fa,spoof P_fa,spoof^asv

    Raises:
        MetricError: the ASV system is so weak that C1 is not positive, or it makes no error at all,
            so that there is nothing to normalise by.

    Source: ASVspoof 2021 evaluation plan, and Kinnunen et al., "Tandem assessment of spoofing
    countermeasures and automatic speaker verification: fundamentals", IEEE/ACM TASLP 28, 2020.
    """
    c0 = costs.p_target * costs.c_miss * asv.p_miss + costs.p_nontarget * costs.c_fa * asv.p_fa
    c2 = costs.p_spoof * costs.c_fa_spoof * asv.p_fa_spoof
    return _checked(CostWeights(c0, costs.p_target * costs.c_miss - c0, c2), asv, "revised")


def min_cost_of_curve(curve: DetCurve, weights: CostWeights) -> MinCost:
    """Find the first point of a DET curve with the least normalised cost."""
    cost = weights.normalised(curve.frr, curve.far)
    best = int(np.argmin(cost))
    columns = (cost, curve.thresholds, curve.frr, curve.far)
    return MinCost(*(float(column[best]) for column in columns))


def act_dcf_of_curve(curve: DetCurve, costs: CostModel) -> float:
    """Compute `act_dcf` from a DET curve with equal scores kept together."""
    point = int(np.searchsorted(curve.thresholds, costs.bayes_threshold))
    return float(costs.weights.normalised(curve.frr[point], curve.far[point]))


def tdcf_curve(curve: DetCurve, weights: CostWeights) -> TdcfCurve:
    """Compute a t-DCF at every threshold of a DET curve."""
    return TdcfCurve(curve.thresholds, weights.normalised(curve.frr, curve.far))


def _checked(weights: CostWeights, asv: AsvOperatingPoint, which: str) -> CostWeights:
    if weights.c1 <= 0.0:
        raise MetricError(
            f"the {which} t-DCF is not defined with this ASV system: it misses {asv.p_miss:.1%} of "
            f"targets and accepts {asv.p_fa:.1%} of nontargets, so that C1 is {weights.c1:.6g} and "
            "not positive; are its scores reversed?"
        )
    if weights.default <= 0.0:
        raise MetricError(
            f"the {which} t-DCF is not defined with this ASV system: it accepts "
            f"{asv.p_fa_spoof:.1%} of spoof trials, so that there is no cost to normalise by"
        )
    return weights
