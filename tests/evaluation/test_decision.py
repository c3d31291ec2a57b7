"""A threshold is chosen on dev or by costs, and judged elsewhere."""

import math

import numpy as np
import pytest

from rawnet_jax.errors import ConfigError
from rawnet_jax.evaluation.decision import ThresholdRule, choose, parse_rule
from rawnet_jax.metrics.calibration import AffineCalibration
from rawnet_jax.metrics.dcf import ASVSPOOF5_COSTS
from rawnet_jax.metrics.det import eer

RNG = np.random.default_rng(0)
EVAL = RNG.normal(1, 1, 300), RNG.normal(-1, 1, 400)
DEV = RNG.normal(1.5, 1, 200), RNG.normal(-0.5, 1, 250)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("eer", ThresholdRule("eer")),
        ("fa=0.01", ThresholdRule("fa", 0.01)),
        ("miss=1", ThresholdRule("miss", 1.0)),
        ("bayes", ThresholdRule("bayes")),
        ("cost", ThresholdRule("cost")),
        ("value=-3.5", ThresholdRule("value", -3.5)),
        ("one-class=0.05", ThresholdRule("one-class", 0.05)),
    ],
)
def test_rules_are_read(text, rule):
    assert parse_rule(text) == rule


@pytest.mark.parametrize(
    "text",
    [
        *("", "err", "fa", "fa=", "fa=1.5", "fa=x", "eer=0.1", "value=nan", "value", "miss=-1"),
        *("one-class", "one-class=2"),
    ],
)
def test_other_rules_are_refused(text):
    with pytest.raises(ConfigError, match=r"--threshold-rule .*eer | fa=RATE"):
        parse_rule(text)


def decide(text: str | None, *, dev=DEV, calibration=None):
    rule = None if text is None else parse_rule(text)
    return choose(rule, ASVSPOOF5_COSTS, EVAL, dev, calibration)


def test_the_eer_threshold_is_that_of_dev():
    decision = decide(None)
    point = eer(*DEV)
    assert decision.threshold.value == point.threshold
    assert decision.from_dev
    assert decision.dev_rates is not None
    assert (decision.dev_rates.p_miss, decision.dev_rates.p_fa) == (point.frr, point.far)
    assert decision.eval_rates.num_bonafide_rejected == (EVAL[0] < point.threshold).sum()
    assert decision.eval_rates.num_spoof_accepted == (EVAL[1] >= point.threshold).sum()


@pytest.mark.parametrize("rule", ["fa=0.05", "miss=0.05"])
def test_a_wanted_rate_is_kept_on_dev(rule):
    decision = decide(rule)
    assert decision.dev_rates is not None
    rate = decision.dev_rates.p_fa if rule.startswith("fa") else decision.dev_rates.p_miss
    assert 0.04 < rate <= 0.05


def test_least_cost_on_dev_is_not_beaten_there():
    costs = [
        decide(rule).dev_rates.cost(ASVSPOOF5_COSTS)
        for rule in ("cost", "eer", "fa=0.05", "value=0")
    ]
    assert costs[0] == min(costs)


def test_bayes_reads_calibrated_scores_where_there_are_any():
    bayes = -math.log(1.9)
    plain = decide("bayes", dev=None)
    assert plain.threshold.value == pytest.approx(bayes)
    assert not plain.is_calibrated
    assert not plain.from_dev
    assert plain.dev_rates is None
    calibration = AffineCalibration(2.0, -1.0, 0.5, 200, 250)
    calibrated = decide("bayes", calibration=calibration)
    assert calibrated.is_calibrated
    assert calibrated.from_dev
    assert calibrated.eval_rates.num_spoof_accepted == (2 * EVAL[1] - 1 >= bayes).sum()
    assert decide(None, dev=None) == plain


def test_a_given_threshold_is_taken_as_it_is():
    decision = decide("value=0.25", dev=None)
    assert decision.threshold.value == 0.25
    assert decision.eval_rates.num_bonafide_rejected == (EVAL[0] < 0.25).sum()
    assert not decision.from_dev


@pytest.mark.parametrize(
    "spoof", [DEV[1], np.full(9, 1e6), np.full(2, DEV[0].min()), np.zeros(0)], ids=len
)
def test_spoof_trials_of_dev_have_no_say_in_a_one_class_threshold(spoof):
    decision = decide("one-class=0.05", dev=(DEV[0], spoof))
    expected = decide("one-class=0.05")
    assert decision.threshold == expected.threshold
    assert decision.miss_interval == expected.miss_interval
    assert decision.eval_rates == expected.eval_rates
    assert decision.from_dev
    assert decision.dev_rates is not None
    assert decision.dev_rates.p_miss == 0.05
    assert decision.threshold.value == np.sort(DEV[0])[10]
    assert decision.miss_interval is not None
    assert decision.miss_interval.low < 0.05 < decision.miss_interval.high


def test_bona_fide_dev_alone_chooses_no_other_threshold():
    dev = (DEV[0], np.zeros(0))
    assert decide(None, dev=dev).threshold == decide("bayes", dev=None).threshold
    for rule in ("eer", "fa=0.1", "miss=0.1", "cost"):
        with pytest.raises(ConfigError, match=r"dev has none; use one-class=RATE"):
            decide(rule, dev=dev)


def test_only_a_one_class_threshold_has_an_interval():
    assert decide("miss=0.05").miss_interval is None


@pytest.mark.parametrize("rule", ["eer", "fa=0.1", "miss=0.1", "cost", "one-class=0.1"])
def test_nothing_is_chosen_on_the_evaluated_trials(rule):
    with pytest.raises(ConfigError, match="on dev scores and there are none"):
        decide(rule, dev=None)
