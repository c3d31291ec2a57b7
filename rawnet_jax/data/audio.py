"""Audio files to mono 16 kHz waveforms, and the 16-bit form that the cache keeps.

A file is input from strangers: every bound of `AudioConfig` holds *while* decoding, in blocks of
bounded size, whatever the header says.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import soundfile
import soxr

from rawnet_jax.config import AudioConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.audio_file import AudioFile
from rawnet_jax.data.file_kinds import Kind, kind_of_file
from rawnet_jax.data.full_scale import FullScale, OnClipped
from rawnet_jax.data.media_file import MediaFile, unreadable
from rawnet_jax.errors import AudioError
from rawnet_jax.regular_file import NotRegularError, check_regular

INT16_SCALE = 32_768
"""Full scale of 16-bit audio: a waveform sample of 1.0."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Audio that is decoded already.

    Attributes:
        samples: float [n] or [n, channels], full scale = 1.
        sample_rate_hz: of the samples.
        name: what errors call it.
    """

    samples: np.ndarray
    sample_rate_hz: int
    name: str = "array"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """The bytes of an audio file.

    Attributes:
        content: of the file.
        name: what errors call it.
    """

    content: bytes
    name: str = "bytes"

    def __str__(self) -> str:
        return self.name


Source = str | PathLike[str] | Encoded | Samples
"""Where audio comes from: a path, the bytes of a file, or samples."""

RAISES_MAX_DURATION = "--max-duration or config.data.audio.max_duration_s allows more"
"""Where the bound on the length is set: for scoring, and for all else."""

Mix = Callable[[np.ndarray], np.ndarray]
"""From float32 [n] or [n, channels], a block of a file as it is, to float32 [n]."""

_Block = tuple[np.ndarray, float | None]  # samples of one channel; no magnitude exceeds the number
_BLOCK_VALUES = 2**20  # 4 MB of float32; after every read libsndfile seeks, so blocks are large
_UNKNOWN_CODEC = 4  # libsndfile's error for a container that it reads and a codec that it does not
_MAX_PEAK = 1e3  # full scale = 1; beyond it samples are garbage or integers stored as floats


def average(block: np.ndarray) -> np.ndarray:
    """Return the mean of all channels: float32 [n] of [n] or [n, channels]."""
    return block if block.ndim == 1 else block.mean(axis=1, dtype=np.float32)


def read_waveform(
    path: Source,
    config: AudioConfig,
    mix: Mix = average,
    on_clipped: OnClipped | None = None,
) -> np.ndarray:
    """Decode one file: WAV, FLAC, Ogg, MP3, and what else libsndfile or the extra `media` reads.

    Channels are averaged; other rates than 16 kHz are resampled (soxr, "HQ"). What is then beyond
    full scale is clipped.

    Args:
        path: the recording.
        config: bounds on what is accepted.
        mix: what is made of the channels instead.
        on_clipped: is told how many samples were clipped; None = where they are more than one in a
            thousand, a warning says it.

    Returns:
        float32 [num_samples], num_samples >= 1, 16 kHz, all finite and within full scale, -1 to 1.

    Raises:
        AudioError: if the file cannot be used; its `reason` is one of missing, not a file,
            unreadable, empty, not audio, not audio this install can read, unknown length,
            truncated, damaged, mixed parts, decoding failed, too short, too long, too many
            channels, sample rate out of bounds, not finite, too loud, silent.
    """
    waveform = _joined(list(waveform_blocks(path, config, mix, on_clipped)))
    if not len(waveform):
        raise AudioError(path, "too short", "no sample is left at 16 kHz")
    if np.maximum.reduce(waveform) < config.min_peak and _peak(waveform) < config.min_peak:
        raise AudioError(path, "silent", f"no sample exceeds {config.min_peak:g} of full scale")
    return waveform


def waveform_blocks(
    source: Source,
    config: AudioConfig,
    mix: Mix = average,
    on_clipped: OnClipped | None = None,
    notes: list[str] | None = None,
    on_opened: Callable[[Any], None] | None = None,
) -> Iterator[np.ndarray]:
    """Decode one recording piece by piece, in memory that does not grow with its length.

    Args:
        source: the recording.
        config: bounds on what is accepted; of `min_peak` only `read_waveform` takes notice.
        mix: what is made of the channels.
        on_clipped: see `read_waveform`.
        notes: gets in the end what a listener should know of the file.
        on_opened: is shown what `open_audio` returned, before the first sample.

    Yields:
        float32 [n], pieces of what `read_waveform` returns, bit for bit; the last may be empty.

    Raises:
        AudioError: as `read_waveform`, where decoding comes to it.
    """
    with open_audio(source, config) as file:
        if on_opened is not None:
            on_opened(file)
        limited = FullScale(source, on_clipped)
        for block, peak in _at_16_khz(_mono_blocks(source, file, config, mix), file.samplerate):
            yield limited(block, peak)
        said = limited.finish()
        if notes is not None:
            notes += [*file.notes, *said]


def open_audio(source: Source, config: AudioConfig) -> Any:
    """Open one recording and check what its header claims; no sample is given out.

    Returns:
        An `AudioFile`, or what stands for one: for samples, and a `MediaFile` for what a process of
        its own decodes, of which `frames` is None.

    Raises:
        AudioError: as `read_waveform`, for what shows without decoding.
    """
    if isinstance(source, Samples):
        _check_bounds(
            source,
            (source.samples.ndim > 1 and source.samples.shape[1]) or 1,
            source.sample_rate_hz,
            config,
        )
        return _SamplesFile(source)
    if not isinstance(source, Encoded):
        _check_file(source)
    try:
        file = _opened(source, config)
    except OSError as error:
        raise AudioError(source, "unreadable", str(error.strerror)) from None
    try:
        _check_header(source, file, config)
    except AudioError:
        file.close()
        raise
    return file


def _is_for_media(kind: Kind | None) -> bool:
    return kind is not None and bool(kind.demuxer) and not kind.is_ours


def _opened(source: str | PathLike[str] | Encoded, config: AudioConfig) -> Any:
    content = source.content if isinstance(source, Encoded) else source
    kind = kind_of_file(content)
    if kind is None or not _is_for_media(kind):
        try:
            return AudioFile(content, source)
        except (soundfile.SoundFileError, TypeError) as error:  # TypeError: headerless ".raw"
            is_codec = getattr(error, "code", 0) == _UNKNOWN_CODEC
            if kind is None or not (is_codec and kind.demuxer):
                raise _not_opened(source, error, kind) from None
    return MediaFile(content, source, kind, config.max_duration_s)


class _SamplesFile:
    """Samples, read as `soundfile.SoundFile` reads a file."""

    format = "array"
    notes = ()

    def __init__(self, source: Samples) -> None:
        self._samples = source.samples
        self._position = 0
        self.samplerate = source.sample_rate_hz
        self.frames = len(source.samples)
        self.channels = 1 if source.samples.ndim == 1 else source.samples.shape[1]

    def read(self, frames: int, dtype: str = "float32", always_2d: bool = False) -> np.ndarray:
        block = self._samples[self._position : self._position + frames]
        self._position += len(block)
        block = block.astype(dtype)
        return block[:, None] if always_2d and block.ndim == 1 else block

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> "_SamplesFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def to_int16(waveform: np.ndarray) -> tuple[np.ndarray, int]:
    """Round a waveform to 16 bit.

    Args:
        waveform: float [num_samples], full scale = 1, finite.

    Returns:
        int16 [num_samples], and how many samples were beyond full scale and are clipped.
        What came from a 16-bit file comes out as it was in the file.
    """
    scaled = waveform * np.float32(INT16_SCALE)
    np.rint(scaled, out=scaled)
    num_clipped = 0
    if len(scaled) and (scaled.max() > 32_767 or scaled.min() < -32_768):
        num_clipped = int(np.count_nonzero((scaled > 32_767) | (scaled < -32_768)))
        np.clip(scaled, -32_768, 32_767, out=scaled)
    return scaled.astype(np.int16), num_clipped


def from_int16(samples: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Return int16 samples as float32, full scale = 1; exact. `out` takes the result if given."""
    return np.multiply(samples, np.float32(1 / INT16_SCALE), out=out, dtype=np.float32)


