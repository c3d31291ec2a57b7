"""Vocoders that ``train-vocoder`` left in a folder."""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.copy_synthesis.vocoder import Settings, Vocoder
from rawnet_jax.errors import CheckpointError, DataError
from rawnet_jax.vocoders.files import SETTINGS_NAME, WEIGHTS_NAME, read_settings


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
        (),
        f"{family}, trained by train-vocoder for {facts.get('steps', '?')} steps",
        "that of the speech it learned from",
        "jax",
        (path / SETTINGS_NAME, path / WEIGHTS_NAME),
    )


def _copied(
    path: Path, waveform: np.ndarray, _settings: Settings, _rng: np.random.Generator
) -> np.ndarray:
    return np.asarray(_loaded(path).copy(waveform))


@functools.cache
def _loaded(path: Path) -> Any:
    from rawnet_jax.vocoders.vocoder import Vocoder as Trained

    try:
        return Trained.load(path)
    except CheckpointError as error:
        raise DataError(str(error)) from error
