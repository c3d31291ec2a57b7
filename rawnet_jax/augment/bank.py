"""Recorded noises and impulse responses in one array each, to be drawn from on the device.

NumPy alone, so that reading files needs no JAX. Arrays go to `Chain.apply` as arguments and not as
constants: a program compiled for one bank serves any other of its size.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

_INT16_MAX = 32_767


class NoiseBank(NamedTuple):
    """Noises one after the other, each followed by its own beginning.

    Attributes:
        samples: int16 [S]; every noise has the same peak.
        start: int32 [N], position of each noise in `samples`.
        length: int32 [N], samples of each noise. From any of its samples on, as many follow as the
            bank was made for.
    """

    samples: Any
    start: Any
    length: Any


class ResponseBank(NamedTuple):
    """Impulse responses.

    Attributes:
        taps: float32 [N, K], zeros behind short ones; the direct sound is tap 0, energy is 1.
    """

    taps: Any


class Banks(NamedTuple):
    """What a chain draws from; None where no step needs it."""

    noise: NoiseBank | None = None
    rir: ResponseBank | None = None


def noise_bank(waveforms: Sequence[np.ndarray], num_samples: int) -> NoiseBank:
    """Lay noises out so that a clip's worth can be cut from anywhere in each.

    Args:
        waveforms: float32 [any], 16 kHz, not silent; at least one.
        num_samples: T, samples of a clip. A noise shorter than that is repeated.

    Returns:
        NumPy arrays.
    """
    lengths = np.array([len(waveform) for waveform in waveforms], np.int32)
    extended = [np.resize(_full_scale(w), len(w) + num_samples - 1) for w in waveforms]
    starts = np.cumsum([0, *(len(samples) for samples in extended[:-1])])
    return NoiseBank(np.concatenate(extended), starts.astype(np.int32), lengths)


def response_bank(waveforms: Sequence[np.ndarray], max_taps: int) -> ResponseBank:
    """Lay impulse responses out without delay and at one level.

    What comes before the largest sample is cut off, so that speech stays where it was in time.

    Args:
        waveforms: float32 [any], 16 kHz, not silent; at least one.
        max_taps: longer responses are cut.

    Returns:
        NumPy arrays.
    """
    direct = [w[np.argmax(np.abs(w)) :][:max_taps] for w in waveforms]
    taps = np.zeros((len(direct), max(len(w) for w in direct)), np.float32)
    for row, waveform in zip(taps, direct, strict=True):
        row[: len(waveform)] = waveform / np.linalg.norm(waveform.astype(np.float64))
    return ResponseBank(taps)


def _full_scale(waveform: np.ndarray) -> np.ndarray:
    return np.rint(waveform * (_INT16_MAX / np.abs(waveform).max())).astype(np.int16)
