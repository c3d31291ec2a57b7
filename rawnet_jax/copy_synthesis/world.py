"""WORLD: pitch, spectral envelope and aperiodicity of a voice, and back.

Morise, Yokomori and Ozawa, "WORLD: a vocoder-based high-quality speech synthesis system for
real-time applications", IEICE Trans. E99-D (2016). The code is the WORLD library (BSD), through
pyworld (MIT).
"""

from typing import Any

import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.copy_synthesis.vocoder import OneOf, Settings, as_long

PACKAGE = "pyworld"
_ANALYSIS = (OneOf("pitch", ("harvest", "dio")), OneOf("frame_ms", (5.0, 10.0)))
PLAIN_SETTINGS = _ANALYSIS
PITCH_SETTINGS = (*_ANALYSIS, OneOf("factor", (0.75, 0.82, 0.9, 1.1, 1.2, 1.33)))
FORMANT_SETTINGS = (*_ANALYSIS, OneOf("warp", (0.84, 0.9, 0.95, 1.06, 1.12, 1.18)))
CODED_SETTINGS = (*_ANALYSIS, OneOf("envelope_size", (16, 24, 32, 48, 60)))

_Analysis = tuple[np.ndarray, np.ndarray, np.ndarray]


def plain(waveform: np.ndarray, settings: Settings, _rng: np.random.Generator) -> np.ndarray:
    """Return float64 [n]: the voice as WORLD describes it, of float32 [n]."""
    return _synthesized(*_analysed(waveform, settings), settings, len(waveform))


def moved_pitch(waveform: np.ndarray, settings: Settings, _rng: np.random.Generator) -> np.ndarray:
    """Return float64 [n]: the voice with its pitch times `factor`."""
    f0, envelope, aperiodicity = _analysed(waveform, settings)
    f0 = f0 * float(settings["factor"])
    return _synthesized(f0, envelope, aperiodicity, settings, len(waveform))


def moved_formants(
    waveform: np.ndarray, settings: Settings, _rng: np.random.Generator
) -> np.ndarray:
    """Return float64 [n]: the voice with its envelope stretched by `warp`, its pitch kept."""
    f0, envelope, aperiodicity = _analysed(waveform, settings)
    warp = float(settings["warp"])
    envelope = np.exp(_stretched(np.log(envelope), warp))
    return _synthesized(f0, envelope, _stretched(aperiodicity, warp), settings, len(waveform))


def coded(waveform: np.ndarray, settings: Settings, _rng: np.random.Generator) -> np.ndarray:
    """Return float64 [n]: the voice after its envelope went through `envelope_size` mel cepstra.

    Aperiodicity goes through band values.
    """
    world = _world()
    f0, envelope, aperiodicity = _analysed(waveform, settings)
    fft = 2 * (envelope.shape[1] - 1)
    size = int(settings["envelope_size"])
    few = world.code_spectral_envelope(envelope, SAMPLE_RATE_HZ, size)
    envelope = world.decode_spectral_envelope(few, SAMPLE_RATE_HZ, fft)
    few = world.code_aperiodicity(aperiodicity, SAMPLE_RATE_HZ)
    aperiodicity = world.decode_aperiodicity(few, SAMPLE_RATE_HZ, fft)
    return _synthesized(f0, envelope, aperiodicity, settings, len(waveform))


def _world() -> Any:
    import pyworld

    return pyworld


def _analysed(waveform: np.ndarray, settings: Settings) -> _Analysis:
    """Return pitch [F] in Hz (0 = unvoiced), envelope and aperiodicity [F, K]."""
    world = _world()
    samples = np.ascontiguousarray(waveform, np.float64)
    find = world.harvest if settings["pitch"] == "harvest" else world.dio
    f0, times_s = find(samples, SAMPLE_RATE_HZ, frame_period=float(settings["frame_ms"]))
    f0 = world.stonemask(samples, f0, times_s, SAMPLE_RATE_HZ)
    envelope = world.cheaptrick(samples, f0, times_s, SAMPLE_RATE_HZ)
    return f0, envelope, world.d4c(samples, f0, times_s, SAMPLE_RATE_HZ)


def _synthesized(
    f0: np.ndarray,
    envelope: np.ndarray,
    aperiodicity: np.ndarray,
    settings: Settings,
    num_samples: int,
) -> np.ndarray:
    arrays = (np.ascontiguousarray(array) for array in (f0, envelope, aperiodicity))
    frame_ms = float(settings["frame_ms"])
    return as_long(_world().synthesize(*arrays, SAMPLE_RATE_HZ, frame_ms), num_samples)


def _stretched(rows: np.ndarray, warp: float) -> np.ndarray:
    """Return rows [F, K] with what was at bin k at bin k warp; the last bin fills what is left."""
    at = np.minimum(np.arange(rows.shape[1]) / warp, rows.shape[1] - 1.0)
    below = np.minimum(at.astype(int), rows.shape[1] - 2)
    share = at - below
    return rows[:, below] * (1.0 - share) + rows[:, below + 1] * share
