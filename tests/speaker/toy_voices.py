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
