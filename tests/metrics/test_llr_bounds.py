"""Bounds of likelihood ratios against a slow search over priors, and calibrations within them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawnet_jax.errors import DataError
from rawnet_jax.metrics.calibration import (
    AffineCalibration,
    calibration_from_dict,
    fit_affine,
    fit_calibration,
)
from rawnet_jax.metrics.llr_bounds import llr_bounds


def is_better(t: float, bonafide: np.ndarray, spoof: np.ndarray) -> bool:
    """Say whether deciding by the ratio errs less than not looking, at prior odds 1 / t."""
    misses = np.append(bonafide, -np.inf)
    alarms = np.append(spoof, np.inf)
    error = np.mean(misses < np.log(t)) + t * np.mean(alarms >= np.log(t))
    return bool(error < min(1.0, t))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 30), st.floats(-1, 4))
def test_within_the_bounds_looking_is_better_and_just_beyond_it_is_not(
    seed: int, num_bonafide: int, num_spoof: int, shift: float
) -> None:
    rng = np.random.default_rng(seed)
    bonafide, spoof = rng.normal(shift, 1.5, num_bonafide), rng.normal(-shift, 1.5, num_spoof)
    low, high = llr_bounds(bonafide, spoof)
    assert low <= 0 <= high
    inside = np.concatenate([np.linspace(low, 0, 50)[1:-1], np.linspace(0, high, 50)[1:-1]])
    for llr in inside[np.abs(inside) > 1e-9]:
        assert is_better(np.exp(llr), bonafide, spoof), llr
    assert not is_better(np.exp(high + 1e-6), bonafide, spoof)
    assert not is_better(np.exp(low - 1e-6), bonafide, spoof)


def test_separated_trials_support_about_their_number() -> None:
    # Pmiss is 1/101 and Pfa 1/1001, whatever t is: t < (100/101) * 1001, and the reverse.
    low, high = llr_bounds(np.full(100, 50.0), np.full(1000, -50.0))
    assert high == pytest.approx(np.log(1001 * 100 / 101))
    assert low == pytest.approx(-np.log(101 * 1000 / 1001))


def test_ratios_that_say_the_reverse_support_nothing() -> None:
    assert llr_bounds([-3.0, -2.0, -1.0], [1.0, 2.0, 3.0]) == (0.0, 0.0)


@pytest.mark.parametrize("kind", ["affine", "isotonic"])
def test_a_fitted_calibration_never_promises_more(kind: str) -> None:
    rng = np.random.default_rng(0)
    bonafide, spoof = rng.normal(1, 1, 200), rng.normal(-1, 1, 300)
    found = fit_calibration(kind, bonafide, spoof)
    assert found.bounds is not None
    llrs = found.apply([-300.0, 300.0])
    assert tuple(llrs) == found.bounds
    assert 2 < llrs[1] < np.log(301)
    again = calibration_from_dict(found.to_dict())
    np.testing.assert_array_equal(again.apply(bonafide), found.apply(bonafide))
    assert again.bounds == found.bounds


def test_without_bounds_a_line_goes_on() -> None:
    assert fit_affine([1.0, 2.0, 0.5], [-1.0, 0.6, -2.0]).apply([300.0])[0] > 100


@pytest.mark.parametrize("bounds", [[1.0, 2.0], [float("nan"), 1.0], [0.0], "ab"])
def test_damaged_bounds_are_refused(bounds: object) -> None:
    record = AffineCalibration(1.0, 0.0, 0.5, 3, 3).to_dict() | {"bounds": bounds}
    with pytest.raises(DataError, match="calibration"):
        calibration_from_dict(record)
