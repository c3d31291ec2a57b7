"""Voices of known pitch and formants for the tests of vocoders."""

import numpy as np
from scipy.signal import lfilter

from rawnet_jax.copy_synthesis.spectra import Stft

FORMANTS_HZ = ((700.0, 80.0), (1_200.0, 100.0), (2_500.0, 150.0), (3_500.0, 200.0))


def voice(f0_hz: float = 140.0, num_samples: int = 12_000, seed: int = 0) -> np.ndarray:
    """Return float32 [num_samples]: a vowel of RMS 0.05, with faint noise."""
    rng = np.random.default_rng(seed)
    turns = np.arange(1, num_samples + 1) * f0_hz / 16_000
    signal = (np.diff(np.floor(turns), prepend=0.0) > 0).astype(np.float64)
    for centre_hz, width_hz in FORMANTS_HZ:
        radius = np.exp(-np.pi * width_hz / 16_000)
        turn = 2 * np.cos(2 * np.pi * centre_hz / 16_000)
        signal = lfilter([1.0], [1.0, -radius * turn, radius**2], signal)
    signal = 0.05 * signal / np.std(signal) + 5e-4 * rng.standard_normal(num_samples)
    return signal.astype(np.float32)


def log_spectral_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean over frames of the RMS difference of levels in dB, 50 dB deep, to 7 kHz."""
    stft = Stft(512, 256, 512)
    levels = [20 * np.log10(np.abs(stft.spectrum(one)[:, :224]) + 1e-9) for one in (first, second)]
    deepest = max(level.max() for level in levels) - 50.0
    difference = np.maximum(levels[0], deepest) - np.maximum(levels[1], deepest)
    return float(np.mean(np.sqrt(np.mean(difference**2, axis=1))))


def envelope_db(waveform: np.ndarray) -> np.ndarray:
    """Return the long-term spectrum in dB, smoothed over 300 Hz, [513] from 0 to 8 kHz."""
    power = np.mean(np.abs(Stft(1_024, 256, 1_024).spectrum(waveform)) ** 2, axis=0)
    return 10 * np.log10(np.convolve(power, np.hanning(21) / 10.0, "same") + 1e-9)
