"""Scores of which it is known what moves them: plain functions, with their gradients."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from rawnet_jax.explain.parts import make_parts

LENGTH = 4_000
EDGES_HZ = (0, 1000, 2000, 3000, 4000, 8000)
PARTS = make_parts(LENGTH, 5, EDGES_HZ)
NOISE = (0.1 * np.random.default_rng(0).standard_normal((2, LENGTH))).astype(np.float32)
WAVEFORM, BASELINE = NOISE[0], 0.05 * NOISE[1]


@dataclass
class Known:
    """A score of one waveform [n], and its gradient."""

    one: Callable[[np.ndarray], float]
    slope: Callable[[np.ndarray], np.ndarray]
    num_scored: int = 0
    num_gradients: int = 0

    def score(self, waveforms: Iterable[np.ndarray]) -> np.ndarray:
        scores = [self.one(waveform.astype(np.float64)) for waveform in waveforms]
        self.num_scored += len(scores)
        return np.array(scores)

    def gradient(self, waveforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.num_gradients += len(waveforms)
        slopes = [self.slope(waveform.astype(np.float64)) for waveform in waveforms]
        return self.score(waveforms), np.stack(slopes)


def linear(weights: np.ndarray) -> Known:
    """The simplest network of all."""
    return Known(lambda x: float(weights @ x), lambda x: weights)


def energy(chosen: Callable[[np.ndarray], np.ndarray], sign: float = 1.0) -> Known:
    """Hears the energy of what a linear, symmetric filter leaves, and nothing else."""
    return Known(
        lambda x: sign * float(np.sum(chosen(x) ** 2)), lambda x: 2 * sign * chosen(chosen(x))
    )


def log_energy(floor: float = 1e-9) -> Known:
    """As a front end with a logarithm: all happens close to silence."""
    return Known(
        lambda x: float(np.log10(np.sum(x**2) + floor)),
        lambda x: 2 * x / (np.sum(x**2) + floor) / np.log(10),
    )


def jump(size: float = 3.0) -> Known:
    """Leaps by a size half way, and has no slope anywhere."""
    half = float(np.sum(WAVEFORM.astype(np.float64) ** 2)) / 4
    return Known(lambda x: size * float(np.sum(x**2) > half), np.zeros_like)


def in_span(low: int, high: int) -> Callable[[np.ndarray], np.ndarray]:
    """Keeps the samples of a span."""
    place = np.arange(LENGTH)
    return lambda x: np.where((place >= low) & (place < high), x, 0)


def in_band(low_hz: float, high_hz: float) -> Callable[[np.ndarray], np.ndarray]:
    """Keeps the sharp band of a waveform that is taken for a period."""
    bin_hz = np.fft.rfftfreq(LENGTH, 1 / 16_000)
    kept = (bin_hz >= low_hz) & (bin_hz < high_hz)
    return lambda x: np.fft.irfft(np.fft.rfft(x) * kept, LENGTH)
