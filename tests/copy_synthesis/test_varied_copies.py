"""What is varied about the copies of a trained vocoder: envelope, band, rate."""

import numpy as np

from rawnet_jax.copy_synthesis import trained_vocoder
from rawnet_jax.copy_synthesis.equalised import equalised
from rawnet_jax.copy_synthesis.trained_vocoder import in_band
from tests.copy_synthesis.voices import log_spectral_distance

RNG = np.random.default_rng(0)
SOURCE = 0.1 * RNG.standard_normal(16_000)
OTHER = 0.1 * RNG.standard_normal(16_000)


def coloured(signal: np.ndarray) -> np.ndarray:
    """Return a signal with other levels of its bands, which move with time."""
    moving = 1.0 + 0.8 * np.sin(2 * np.pi * 2.0 * np.arange(len(signal)) / 16_000)
    return np.asarray(np.convolve(signal, [0.2, 0.5, 0.2], "same") * moving)


def test_an_equalised_copy_has_the_band_levels_of_its_source():
    copy = coloured(OTHER)
    before = log_spectral_distance(SOURCE, copy)
    half, whole = (log_spectral_distance(SOURCE, equalised(SOURCE, copy, 40, s)) for s in (0.5, 1))
    assert whole < half < before
    assert whole < log_spectral_distance(SOURCE, OTHER) + 0.5
    np.testing.assert_allclose(equalised(SOURCE, copy, 40, 0.0), copy, atol=1e-3)


def test_a_copy_in_one_band_is_its_source_elsewhere():
    mixed = in_band(SOURCE, OTHER, 0.25, 0.5)  # 3 to 5 kHz
    hz = np.fft.rfftfreq(16_000, 1 / 16_000)
    got, source, copy = (np.fft.rfft(signal) for signal in (mixed, SOURCE, OTHER))
    inside, outside = (hz > 3100) & (hz < 4900), (hz < 2900) | (hz > 5100)
    np.testing.assert_allclose(got[inside], copy[inside], atol=1e-8)
    np.testing.assert_allclose(got[outside], source[outside], atol=1e-8)
    assert in_band(SOURCE, OTHER, 1.0, 0.3) is OTHER


def test_a_vocoder_at_another_rate_hears_a_longer_recording():
    heard = []

    class Echo:
        def copy(self, waveform: np.ndarray) -> np.ndarray:
            heard.append(len(waveform))
            return waveform

    tone = np.sin(2 * np.pi * 440 * np.arange(8_000) / 16_000).astype(np.float32)
    found = trained_vocoder._at_rate(Echo(), tone, 1.5)
    assert heard == [12_000]
    assert found.shape == tone.shape
    np.testing.assert_allclose(found[500:-500], tone[500:-500], atol=1e-3)
