"""Detection costs against counting, by their laws, and on published scores."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawnet_jax.data.asv_score_file import read_asv_scores
from rawnet_jax.data.score_file import read_scores
from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.asv import AsvOperatingPoint, operating_point
from rawnet_jax.metrics.dcf import (
    ASVSPOOF5_COSTS,
    ASVSPOOF2019_TDCF,
    ASVSPOOF2021_TDCF,
    CostModel,
    TandemCosts,
    act_dcf,
    min_dcf,
    min_tdcf_legacy,
    min_tdcf_revised,
    tdcf_curve,
    tdcf_weights_legacy,
    tdcf_weights_revised,
)
from rawnet_jax.metrics.det import det_curve
from rawnet_jax.metrics.validation import split_by_label

COARSE = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=15)
RATE = st.floats(0.01, 0.5)
COSTS = st.builds(
    CostModel, st.just("drawn"), st.floats(0.01, 0.99), st.floats(0.1, 10), st.floats(0.1, 10)
)
ASV = st.builds(AsvOperatingPoint, st.just(0.0), RATE, RATE, RATE, st.just(0.1))
TYPICAL_ASV = AsvOperatingPoint(0.0, p_miss=0.03, p_fa=0.03, p_fa_spoof=0.6, eer=0.03)
Rates = list[tuple[float, float, float]]


def counted_rates(bonafide: list[float], spoof: list[float]) -> Rates:
    """(threshold, p_miss, p_fa) at every distinct score and above all."""
    return [
        (
            t,
            sum(b < t for b in bonafide) / len(bonafide),
            sum(s >= t for s in spoof) / len(spoof),
        )
        for t in [*sorted({*bonafide, *spoof}), math.inf]
    ]


def official_rates(bonafide: list[float], spoof: list[float]) -> Rates:
    """The scripts' way: reject the trials one by one from below, bona fide first."""
    trials = sorted([(b, 0) for b in bonafide] + [(s, 1) for s in spoof])
    rejected, rates = [0, 0], [(trials[0][0] - 0.001, 0.0, 1.0)]
    for score, is_spoof in trials:
        rejected[is_spoof] += 1
        rates.append((score, rejected[0] / len(bonafide), 1 - rejected[1] / len(spoof)))
    return rates


def slow_dcf(p_miss: float, p_fa: float, costs: CostModel) -> float:
    miss, accept = costs.c_miss * (1 - costs.p_spoof), costs.c_fa * costs.p_spoof
    return (miss * p_miss + accept * p_fa) / min(miss, accept)


def slow_legacy(p_miss: float, p_fa: float, asv: AsvOperatingPoint) -> float:
    """Priors .9405, .0095, .05; costs 1 and 10, of the ASV system and of the countermeasure."""
    c1 = 0.9405 * (1 - 1 * asv.p_miss) - 0.0095 * 10 * asv.p_fa
    p_miss_spoof = 1 - asv.p_fa_spoof
    c2 = 10 * 0.05 * (1 - p_miss_spoof)
    return (c1 * p_miss + c2 * p_fa) / min(c1, c2)


def slow_revised(p_miss: float, p_fa: float, asv: AsvOperatingPoint) -> float:
    """Count what the tandem does to each kind of trial, instead of C0, C1 and C2.

    A target is lost by the ASV system or, among those that it would take, by the countermeasure;
    as the plan has it, the countermeasure lets every nontarget pass.
    """

    def cost(p_miss: float, p_fa: float) -> float:
        asv_errors = 0.9405 * 1 * asv.p_miss + 0.0095 * 10 * asv.p_fa
        return asv_errors + p_miss * (0.9405 * 1 - asv_errors) + 0.05 * 10 * p_fa * asv.p_fa_spoof

    return cost(p_miss, p_fa) / min(cost(0, 1), cost(1, 0))


