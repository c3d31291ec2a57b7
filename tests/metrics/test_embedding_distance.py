"""The distance of embeddings from training, and the bound on it."""

import numpy as np
import pytest

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.outlier import EmbeddingDistance, fit_distance, upper_bound


def two_classes(num: int = 4_000, width: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(num) % 2
    rows = rng.standard_normal((num, width)) * np.arange(1, width + 1)
    rows[:, 0] += 40 * labels
    return rows, labels


def test_it_is_mahalanobis_to_the_nearer_class():
    rows, labels = two_classes()
    measure = fit_distance(rows, labels)
    assert np.sqrt(np.mean(measure(rows) ** 2)) == pytest.approx(1, abs=0.01)
    # Class means apart: (0, 0, ...) and (40, 0, ...); deviations 1 to 6.
    far = np.zeros((3, 6))
    far[0, 0], far[1, 0], far[2, 5] = 45.0, 20.0, -60.0
    expected = np.array([5.0, 20.0, 10.0]) / np.sqrt(6)
    np.testing.assert_allclose(measure(far), expected, rtol=0.03)


def test_the_rest_shares_one_variance():
    rows, labels = two_classes()
    measure = fit_distance(rows, labels, max_directions=2)
    assert measure.directions.shape == (6, 2)
    np.testing.assert_allclose(1 / measure.weights, [36, 25], rtol=0.1)
    assert 1 / measure.rest == pytest.approx(np.mean([1, 4, 9, 16]), rel=0.1)
    far = np.zeros((1, 6))
    far[0, 1] = 30.0  # a direction of the rest
    assert measure(far)[0] == pytest.approx(30 / np.sqrt(7.5 * 6), rel=0.05)


def test_a_direction_in_which_training_never_moved_is_far_but_finite():
    rows, labels = two_classes()
    rows = np.concatenate([rows, np.zeros((len(rows), 1))], axis=1)
    measure = fit_distance(rows, labels)
    moved = np.zeros((1, 7))
    moved[0, 6] = 5.0
    assert np.isfinite(measure(moved)).all()
    assert measure(moved)[0] > 5


def test_classes_weigh_the_same_and_rows_that_are_not_finite_are_left_out():
    rows, labels = two_classes()
    many = np.concatenate([rows, rows[labels == 0], np.full((3, 6), np.nan)])
    of_many = np.concatenate([labels, np.zeros((labels == 0).sum()), [1, 1, 0]])
    one, other = fit_distance(rows, labels), fit_distance(many, of_many)
    np.testing.assert_allclose(one(rows[:50]), other(rows[:50]), rtol=1e-5)


def test_fewer_trials_than_directions_will_do():
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((10, 64))
    measure = fit_distance(rows, np.arange(10) % 2)
    found = measure(np.concatenate([rows, 100 * rng.standard_normal((2, 64)), [[np.nan] * 64]]))
    assert (found[:10] < found[10:12].min()).all()
    assert np.isnan(found[12])


@pytest.mark.parametrize("rows", [np.zeros((0, 3)), np.ones((1, 3)), np.ones((8, 3))])
def test_too_little_to_fit_on_is_one_line(rows):
    with pytest.raises(MetricError, match=r"embeddings of .* training trials"):
        fit_distance(rows, np.zeros(len(rows)))


@pytest.mark.parametrize(("share", "expected"), [(0.01, 98.0), (0.1, 89.0), (0.299, 70.0)])
def test_no_more_than_the_share_lies_beyond_the_bound(share, expected):
    distance = np.random.default_rng(0).permutation(100).astype(float)
    bound = upper_bound(distance, share)
    assert bound == expected
    assert np.mean(distance > bound) <= share


def test_what_is_not_finite_lies_beyond():
    assert upper_bound(np.array([1.0, np.nan, 3.0, np.inf]), 0.5) == 3.0
    with pytest.raises(MetricError, match="must be finite"):
        upper_bound(np.array([1.0, np.nan, np.nan, np.inf]), 0.5)


@pytest.mark.parametrize("num", [0, 1, 99])
def test_a_share_of_too_few_clips_is_one_line(num):
    with pytest.raises(MetricError, match=rf"^{num} clips .* at a share of 0.01 .* at least 100$"):
        upper_bound(np.arange(num), 0.01)


def test_it_is_computed_without_loss_far_away():
    """A leading direction of a variance a million times the rest's."""
    measure = EmbeddingDistance(
        np.zeros((1, 3), np.float32), np.eye(3, 1, dtype=np.float32), np.ones(1, np.float32), 1e6
    )
    assert measure(np.array([[1e4, 0, 0]]))[0] == pytest.approx(1e4 / np.sqrt(3), rel=1e-9)
