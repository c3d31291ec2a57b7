"""Audio that is scored while it is read: a file, a pipe, standard input or a microphone."""

import contextlib
import io
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np

from rawnet_jax.config import AudioConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.audio import open_audio
from rawnet_jax.data.audio_file import AudioFile
from rawnet_jax.data.inputs import STDIN
from rawnet_jax.data.microphone import open_microphone
from rawnet_jax.data.pcm import PcmFormat
from rawnet_jax.data.pcm_stream import PcmStream
from rawnet_jax.errors import AudioError, ConfigError

_STDIN_NAME = "standard input"


@dataclass(frozen=True, slots=True)
class LiveAudio:
    """Audio piece by piece.

    Attributes:
        sample_rate_hz: of the blocks.
        num_channels: of the blocks.
        blocks: float32 [n, channels] each, full scale = 1; read once.
    """

    sample_rate_hz: int
    num_channels: int
    blocks: Iterator[np.ndarray]


@contextlib.contextmanager
def open_live(
    source: str, bounds: AudioConfig, raw: PcmFormat | None = None
) -> Iterator[LiveAudio]:
    """Open a file, a pipe or standard input meanwhile.

    Args:
        source: ``-`` = standard input; a regular file may be of any kind that libsndfile reads,
            all else holds WAV, AU or raw samples.
        bounds: on rate and channels.
        raw: the format of raw samples; None = there is a header.

    Raises:
        ConfigError: standard input is a terminal.
        AudioError: it is not audio, or beyond the bounds; from the blocks too.
    """
    if source == STDIN:
        if sys.stdin.isatty():
            raise ConfigError(
                "standard input is a terminal; pipe audio in, name a file, or use --microphone"
            )
        stdin = cast(io.BufferedReader, sys.stdin.buffer)
        yield _from_pipe(PcmStream(stdin, _STDIN_NAME, raw), bounds)
    elif raw is None and not _is_pipe(source):
        with open_audio(source, bounds) as file:
            yield LiveAudio(file.samplerate, file.channels, _file_blocks(file))
    else:
        with _open_pipe(source) as pipe:
            yield _from_pipe(PcmStream(pipe, source, raw), bounds)


@contextlib.contextmanager
def listen(
    device: str | None, sample_rate_hz: int | None, num_channels: int | None
) -> Iterator[LiveAudio]:
    """Open a microphone meanwhile.

    Args:
        device: see `rawnet_jax.data.microphone.open_microphone`.
        sample_rate_hz: asked of the device; None = 16 kHz.
        num_channels: asked of the device; None = one.

    Raises:
        ConfigError: what this needs is not installed.
        AudioError: the device cannot be opened so, or (from the blocks) audio is not taken in time.
    """
    rate = SAMPLE_RATE_HZ if sample_rate_hz is None else sample_rate_hz
    channels = 1 if num_channels is None else num_channels
    with open_microphone(device, rate, channels) as blocks:
        yield LiveAudio(rate, channels, blocks)


def _from_pipe(stream: PcmStream, bounds: AudioConfig) -> LiveAudio:
    stream.check(bounds)
    form = stream.format
    return LiveAudio(form.sample_rate_hz, form.num_channels, stream.blocks())


def _open_pipe(path: str) -> io.BufferedReader:
    try:
        return open(path, "rb")
    except OSError as error:
        raise AudioError(path, "unreadable", str(error.strerror)) from error


def _is_pipe(path: str) -> bool:
    try:
        return not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path)
    except (OSError, ValueError):
        return False  # decoding reports what is wrong


def _file_blocks(file: AudioFile) -> Iterator[np.ndarray]:
    while len(block := file.read(file.samplerate, always_2d=True)):
        yield block
