"""LPC and mel-cepstral vocoders: an all-pole or exponential filter, driven by pulses and noise.

Both are of our own and need no package.
"""

import functools

import numpy as np
from scipy.fft import irfft, rfft
from scipy.linalg import solve_toeplitz
from scipy.signal import get_window, lfilter

from rawnet_jax.copy_synthesis.excitation import excitation
from rawnet_jax.copy_synthesis.pitch import pitch_of
from rawnet_jax.copy_synthesis.spectra import frames_of, overlap_add
from rawnet_jax.copy_synthesis.vocoder import OneOf, Settings

_EXCITATION = (OneOf("hop", (80, 160)), OneOf("noise_from_hz", (3_000, 5_000, 8_000)))
LPC_SETTINGS = (*_EXCITATION, OneOf("order", (10, 12, 16, 20, 24)))
MLSA_SETTINGS = (*_EXCITATION, OneOf("order", (16, 20, 24, 30)))

_WINDOW = 400  # 25 ms
_PRE_EMPHASIS = 0.97
_WHITE = 1e-5  # white noise added to the autocorrelation, so that equations can be solved
_FFT = 1_024
_ALPHA = 0.42  # of the all-pass that stands for the mel scale at 16 kHz
_FRAMES_AT_ONCE = 128
_STEPS = 8
_POWER_FLOOR = 1e-10


def lpc(waveform: np.ndarray, settings: Settings, rng: np.random.Generator) -> np.ndarray:
    """Predict each sample from those before it, and put pulses and noise in place of what is left.

    Autocorrelation method with pre-emphasis (Makhoul, "Linear prediction: a tutorial review", Proc.
    IEEE 63 (1975)).

    Args:
        waveform: float32 [n] at 16 kHz.
        settings: see `LPC_SETTINGS`; hop in samples.
        rng: draws the noise.

    Returns:
        float64 [n].
    """
    hop, order = int(settings["hop"]), int(settings["order"])
    flat = lfilter([1.0, -_PRE_EMPHASIS], [1.0], np.asarray(waveform, np.float64))
    frames = frames_of(flat, _WINDOW, hop) * _window()
    spectrum = rfft(frames, _FFT)
    correlation = irfft(np.abs(spectrum) ** 2, _FFT)[:, : order + 1] / np.sum(_window() ** 2)
    drive = _driven(waveform, settings, rng)
    made = np.empty(len(waveform))
    state = np.zeros(order)
    for frame, row in enumerate(correlation):
        # Frame i is in charge of the samples nearest to its middle.
        piece = slice(max(0, frame * hop - hop // 2), min(len(made), frame * hop + hop - hop // 2))
        row[0] = row[0] * (1.0 + _WHITE) + _POWER_FLOOR
        taps = solve_toeplitz(row[:-1], row[1:])
        gain = np.sqrt(max(row[0] - taps @ row[1:], 0.0))
        poles = np.concatenate([[1.0], -taps])
        made[piece], state = lfilter([1.0], poles, gain * drive[piece], zi=state)
    return np.asarray(lfilter([1.0], [1.0, -_PRE_EMPHASIS], made))


def mlsa(waveform: np.ndarray, settings: Settings, rng: np.random.Generator) -> np.ndarray:
    """Fit mel-cepstra to short-time spectra, and filter pulses and noise with them.

    The spectral model and its criterion are those of Fukada et al., "An adaptive algorithm for
    mel-cepstral analysis of speech", ICASSP 1992. The MLSA filter's transfer function is taken as
    it is, frame by frame, where the filter itself has a Padé approximation of it.

    Args:
        waveform: float32 [n] at 16 kHz.
        settings: see `MLSA_SETTINGS`; hop in samples.
        rng: draws the noise.

    Returns:
        float64 [n].
    """
    hop, order = int(settings["hop"]), int(settings["order"])
    samples = np.asarray(waveform, np.float64)
    frames = frames_of(samples, _WINDOW, hop) * _window()
    power = np.abs(rfft(frames, _FFT)) ** 2 / np.sum(_window() ** 2) + _POWER_FLOOR
    cepstra = np.concatenate(
        [
            _mel_cepstra(power[at : at + _FRAMES_AT_ONCE], order)
            for at in range(0, len(power), _FRAMES_AT_ONCE)
        ]
    )
    response = np.exp(cepstra @ np.exp(-1j * _warped_powers(order)))
    # Overlapping pieces of the excitation, each through the filter of its frame.
    pieces = frames_of(_driven(waveform, settings, rng), 2 * hop, hop) * get_window("hann", 2 * hop)
    made = overlap_add(irfft(rfft(pieces, _FFT) * response, _FFT), hop)
    return made[hop : hop + len(samples)]


def _driven(waveform: np.ndarray, settings: Settings, rng: np.random.Generator) -> np.ndarray:
    hop = int(settings["hop"])
    f0 = pitch_of(waveform, hop)
    return excitation(f0, hop, len(waveform), float(settings["noise_from_hz"]), rng)


def _mel_cepstra(power: np.ndarray, order: int) -> np.ndarray:
    """Return cepstra [F, order + 1] whose spectra are nearest to power [F, K].

    Newton's method on the mean of I / D + log D, I the power and D the model's, which is convex.
    """
    phase = _warped_powers(order)
    basis = 2.0 * np.cos(phase)
    weight = np.full(power.shape[1], 2.0)
    weight[[0, -1]] = 1.0
    weight /= weight.sum()
    # Least squares on the logarithm is a start from which no step overshoots for long.
    fit = np.linalg.pinv(basis * np.sqrt(weight)) * np.sqrt(weight)[:, None]
    cepstra = np.log(power) @ fit
    eye = 1e-8 * np.eye(order + 1)
    for _ in range(_STEPS):
        ratio = np.exp(np.clip(np.log(power) - cepstra @ basis, -30.0, 30.0)) * weight
        slope = (weight - ratio) @ basis.T
        curve = (ratio[:, None, :] * basis) @ basis.T + eye
        step = np.linalg.solve(curve, slope[..., None])[..., 0]
        # A model far below the power has a curve so steep that the step is short, never long; far
        # above it the curve vanishes, and the step is bounded.
        largest = np.max(np.abs(step), axis=1, keepdims=True)
        cepstra = cepstra - step / np.maximum(largest, 1.0)
    return cepstra


@functools.lru_cache
def _warped_powers(order: int) -> np.ndarray:
    """Return m times the warped frequency [order + 1, K], m = 0 … order."""
    omega = np.linspace(0.0, np.pi, _FFT // 2 + 1)
    warped = omega + 2.0 * np.arctan2(_ALPHA * np.sin(omega), 1.0 - _ALPHA * np.cos(omega))
    return np.arange(order + 1)[:, None] * warped


@functools.lru_cache
def _window() -> np.ndarray:
    return np.asarray(get_window("hann", _WINDOW))
