"""What vocoders are made of: short-time spectra, filter banks, pitch, excitation."""

import numpy as np
import pytest

from rawnet_jax.copy_synthesis import source_filter
from rawnet_jax.copy_synthesis.excitation import excitation
from rawnet_jax.copy_synthesis.pitch import pitch_of
from rawnet_jax.copy_synthesis.spectra import Stft, frames_of, overlap_add
from rawnet_jax.dsp.mel_bank import mel_bank
from tests.copy_synthesis.voices import voice


@pytest.mark.parametrize("num_samples", [1, 160, 1_000, 1_024])
@pytest.mark.parametrize(
    ("window", "hop", "fft"), [(320, 80, 320), (400, 100, 512), (512, 64, 512)]
)
def test_the_inverse_gives_the_waveform_back(num_samples, window, hop, fft):
    waveform = np.random.default_rng(0).standard_normal(num_samples)
    stft = Stft(window, hop, fft)
    spectrum = stft.spectrum(waveform)
    assert spectrum.shape == (1 + -(-num_samples // hop), fft // 2 + 1)
    np.testing.assert_allclose(stft.waveform(spectrum, num_samples), waveform, atol=1e-10)


def test_frames_are_centred_and_add_up():
    frames = frames_of(np.arange(1.0, 11.0), 4, 5)
    np.testing.assert_array_equal(frames, [[0, 0, 1, 2], [4, 5, 6, 7], [9, 10, 0, 0]])
    np.testing.assert_array_equal(overlap_add(np.ones((3, 3)), 2), [1, 1, 2, 1, 2, 1, 1, 0])


def test_mel_banks_have_their_scale_and_area():
    htk = mel_bank(16_000, 2_048, 40, 0.0, 8_000.0, "htk", False)
    assert htk.shape == (40, 1_025)
    assert np.all(htk.max(axis=1) > 0.8)
    slaney = mel_bank(16_000, 2_048, 80, 0.0, 8_000.0, "slaney", True)
    # Below 1 kHz bands are equally far apart; area 1 in Hz, of which a bin has 7.8.
    peaks = np.argmax(slaney, axis=1) * 8_000 / 1_024
    low = np.diff(peaks[peaks < 900])
    assert np.ptp(low) <= 8_000 / 1_024 + 1e-9
    np.testing.assert_allclose(slaney.sum(axis=1) * 8_000 / 1_024, 1.0, rtol=0.05)
    # 80 bands to 8 kHz: 45.245640471924965 mel in 81 steps, 200 / 3 Hz each at first.
    assert peaks[0] == pytest.approx(45.245640471924965 / 81 * 200 / 3, abs=4.0)


@pytest.mark.parametrize("f0_hz", [80.0, 140.0, 233.0, 370.0])
def test_pitch_of_a_vowel(f0_hz):
    f0 = pitch_of(voice(f0_hz, 8_000), 80)
    assert len(f0) == 101
    inside = f0[5:-5]
    assert np.mean(inside > 0) > 0.95
    np.testing.assert_allclose(np.median(inside[inside > 0]), f0_hz, rtol=0.01)


def test_noise_and_silence_have_no_pitch():
    noise = np.random.default_rng(0).standard_normal(8_000)
    assert np.mean(pitch_of(noise, 80) > 0) < 0.05
    assert not np.any(pitch_of(np.zeros(2_000), 80))


def test_pitch_is_where_the_voice_is():
    half = np.concatenate([np.zeros(8_000, np.float32), voice(140.0, 8_000)])
    f0 = pitch_of(half, 80)
    assert not np.any(f0[:95])
    assert np.all(f0[105:195] > 0)


def test_pulses_come_at_the_pitch_and_have_the_power_of_noise():
    rng = np.random.default_rng(0)
    f0 = np.concatenate([np.full(100, 125.0), np.zeros(101)])
    signal = excitation(f0, 80, 16_000, 8_000.0, rng)
    pulses = np.flatnonzero(signal[:7_900] > 1.0)
    np.testing.assert_array_equal(np.diff(pulses), 128)
    assert np.mean(signal[:7_900] ** 2) == pytest.approx(1.0, rel=0.05)
    assert abs(np.mean(signal[:7_900])) < 2e-3
    assert np.mean(signal[8_100:] ** 2) == pytest.approx(1.0, rel=0.05)
    mixed = excitation(f0, 80, 16_000, 3_000.0, rng)
    assert np.mean(mixed[:7_900] ** 2) == pytest.approx(1.0, rel=0.1)


def test_mel_cepstra_are_over_the_all_pass_of_their_warping():
    delay = np.exp(-1j * np.linspace(0.0, np.pi, 513))
    all_pass = (delay - 0.42) / (1.0 - 0.42 * delay)
    powers = np.exp(-1j * source_filter._warped_powers(3))
    np.testing.assert_allclose(powers, all_pass ** np.arange(4)[:, None], atol=1e-12)


def test_mel_cepstra_of_a_spectrum_that_has_them_are_found():
    wanted = 0.3 * np.random.default_rng(0).standard_normal((2, 9))
    power = np.exp(2.0 * wanted @ np.cos(source_filter._warped_powers(8)))
    np.testing.assert_allclose(source_filter._mel_cepstra(power, 8), wanted, atol=1e-5)


def test_mel_cepstra_of_a_periodogram_have_its_power_and_not_its_mean_logarithm():
    rng = np.random.default_rng(0)
    power = rng.exponential(1.0, (8, 513))
    found = source_filter._mel_cepstra(power, 8)
    # The mean of the logarithm of exponential noise is 2.5 dB below the power.
    assert np.mean(2.0 * found[:, 0]) == pytest.approx(0.0, abs=0.1)
