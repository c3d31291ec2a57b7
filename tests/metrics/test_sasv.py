"""Fused ratios, their threshold and their errors against slow forms, and by their laws."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.calibration import fit_affine
from rawnet_jax.metrics.dcf import ASVSPOOF5_ADCF, ODYSSEY2024_ADCF, TandemCosts
from rawnet_jax.metrics.sasv import act_a_dcf, bayes_rule, fused_llr, sasv_eers
from rawnet_jax.metrics.tandem import min_a_dcf

COARSE = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=10)
RATIO = st.floats(-30, 30)
COSTS = st.sampled_from([ASVSPOOF5_ADCF, ODYSSEY2024_ADCF])


@given(RATIO, RATIO, st.floats(0.01, 0.99))
def test_fused_ratio_is_its_formula(asv, cm, share) -> None:
    slow = -math.log((1 - share) * math.exp(-asv) + share * math.exp(-cm))
    assert float(fused_llr(asv, cm, share)) == pytest.approx(slow, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("asv", "cm", "share", "expected"),
    [
        (1e5, -1e5, 0.5, -1e5 + math.log(2)),
        (-1e300, 1e300, 0.5, -1e300),
        (1e5, 1e5, 0.3, 1e5),
        (3.0, -7.0, 0.0, 3.0),
        (3.0, -7.0, 1.0, -7.0),
    ],
)
def test_fused_ratio_of_extremes(asv, cm, share, expected) -> None:
    assert float(fused_llr(asv, cm, share)) == pytest.approx(expected, rel=1e-12)


def test_neither_part_makes_up_for_the_other() -> None:
    for share in (0.1, 0.5, 0.84034):
        lower = -1.0 - math.log(min(share, 1 - share))
        assert float(fused_llr(1e3, -1.0, share)) <= lower
        assert float(fused_llr(-1.0, 1e3, share)) <= lower


@pytest.mark.parametrize(
    ("costs", "share", "threshold"),
    [(ASVSPOOF5_ADCF, 0.84034, -0.45785), (ODYSSEY2024_ADCF, 0.66667, 0.51083)],
)
def test_published_costs(costs, share, threshold) -> None:
    rule = bayes_rule(costs)
    assert rule.spoof_share == pytest.approx(share, abs=5e-6)
    assert rule.threshold == pytest.approx(threshold, abs=5e-6)


@given(st.floats(-8, 8), st.floats(-8, 8), COSTS)
def test_threshold_is_where_the_cheaper_decision_changes(asv, cm, costs) -> None:
    """Expected costs of both decisions, by Bayes' rule over the three classes."""
    rejecting = costs.p_target * costs.c_miss
    accepting = costs.p_nontarget * costs.c_fa * math.exp(-asv)
    accepting += costs.p_spoof * costs.c_fa_spoof * math.exp(-cm)
    rule = bayes_rule(costs)
    accepted = float(fused_llr(asv, cm, rule.spoof_share)) >= rule.threshold
    if abs(accepting - rejecting) > 1e-9 * rejecting:
        assert accepted == (accepting < rejecting)


def share_above(scores, threshold) -> float:
    return sum(s >= threshold for s in scores) / len(scores)


def is_eer(rate, positive, negative) -> bool:
    """Whether it is the mean of both rates at a threshold where they are most nearly the same."""
    points = []
    for t in [*sorted({*positive, *negative}), math.inf]:
        miss = Fraction(sum(s < t for s in positive), len(positive))
        fa = Fraction(sum(s >= t for s in negative), len(negative))
        points.append((abs(miss - fa), (miss + fa) / 2))
    least = min(points)[0]
    return any(rate == pytest.approx(float(mean)) for gap, mean in points if gap == least)


@given(COARSE, COARSE, COARSE)
def test_three_eers_equal_counting(target, nontarget, spoof) -> None:
    found = sasv_eers(target, nontarget, spoof)
    assert is_eer(found.sv.eer, target, nontarget)
    assert is_eer(found.spf.eer, target, spoof)
    assert is_eer(found.sasv.eer, target, nontarget + spoof)


