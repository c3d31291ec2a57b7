"""What a vocoder is to the rest: a row with a name, a function, its settings and its terms."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.errors import DataError

Value = int | float | str
Settings = Mapping[str, Value]
Function = Callable[[np.ndarray, Settings, np.random.Generator], np.ndarray]
"""From float32 [n] at 16 kHz, n >= `MIN_SAMPLES`, settings and a source of chance to float [n]."""

MIN_SAMPLES = SAMPLE_RATE_HZ // 10
"""Shorter clips are filled with zeros before a vocoder gets them."""

_REFERENCE_RMS = 0.05  # level at which every vocoder gets its input: floors of spectra are absolute
_MAX_PEAK = 0.95
_SILENT_RMS = 1e-5
_PIECE, _FADE = 30 * SAMPLE_RATE_HZ, SAMPLE_RATE_HZ // 50


@dataclass(frozen=True, slots=True)
class OneOf:
    """A setting that takes one of a few values, each as likely."""

    name: str
    values: tuple[Value, ...]

    def draw(self, rng: np.random.Generator) -> Value:
        """Return one value."""
        return self.values[int(rng.integers(len(self.values)))]

    def __str__(self) -> str:
        """Tell name and values."""
        return f"{self.name} {'|'.join(map(str, self.values))}"


@dataclass(frozen=True, slots=True)
class Between:
    """A setting that is drawn uniformly, and rounded to 4 decimals so that a table can hold it."""

    name: str
    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> Value:
        """Return one value."""
        return round(float(rng.uniform(self.low, self.high)), 4)

    def __str__(self) -> str:
        """Tell name and bounds."""
        return f"{self.name} {self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Vocoder:
    """One row of the table of vocoders. It can be pickled: a worker process gets it.

    Attributes:
        name: without blanks; the attack in protocols.
        family: what it has in common with others, such as ``neural codec``.
        function: makes the copy. Same input, settings and state of the generator, same samples.
        settings: what is drawn for each copy.
        about: one line for people.
        licence: of the code or weights that it needs.
        package: name under which Python imports what it needs; "" = nothing.
        files: its model files; their digests are part of what a copy is made of.
    """

    name: str
    family: str
    function: Function
    settings: tuple[OneOf | Between, ...]
    about: str
    licence: str
    package: str = ""
    files: tuple[Path, ...] = ()

    @property
    def is_installed(self) -> bool:
        """Whether the package that it needs is there."""
        return not self.package or _is_installed(self.package)

    def draw(self, rng: np.random.Generator) -> dict[str, Value]:
        """Return a value for each setting."""
        return {setting.name: setting.draw(rng) for setting in self.settings}


def copy_of(
    waveform: np.ndarray, vocoder: Vocoder, settings: Settings, rng: np.random.Generator
) -> np.ndarray:
    """Make the copy of a recording by one vocoder.

    Args:
        waveform: float32 [n], n >= 1, 16 kHz, finite.
        vocoder: its package must be installed.
        settings: a value for each of its settings.
        rng: source of chance.

    Returns:
        float32 [n], finite, of the waveform's RMS: vocoders that add frames out of step lose level.

    Raises:
        DataError: the vocoder gives samples that are not finite, or silence, or its model does not
            do what its description says.
    """
    rms = _rms(waveform)
    peak = float(np.max(np.abs(waveform)))
    if peak == 0.0:
        raise DataError(f"{vocoder.name}: the recording is silent")
    gain = min(_REFERENCE_RMS / rms, _MAX_PEAK / peak)
    given = np.zeros(max(len(waveform), MIN_SAMPLES), dtype=np.float32)
    given[: len(waveform)] = gain * np.asarray(waveform, np.float64)
    made = _in_pieces(given, vocoder, settings, rng)[: len(waveform)]
    if not np.all(np.isfinite(made)):
        raise DataError(f"{vocoder.name}: gave samples that are not finite")
    level = _rms(made)
    if level < _SILENT_RMS:
        raise DataError(f"{vocoder.name}: gave silence")
    return (made * (rms / level)).astype(np.float32)


def as_long(waveform: np.ndarray, num_samples: int) -> np.ndarray:
    """Cut a waveform [m] at its end, or fill it with zeros there, to [num_samples]."""
    kept = waveform[:num_samples]
    return np.pad(kept, (0, num_samples - len(kept)))


def _in_pieces(
    waveform: np.ndarray, vocoder: Vocoder, settings: Settings, rng: np.random.Generator
) -> np.ndarray:
    """Return float64 [n] of float32 [n]; a long recording goes through piece by piece.

    Spectra of ten minutes do not fit into memory. Pieces are faded into each other.
    """
    made = np.zeros(len(waveform))
    fade = np.linspace(0.0, 1.0, _FADE)
    for start in range(0, max(1, len(waveform) - _FADE), _PIECE - _FADE):
        given = waveform[start : start + _PIECE]
        filled = as_long(given, max(len(given), MIN_SAMPLES))
        piece = np.asarray(vocoder.function(filled, settings, rng), np.float64)
        if piece.shape != filled.shape:
            raise DataError(f"{vocoder.name}: gave shape {piece.shape} for {filled.shape}")
        piece = piece[: len(given)].copy()
        if start:
            piece[:_FADE] *= fade
            made[start : start + _FADE] *= fade[::-1]
        made[start : start + len(given)] += piece
    return made


def _rms(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False
