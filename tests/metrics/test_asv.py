"""The ASV system's error rates and operating point against counting, and on published scores."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawnet_jax.data.asv_score_file import read_asv_scores
from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.asv import AsvOperatingPoint, AsvScores, operating_point, triple_curve

COARSE = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=15)


def asv_scores(target, nontarget, spoof, attack_ids=None) -> AsvScores:
    return AsvScores(np.array(target), np.array(nontarget), np.array(spoof), attack_ids)


def slow_threshold(target: list[float], nontarget: list[float]) -> float:
    """Reject the trials one by one, targets first; the first step where the errors are nearest."""
    trials = sorted([(t, 0) for t in target] + [(n, 1) for n in nontarget])
    steps = [(trials[0][0] - 0.001, 0.0, 1.0)]
    rejected = [0, 0]
    for score, is_nontarget in trials:
        rejected[is_nontarget] += 1
        steps.append(
            (
                score,
                rejected[0] / len(target),
                (len(nontarget) - rejected[1]) / len(nontarget),
            )
        )
    return min(steps, key=lambda step: abs(step[1] - step[2]))[0]


@given(COARSE, COARSE, COARSE)
def test_operating_point_equals_counting(target, nontarget, spoof) -> None:
    point = operating_point(asv_scores(target, nontarget, spoof))
    threshold = slow_threshold(target, nontarget)
    assert point.threshold == threshold
    assert point.p_miss == sum(t < threshold for t in target) / len(target)
    assert point.p_fa == sum(n >= threshold for n in nontarget) / len(nontarget)
    assert point.p_fa_spoof == sum(s >= threshold for s in spoof) / len(spoof)


@given(COARSE, COARSE, COARSE)
def test_triple_curve_equals_counting(target, nontarget, spoof) -> None:
    curve = triple_curve(target, nontarget, spoof)
    thresholds = [*sorted({*target, *nontarget, *spoof}), math.inf]
    np.testing.assert_array_equal(curve.thresholds, thresholds)
    for i, t in enumerate(thresholds):
        assert curve.p_miss[i] == sum(x < t for x in target) / len(target)
        assert curve.p_fa[i] == sum(x >= t for x in nontarget) / len(nontarget)
        assert curve.p_fa_spoof[i] == sum(x >= t for x in spoof) / len(spoof)


def test_published_scores_give_the_published_operating_point(shared_data: Path) -> None:
    path = shared_data / "scores" / "ASVspoof2019.LA.asv.eval.gi.trl.scores.txt"
    asv = read_asv_scores(path)
    assert (asv.target.size, asv.nontarget.size, asv.spoof.size) == (5370, 33327, 63882)
    point = operating_point(asv)
    assert 100 * point.eer == pytest.approx(2.457784, abs=1e-6)
    assert point.threshold == pytest.approx(-5.680051, abs=1e-6)
    assert point.p_fa == pytest.approx(0.02460467, abs=1e-8)
    assert point.p_miss == pytest.approx(0.02458101, abs=1e-8)
    assert point.p_fa_spoof == pytest.approx(0.76065245, abs=1e-8)


def test_one_attack_changes_the_rate_of_spoof_alone() -> None:
    asv = asv_scores([3.0, 4.0], [0.0, 1.0], [5.0, -1.0, 5.0], ["A07", "A08", "A07"])
    whole, part = operating_point(asv), operating_point(asv.of_attack("A07"))
    assert (whole.p_fa_spoof, part.p_fa_spoof) == (2 / 3, 1.0)
    assert (part.threshold, part.p_miss, part.p_fa) == (whole.threshold, whole.p_miss, whole.p_fa)
    assert list(asv.of_attack("A08").spoof) == [-1.0]


def test_unknown_attacks_are_refused() -> None:
    with pytest.raises(MetricError, match="'A09'; there are: A07"):
        asv_scores([1.0], [0.0], [1.0], ["A07"]).of_attack("A09")
    with pytest.raises(MetricError, match="name no attacks"):
        asv_scores([1.0], [0.0], [1.0]).of_attack("A09")


@pytest.mark.parametrize(
    ("classes", "attack_ids", "message"),
    [
        (([], [0.0], [0.0]), None, "no ASV target scores"),
        (([1.0], [], [0.0]), None, "no ASV nontarget scores"),
        (([1.0], [0.0], []), None, "no ASV spoof scores"),
        (([1.0], [np.nan], [0.0]), None, r"ASV nontarget scores\[0\] is nan"),
        (([1.0], [0.0], [0.0, 1.0]), ["A07"], "2 ASV spoof scores and 1 attack ids"),
    ],
)
def test_bad_scores_are_refused_with_the_reason(classes, attack_ids, message) -> None:
    target, nontarget, spoof = classes
    with pytest.raises(MetricError, match=message):
        asv_scores(target, nontarget, spoof, attack_ids)


@pytest.mark.parametrize("rate", [-0.1, 1.1, 24.6, np.nan])
def test_rates_that_are_no_fractions_are_refused(rate) -> None:
    with pytest.raises(
        MetricError, match=r"p_fa_spoof of the ASV system is .*; it must be a fraction"
    ):
        AsvOperatingPoint(0.0, 0.1, 0.1, rate, 0.1)