@given(COARSE, COARSE, COARSE, COSTS, st.sampled_from([None, -4.0, 0.0, 0.5, 9.0]))
def test_actual_a_dcf_equals_counting(target, nontarget, spoof, costs, threshold) -> None:
    found = act_a_dcf(target, nontarget, spoof, costs, threshold)
    t = math.log(
        (costs.c_fa * costs.p_nontarget + costs.c_fa_spoof * costs.p_spoof)
        / (costs.c_miss * costs.p_target)
    )
    t = t if threshold is None else threshold
    miss, fa = sum(s < t for s in target) / len(target), share_above(nontarget, t)
    spoofed = share_above(spoof, t)
    weights = (
        costs.c_miss * costs.p_target,
        costs.c_fa * costs.p_nontarget,
        costs.c_fa_spoof * costs.p_spoof,
    )
    cost = weights[0] * miss + weights[1] * fa + weights[2] * spoofed
    assert found.cost == pytest.approx(cost / min(weights[0], weights[1] + weights[2]))
    assert (found.p_miss, found.p_fa, found.p_fa_spoof) == pytest.approx((miss, fa, spoofed))
    assert found.cost >= min_a_dcf(target, nontarget, spoof, costs).cost - 1e-12


def made_scores(seed: int, num: int = 4000) -> dict[str, dict[str, np.ndarray]]:
    """Scores of the shape of SASVC 2022: the CM's spread more than the speaker's cosines."""
    rng = np.random.default_rng(seed)
    means = {"target": (0.7, 1.2), "nontarget": (0.27, 1.2), "spoof": (0.6, -1.2)}
    return {
        key: {"asv": rng.normal(asv, 0.1, num), "cm": rng.normal(cm, 0.5, num)}
        for key, (asv, cm) in means.items()
    }


def test_a_sum_of_uncalibrated_scores_ruins_verification_and_the_fusion_does_not() -> None:
    dev, scores = made_scores(0), made_scores(1)
    keys = ("target", "nontarget", "spoof")
    alone = sasv_eers(*(scores[key]["asv"] for key in keys))
    summed = sasv_eers(*(scores[key]["asv"] + scores[key]["cm"] for key in keys))
    asv = fit_affine(dev["target"]["asv"], dev["nontarget"]["asv"])
    bonafide = np.concatenate([dev[key]["cm"] for key in keys[:2]])
    cm = fit_affine(bonafide, dev["spoof"]["cm"])
    rule = bayes_rule(ASVSPOOF5_ADCF)
    ratios = [
        fused_llr(asv.apply(scores[k]["asv"]), cm.apply(scores[k]["cm"]), rule.spoof_share)
        for k in keys
    ]
    fused = sasv_eers(*ratios)
    # The plan's figures on eval: ECAPA alone 1.63, 30.75, 23.83 %; Baseline 1, the sum of raw
    # scores, 35.32, .67, 19.31 %.
    assert alone.sv.eer < 0.025
    assert 0.25 < alone.spf.eer < 0.35
    assert summed.sv.eer > 0.3
    assert summed.spf.eer < 0.02
    assert summed.sasv.eer > 0.15
    assert max(fused.sv.eer, fused.spf.eer, fused.sasv.eer) < 0.03
    target, nontarget, spoof = ratios
    least = min_a_dcf(target, nontarget, spoof).cost
    assert act_a_dcf(target, nontarget, spoof).cost < 1.1 * least


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fused_llr(0.0, 0.0, 1.5), "from 0 to 1"),
        (lambda: fused_llr([0.0, 1.0], [0.0], 0.5), "pairs"),
        (lambda: fused_llr([math.nan], [0.0], 0.5), "not finite"),
        (lambda: bayes_rule(TandemCosts("x", 1.0, 0.0, 0.0, 1.0, 1.0, 1.0)), "costs nothing"),
        (lambda: sasv_eers([1.0], [], [0.0]), "every class"),
    ],
)
def test_refusals(call, message) -> None:
    with pytest.raises(MetricError, match=message):
        call()