def _check_file(path: str | PathLike[str]) -> None:
    try:
        size = check_regular(path)
    except FileNotFoundError:
        raise AudioError(path, "missing", "there is no such file") from None
    except NotRegularError as error:
        raise AudioError(path, "not a file", str(error.strerror)) from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise AudioError(path, "unreadable", str(error)) from None
    if size == 0:
        raise AudioError(path, "empty", "the file has no bytes")


def _not_opened(source: Any, error: Exception, kind: Kind | None) -> AudioError:
    if isinstance(source, str | PathLike) and not os.access(source, os.R_OK):
        return AudioError(source, "unreadable", "no permission to read it")
    if kind is not None and not kind.is_ours:
        return unreadable(source, kind)
    text = getattr(error, "error_string", str(error))
    return AudioError(source, "not audio", f"it must be WAV, FLAC, Ogg or MP3: {text}")


def _check_bounds(path: object, channels: int, rate: int, config: AudioConfig) -> None:
    if channels > config.max_channels:
        raise AudioError(
            path, "too many channels", f"{channels}; the limit is {config.max_channels}"
        )
    lowest, highest = config.min_sample_rate_hz, config.max_sample_rate_hz
    if not lowest <= rate <= highest:
        raise AudioError(
            path, "sample rate out of bounds", f"{rate} Hz; must be {lowest} to {highest} Hz"
        )


