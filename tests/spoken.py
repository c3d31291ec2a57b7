"""Sounds with and without speech, made by code."""

import functools

import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.simulate.phonemes import PHRASES
from rawnet_jax.simulate.synthetic import draw_voice, synthesise


@functools.cache
def spoken(duration_s: float = 2.0, seed: int = 0) -> np.ndarray:
    """Return synthetic speech, float32 [n]; it begins after 0.1 s."""
    rng = np.random.default_rng(seed)
    voice = draw_voice("F", rng)
    parts = [synthesise(phrase, voice, rng) for phrase in list(PHRASES.values())[:4]]
    waveform = np.concatenate(parts)[: round(duration_s * SAMPLE_RATE_HZ)]
    return (0.3 * waveform / np.abs(waveform).max()).astype(np.float32)


def noise(duration_s: float, level: float = 0.01, seed: int = 0) -> np.ndarray:
    """Return white noise of an RMS level, float32 [n]."""
    rng = np.random.default_rng(seed)
    num_samples = round(duration_s * SAMPLE_RATE_HZ)
    return (level * rng.standard_normal(num_samples)).astype(np.float32)


def buzz(duration_s: float = 2.0) -> np.ndarray:
    """Return a buzz that comes and goes twice a second, in faint noise, float32 [n]."""
    time_s = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tones = sum(np.sin(2 * np.pi * 110 * k * time_s) / k for k in range(1, 20))
    syllables = tones * np.clip(np.sin(4 * np.pi * time_s), 0, 1)
    return (0.15 * syllables).astype(np.float32) + noise(duration_s)
