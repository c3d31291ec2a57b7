"""Decisions at a threshold, against counting, scikit-learn and the seed's published table."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from rawnet_jax.errors import MetricError
from rawnet_jax.labels import Label
from rawnet_jax.metrics.classification import Confusion, confusion_at

TRIALS = st.lists(
    st.tuples(st.integers(-6, 6).map(lambda v: v / 2), st.integers(0, 1)), min_size=1, max_size=30
)


def slow_confusion(trials: list[tuple[float, int]], threshold: float) -> list[list[int]]:
    counts = [[0, 0], [0, 0]]
    for score, label in trials:
        called_spoof = 1 / (1 + math.exp(score)) >= threshold
        counts[label == Label.SPOOF][called_spoof] += 1
    return counts


@given(TRIALS, st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]))
def test_counts_equal_counting_one_by_one(trials, threshold) -> None:
    scores, labels = zip(*trials, strict=True)
    result = confusion_at(scores, labels, threshold)
    assert result.matrix.tolist() == slow_confusion(trials, threshold)
    assert result.num_trials == len(trials)


@given(TRIALS)
def test_rates_equal_those_of_sklearn_with_spoof_positive(trials) -> None:
    scores, labels = zip(*trials, strict=True)
    truth = [int(label == Label.SPOOF) for label in labels]
    decision = [int(score <= 0) for score in scores]  # P(spoof) >= .5
    result = confusion_at(scores, labels)
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, decision, average="binary", zero_division=0.0
    )
    assert result.precision == pytest.approx(precision)
    assert result.recall == pytest.approx(recall)
    assert result.f1 == pytest.approx(f1)
    assert result.accuracy == pytest.approx(accuracy_score(truth, decision))
    expected = confusion_matrix(truth, decision, labels=[0, 1])
    np.testing.assert_array_equal(result.matrix, expected)


def test_table_of_the_original_notebook() -> None:
    # 311 genuine and 292 spoofed validation clips: [[304, 7], [6, 286]], spoof positive.
    labels = [Label.BONAFIDE] * 311 + [Label.SPOOF] * 292
    scores = [1.5] * 304 + [-0.5] * 7 + [0.5] * 6 + [-2.0] * 286
    result = confusion_at(scores, labels)
    assert result.matrix.tolist() == [[304, 7], [6, 286]]
    assert result.precision == pytest.approx(0.9761, abs=5e-5)
    assert result.recall == pytest.approx(0.9795, abs=5e-5)
    assert result.f1 == pytest.approx(0.9778, abs=5e-5)
    assert result.accuracy == 590 / 603


def test_a_trial_on_the_threshold_is_called_spoof() -> None:
    assert confusion_at([0.0], [Label.BONAFIDE], 0.5) == Confusion(0, 1, 0, 0)


def test_far_out_scores_do_not_overflow() -> None:
    assert confusion_at([1e308, -1e308], [1, 0]) == Confusion(1, 0, 0, 1)


@pytest.mark.parametrize(
    ("counts", "rates"),
    [
        (Confusion(3, 0, 2, 0), (0.6, 0.0, 0.0, 0.0)),  # nothing was called spoof
        (Confusion(3, 1, 0, 0), (0.75, 0.0, 0.0, 0.0)),  # there is no spoof
        (Confusion(4, 0, 0, 0), (1.0, 0.0, 0.0, 0.0)),  # neither
        (Confusion(0, 0, 0, 0), (0.0, 0.0, 0.0, 0.0)),  # no trial at all
        (Confusion(2, 0, 0, 5), (1.0, 1.0, 1.0, 1.0)),  # perfect
        (Confusion(0, 2, 5, 0), (0.0, 0.0, 0.0, 0.0)),  # reversed
    ],
)
def test_rates_at_the_edges(counts: Confusion, rates: tuple[float, ...]) -> None:
    assert (counts.accuracy, counts.precision, counts.recall, counts.f1) == rates


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(threshold: float) -> None:
    with pytest.raises(MetricError, match="spoof_threshold is"):
        confusion_at([1.0], [1], threshold)


def test_no_trials_are_refused() -> None:
    with pytest.raises(MetricError, match="no trials"):
        confusion_at([], [])
