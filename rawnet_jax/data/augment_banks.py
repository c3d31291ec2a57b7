"""Noises and impulse responses: from folders of audio files to the banks of an augmentation."""

from collections.abc import Set
from pathlib import Path

import numpy as np

from rawnet_jax.augment.bank import Banks, noise_bank, response_bank
from rawnet_jax.config import AudioConfig, AugmentConfig
from rawnet_jax.data.audio import read_waveform
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.labels import SAMPLE_RATE_HZ

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


def read_banks(
    config: AugmentConfig, audio: AudioConfig, needs: Set[str], num_samples: int
) -> Banks:
    """Read the recordings that a chain draws from.

    Args:
        config: names the folders.
        audio: bounds on what is decoded.
        needs: fields of `Banks` to fill: `Chain.needs`.
        num_samples: T, samples of a clip.

    Returns:
        NumPy arrays, the same in every process.

    Raises:
        ConfigError: if a folder is needed that the config does not name.
        DataError: if a folder is missing or holds no audio, or a file of it cannot be used.
    """
    noise = rir = None
    if "noise" in needs:
        noise = noise_bank(_waveforms(config.noise_dir, "noise", audio), num_samples)
    if "rir" in needs:
        max_taps = max(1, round(config.rir_max_s * SAMPLE_RATE_HZ))
        rir = response_bank(_waveforms(config.rir_dir, "rir", audio), max_taps)
    return Banks(noise, rir)


def _waveforms(folder: str, name: str, audio: AudioConfig) -> list[np.ndarray]:
    field = f"config.augment.{name}_dir"
    if not folder:
        raise ConfigError(f"{field} is empty; {name!r} needs a folder of audio files")
    if not Path(folder).is_dir():
        raise DataError(f"{field}: {folder}: no such folder")
    found = (path for path in Path(folder).rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    waveforms = [read_waveform(path, audio) for path in sorted(found)]
    if not waveforms:
        raise DataError(f"{field}: {folder}: no {', '.join(AUDIO_SUFFIXES)} file in it")
    return waveforms
