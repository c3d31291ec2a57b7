"""Short-time spectra and their inverse: NumPy, for single clips on the host."""

import functools
from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, rfft
from scipy.signal import get_window


def frames_of(waveform: np.ndarray, length: int, hop: int) -> np.ndarray:
    """Return overlapping pieces [1 + ceil(n / hop), length]; piece i is centred on sample i hop.

    There are zeros before the waveform [n] and behind it.
    """
    num_frames = 1 + -(-len(waveform) // hop)
    padded = np.zeros((num_frames - 1) * hop + length, waveform.dtype)
    padded[length // 2 : length // 2 + len(waveform)] = waveform
    return np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]


def overlap_add(frames: np.ndarray, hop: int) -> np.ndarray:
    """Sum pieces [F, length], each `hop` samples after the one before, to [(F - 1) hop + length].

    The end may have up to `hop` zeros more.
    """
    num_frames, length = frames.shape
    num_blocks = -(-length // hop)
    blocks = np.zeros((num_frames, num_blocks * hop))
    blocks[:, :length] = frames
    blocks = blocks.reshape(num_frames, num_blocks, hop)
    total = np.zeros((num_frames + num_blocks - 1, hop))
    for block in range(num_blocks):
        total[block : block + num_frames] += blocks[:, block]
    return total.ravel()


@dataclass(frozen=True, slots=True)
class Stft:
    """A short-time Fourier transform with a Hann window, and its least-squares inverse.

    Source of the inverse: Griffin and Lim, "Signal estimation from modified short-time Fourier
    transform", IEEE TASSP 32 (1984).

    Attributes:
        window: samples.
        hop: samples; at most half the window.
        fft: samples, at least the window.
    """

    window: int
    hop: int
    fft: int

    def spectrum(self, waveform: np.ndarray) -> np.ndarray:
        """Return complex128 [F, fft // 2 + 1] of a waveform [n]."""
        frames = frames_of(np.asarray(waveform, np.float64), self.window, self.hop)
        return np.asarray(rfft(frames * _hann(self.window), self.fft))

    def waveform(self, spectrum: np.ndarray, num_samples: int) -> np.ndarray:
        """Return float64 [num_samples] whose spectrum is nearest to complex [F, fft // 2 + 1]."""
        frames = irfft(spectrum, self.fft)[:, : self.window]
        return self.joined(frames, num_samples)

    def joined(self, frames: np.ndarray, num_samples: int) -> np.ndarray:
        """Return float64 [num_samples] whose windowed pieces are nearest to frames [F, window]."""
        window = _hann(self.window)
        total = overlap_add(frames * window, self.hop)
        weight = overlap_add(np.broadcast_to(window**2, frames.shape), self.hop)
        start = self.window // 2
        kept = slice(start, start + num_samples)
        return total[kept] / np.maximum(weight[kept], 1e-3)


@functools.lru_cache
def _hann(length: int) -> np.ndarray:
    return np.asarray(get_window("hann", length))