@given(COARSE, COARSE, COSTS)
def test_min_dcf_equals_counting(bonafide, spoof, costs) -> None:
    result = min_dcf(bonafide, spoof, costs)
    slow = [slow_dcf(p_miss, p_fa, costs) for _, p_miss, p_fa in counted_rates(bonafide, spoof)]
    assert result.cost == pytest.approx(min(slow), abs=1e-12)
    assert result.p_miss == np.mean(np.array(bonafide) < result.threshold)
    assert result.p_fa == np.mean(np.array(spoof) >= result.threshold)
    assert slow_dcf(result.p_miss, result.p_fa, costs) == pytest.approx(result.cost, abs=1e-12)


@given(COARSE, COARSE, COSTS, ASV)
def test_minimum_is_that_of_the_official_steps_even_with_ties(bonafide, spoof, costs, asv) -> None:
    steps = official_rates(bonafide, spoof)
    for result, slow in [
        (min_dcf(bonafide, spoof, costs), [slow_dcf(m, f, costs) for _, m, f in steps]),
        (min_tdcf_legacy(bonafide, spoof, asv), [slow_legacy(m, f, asv) for _, m, f in steps]),
        (min_tdcf_revised(bonafide, spoof, asv), [slow_revised(m, f, asv) for _, m, f in steps]),
    ]:
        assert result.cost == pytest.approx(min(slow), abs=1e-12)


@pytest.mark.parametrize(
    ("weights_of", "minimum", "slow_cost"),
    [
        (tdcf_weights_legacy, min_tdcf_legacy, slow_legacy),
        (tdcf_weights_revised, min_tdcf_revised, slow_revised),
    ],
)
@given(bonafide=COARSE, spoof=COARSE, asv=ASV)
def test_tdcf_curves_equal_counting(weights_of, minimum, slow_cost, bonafide, spoof, asv) -> None:
    curve = tdcf_curve(det_curve(bonafide, spoof), weights_of(asv))
    slow = [(t, slow_cost(m, f, asv)) for t, m, f in counted_rates(bonafide, spoof)]
    np.testing.assert_array_equal(curve.thresholds, [t for t, _ in slow])
    np.testing.assert_allclose(curve.cost, [cost for _, cost in slow], atol=1e-12)
    result = minimum(bonafide, spoof, asv)
    assert result.cost == curve.cost.min()
    assert result.threshold == curve.thresholds[curve.cost.argmin()]


@given(COARSE, COARSE, COSTS)
def test_act_dcf_equals_counting_at_the_bayes_threshold(bonafide, spoof, costs) -> None:
    threshold = -math.log(costs.c_miss * (1 - costs.p_spoof) / (costs.c_fa * costs.p_spoof))
    assert costs.bayes_threshold == pytest.approx(threshold, abs=1e-12)
    p_miss = sum(b < threshold for b in bonafide) / len(bonafide)
    p_fa = sum(s >= threshold for s in spoof) / len(spoof)
    result = act_dcf(bonafide, spoof, costs)
    assert result == pytest.approx(slow_dcf(p_miss, p_fa, costs), abs=1e-12)
    assert result >= min_dcf(bonafide, spoof, costs).cost - 1e-12


def test_a_score_at_the_bayes_threshold_is_accepted() -> None:
    even = CostModel("even", p_spoof=0.5, c_miss=1.0, c_fa=1.0)
    assert even.bayes_threshold == 0.0
    assert act_dcf([0.0], [-1.0], even) == 0.0
    assert act_dcf([1.0], [0.0], even) == 1.0


def test_bayes_threshold_costs_least_on_true_log_likelihood_ratios() -> None:
    # Unit normals at ±1 have the log-likelihood ratio 2x.
    rng = np.random.default_rng(0)
    bonafide, spoof = 2 * rng.normal(1, 1, 100_000), 2 * rng.normal(-1, 1, 100_000)
    for p_spoof in (0.05, 0.3, 0.8):
        costs = CostModel("drawn", p_spoof, c_miss=1.0, c_fa=3.0)
        least = min_dcf(bonafide, spoof, costs)
        assert act_dcf(bonafide, spoof, costs) == pytest.approx(least.cost, abs=0.01)
        assert least.threshold == pytest.approx(costs.bayes_threshold, abs=0.3)


