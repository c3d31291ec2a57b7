"""Sinc filter banks against the published ones, and filtering against a plain loop."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.dsp.filtering import filtered
from rawnet_jax.dsp.filters import (
    BAND_EDGES_HZ,
    bank_named,
    inverse_mel_edges_hz,
    s1_mel_edges_hz,
    s2_inverse_mel_edges_hz,
    sinc_bank,
)

# Name in the reference data -> name here, filters, taps, bands that are stored.
PUBLISHED = {
    "s1_mel": ("s1_mel", 128, 129, (0, 127)),
    "s2_inverse_mel": ("s2_inverse_mel", 128, 129, (0, 127)),
    "s3_linear": ("s3_linear", 128, 129, (0, 127)),
    "rawnet2_2021": ("mel", 20, 1025, (0, 19)),
    "aasist": ("mel", 70, 129, (0, 69)),
}


@pytest.mark.parametrize("published", PUBLISHED)
def test_bank_matches_the_published_one(shared_data, published):
    about = _about(shared_data, published)
    stored = np.load(shared_data / "parity" / "sinc_filters.npz")
    name, num_filters, num_taps, rows = PUBLISHED[published]
    assert list(rows) == about["rows_stored"]
    edges = BAND_EDGES_HZ[name](num_filters)
    bank = bank_named(name, num_filters, num_taps)
    assert list(bank.shape) == about["shape"]
    assert bank.dtype == np.float32
    assert np.abs(edges - stored[f"{published}.edges_hz"]).max() <= 1e-6
    assert np.abs(bank[list(rows)] - stored[f"{published}.rows"]).max() <= 1e-6
    assert abs(bank.sum(dtype=np.float64) - about["sum"]) <= 1e-5
    assert (bank.astype(np.float64) ** 2).sum() == pytest.approx(about["sum_of_squares"], rel=1e-4)
    assert np.abs(bank).max() == pytest.approx(about["max_abs"], abs=1e-6)
    if f"{published}.full" in stored:
        assert np.abs(bank - stored[f"{published}.full"]).max() <= 1e-6


def test_every_published_bank_is_compared(shared_data):
    assert set(PUBLISHED) == {row["bank"] for row in _fixture(shared_data)["banks"]}


def test_published_inverse_mel_is_mel_in_reverse_order():
    """The quirk: bandwidths are those of S1, 1 Hz lower, and the filters carry a minus sign."""
    s1, s2 = s1_mel_edges_hz(16), s2_inverse_mel_edges_hz(16)
    np.testing.assert_allclose(s2[:-1], s1[:0:-1] - 1.0)
    assert s2[-1] == 1.0  # |0 - 1|
    np.testing.assert_allclose(np.diff(s2)[:-1], -np.diff(s1)[:0:-1])
    mel, inverse = bank_named("s1_mel", 16, 65), bank_named("s2_inverse_mel", 16, 65)
    # Band 0 gets narrower by the |.|, the others only move by 1 Hz.
    np.testing.assert_allclose(inverse[:-1], -mel[:0:-1], atol=5e-4)
    assert np.abs(mel[1:]).max() > 1e-2


def test_inverse_mel_is_narrow_at_high_frequency():
    s1, inverse = s1_mel_edges_hz(16), inverse_mel_edges_hz(16)
    np.testing.assert_allclose(np.diff(inverse), np.diff(s1)[::-1])
    assert (np.diff(np.diff(inverse)) < 0).all()
    assert inverse[-1] == 8000.0


@pytest.mark.parametrize("name", BAND_EDGES_HZ)
def test_a_filter_passes_its_band_and_stops_the_others(name):
    num_filters, num_taps = 6, 1025
    edges = BAND_EDGES_HZ[name](num_filters)
    n = np.arange(num_taps) - num_taps // 2
    centres_hz = (edges[1:] + edges[:-1]) / 2
    tones = np.cos(2 * np.pi * centres_hz[:, None] * n / 16_000)
    gain = np.abs(bank_named(name, num_filters, num_taps) @ tones.T)
    np.testing.assert_allclose(gain, np.eye(num_filters), atol=0.01)


def test_unfit_requests_are_refused():
    with pytest.raises(ValueError, match="'gammatone' is none of mel, s1_mel"):
        bank_named("gammatone", 4, 9)
    with pytest.raises(ValueError, match="at least 1 filter, not 0"):
        bank_named("mel", 0, 9)
    with pytest.raises(ValueError, match="odd number of taps, not 8"):
        sinc_bank(np.array([0.0, 1000.0]), 8)


@pytest.mark.parametrize("num_taps", [31, 601])  # directly; by Fourier transform on a CPU
@pytest.mark.parametrize("num_samples", [601, 1013])
def test_filtering_equals_a_plain_correlation(num_taps, num_samples):
    rng = np.random.default_rng(0)
    # Lopsided on purpose: a symmetric filter cannot show that its taps are reversed.
    bank = rng.standard_normal((3, num_taps)).astype(np.float32)
    waveform = rng.standard_normal((2, num_samples)).astype(np.float32)
    found = jax.jit(lambda x: filtered(x, bank))(waveform)
    wanted = [[np.correlate(row, h, "valid") for h in bank.astype(np.float64)] for row in waveform]
    np.testing.assert_allclose(found, np.moveaxis(np.array(wanted), 1, 2), atol=2e-4)


def test_the_transform_is_chosen_for_long_filters_on_a_cpu():
    def program(num_taps):
        bank = np.ones((2, num_taps), np.float32)
        return jax.jit(lambda x: filtered(x, bank)).lower(jnp.zeros((1, 700))).as_text()

    assert "stablehlo.fft" not in program(129)
    assert "stablehlo.fft" in program(513)
    assert "stablehlo.convolution" not in program(513)


def _fixture(shared_data):
    return json.loads((shared_data / "parity" / "sinc_filters.json").read_text("utf-8"))


def _about(shared_data, published):
    return next(row for row in _fixture(shared_data)["banks"] if row["bank"] == published)
