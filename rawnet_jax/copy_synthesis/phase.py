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
    """Make each frame even around its middle: float64 [n] of float32 [n]."""
    stft = _stft(settings)
    frames = irfft(np.abs(stft.spectrum(waveform)), stft.fft)
    return stft.joined(np.roll(frames, stft.window // 2, axis=1), len(waveform))


def minimum_phase(
    waveform: np.ndarray, settings: Settings, _rng: np.random.Generator
) -> np.ndarray:
    """Make each frame a response that starts at its middle: float64 [n] of float32 [n].

    The phase is that of the folded cepstrum (Oppenheim and Schafer, "Discrete-time signal
    processing").
    """
    stft = _stft(settings)
    magnitude = np.abs(stft.spectrum(waveform))
    cepstrum = irfft(np.log(np.maximum(magnitude, 1e-6)), stft.fft)
    half = stft.fft // 2
    cepstrum[:, 1:half] *= 2.0
    cepstrum[:, half + 1 :] = 0.0
    frames = irfft(np.exp(rfft(cepstrum)), stft.fft)
    return stft.joined(np.roll(frames, stft.window // 2, axis=1), len(waveform))


def _stft(settings: Settings) -> Stft:
    window = int(settings["window"])
    return Stft(window, window // int(settings["overlap"]), window)
