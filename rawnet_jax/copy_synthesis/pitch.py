"""Pitch of a voice over time, for vocoders that need no package.

Autocorrelation over that of the window: Boersma, "Accurate short-term analysis of the fundamental
frequency and the harmonics-to-noise ratio of a sampled sound", IFA Proceedings 17 (1993).
"""

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import get_window, medfilt

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.copy_synthesis.spectra import frames_of

LOW_HZ, TOP_HZ = 60.0, 400.0

_WINDOW = 3 * int(SAMPLE_RATE_HZ / LOW_HZ)  # three periods of the lowest voice
_VOICED = 0.45  # height of the peak from which a frame is voiced
_SILENT = 0.02  # share of the loudest frame's RMS below which none is
_OCTAVE_COST = 0.02  # a peak at half the lag may be this much lower
_SMOOTHED_FRAMES = 5


def pitch_of(waveform: np.ndarray, hop: int) -> np.ndarray:
    """Return the pitch in Hz every `hop` samples, 0 where there is no voice.

    Args:
        waveform: float [n] at 16 kHz.
        hop: samples.

    Returns:
        float64 [1 + ceil(n / hop)]; frame i is centred on sample i hop.
    """
    window = np.asarray(get_window("hann", _WINDOW))
    frames = np.array(frames_of(np.asarray(waveform, np.float64), _WINDOW, hop))
    frames = (frames - frames.mean(axis=1, keepdims=True)) * window
    energy = np.sum(frames**2, axis=1, keepdims=True)
    first, last = int(SAMPLE_RATE_HZ / TOP_HZ), int(SAMPLE_RATE_HZ / LOW_HZ)
    likeness = _autocorrelation(frames, last + 2) / np.maximum(energy, 1e-12)
    likeness /= _autocorrelation(window[None], last + 2) / np.sum(window**2)
    lags = np.arange(first, last + 1)
    middle = likeness[:, lags]
    is_peak = (middle > likeness[:, lags - 1]) & (middle >= likeness[:, lags + 1])
    worth = np.where(is_peak, middle - _OCTAVE_COST * np.log2(lags / first), -1.0)
    best = np.argmax(worth, axis=1)
    rows = np.arange(len(frames))
    lag, height = _refined(likeness, rows, lags[best])
    loud = energy[:, 0] > _SILENT**2 * energy.max()
    voiced = (worth[rows, best] > 0.0) & (height > _VOICED) & loud
    return _smoothed(np.where(voiced, SAMPLE_RATE_HZ / lag, 0.0))


def _autocorrelation(frames: np.ndarray, num_lags: int) -> np.ndarray:
    size = next_fast_len(frames.shape[1] + num_lags, real=True)
    return np.asarray(irfft(np.abs(rfft(frames, size)) ** 2, size)[:, :num_lags])


def _refined(
    likeness: np.ndarray, rows: np.ndarray, lag: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return place and height of the parabolas through each peak and its neighbours."""
    before, here, after = (likeness[rows, lag + step] for step in (-1, 0, 1))
    curve = np.minimum(before - 2.0 * here + after, -1e-12)
    shift = np.clip(0.5 * (before - after) / curve, -0.5, 0.5)
    return lag + shift, here - 0.25 * (before - after) * shift


def _smoothed(f0: np.ndarray) -> np.ndarray:
    """Remove jumps and gaps of a frame or two."""
    if len(f0) < _SMOOTHED_FRAMES:
        return f0
    return np.asarray(medfilt(f0, _SMOOTHED_FRAMES))
