"""Magnitudes of short-time spectra kept, phases replaced."""

import numpy as np
from scipy.fft import irfft, rfft

from rawnet_jax.copy_synthesis.spectra import Stft
from rawnet_jax.copy_synthesis.vocoder import Between, OneOf, Settings

_FRAME = (OneOf("window", (320, 512, 1024)), OneOf("overlap", (4, 8)))
RANDOM_SETTINGS = (*_FRAME, Between("strength", 0.4, 1.0))
FIXED_SETTINGS = _FRAME


def random_phase(waveform: np.ndarray, settings: Settings, rng: np.random.Generator) -> np.ndarray:
    """Turn each phase by up to ± `strength` half turns, each for itself.

    Args:
        waveform: float32 [n].
        settings: see `RANDOM_SETTINGS`.
        rng: draws the angles.

    Returns:
        float64 [n].
    """
    stft = _stft(settings)
    spectrum = stft.spectrum(waveform)
    angle = np.pi * float(settings["strength"]) * rng.uniform(-1.0, 1.0, spectrum.shape)
    return stft.waveform(spectrum * np.exp(1j * angle), len(waveform))


def zero_phase(waveform: np.ndarray, settings: Settings, _rng: np.random.Generator) -> np.ndarray:
    """Return float64 [n] of float32 [n], each frame of it even around its middle."""
    stft = _stft(settings)
    return stft.joined(even_frames(np.abs(stft.spectrum(waveform))), len(waveform))


def minimum_phase(
    waveform: np.ndarray, settings: Settings, _rng: np.random.Generator
) -> np.ndarray:
    """Return float64 [n] of float32 [n], each frame of it a response from its middle on."""
    stft = _stft(settings)
    return stft.joined(response_frames(np.abs(stft.spectrum(waveform))), len(waveform))


def even_frames(magnitude: np.ndarray) -> np.ndarray:
    """Return frames [F, 2 (K - 1)] of magnitudes [F, K], even around their middle."""
    fft = 2 * (magnitude.shape[1] - 1)
    return np.roll(irfft(magnitude, fft), fft // 2, axis=1)


def response_frames(magnitude: np.ndarray) -> np.ndarray:
    """Return frames [F, 2 (K - 1)] of magnitudes [F, K], of minimum phase from their middle on.

    By the folded cepstrum (Oppenheim and Schafer, "Discrete-time signal processing").
    """
    half = magnitude.shape[1] - 1
    cepstrum = irfft(np.log(np.maximum(magnitude, 1e-6)), 2 * half)
    cepstrum[:, 1:half] *= 2.0
    cepstrum[:, half + 1 :] = 0.0
    return np.roll(irfft(np.exp(rfft(cepstrum)), 2 * half), half, axis=1)


def _stft(settings: Settings) -> Stft:
    window = int(settings["window"])
    return Stft(window, window // int(settings["overlap"]), window)