@given(COARSE, COARSE, st.randoms())
def test_order_of_trials_does_not_matter(bonafide, spoof, random) -> None:
    shuffled = random.sample(bonafide, len(bonafide)), random.sample(spoof, len(spoof))
    assert min_dcf(*shuffled) == min_dcf(bonafide, spoof)
    assert act_dcf(*shuffled) == act_dcf(bonafide, spoof)
    for tdcf in (min_tdcf_legacy, min_tdcf_revised):
        assert tdcf(*shuffled, TYPICAL_ASV) == tdcf(bonafide, spoof, TYPICAL_ASV)


@pytest.mark.parametrize("mapping", [np.exp, np.cbrt, lambda x: 3 * x - 7, np.arctan])
@given(bonafide=COARSE, spoof=COARSE)
@settings(max_examples=40)
def test_strictly_increasing_maps_leave_the_minimum(mapping, bonafide, spoof) -> None:
    mapped = mapping(np.array(bonafide)), mapping(np.array(spoof))
    before, after = min_dcf(bonafide, spoof), min_dcf(*mapped)
    assert (after.cost, after.p_miss, after.p_fa) == (before.cost, before.p_miss, before.p_fa)
    for tdcf in (min_tdcf_legacy, min_tdcf_revised):
        assert tdcf(*mapped, TYPICAL_ASV).cost == tdcf(bonafide, spoof, TYPICAL_ASV).cost


@pytest.mark.parametrize(
    ("bonafide", "spoof", "is_perfect"),
    [
        ([2.0, 3.0], [0.0, 1.0], True),
        ([0.0, 1.0], [2.0, 3.0], False),  # perfect with the sign reversed
        ([5.0] * 4, [5.0] * 7, False),  # constant
        ([1.0], [1.0], False),
    ],
)
def test_perfect_scores_cost_the_floor_and_useless_ones_one(bonafide, spoof, is_perfect) -> None:
    assert min_dcf(bonafide, spoof).cost == (0.0 if is_perfect else 1.0)
    legacy = min_tdcf_legacy(bonafide, spoof, TYPICAL_ASV)
    assert legacy.cost == pytest.approx(0.0 if is_perfect else 1.0)
    floor = tdcf_weights_revised(TYPICAL_ASV).floor
    assert 0.0 < floor < 1.0
    revised = min_tdcf_revised(bonafide, spoof, TYPICAL_ASV)
    assert revised.cost == pytest.approx(floor if is_perfect else 1.0)


def test_where_rejecting_all_is_cheapest_the_threshold_is_infinite() -> None:
    costs = CostModel("spoof is dear", p_spoof=0.9, c_miss=1.0, c_fa=10.0)
    result = min_dcf([0.0], [1.0], costs)
    assert (result.threshold, result.p_miss, result.p_fa) == (math.inf, 1.0, 0.0)
    assert result.cost == pytest.approx(1.0)


def test_published_scores_give_the_published_costs(shared_data: Path) -> None:
    folder = shared_data / "scores"
    table = read_scores(folder / "lfcc_resnet18_softmax.ASVspoof2019.LA.cm.eval.scores.txt")
    assert table.labels is not None
    scores = split_by_label(table.scores, table.labels)
    asv = operating_point(read_asv_scores(folder / "ASVspoof2019.LA.asv.eval.gi.trl.scores.txt"))
    assert min_tdcf_legacy(*scores, asv).cost == pytest.approx(0.120836818, abs=1e-9)
    assert min_tdcf_revised(*scores, asv).cost == pytest.approx(0.175989256, abs=1e-9)
    assert min_dcf(*scores).cost == pytest.approx(0.114349047, abs=1e-9)
    assert act_dcf(*scores) == 1.0
    weights = tdcf_weights_revised(asv)
    assert weights.c0 == pytest.approx(0.02545588, abs=1e-8)
    assert weights.c1 == pytest.approx(0.91504412, abs=1e-8)
    assert weights.c2 == pytest.approx(0.38032623, abs=1e-8)
    assert weights.floor == pytest.approx(0.06273288, abs=1e-8)


