"""Verification that spoof does not pass, as one decision: fused ratios, threshold, errors.

Three classes of trial: *target* (bona fide, the claimed speaker), *nontarget* (bona fide, another
speaker) and *spoof*; only targets are to be accepted.

**The fused ratio.** With natural-log likelihood ratios a of the speaker (target over nontarget) and
b of the countermeasure (bona fide over spoof), and ρ the share of spoof among what is to be
rejected, each weighed by its cost,

    LLR_sasv = −ln[(1 − ρ) e^(−a) + ρ e^(−b)]

It is close to the lower of the two where they differ: neither can make up for the other. A sum of
scores lets it; where the countermeasure's scores spread more than the speaker's, the sum no longer
knows the speaker.

**The threshold.** With β_non = C_fa π_non / (C_miss π_tar) and β_spf = C_fa,spoof π_spoof / (C_miss
π_tar), accepting costs least where β_non e^(−a) + β_spf e^(−b) ≤ 1. That is LLR_sasv ≥ ln(β_non +
β_spf) with ρ = β_spf / (β_non + β_spf).

Source: Wang et al., "Revisiting and improving scoring fusion for spoofing-aware speaker
verification using compositional data analysis", Interspeech 2024, for the ratio; the threshold is
that of least expected cost.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.asv import triple_curve
from rawnet_jax.metrics.dcf import ASVSPOOF5_ADCF, TandemCosts
from rawnet_jax.metrics.det import EqualErrorRate, eer


@dataclass(frozen=True, slots=True)
class BayesRule:
    """The decision of least expected cost on fused ratios; see this module's docstring.

    Attributes:
        spoof_share: ρ, in [0, 1].
        threshold: accept where LLR_sasv is at least this, in nats.
    """

    spoof_share: float
    threshold: float


@dataclass(frozen=True, slots=True)
class SasvEers:
    """The three equal error rates of SASVC 2022, each at a threshold of its own.

    Attributes:
        sasv: targets against nontargets and spoof together.
        sv: targets against nontargets.
        spf: targets against spoof.
    """

    sasv: EqualErrorRate
    sv: EqualErrorRate
    spf: EqualErrorRate


@dataclass(frozen=True, slots=True)
class ActualTandemCost:
    """a-DCF at one threshold, and what happens there.

    Attributes:
        cost: normalised cost, lower is better; above 1 where a system that ignores its input would
            cost less.
        threshold: accept at ``score >= threshold``.
        p_miss: share of target trials that are rejected.
        p_fa: share of nontarget trials that are accepted.
        p_fa_spoof: share of spoof trials that are accepted.
    """

    cost: float
    threshold: float
    p_miss: float
    p_fa: float
    p_fa_spoof: float


def bayes_rule(costs: TandemCosts) -> BayesRule:
    """Return ρ and threshold of least expected cost.

    For ASVspoof 5: ρ = .84034, threshold −.45785; for the defaults of the a-DCF script (Odyssey
    2024): ρ = .66667, threshold +.51083.

    Raises:
        MetricError: nothing is to be accepted, or nothing to be rejected.
    """
    miss = costs.c_miss * costs.p_target
    non, spoof = costs.c_fa * costs.p_nontarget, costs.c_fa_spoof * costs.p_spoof
    if not min(miss, non + spoof) > 0:
        raise MetricError(f"costs {costs.name!r}: accepting or rejecting everything costs nothing")
    return BayesRule(spoof / (non + spoof), math.log((non + spoof) / miss))


def fused_llr(asv: ArrayLike, cm: ArrayLike, spoof_share: float) -> np.ndarray:
    """Compute LLR_sasv; see this module's docstring. No ratio, however large, overflows.

    Args:
        asv: natural-log likelihood ratios, target over nontarget; any shape.
        cm: natural-log likelihood ratios, bona fide over spoof, of the same shape.
        spoof_share: ρ, in [0, 1].

    Returns:
        float64 of that shape, in nats.

    Raises:
        MetricError: ρ is not in [0, 1], shapes differ, or a ratio is not a finite number.
    """
    if not 0.0 <= spoof_share <= 1.0:
        raise MetricError(f"spoof_share is {spoof_share}; it must be from 0 to 1")
    of_asv, of_cm = (np.asarray(ratios, np.float64) for ratios in (asv, cm))
    if of_asv.shape != of_cm.shape:
        raise MetricError(f"ratios of shape {of_asv.shape} and {of_cm.shape}; they must be pairs")
    if not (np.isfinite(of_asv).all() and np.isfinite(of_cm).all()):
        raise MetricError("a likelihood ratio is not finite; all must be")
    with np.errstate(divide="ignore"):  # ln 0 leaves one of the two out
        nontarget, spoof = np.log1p(-spoof_share) - of_asv, np.log(spoof_share) - of_cm
    return np.asarray(-np.logaddexp(nontarget, spoof))


def sasv_eers(target: ArrayLike, nontarget: ArrayLike, spoof: ArrayLike) -> SasvEers:
    """Compute SASV-EER, SV-EER and SPF-EER with equal scores kept together.

    The challenge's script interpolates between points of the curve; here the first point where both
    rates are most nearly the same counts (`rawnet_jax.metrics.det.eer`). Without ties the two
    differ by less than one trial of the smaller class.

    Args:
        target: [Nt], higher = more likely to be accepted.
        nontarget: [Nn].
        spoof: [Ns].

    Raises:
        MetricError: a class is empty or has a score that is not finite.

    Source: SASVC 2022 evaluation plan.
    """
    both = np.concatenate((np.asarray(nontarget, float), np.asarray(spoof, float)))
    return SasvEers(eer(target, both), eer(target, nontarget), eer(target, spoof))


def act_a_dcf(
    target: ArrayLike,
    nontarget: ArrayLike,
    spoof: ArrayLike,
    costs: TandemCosts = ASVSPOOF5_ADCF,
    threshold: float | None = None,
) -> ActualTandemCost:
    """Compute the a-DCF at one threshold, by default that of least expected cost.

    The cost is that of `rawnet_jax.metrics.tandem.min_a_dcf`.

    Args:
        target: [Nt], fused natural-log likelihood ratios.
        nontarget: [Nn].
        spoof: [Ns].
        costs: priors and costs.
        threshold: accept at and above it; None = `bayes_rule`.

    Raises:
        MetricError: see `bayes_rule`, `rawnet_jax.metrics.asv.triple_curve`.
    """
    rule = bayes_rule(costs)
    value = rule.threshold if threshold is None else threshold
    curve = triple_curve(target, nontarget, spoof)
    point = int(np.searchsorted(curve.thresholds, value))
    p_miss, p_fa, p_fa_spoof = (
        float(rates[point]) for rates in (curve.p_miss, curve.p_fa, curve.p_fa_spoof)
    )
    miss = costs.c_miss * costs.p_target
    non, spf = costs.c_fa * costs.p_nontarget, costs.c_fa_spoof * costs.p_spoof
    cost = (miss * p_miss + non * p_fa + spf * p_fa_spoof) / min(miss, non + spf)
    return ActualTandemCost(cost, value, p_miss, p_fa, p_fa_spoof)
