"""Noises and impulse responses: from folders of audio files to the banks of an augmentation."""

from collections.abc import Set
from dataclasses import replace
from pathlib import Path

import numpy as np

from rawnet_jax.augment.bank import Banks, noise_bank, response_bank
from rawnet_jax.config import AudioConfig, AugmentConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.audio import Source, read_waveform, waveform_blocks
from rawnet_jax.data.audio_index import audio_files
from rawnet_jax.errors import AudioError, ConfigError, DataError

_ANY_DURATION_S = 1e6  # where reading ends before anyway


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
        noises = read_recordings(
            config.noise_dir,
            "noise",
            audio,
            max_files=config.noise_max_files,
            max_s=config.noise_max_s,
        )
        noise = noise_bank(noises, num_samples)
    if "rir" in needs:
        responses = read_recordings(config.rir_dir, "rir", audio, max_files=config.rir_max_files)
        rir = response_bank(responses, max(1, round(config.rir_max_s * SAMPLE_RATE_HZ)))
    return Banks(noise, rir)


def read_recordings(
    folder: str, name: str, audio: AudioConfig, *, max_files: int = 0, max_s: float = 0.0
) -> list[np.ndarray]:
    """Read the audio files below a folder, in the order of their paths; of each the first channel.

    Of RIRS_NOISES, noises are what lies in ``pointsource_noises`` and the isotropic noises beside
    the real responses; impulse responses are the others.

    Args:
        folder: as the config names it.
        name: "noise" or "rir".
        audio: bounds on what is decoded.
        max_files: read so many, spread evenly over the paths; 0 = all.
        max_s: so much of the beginning of each file is read, however long it is; 0 = all of it.

    Returns:
        At least one float32 [num_samples], 16 kHz.

    Raises:
        ConfigError: the folder's name is empty.
        DataError: it is missing or holds no such audio, or a file of it cannot be used.
    """
    field = f"config.augment.{name}_dir"
    if not folder:
        raise ConfigError(f"{field} is empty; {name!r} needs a folder of audio files")
    if not Path(folder).is_dir():
        raise DataError(f"{field}: {folder}: no such folder")
    files = [Path(folder, file) for file in audio_files(Path(folder), recursive=True)]
    paths = [path for path in sorted(files) if _kind(path) in ("", name)]
    if not paths:
        raise DataError(f"{field}: {folder}: no audio file in it for {name!r}")
    if 0 < max_files < len(paths):
        chosen = np.linspace(0, len(paths) - 1, max_files).round().astype(int)
        paths = [paths[number] for number in chosen]
    return [first_channel(path, audio, max_s=max_s) for path in paths]


def _kind(path: Path) -> str:
    """Return what a file of RIRS_NOISES is, "noise" or "rir"; "" for any other."""
    if "pointsource_noises" in path.parts:
        return "noise"
    if "real_rirs_isotropic_noises" in path.parts:
        return "noise" if "_noise_" in path.name else "rir"
    return "rir" if "simulated_rirs" in path.parts else ""


def _first(block: np.ndarray) -> np.ndarray:
    # An average over microphones is not a place in the room: it would cancel what arrives late.
    return block if block.ndim == 1 else block[:, 0]


def first_channel(
    source: Source, audio: AudioConfig, *, max_s: float = 0.0, gain: float = 1.0
) -> np.ndarray:
    """Decode the first channel of a recording.

    Args:
        source: the recording.
        audio: bounds on what is decoded; `min_peak` is compared after the gain.
        max_s: so much of its beginning, however long it is; 0 = all of it.
        gain: before resampling and clipping.

    Returns:
        float32 [num_samples], 16 kHz, full scale = 1; what is beyond it is clipped.

    Raises:
        AudioError: see `read_waveform`.
    """

    def mix(block: np.ndarray) -> np.ndarray:
        return _first(block) if gain == 1.0 else _first(block) * np.float32(gain)

    if not max_s:
        return read_waveform(source, audio, mix)
    wanted, pieces = round(max_s * SAMPLE_RATE_HZ), []
    unbounded = replace(audio, max_duration_s=_ANY_DURATION_S)
    for block in waveform_blocks(source, unbounded, mix):
        pieces.append(block)
        if sum(map(len, pieces)) >= wanted:
            break
    waveform = np.concatenate(pieces)[:wanted]
    if np.abs(waveform).max(initial=0) < audio.min_peak:
        raise AudioError(source, "silent", f"in its first {max_s:g} s")
    return waveform
