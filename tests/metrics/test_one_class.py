"""A threshold from bona fide scores alone, and how sure its rate is."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.one_class import at_one_class, clopper_pearson

SCORES = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=12)


@given(SCORES, st.sampled_from([0.0, 0.1, 0.2, 0.25, 1 / 3, 0.5, 0.9, 1.0]))
def test_the_highest_threshold_that_keeps_the_rate(scores, rate):
    threshold = at_one_class(scores, rate)
    allowed = [
        value
        for value in [*scores, np.nextafter(max(scores), np.inf)]
        if sum(score < value for score in scores) / len(scores) <= rate
    ]
    assert threshold.value == max(allowed)
    assert threshold.p_miss == sum(score < threshold.value for score in scores) / len(scores)
    assert threshold.p_fa is None


def test_a_rate_is_met_where_it_can_be():
    """0.29 * 100 is below 29 in floating point."""
    assert at_one_class(np.arange(100.0), 0.29).value == 29
    assert at_one_class(np.arange(20.0), 0.05).value == 1


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan])
def test_rates_without_sense(rate):
    with pytest.raises(MetricError, match="rate is"):
        at_one_class([1.0], rate)


@pytest.mark.parametrize("scores", [[], [math.nan]])
def test_scores_without_sense(scores):
    with pytest.raises(MetricError, match="bona fide"):
        at_one_class(scores, 0.5)


@pytest.mark.parametrize(
    ("hits", "total", "level", "low", "high"),
    [
        # 0 and all have closed forms: 1 - (tail)^(1/n)
        (0, 10, 0.95, 0.0, 1 - 0.025**0.1),
        (10, 10, 0.95, 0.025**0.1, 1.0),
        (0, 3, 0.9, 0.0, 1 - 0.05 ** (1 / 3)),
    ],
)
def test_intervals_of_all_and_none(hits, total, level, low, high):
    interval = clopper_pearson(hits, total, level)
    assert (interval.low, interval.high, interval.level) == pytest.approx((low, high, level))


def test_an_interval_is_where_the_binomial_tails_are():
    """Its ends are the rates at which seeing so many, or so few, has a chance of 2.5 %."""
    hits, total = 8, 173
    interval = clopper_pearson(hits, total)

    def at_most(count, rate):
        return sum(
            math.comb(total, k) * rate**k * (1 - rate) ** (total - k) for k in range(count + 1)
        )

    assert at_most(hits, interval.high) == pytest.approx(0.025)
    assert 1 - at_most(hits - 1, interval.low) == pytest.approx(0.025)


def test_the_true_rate_of_a_chosen_threshold_is_inside():
    """Scores are uniform, so the true rate of a threshold is the threshold itself."""
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(2_000):
        scores = rng.uniform(size=60)
        threshold = at_one_class(scores, 0.05)
        interval = clopper_pearson(int((scores < threshold.value).sum()), 60)
        inside += interval.low <= threshold.value <= interval.high
    assert 0.95 <= inside / 2_000 < 0.99


@pytest.mark.parametrize("numbers", [(-1, 5, 0.9), (6, 5, 0.9), (0, 0, 0.9), (1, 5, 1.0)])
def test_numbers_that_are_no_rate(numbers):
    with pytest.raises(MetricError, match="not a rate"):
        clopper_pearson(*numbers)
