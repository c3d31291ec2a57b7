"""Vocoders that ``train-vocoder`` left in a folder."""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.copy_synthesis.equalised import equalised
from rawnet_jax.copy_synthesis.vocoder import Between, OneOf, Settings, Vocoder
from rawnet_jax.errors import CheckpointError, DataError
from rawnet_jax.vocoders.files import SETTINGS_NAME, WEIGHTS_NAME, read_settings

_SETTINGS = (OneOf("equal_bands", (0, 40, 80, 160, 320)), Between("equal_share", 0.5, 1.0))
"""Mel bands in which a copy is equalised, 0 = it is not, and how far: see `equalised`."""


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
    copy = np.asarray(_loaded(path).copy(waveform))
    bands = int(settings["equal_bands"])
    return equalised(waveform, copy, bands, float(settings["equal_share"])) if bands else copy


@functools.cache
def _loaded(path: Path) -> Any:
    from rawnet_jax.vocoders.vocoder import Vocoder as Trained

    try:
        return Trained.load(path)
    except CheckpointError as error:
        raise DataError(str(error)) from error
