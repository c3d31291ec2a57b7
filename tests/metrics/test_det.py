"""DET, ROC, AUC and EER against slow and obvious second implementations, and by their laws."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from rawnet_jax.errors import MetricError, RawnetError
from rawnet_jax.metrics.det import (
    EqualErrorRate,
    auc,
    det_curve,
    det_curve_official,
    eer,
    eer_of_negated,
    eer_official,
    looks_negated,
    roc_curve,
)
from rawnet_jax.metrics.validation import split_by_label, validate_labelled

# Few different values, so that ties inside a class and between the classes are common.
COARSE = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=15)
DISTINCT = st.lists(st.integers(-1000, 1000).map(float), min_size=2, max_size=30, unique=True)
METRICS: tuple[Callable[..., object], ...] = (
    auc,
    det_curve,
    det_curve_official,
    eer,
    eer_of_negated,
    eer_official,
    looks_negated,
    roc_curve,
)


def slow_rates(bonafide: list[float], spoof: list[float]) -> list[tuple[float, float, float]]:
    """(threshold, far, frr) at every distinct score and above all, by counting."""
    thresholds = [*sorted({*bonafide, *spoof}), float("inf")]
    return [
        (
            t,
            sum(s >= t for s in spoof) / len(spoof),
            sum(b < t for b in bonafide) / len(bonafide),
        )
        for t in thresholds
    ]


def slow_eer(bonafide: list[float], spoof: list[float]) -> tuple[float, float]:
    best = min(slow_rates(bonafide, spoof), key=lambda point: abs(point[2] - point[1]))
    return (best[1] + best[2]) / 2, best[0]


def slow_official_eer(bonafide: list[float], spoof: list[float]) -> tuple[float, float]:
    """The description in words: reject the trials one by one from below, bona fide first."""
    trials = sorted([(b, 0) for b in bonafide] + [(s, 1) for s in spoof])
    far, frr, threshold = 1.0, 0.0, trials[0][0] - 0.001
    best = (abs(frr - far), (far + frr) / 2, threshold)
    num_bonafide = num_spoof = 0
    for score, is_spoof in trials:
        num_bonafide += 1 - is_spoof
        num_spoof += is_spoof
        frr = num_bonafide / len(bonafide)
        far = (len(spoof) - num_spoof) / len(spoof)
        if abs(frr - far) < best[0]:
            best = (abs(frr - far), (far + frr) / 2, score)
    return best[1], best[2]


def slow_auc(bonafide: list[float], spoof: list[float]) -> float:
    wins = sum((b > s) + 0.5 * (b == s) for b in bonafide for s in spoof)
    return wins / (len(bonafide) * len(spoof))


def split(scores: list[float], where: int) -> tuple[list[float], list[float]]:
    cut = 1 + where % (len(scores) - 1)
    return scores[:cut], scores[cut:]


@given(COARSE, COARSE)
def test_det_curve_equals_counting(bonafide: list[float], spoof: list[float]) -> None:
    curve = det_curve(bonafide, spoof)
    expected = np.array(slow_rates(bonafide, spoof))
    np.testing.assert_array_equal(curve.thresholds, expected[:, 0])
    np.testing.assert_allclose(curve.far, expected[:, 1], atol=1e-12)
    np.testing.assert_allclose(curve.frr, expected[:, 2], atol=1e-12)


@given(COARSE, COARSE)
def test_eer_equals_counting(bonafide: list[float], spoof: list[float]) -> None:
    result = eer(bonafide, spoof)
    assert (result.eer, result.threshold) == pytest.approx(slow_eer(bonafide, spoof), abs=1e-12)


@given(COARSE, COARSE)
def test_eer_threshold_gives_the_rates_it_names(bonafide: list[float], spoof: list[float]) -> None:
    result = eer(bonafide, spoof)
    assert result.far == np.mean(np.array(spoof) >= result.threshold)
    assert result.frr == np.mean(np.array(bonafide) < result.threshold)


@given(COARSE, COARSE)
def test_official_eer_equals_step_by_step(bonafide: list[float], spoof: list[float]) -> None:
    result = eer_official(bonafide, spoof)
    assert (result.eer, result.threshold) == slow_official_eer(bonafide, spoof)


def test_official_curve_holds_one_point_a_trial_and_one_below_all() -> None:
    curve = det_curve_official([2.0, 1.0], [1.0, 0.0])
    np.testing.assert_array_equal(curve.thresholds, [-0.001, 0.0, 1.0, 1.0, 2.0])
    np.testing.assert_array_equal(curve.far, [1.0, 0.5, 0.5, 0.0, 0.0])
    np.testing.assert_array_equal(curve.frr, [0.0, 0.0, 0.5, 0.5, 1.0])


@given(COARSE, COARSE)
def test_auc_equals_pair_counting_and_sklearn(bonafide: list[float], spoof: list[float]) -> None:
    result = auc(bonafide, spoof)
    assert result == slow_auc(bonafide, spoof)
    labels = [1] * len(bonafide) + [0] * len(spoof)
    assert result == pytest.approx(roc_auc_score(labels, bonafide + spoof), abs=1e-12)


@given(COARSE, COARSE)
def test_area_under_the_roc_curve_is_the_auc(bonafide: list[float], spoof: list[float]) -> None:
    curve = roc_curve(bonafide, spoof)
    height = (curve.true_positive_rate[1:] + curve.true_positive_rate[:-1]) / 2
    area = np.sum(height * np.diff(curve.false_positive_rate))
    assert area == pytest.approx(auc(bonafide, spoof), abs=1e-12)
    for rate in (curve.false_positive_rate, curve.true_positive_rate):
        assert rate[0] == 0
        assert rate[-1] == 1
        assert (np.diff(rate) >= 0).all()


@given(DISTINCT, st.integers(0, 1000))
def test_without_ties_official_and_grouped_rates_are_the_same(
    scores: list[float], where: int
) -> None:
    bonafide, spoof = split(scores, where)
    grouped, official = eer(bonafide, spoof), eer_official(bonafide, spoof)
    assert (grouped.eer, grouped.far, grouped.frr) == (official.eer, official.far, official.frr)


@given(COARSE, COARSE, st.randoms())
def test_order_of_trials_does_not_matter(bonafide, spoof, random) -> None:
    shuffled = (
        random.sample(bonafide, len(bonafide)),
        random.sample(spoof, len(spoof)),
    )
    assert eer(*shuffled) == eer(bonafide, spoof)
    assert eer_official(*shuffled) == eer_official(bonafide, spoof)
    assert auc(*shuffled) == auc(bonafide, spoof)


@pytest.mark.parametrize("mapping", [np.exp, np.cbrt, lambda x: 3 * x - 7, np.arctan])
@given(bonafide=COARSE, spoof=COARSE)
@settings(max_examples=40)
def test_strictly_increasing_maps_change_only_the_threshold(mapping, bonafide, spoof) -> None:
    mapped = mapping(np.array(bonafide)), mapping(np.array(spoof))
    before, after = eer(bonafide, spoof), eer(*mapped)
    assert (after.eer, after.far, after.frr) == (before.eer, before.far, before.frr)
    assert after.threshold == mapping(np.array([before.threshold]))[0]
    assert eer_official(*mapped).eer == eer_official(bonafide, spoof).eer
    assert auc(*mapped) == auc(bonafide, spoof)


@given(COARSE, COARSE)
def test_negating_mirrors_the_auc_and_exchanges_the_classes(bonafide, spoof) -> None:
    negated = [-b for b in bonafide], [-s for s in spoof]
    assert auc(*negated) == pytest.approx(1 - auc(bonafide, spoof), abs=1e-12)
    assert auc(spoof, bonafide) == pytest.approx(auc(*negated), abs=1e-12)
    assert eer_of_negated(bonafide, spoof) == eer(*negated).eer


@pytest.mark.parametrize(
    ("bonafide", "spoof", "grouped", "official", "area"),
    [
        ([2.0, 3.0], [0.0, 1.0], 0.0, 0.0, 1.0),  # perfect
        ([0.0, 1.0], [2.0, 3.0], 1.0, 1.0, 0.0),  # perfect with the sign reversed
        ([5.0] * 4, [5.0] * 7, 0.5, 1.0, 0.5),  # constant
        ([1.0], [1.0], 0.5, 1.0, 0.5),  # the smallest case, tied
        ([1.0, 1.0, 0.0], [0.0, 0.0, 1.0], 1 / 3, 1 / 3, 2 / 3),  # two values
    ],
)
def test_cases_that_can_be_worked_out_by_hand(bonafide, spoof, grouped, official, area) -> None:
    assert eer(bonafide, spoof).eer == pytest.approx(grouped)
    assert eer_official(bonafide, spoof).eer == pytest.approx(official)
    assert auc(bonafide, spoof) == pytest.approx(area)


def test_looks_negated_only_where_the_reversed_sign_does_better() -> None:
    assert looks_negated([0.0, 1.0], [2.0, 3.0])
    assert not looks_negated([2.0, 3.0], [0.0, 1.0])
    assert not looks_negated([1.0, 1.0], [1.0])


def test_published_scores_give_the_published_eer(shared_data: Path) -> None:
    path = shared_data / "scores" / "lfcc_resnet18_softmax.ASVspoof2019.LA.cm.eval.scores.txt"
    rows = [line.split() for line in path.read_text().splitlines()]
    scores = np.array([float(row[3]) for row in rows])
    is_bonafide = np.array([row[2] == "bonafide" for row in rows])
    result = eer_official(scores[is_bonafide], scores[~is_bonafide])
    assert (is_bonafide.sum(), (~is_bonafide).sum()) == (7355, 63882)
    assert 100 * result.eer == pytest.approx(5.05777329, abs=1e-6)
    assert not looks_negated(scores[is_bonafide], scores[~is_bonafide])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("bonafide", "spoof", "message"),
    [
        ([], [1.0], "no bona fide scores"),
        ([1.0], [], "no spoof scores"),
        ([1.0, np.nan, np.nan], [1.0], r"bona fide scores\[1\] is nan, as 2 of 3"),
        ([1.0], [0.0, -np.inf], r"spoof scores\[1\] is -inf"),
        ([[1.0]], [1.0], r"bona fide scores have shape \(1, 1\)"),
        (1.0, [1.0], r"bona fide scores have shape \(\)"),
        (["high"], [1.0], "bona fide scores are not numbers"),
    ],
)
def test_bad_scores_are_refused_with_the_reason(metric, bonafide, spoof, message) -> None:
    with pytest.raises(MetricError, match=message):
        metric(bonafide, spoof)


def test_metric_errors_are_value_errors_too() -> None:
    assert issubclass(MetricError, ValueError)
    assert issubclass(MetricError, RawnetError)


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([1.0, 2.0], [1], "2 scores and labels of shape"),
        ([], [], "no trials"),
        ([1.0, 2.0], [1, 2], r"labels\[1\] is 2"),
        ([1.0, 2.0], [1, 0.5], r"labels\[1\] is 0.5"),
        ([1.0, np.inf], [1, 0], r"scores\[1\] is inf"),
    ],
)
def test_bad_labels_are_refused_with_the_reason(scores, labels, message) -> None:
    with pytest.raises(MetricError, match=message):
        validate_labelled(scores, labels)


def test_split_by_label_keeps_the_order() -> None:
    bonafide, spoof = split_by_label([5.0, 1.0, 4.0, 2.0], [1, 0, 1, 0])
    assert bonafide.tolist() == [5.0, 4.0]
    assert spoof.tolist() == [1.0, 2.0]


def test_input_is_left_as_it_is_and_integers_are_taken() -> None:
    bonafide, spoof = np.array([3, 1], dtype=np.int32), np.array([2, 0], dtype=np.float32)
    before = bonafide.copy(), spoof.copy()
    assert eer(bonafide, spoof) == EqualErrorRate(0.5, 2.0, 0.5, 0.5)
    np.testing.assert_array_equal(bonafide, before[0])
    np.testing.assert_array_equal(spoof, before[1])


def test_a_full_evaluation_list_takes_well_under_a_second() -> None:
    rng = np.random.default_rng(0)
    bonafide, spoof = rng.normal(1, 1, 7355), rng.normal(0, 1, 63882)
    start = time.perf_counter()
    for metric in METRICS:
        metric(bonafide, spoof)
    assert time.perf_counter() - start < 1.0