def _check_header(path: object, file: Any, config: AudioConfig) -> None:
    _check_bounds(path, file.channels, file.samplerate, config)
    if file.frames is not None and file.frames <= 0:
        raise AudioError(path, "empty", "the file has no samples")


def _mono_blocks(path: object, file: Any, config: AudioConfig, mix: Mix) -> Iterator[_Block]:
    """Yield float32 mono blocks at the file's own rate; raise as soon as a bound is passed."""
    max_frames = int(config.max_duration_s * file.samplerate)
    block_frames = max(1, _BLOCK_VALUES // file.channels)
    num_frames = 0
    while True:
        wanted = min(block_frames, max_frames + 1 - num_frames)
        block = file.read(wanted, dtype="float32")
        num_frames += len(block)
        if num_frames > max_frames:
            what = f"more than {config.max_duration_s:g} s; {RAISES_MAX_DURATION}"
            raise AudioError(path, "too long", what)
        if len(block):
            peak = _peak(block)
            _check_level(path, peak)
            yield mix(block), peak
        if len(block) < wanted or num_frames == file.frames:
            break
    _check_length(path, num_frames, file, config)


def _check_length(path: object, num_frames: int, file: Any, config: AudioConfig) -> None:
    if num_frames < config.min_duration_s * file.samplerate:
        raise AudioError(
            path,
            "too short",
            f"{num_frames / file.samplerate:.4f} s; it must be {config.min_duration_s:g} s or more",
        )


def _peak(samples: np.ndarray) -> float:
    """Largest magnitude; NaN if there is one."""
    # The methods `max` and `min` take twice as long.
    return float(max(np.maximum.reduce(samples, None), -np.minimum.reduce(samples, None)))


def _check_level(path: object, peak: float) -> None:
    if not np.isfinite(peak):
        raise AudioError(path, "not finite", "it holds NaN or infinite samples")
    if peak > _MAX_PEAK:
        raise AudioError(path, "too loud", f"a sample is {peak:.3g} times full scale")


def _at_16_khz(blocks: Iterator[_Block], sample_rate_hz: int) -> Iterator[_Block]:
    if sample_rate_hz == SAMPLE_RATE_HZ:
        yield from blocks
        return
    stream = soxr.ResampleStream(sample_rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32", quality="HQ")
    for block, _ in blocks:
        yield stream.resample_chunk(block), None
    yield stream.resample_chunk(np.empty(0, np.float32), last=True), None


def _joined(blocks: list[np.ndarray]) -> np.ndarray:
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
