"""Verification under attack as one system: a-DCF of one score, t-EER of two scores.

Three classes of trial: *target* (bona fide, the claimed speaker), *nontarget* (bona fide, another
speaker) and *spoof*. Only targets are to be accepted. Equal scores are kept together.

**t-EER.** A countermeasure (CM) with threshold t and an ASV system with threshold u decide one
after the other; a trial is accepted where both accept it. With their errors taken as independent,

- ``p_miss(t, u)`` = P_miss^cm + (1 − P_miss^cm) P_miss^asv,
- ``p_fa(t, u)`` = (1 − P_miss^cm) P_fa^asv, of nontargets,
- ``p_fa_spoof(t, u)`` = P_fa^cm P_fa,spoof^asv.

For a prevalence ρ of spoof among the trials to be rejected, the *t-EER path* holds one t for each
u: the first at which p_miss is most nearly (1 − ρ) p_fa + ρ p_fa_spoof. It exists for those u where
the ASV system alone has P_miss^asv < (1 − ρ) P_fa^asv + ρ P_fa,spoof^asv; for the others, no CM can
make both errors equal, since it only adds misses and takes away false acceptances.

All paths cross where p_miss = p_fa = p_fa_spoof, whatever ρ is: the *concurrent t-EER*. On a finite
list the three are never quite the same. As in the authors' script, the point is the one on the path
of ρ = ½ with the least |P_fa^asv / P_fa,spoof^asv − P_fa^cm / (1 − P_miss^cm)|, and the t-EER is
p_fa_spoof there.

Source: Kinnunen, Lee, Tak, Evans and Nautsch, "t-EER: Parameter-Free Tandem Evaluation of
Countermeasures and Biometric Comparators", IEEE TPAMI 2023; ASVspoof 5 evaluation plan, track 2.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.asv import AsvScores, TripleCurve, triple_curve
from rawnet_jax.metrics.dcf import ASVSPOOF5_ADCF, TandemCosts
from rawnet_jax.metrics.det import DetCurve, det_curve

_ROUNDING = 1e-12  # of rates: two that are equal may differ by it


@dataclass(frozen=True, slots=True)
class MinTandemCost:
    """The threshold of least a-DCF on these very trials, and what happens there.

    Attributes:
        cost: normalised cost, lower is better.
        threshold: as in `MinCost`.
        p_miss: share of target trials that are rejected.
        p_fa: share of nontarget trials that are accepted.
        p_fa_spoof: share of spoof trials that are accepted.
    """

    cost: float
    threshold: float
    p_miss: float
    p_fa: float
    p_fa_spoof: float


@dataclass(frozen=True, slots=True)
class TandemEer:
    """The concurrent t-EER; see this module's docstring.

    Attributes:
        eer: fraction in [0, 1], lower is better.
        cm_threshold: the CM accepts at ``score >= cm_threshold``.
        asv_threshold: the ASV system accepts at ``score >= asv_threshold``.
        p_miss: share of target trials that either rejects.
        p_fa: share of nontarget trials that both accept.
        p_fa_spoof: share of spoof trials that both accept; equals `eer`.
    """

    eer: float
    cm_threshold: float
    asv_threshold: float
    p_miss: float
    p_fa: float
    p_fa_spoof: float


@dataclass(frozen=True, slots=True)
class TandemEerPath:
    """Pairs of thresholds with equal tandem error rates, for one prevalence of spoof.

    Attributes:
        spoof_prevalence: ρ, the share of spoof among the trials to be rejected.
        asv_thresholds: float64 [M], rising; those that the path exists for.
        cm_thresholds: float64 [M].
        eer: float64 [M], mean of the two tandem error rates.
    """

    spoof_prevalence: float
    asv_thresholds: np.ndarray
    cm_thresholds: np.ndarray
    eer: np.ndarray


def min_a_dcf(
    target: ArrayLike,
    nontarget: ArrayLike,
    spoof: ArrayLike,
    costs: TandemCosts = ASVSPOOF5_ADCF,
) -> MinTandemCost:
    """Compute the least architecture-agnostic detection cost of a SASV system.

    a-DCF = [C_miss π_tar P_miss + C_fa π_non P_fa + C_fa,spoof π_spoof P_fa,spoof] / min(C_miss
    π_tar, C_fa π_non + C_fa,spoof π_spoof), all three rates at one threshold on one score.

    Args:
        target: [Nt], scores of a system that is to accept bona fide speech of the claimed speaker.
        nontarget: [Nn].
        spoof: [Ns].
        costs: priors and costs.

    Returns:
        A cost in [0, 1], at the first threshold that reaches it.

    Raises:
        MetricError: a class is empty or has a score that is not finite.

    Source: Shim et al., "a-DCF: an architecture agnostic metric with application to
    spoofing-robust speaker verification", Odyssey 2024; ASVspoof 5 evaluation plan, track 2.
    """
    curve = triple_curve(target, nontarget, spoof)
    miss = costs.c_miss * costs.p_target
    fa, fa_spoof = costs.c_fa * costs.p_nontarget, costs.c_fa_spoof * costs.p_spoof
    if not min(miss, fa + fa_spoof) > 0.0:
        raise MetricError(f"costs {costs.name!r}: accepting or rejecting everything costs nothing")
    cost = miss * curve.p_miss + fa * curve.p_fa + fa_spoof * curve.p_fa_spoof
    best = int(np.argmin(cost))
    columns = (curve.thresholds, curve.p_miss, curve.p_fa, curve.p_fa_spoof)
    return MinTandemCost(
        float(cost[best]) / min(miss, fa + fa_spoof), *(float(column[best]) for column in columns)
    )


def t_eer(bonafide_scores: ArrayLike, spoof_scores: ArrayLike, asv: AsvScores) -> TandemEer:
    """Compute the concurrent t-EER of a countermeasure in front of an ASV system.

    It needs no prior and no cost. The trials of the two systems need not be the same.

    Args:
        bonafide_scores: [Nb], of the CM, higher = more bona fide; any strictly rising map of them
            gives the same rate.
        spoof_scores: [Ns].
        asv: scores of the ASV system.

    Raises:
        MetricError: see `validate_scores`.

    Source: see this module's docstring.
    """
    cm = det_curve(bonafide_scores, spoof_scores)
    curve = triple_curve(asv.target, asv.nontarget, asv.spoof)
    on_path, point = _path(cm, curve, 0.5)
    # A ratio to 0 is not a candidate; the lowest ASV threshold, where all rates are 1, is one.
    with np.errstate(divide="ignore", invalid="ignore"):
        asv_ratio = curve.p_fa[on_path] / curve.p_fa_spoof[on_path]
        cm_ratio = cm.far[point] / (1.0 - cm.frr[point])
        distance = np.abs(asv_ratio - cm_ratio)
    best = int(np.argmin(np.where(np.isfinite(distance), distance, np.inf)))
    t, u = point[best], on_path[best]
    p_fa_spoof = float(cm.far[t] * curve.p_fa_spoof[u])
    return TandemEer(
        eer=p_fa_spoof,
        cm_threshold=float(cm.thresholds[t]),
        asv_threshold=float(curve.thresholds[u]),
        p_miss=float(cm.frr[t] + (1.0 - cm.frr[t]) * curve.p_miss[u]),
        p_fa=float((1.0 - cm.frr[t]) * curve.p_fa[u]),
        p_fa_spoof=p_fa_spoof,
    )


def t_eer_path(
    bonafide_scores: ArrayLike,
    spoof_scores: ArrayLike,
    asv: AsvScores,
    spoof_prevalence: float = 0.5,
) -> TandemEerPath:
    """Compute the t-EER path of one prevalence of spoof.

    With ρ = 0 it trades misses against nontargets, with ρ = 1 against spoof.

    Args:
        bonafide_scores: [Nb], of the CM, higher = more bona fide.
        spoof_scores: [Ns].
        asv: scores of the ASV system.
        spoof_prevalence: ρ, from 0 to 1.

    Raises:
        MetricError: see `validate_scores`; or ρ is not in [0, 1].

    Source: see this module's docstring.
    """
    if not 0.0 <= spoof_prevalence <= 1.0:
        raise MetricError(f"spoof_prevalence is {spoof_prevalence}; it must be from 0 to 1")
    cm = det_curve(bonafide_scores, spoof_scores)
    curve = triple_curve(asv.target, asv.nontarget, asv.spoof)
    on_path, point = _path(cm, curve, spoof_prevalence)
    passed = 1.0 - cm.frr[point]
    p_miss = cm.frr[point] + passed * curve.p_miss[on_path]
    p_fa = _mixed(
        passed * curve.p_fa[on_path], cm.far[point] * curve.p_fa_spoof[on_path], spoof_prevalence
    )
    return TandemEerPath(
        spoof_prevalence, curve.thresholds[on_path], cm.thresholds[point], (p_miss + p_fa) / 2
    )


def _mixed(p_fa: np.ndarray, p_fa_spoof: np.ndarray, spoof_prevalence: float) -> np.ndarray:
    return (1.0 - spoof_prevalence) * p_fa + spoof_prevalence * p_fa_spoof


def _path(cm: DetCurve, asv: TripleCurve, spoof_prevalence: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the points of the ASV curve that the path exists for, and a CM point for each.

    For a fixed ASV point the difference of the tandem rates rises with the CM's threshold, so all
    crossings are found by one bisection side by side.
    """
    alone = _mixed(asv.p_fa, asv.p_fa_spoof, spoof_prevalence)
    on_path = np.flatnonzero(asv.p_miss < alone - _ROUNDING)
    p_miss, p_fa, p_fa_spoof = (r[on_path] for r in (asv.p_miss, asv.p_fa, asv.p_fa_spoof))

    def difference(point: np.ndarray) -> np.ndarray:
        passed = 1.0 - cm.frr[point]
        false_alarm = _mixed(passed * p_fa, cm.far[point] * p_fa_spoof, spoof_prevalence)
        return cm.frr[point] + passed * p_miss - false_alarm

    # Below is negative throughout, above is not: accepting all, and rejecting all.
    below = np.zeros(on_path.size, dtype=np.intp)
    above = np.full(on_path.size, cm.thresholds.size - 1)
    while (above - below > 1).any():
        middle = (below + above) // 2
        negative = difference(middle) < 0.0
        below, above = np.where(negative, middle, below), np.where(negative, above, middle)
    nearer_below = np.abs(difference(below)) <= np.abs(difference(above))
    return on_path, np.where(nearer_below, below, above)
