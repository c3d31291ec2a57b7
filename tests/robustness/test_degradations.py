"""Each degradation does what its name says, measured on what comes out."""

import numpy as np
import pytest
from scipy.signal import welch

from rawnet_jax.data.codecs import has_codec
from rawnet_jax.robustness import degradations

RATE_HZ = 16_000


def speech_like(num_samples: int = 16_000, seed: int = 0) -> np.ndarray:
    """Noise that swells and fades, float32."""
    swell = 0.6 + 0.4 * np.sin(np.linspace(0, 20, num_samples))
    noise = np.random.default_rng(seed).standard_normal(num_samples)
    return (0.05 * swell * noise).astype(np.float32)


def level_db(waveform: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(waveform, dtype=np.float64))))


def band_db(waveform: np.ndarray, low_hz: float, high_hz: float) -> float:
    frequency_hz, density = welch(waveform, RATE_HZ, nperseg=1024)
    return float(10 * np.log10(density[(frequency_hz >= low_hz) & (frequency_hz < high_hz)].mean()))


@pytest.mark.parametrize("snr_db", [20.0, 5.0, 0.0, -3.0])
def test_noise_has_the_ratio_that_was_asked_for(snr_db):
    clean = speech_like()
    noisy = degradations.add_noise(clean, 30 * speech_like(seed=1), snr_db)
    assert noisy.dtype == np.float32
    assert level_db(clean) - level_db(noisy - clean) == pytest.approx(snr_db, abs=0.01)


def test_silence_is_no_noise():
    clean = speech_like()
    np.testing.assert_array_equal(degradations.add_noise(clean, np.zeros(16_000), 0), clean)


def test_room_rings_on_in_place_and_at_the_same_level():
    clean = np.zeros(16_000, np.float32)
    clean[2_000:4_000] = speech_like(2_000)
    response = np.zeros(6_000)
    response[[50, 5_000]] = 1.0, 0.5
    wet = degradations.add_room(clean, response)
    assert level_db(wet) == pytest.approx(level_db(clean), abs=0.01)
    direct = wet[2_000:4_000]
    assert np.corrcoef(direct, clean[2_000:4_000])[0, 1] > 0.999
    echo = wet[6_950:8_950]
    np.testing.assert_allclose(echo, 0.5 * direct, atol=1e-6)
    assert not np.any(np.abs(wet[4_100:6_900]) > 1e-6)


def test_telephone_leaves_its_band():
    clean = speech_like(32_000)
    narrow = degradations.telephone(clean)
    assert len(narrow) == len(clean)
    assert narrow.dtype == np.float32
    change = {
        band: band_db(narrow, *band) - band_db(clean, *band)
        for band in ((50, 150), (500, 3_000), (4_100, 7_900))
    }
    assert abs(change[500, 3_000]) < 0.5
    assert change[50, 150] < -20
    assert change[4_100, 7_900] < -50


def test_mu_law_is_coarse_but_close():
    clean = speech_like()
    back = degradations.mu_law(clean)
    assert 25 < level_db(clean) - level_db(back - clean) < 45
    assert len(np.unique(back)) <= 255


@pytest.mark.skipif(not has_codec("mp3"), reason="this libsndfile cannot encode MP3")
@pytest.mark.parametrize("rate", [64, 32])
def test_mp3_stays_in_time(rate):
    clean = np.convolve(speech_like(20_001), np.ones(8) / 8, "same").astype(np.float32)
    coded = degradations.mp3(clean, rate)
    assert len(coded) == len(clean)
    assert coded.dtype == np.float32
    assert 0.9 < np.corrcoef(coded, clean)[0, 1] < 0.99999


def test_mp3_that_is_missing_says_so(monkeypatch):
    monkeypatch.setattr(degradations, "has_codec", lambda name: False)
    assert "cannot encode MP3" in degradations.why_no_mp3()


def test_peaks_are_clipped_at_a_share_of_the_clips_own():
    clean = speech_like()
    clipped = degradations.clip_peaks(clean, 0.25)
    peak = np.abs(clean).max()
    assert np.abs(clipped).max() == pytest.approx(0.25 * peak)
    quiet = np.abs(clean) < 0.25 * peak
    np.testing.assert_array_equal(clipped[quiet], clean[quiet])


@pytest.mark.parametrize("gain_db", [-20, 20])
def test_gain_changes_the_level_alone(gain_db):
    clean = speech_like() * 10
    louder = degradations.change_gain(clean, gain_db)
    assert level_db(louder) - level_db(clean) == pytest.approx(gain_db, abs=1e-3)
    assert np.abs(degradations.change_gain(clean, 20)).max() > 1  # beyond full scale, not clipped


@pytest.mark.parametrize(("duration_s", "expected"), [(0.5, 8_000), (1, 16_000), (4, 16_000)])
def test_truncation_keeps_the_start(duration_s, expected):
    clean = speech_like()
    np.testing.assert_array_equal(degradations.truncate(clean, duration_s), clean[:expected])


@pytest.mark.parametrize("num_samples", [30, 100, 250])
def test_segment_is_part_of_the_recording(num_samples):
    recording = np.arange(100)
    part = degradations.segment(recording, num_samples, np.random.default_rng(1))
    assert len(part) == num_samples
    np.testing.assert_array_equal(np.diff(part) % 100, 1)
    if num_samples <= 100:
        assert np.all(np.diff(part) == 1)  # a recording that is long enough does not go round
