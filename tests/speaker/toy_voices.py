"""An encoder of voices that tells tones apart, calibrated: no network, no weights."""

from typing import Any

import numpy as np

from rawnet_jax.metrics.calibration import AffineCalibration
from rawnet_jax.speaker.encoder import SpeakerEncoder
from rawnet_jax.speaker.network import unit

RATE = 16_000
BANDS = 12


class ToneNetwork:
    """The level of twelve bands, as a unit vector; see `VoiceNetwork`."""

    width = BANDS

    def prepared(self, waveform: np.ndarray) -> np.ndarray:
        return waveform

    def embed(self, waveform: np.ndarray) -> np.ndarray:
        power = np.abs(np.fft.rfft(waveform, 4_096)) ** 2
        return unit(np.array([band.sum() for band in np.array_split(power, BANDS)]))


def tone_encoder(**more) -> SpeakerEncoder:
    fields: dict[str, Any] = {
        "calibration": AffineCalibration(20.0, -10.0, 0.5, 100, 100),
        "speech": "off",
    }
    return SpeakerEncoder(ToneNetwork(), "tones", "d" * 64, **(fields | more))


def tone(hz: float, seconds: float, level: float = 0.1, seed: int = 0) -> np.ndarray:
    """A tone with mean absolute value `level`, and a little noise of its own."""
    time_s = np.arange(int(seconds * RATE)) / RATE
    found = np.sin(2 * np.pi * hz * time_s + seed) * level * np.pi / 2
    rng = np.random.default_rng(seed)
    return (found + 0.001 * rng.standard_normal(len(time_s))).astype(np.float32)


def murmur(hz: float, seconds: float, seed: int) -> np.ndarray:
    """Noise around a frequency, louder and softer as syllables are: no two seeds are alike."""
    rng = np.random.default_rng(seed)
    length = int(seconds * RATE)
    spectrum = np.fft.rfft(rng.standard_normal(length))
    spectrum[np.abs(np.fft.rfftfreq(length, 1 / RATE) - hz) > 300] = 0
    levels = rng.uniform(0.05, 1.0, int(seconds * 6) + 2)
    levels[:3] = 1.0  # what a detector of the first part hears
    found = np.fft.irfft(spectrum, length)
    found = found * np.interp(np.arange(length) * 6 / RATE, np.arange(len(levels)), levels)
    return (0.1 * found / np.abs(found).mean()).astype(np.float32)
