"""Vocoders that ``train-vocoder`` left in a folder, and what is varied about their copies.

One vocoder has one set of faults, at frequencies that its hop and its sample rate give. A detector
that learns those knows this vocoder and no other. So a copy is made at a rate that is drawn, is
equalised or not, and may be a copy in one band alone.
"""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.copy_synthesis.equalised import equalised
from rawnet_jax.copy_synthesis.vocoder import Between, OneOf, Settings, Vocoder, as_long
from rawnet_jax.errors import CheckpointError, DataError
from rawnet_jax.vocoders.files import SETTINGS_NAME, WEIGHTS_NAME, read_settings

_SETTINGS = (
    # Samples per second that the vocoder is given, over its own: its frames are that much shorter.
    OneOf("rate", (1.0, 1.0, 1.1025, 1.25, 1.5)),
    # Mel bands in which the copy is equalised, and how far: see `equalised`. 0 = it is not.
    OneOf("equal_bands", (0, 40, 80, 160, 320)),
    Between("equal_share", 0.5, 1.0),
    # Share of the band, 0 to 8 kHz, in which the copy is one; elsewhere it is its source.
    OneOf("band_share", (1.0, 1.0, 0.6, 0.4, 0.25)),
    Between("band_place", 0.0, 1.0),
)
_EDGE_HZ = 80.0  # over which copy and source are faded into each other


def is_trained_vocoder(path: Path) -> bool:
    """Return whether a path is the folder of such a vocoder."""
    return path.is_dir() and (path / SETTINGS_NAME).exists()


def trained_row(path: Path) -> Vocoder:
    """Return the row of the vocoder in a folder; the folder's name is its name.

    Raises:
        DataError: its settings are damaged.
    """
    try:
        facts = read_settings(path)
    except CheckpointError as error:
        raise DataError(str(error)) from error
    family = str(facts["spec"]["family"])
    return Vocoder(
        "_".join(path.name.split()),
        f"neural {family}",
        functools.partial(_copied, path),
        _SETTINGS,
        f"{family}, trained by train-vocoder for {facts.get('steps', '?')} steps",
        "that of the speech it learned from",
        "jax",
        (path / SETTINGS_NAME, path / WEIGHTS_NAME),
    )


def _copied(
    path: Path, waveform: np.ndarray, settings: Settings, _rng: np.random.Generator
) -> np.ndarray:
    copy = _at_rate(_loaded(path), waveform, float(settings["rate"]))
    bands = int(settings["equal_bands"])
    if bands:
        copy = equalised(waveform, copy, bands, float(settings["equal_share"]))
    return in_band(waveform, copy, float(settings["band_share"]), float(settings["band_place"]))


def _at_rate(vocoder: Any, waveform: np.ndarray, rate: float) -> np.ndarray:
    """Return the vocoder's copy of a recording that it hears slowed down by a rate."""
    if rate == 1.0:
        return np.asarray(vocoder.copy(waveform))
    there = soxr.resample(waveform, SAMPLE_RATE_HZ, rate * SAMPLE_RATE_HZ)
    back = soxr.resample(vocoder.copy(there), rate * SAMPLE_RATE_HZ, SAMPLE_RATE_HZ)
    return as_long(back, len(waveform))


def in_band(source: np.ndarray, copy: np.ndarray, share: float, place: float) -> np.ndarray:
    """Return the copy in one band, and the source elsewhere.

    Args:
        source: float [n], 16 kHz.
        copy: float [n], in step with it.
        share: width of the band, of 8 kHz; 1 = all of it.
        place: of the band, from the lowest (0) to the highest (1).

    Returns:
        float [n].
    """
    if share >= 1.0:
        return copy
    size = next_fast_len(len(source), real=True)
    top_hz = SAMPLE_RATE_HZ / 2
    low_hz = place * (1.0 - share) * top_hz
    frequency = rfftfreq(size, 1.0 / SAMPLE_RATE_HZ)
    to_edge = np.minimum(frequency - low_hz, low_hz + share * top_hz - frequency)
    inside = np.clip(0.5 + to_edge / _EDGE_HZ, 0.0, 1.0)
    spectrum = rfft(source, size)
    return np.asarray(irfft(spectrum + inside * (rfft(copy, size) - spectrum), size)[: len(source)])


@functools.cache
def _loaded(path: Path) -> Any:
    from rawnet_jax.vocoders.vocoder import Vocoder as Trained

    try:
        return Trained.load(path)
    except CheckpointError as error:
        raise DataError(str(error)) from error
