"""Thresholds: against a search over every threshold, with ties and at rates of 0 and 1."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.dcf import ASVSPOOF5_COSTS, CostModel
from rawnet_jax.metrics.thresholds import (
    Threshold,
    at_bayes_risk,
    at_eer,
    at_false_alarm,
    at_min_cost,
    at_miss,
    decisions_at,
)

SCORES = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=10)
RATES = st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.3, 1 / 3, 0.5, 0.9, 1.0])


def slow_rates(bonafide, spoof, value):
    miss = sum(score < value for score in bonafide)
    accepted = sum(score >= value for score in spoof)
    return miss / len(bonafide), accepted / len(spoof)


def all_rates(bonafide, spoof):
    """What any threshold can do."""
    return {slow_rates(bonafide, spoof, v) for v in [*bonafide, *spoof, math.inf]}


def check_own_rates(threshold, bonafide, spoof):
    """The rates that a threshold states are those that it gives."""
    assert math.isfinite(threshold.value)
    rates = decisions_at(bonafide, spoof, threshold)
    assert (rates.p_miss, rates.p_fa) == slow_rates(bonafide, spoof, threshold.value)
    assert (rates.p_miss, rates.p_fa) == (threshold.p_miss, threshold.p_fa)
    return rates.p_miss, rates.p_fa


@given(SCORES, SCORES, RATES)
def test_false_alarm_rate_is_the_highest_not_above_the_wanted(bonafide, spoof, rate):
    p_miss, p_fa = check_own_rates(at_false_alarm(bonafide, spoof, rate), bonafide, spoof)
    allowed = [(fa, miss) for miss, fa in all_rates(bonafide, spoof) if fa <= rate]
    assert p_fa == max(allowed)[0]
    assert p_miss == min(miss for fa, miss in allowed if fa == p_fa)


@given(SCORES, SCORES, RATES)
def test_miss_rate_is_the_highest_not_above_the_wanted(bonafide, spoof, rate):
    p_miss, p_fa = check_own_rates(at_miss(bonafide, spoof, rate), bonafide, spoof)
    allowed = [(miss, fa) for miss, fa in all_rates(bonafide, spoof) if miss <= rate]
    assert p_miss == max(allowed)[0]
    assert p_fa == min(fa for miss, fa in allowed if miss == p_miss)


@given(SCORES, SCORES)
def test_eer_threshold_brings_the_rates_together(bonafide, spoof):
    p_miss, p_fa = check_own_rates(at_eer(bonafide, spoof), bonafide, spoof)
    assert abs(p_miss - p_fa) == min(abs(m - f) for m, f in all_rates(bonafide, spoof))


@given(SCORES, SCORES, st.sampled_from([0.01, 0.3, 0.9]), st.sampled_from([1.0, 10.0]))
def test_min_cost_is_the_least_of_all(bonafide, spoof, p_spoof, c_fa):
    costs = CostModel("test", p_spoof, 1.0, c_fa)
    p_miss, p_fa = check_own_rates(at_min_cost(bonafide, spoof, costs), bonafide, spoof)

    def cost(miss, fa):
        return (1 - p_spoof) * miss + c_fa * p_spoof * fa

    least = min(cost(*rates) for rates in all_rates(bonafide, spoof))
    assert cost(p_miss, p_fa) == pytest.approx(least, abs=1e-12)
    normaliser = min(1 - p_spoof, c_fa * p_spoof)
    rates = decisions_at(bonafide, spoof, at_min_cost(bonafide, spoof, costs))
    assert rates.cost(costs) == pytest.approx(least / normaliser, abs=1e-12)


def test_known_thresholds():
    bonafide, spoof = [1.0, 2.0, 3.0, 4.0], [0.0, 0.5, 1.5, 2.0, 2.0]
    # 2.0 holds two spoof trials: from 2 of 5 false alarms to none, with nothing between.
    assert at_false_alarm(bonafide, spoof, 0.39) == Threshold(
        3.0, "false-alarm rate of at most 0.39", 0.5, 0.0
    )
    assert at_false_alarm(bonafide, spoof, 0.6).value == 1.0
    assert at_miss(bonafide, spoof, 0.25) == Threshold(2.0, "miss rate of at most 0.25", 0.25, 0.4)
    assert at_miss(bonafide, spoof, 0.0).value == 1.0
    assert at_miss(bonafide, spoof, 1.0).value > 4.0


def test_a_rate_of_zero_above_all_scores_stays_finite():
    threshold = at_false_alarm([1.0, 2.0], [3.0], 0.0)
    assert threshold.value == np.nextafter(3.0, 4.0)
    assert (threshold.p_miss, threshold.p_fa) == (1.0, 0.0)
    json.dumps(asdict(threshold), allow_nan=False)
    assert decisions_at([3.1], [2.9], threshold).num_bonafide_rejected == 0


def test_bayes_threshold_is_that_of_the_evaluation_plan():
    threshold = at_bayes_risk(ASVSPOOF5_COSTS)
    assert threshold.value == pytest.approx(-0.641854, abs=1e-6)
    assert threshold.p_miss is None
    assert at_bayes_risk(CostModel("even", 0.5, 1.0, 1.0)).value == 0.0
    assert at_bayes_risk(CostModel("spoof", 0.9, 1.0, 1.0)).value == pytest.approx(math.log(9))


def test_bayes_threshold_costs_least_on_true_likelihood_ratios():
    rng = np.random.default_rng(1)
    bonafide, spoof = 2 * rng.normal(2, 1, 40_000) - 2, 2 * rng.normal(0, 1, 40_000) - 2
    best = at_min_cost(bonafide, spoof, ASVSPOOF5_COSTS)
    bayes = decisions_at(bonafide, spoof, at_bayes_risk(ASVSPOOF5_COSTS))
    least = decisions_at(bonafide, spoof, best).cost(ASVSPOOF5_COSTS)
    assert least <= bayes.cost(ASVSPOOF5_COSTS) < 1.01 * least


def test_what_a_dev_threshold_does_on_eval():
    threshold = at_eer([1.0, 2.0, 3.0], [0.0, 0.5, 0.9])
    rates = decisions_at([0.9, 1.0, 1.1, 5.0], [0.0, 1.0], threshold)
    assert threshold.value == 1.0
    assert (rates.num_bonafide, rates.num_bonafide_rejected) == (4, 1)
    assert (rates.num_spoof, rates.num_spoof_accepted) == (2, 1)
    assert (rates.p_miss, rates.p_fa, rates.half_total_error) == (0.25, 0.5, 0.375)
    assert decisions_at([1.0], [0.0], math.inf).p_miss == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: at_false_alarm([1.0], [0.0], 1.1), "rate is 1.1"),
        (lambda: at_miss([1.0], [0.0], math.nan), "rate is nan"),
        (lambda: at_eer([], [0.0]), "no bona fide"),
        (lambda: at_min_cost([1.0], [math.inf], ASVSPOOF5_COSTS), "not finite"),
        (lambda: decisions_at([1.0], [0.0], math.nan), "NaN"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(MetricError, match=message):
        call()
