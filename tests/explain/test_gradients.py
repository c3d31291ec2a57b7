"""Gradients: shares sum to the difference of scores, and lie where a known score looks."""

import numpy as np
import pytest

from rawnet_jax.explain.gradients import integrated_gradients, smooth_gradients
from tests.explain.known import (
    BASELINE,
    PARTS,
    WAVEFORM,
    energy,
    in_band,
    in_span,
    jump,
    linear,
    log_energy,
)

WEIGHTS = np.random.default_rng(4).standard_normal(len(WAVEFORM))
SILENCE = np.zeros_like(WAVEFORM)


@pytest.mark.parametrize("method", [integrated_gradients, smooth_gradients])
def test_of_a_linear_score_shares_are_its_terms(method):
    found = method(WAVEFORM, BASELINE, linear(WEIGHTS).gradient)
    np.testing.assert_allclose(found.samples, WEIGHTS * (WAVEFORM - BASELINE), rtol=1e-4)
    assert found.total == pytest.approx(found.score - found.baseline_score, rel=1e-4)
    assert found.unexplained == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    ("known", "baseline"),
    [
        (energy(in_span(0, 3_000)), BASELINE),
        (energy(in_band(500, 900), -1), SILENCE),
        (log_energy(), BASELINE),
        (log_energy(1e-6), SILENCE),
    ],
    ids=["energy", "minus energy of a band", "log", "log from silence"],
)
def test_integrated_gradients_are_complete(known, baseline):
    found = integrated_gradients(WAVEFORM, baseline, known.gradient)
    gap = found.score - found.baseline_score
    assert found.total == pytest.approx(gap, rel=0.02)
    assert found.num_gradients == known.num_gradients <= 64
    assert found.by_parts(PARTS).sum() == pytest.approx(found.total, rel=1e-4)
    assert found.by_frames().sum() == pytest.approx(found.total, rel=1e-4)


def test_steps_are_put_where_the_score_bends():
    """From silence a logarithm is hard: equal steps miss most of it."""
    known = log_energy(1e-6)
    share = (np.arange(64) + 0.5) / 64
    _, slopes = known.gradient(share[:, None] * WAVEFORM)
    equal = float((slopes.mean(axis=0) * WAVEFORM).sum())
    found = integrated_gradients(WAVEFORM, SILENCE, known.gradient)
    gap = found.score - found.baseline_score
    assert abs(found.unexplained) < 0.1 * abs(gap - equal)
    assert found.num_gradients <= 45


def test_few_gradients_are_used_where_few_will_do():
    known = linear(WEIGHTS)
    integrated_gradients(WAVEFORM, BASELINE, known.gradient)
    assert known.num_gradients == 9
    for most in (2, 5, 11):
        known = log_energy(1e-6)
        found = integrated_gradients(WAVEFORM, SILENCE, known.gradient, max_gradients=most)
        assert found.num_gradients == known.num_gradients == most


def test_a_jump_is_left_over_and_not_given_to_anybody():
    found = integrated_gradients(WAVEFORM, SILENCE, jump(3.0).gradient)
    assert found.total == 0
    assert found.unexplained == 3.0


def test_shares_lie_in_the_span_that_counts():
    found = integrated_gradients(WAVEFORM, BASELINE, energy(in_span(2_000, 2_200)).gradient)
    spans = found.by_parts(PARTS).sum(axis=1)
    assert spans.argmax() == 2
    np.testing.assert_allclose(np.delete(spans, 2), 0, atol=1e-9)
    frames = found.by_frames().sum(axis=1)
    inside = slice(2_000 // 256, 2_200 // 256 + 3)
    assert frames[inside].sum() == pytest.approx(found.total, rel=1e-6)


def test_shares_lie_in_the_band_that_counts():
    found = integrated_gradients(WAVEFORM, BASELINE, energy(in_band(2_200, 2_800)).gradient)
    bands = found.by_parts(PARTS).sum(axis=0)
    assert bands[2] == pytest.approx(found.total, rel=0.01)
    bins = found.by_frames().sum(axis=0)
    bin_hz = np.arange(257) * 31.25
    inside = (bin_hz > 2_100) & (bin_hz < 2_900)
    assert bins[inside].sum() == pytest.approx(found.total, rel=0.02)


def test_smooth_gradients_average_over_copies():
    """The slope of |x| at 0 is a matter of side; the mean over noise is not."""
    known = linear(WEIGHTS)
    known.slope = np.sign
    found = smooth_gradients(WAVEFORM, BASELINE, known.gradient, num_draws=40, noise_db=0)
    assert found.num_gradients == 40
    small = np.abs(WAVEFORM) < 0.01
    assert np.abs(found.gradient[small]).mean() < 0.3
    assert np.abs(found.gradient[np.abs(WAVEFORM) > 0.25]).mean() > 0.9
    again = smooth_gradients(WAVEFORM, BASELINE, known.gradient, num_draws=40, noise_db=0)
    np.testing.assert_array_equal(found.gradient, again.gradient)
