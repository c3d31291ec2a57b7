"""Frequency responses of devices as small cascades of standard filters."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfilt

from rawnet_jax.contract import SAMPLE_RATE_HZ

Resonance = tuple[float, float, float]
"""Centre in Hz, quality factor, gain in dB."""


@dataclass(frozen=True, slots=True)
class FrequencyResponse:
    """What a device lets through.

    Attributes:
        low_cut_hz: −3 dB point of a Butterworth high-pass; 0 = none.
        high_cut_hz: −3 dB point of a Butterworth low-pass; infinite = none.
        low_order: order of the high-pass.
        high_order: order of the low-pass.
        resonances: peaks and dips, each (centre in Hz, quality factor, gain in dB).
    """

    low_cut_hz: float = 0.0
    high_cut_hz: float = math.inf
    low_order: int = 2
    high_order: int = 4
    resonances: tuple[Resonance, ...] = ()

    def apply(self, waveform: np.ndarray) -> np.ndarray:
        """Filter float [num_samples] at 16 kHz; a flat response gives the samples back."""
        sections = [peaking_section(*resonance) for resonance in self.resonances]
        if self.low_cut_hz > 0.0:
            sections.append(_cut(self.low_order, self.low_cut_hz, "highpass"))
        if self.high_cut_hz < 0.5 * SAMPLE_RATE_HZ:
            sections.append(_cut(self.high_order, self.high_cut_hz, "lowpass"))
        if not sections:
            return waveform
        return np.asarray(sosfilt(np.concatenate(sections), waveform))


FLAT = FrequencyResponse()
"""Lets everything through unchanged."""


def _cut(order: int, frequency_hz: float, kind: str) -> np.ndarray:
    return np.asarray(butter(order, frequency_hz, kind, fs=SAMPLE_RATE_HZ, output="sos"))


def peaking_section(frequency_hz: float, quality: float, gain_db: float) -> np.ndarray:
    """Second-order peak or dip as one row [1, 6] for `scipy.signal.sosfilt`.

    The peaking equaliser of R. Bristow-Johnson's "Cookbook formulae for audio EQ biquad filters".
    """
    amplitude = 10.0 ** (gain_db / 40.0)
    angle = 2.0 * math.pi * frequency_hz / SAMPLE_RATE_HZ
    alpha = math.sin(angle) / (2.0 * quality)
    middle = -2.0 * math.cos(angle)
    numerator = np.array([1.0 + alpha * amplitude, middle, 1.0 - alpha * amplitude])
    denominator = np.array([1.0 + alpha / amplitude, middle, 1.0 - alpha / amplitude])
    return np.concatenate([numerator, denominator])[np.newaxis] / denominator[0]