def test_named_costs_are_those_of_the_plans() -> None:
    assert ASVSPOOF5_COSTS.bayes_threshold == pytest.approx(-0.641854, abs=1e-6)
    assert ASVSPOOF5_COSTS.weights.default == pytest.approx(0.5)
    for costs in (ASVSPOOF2019_TDCF, ASVSPOOF2021_TDCF):
        assert costs.p_target == pytest.approx(0.95 * 0.99)
        assert costs.p_nontarget == pytest.approx(0.95 * 0.01)
    assert ASVSPOOF2019_TDCF.plan != ASVSPOOF2021_TDCF.plan


@pytest.mark.parametrize("metric", [min_dcf, act_dcf])
@pytest.mark.parametrize(
    ("bonafide", "spoof", "message"),
    [
        ([], [1.0], "no bona fide scores"),
        ([1.0], [], "no spoof scores"),
        ([1.0, np.nan], [1.0], r"bona fide scores\[1\] is nan"),
        ([1.0], [0.0, -np.inf], r"spoof scores\[1\] is -inf"),
    ],
)
def test_bad_scores_are_refused_with_the_reason(metric, bonafide, spoof, message) -> None:
    with pytest.raises(MetricError, match=message):
        metric(bonafide, spoof)
    for tdcf in (min_tdcf_legacy, min_tdcf_revised):
        with pytest.raises(MetricError, match=message):
            tdcf(bonafide, spoof, TYPICAL_ASV)


@pytest.mark.parametrize(
    ("rates", "which", "message"),
    [
        ((1.0, 1.0, 0.5), "both", r"misses 100.0% of targets.* C1 is -0.095.* reversed\?"),
        ((1.0, 0.0, 0.5), "both", "C1 is 0 and not positive"),
        ((0.1, 0.1, 0.0), "legacy", "accepts 0.0% of spoof trials.*no cost to normalise"),
        ((0.0, 0.0, 0.0), "both", "accepts 0.0% of spoof trials"),
    ],
)
def test_an_asv_system_that_no_tdcf_is_defined_for_is_named(rates, which, message) -> None:
    p_miss, p_fa, p_fa_spoof = rates
    asv = AsvOperatingPoint(0.0, p_miss, p_fa, p_fa_spoof, eer=0.5)
    with pytest.raises(MetricError, match=f"legacy t-DCF is not defined.*{message}"):
        tdcf_weights_legacy(asv)
    if which == "both":
        with pytest.raises(MetricError, match=f"revised t-DCF is not defined.*{message}"):
            tdcf_weights_revised(asv)
    else:
        assert tdcf_weights_revised(asv).floor == 1.0


@pytest.mark.parametrize(
    ("p_spoof", "c_miss", "c_fa", "message"),
    [
        (0.0, 1.0, 1.0, "p_spoof is 0.0"),
        (1.0, 1.0, 1.0, "p_spoof is 1.0"),
        (math.nan, 1.0, 1.0, "p_spoof is nan"),
        (0.5, 0.0, 1.0, "c_miss is 0.0"),
        (0.5, 1.0, -1.0, "c_fa is -1.0"),
        (0.5, 1.0, math.inf, "c_fa is inf"),
    ],
)
def test_impossible_costs_are_refused(p_spoof, c_miss, c_fa, message) -> None:
    with pytest.raises(MetricError, match=f"costs 'mine': {message}"):
        CostModel("mine", p_spoof, c_miss, c_fa)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0.9, 0.05, 0.06, 1.0, 1.0, 1.0), "priors are .* sum to 1"),
        ((1.1, -0.1, 0.0, 1.0, 1.0, 1.0), "priors are"),
        ((math.nan, 0.5, 0.5, 1.0, 1.0, 1.0), "priors are"),
        ((0.9, 0.05, 0.05, 1.0, 1.0, 0.0), "c_fa_spoof is 0.0"),
    ],
)
def test_impossible_tandem_costs_are_refused(numbers, message) -> None:
    with pytest.raises(MetricError, match=message):
        TandemCosts("mine", *numbers)
