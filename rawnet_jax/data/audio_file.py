"""A recording as a file of samples, from its first to its last part."""

import contextlib
import io
import logging
import os
import re
from collections.abc import Callable
from os import PathLike
from typing import Any, BinaryIO

import numpy as np
import soundfile

from rawnet_jax.data.chunk_files import is_placeholder
from rawnet_jax.data.containers import contents_of
from rawnet_jax.data.decoder_lines import HELD_BACK
from rawnet_jax.data.recording_bytes import Contents, Part, PiecedFile, RecordingBytes
from rawnet_jax.errors import AudioError

_LOG = logging.getLogger(__name__)

_UNKNOWN_FRAMES = 2**62  # libsndfile's frame count for a header without one is 2^63 - 1
_SAMPLE_BYTES = {"PCM_S8": 1, "PCM_U8": 1, "ULAW": 1, "ALAW": 1, "PCM_16": 2, "PCM_24": 3}
_SAMPLE_BYTES |= {"PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
_VALUES_AT_ONCE = 2**16  # stay in a processor's cache
_OF_16_BITS = np.float32(2**-15)
_ROUNDING_FRAMES = 2  # of a length in seconds
_DATA_BYTES = re.compile(r"(?:data|ssnd|data size)\s*: (\d+) \(should be (\d+)\)", re.IGNORECASE)
_BY_NAME = (".gsm", ".vox")  # samples without a header: the name alone tells what they are
_FOLLOWED = ("MP3", "OGG", "FLAC", "WAV", "WAVEX", "RF64", "W64", "AIFF", "CAF")


class _Forwards(soundfile.SoundFile):
    """A file that is read from its first to its last sample.

    soundfile asks for its place before every read and goes there again after it. That takes time,
    and decoders of MP3 and Ogg begin again, so that samples would depend on the size of the blocks.
    """

    def seekable(self) -> bool:
        """Return False, so that soundfile only reads on."""
        return False


class AudioFile:
    """Reads as `soundfile.SoundFile` does, through all parts of a recording.

    Attributes:
        name: what errors call it.
        samplerate: of all parts.
        channels: of all parts.
        frames: of all parts together.
        notes: what a listener should know; they are logged where reading comes to the end.
    """

    def __init__(self, source: str | PathLike[str] | bytes, name: object) -> None:
        """Find the parts and hold their lengths against what the decoder sees.

        Args:
            source: a path, or the bytes of a file.
            name: what errors call it.

        Raises:
            AudioError: it is cut or damaged; `reason` as `rawnet_jax.data.audio.read_waveform`.
            soundfile.SoundFileError: it is not audio.
        """
        self.name = name
        self._bytes: BinaryIO
        self._open: Any = None
        self._decoding: contextlib.AbstractContextManager[None]
        if isinstance(source, bytes):
            self._bytes = io.BytesIO(source)
        else:
            self._bytes = open(source, "rb", buffering=0)  # noqa: SIM115 - until close()
        try:
            self._find_parts(source)
        except BaseException:
            self.close()
            raise

    def _find_parts(self, source: str | PathLike[str] | bytes) -> None:
        data = RecordingBytes(self._bytes, self.name)
        contents = contents_of(data)
        self.notes = contents.notes if contents is not None else ()
        self._has_said = False
        may_be_mpeg = contents is None or contents.is_mpeg
        self._decoding = HELD_BACK if may_be_mpeg else contextlib.nullcontext()
        self._opened = self._openers(source, data, contents)
        self._next, self._position = 1, 0
        first = self._open = self._opened_part(0)
        self.samplerate, self.channels = first.samplerate, first.channels
        if contents is None and first.format in _FOLLOWED and first.frames:
            raise AudioError(self.name, "not audio", f"its {first.format} structure is broken")
        parts = contents.parts if contents is not None else (Part(()),)
        # Where samples stand as they are there is one part.
        self._is_16_bit = bool(parts[0].sample_bytes) and first.subtype == "PCM_16"
        self.frames = self._checked(parts[0], first)
        self._left = first.frames
        for number, part in enumerate(parts[1:], 1):
            with self._opened_part(number) as file:
                self.frames += self._checked(part, file)

    def _openers(
        self, source: Any, data: RecordingBytes, contents: Contents | None
    ) -> list[Callable[[], Any]]:
        if contents is None or contents.is_plain(data.size):
            opened = self._bytes  # a function that knew `self` would keep it until Python looks
            return [lambda: _plain(source, opened)]
        return [
            lambda part=part: _Forwards(PiecedFile(data, part.pieces))  # type: ignore[misc]
            for part in contents.parts
        ]

    def _opened_part(self, number: int) -> Any:
        with self._decoding:
            return self._opened[number]()

    def _checked(self, part: Part, file: Any) -> int:
        """Return the frames of a part, which must be of the first one's kind."""
        kind = (file.samplerate, file.channels)
        if kind != (self.samplerate, self.channels):
            what = f"{self.channels} at {self.samplerate} Hz, then {kind[1]} at {kind[0]} Hz"
            raise AudioError(self.name, "mixed parts", f"its channels are {what}")
        frames = int(file.frames)
        if frames >= _UNKNOWN_FRAMES:
            raise AudioError(self.name, "unknown length", "its header gives none; encode it again")
        # libsndfile silently shortens what a header claims to what the file holds; its log tells.
        claim = _DATA_BYTES.search(file.extra_info) if not part.pieces else None
        if claim and int(claim[2]) < int(claim[1]) and not is_placeholder(int(claim[1])):
            what = f"{claim[2]} of {claim[1]} bytes of samples"
            raise AudioError(self.name, "truncated", what)
        least = max(part.least_frames, int(part.least_s * file.samplerate) - _ROUNDING_FRAMES)
        if part.sample_bytes and (num_bytes := _SAMPLE_BYTES.get(file.subtype)):
            least = part.sample_bytes // (num_bytes * self.channels)
        if frames < least:
            what = f"the decoder sees {frames} of {least} frames"
            raise AudioError(self.name, "damaged", what)
        return least if part.is_exact else frames

    @property
    def format(self) -> str:
        """The container, as libsndfile calls it."""
        parts = len(self._opened)
        return f"{self._open.format} in {parts} parts" if parts > 1 else str(self._open.format)

    @property
    def subtype(self) -> str:
        """The kind of the samples, as libsndfile calls it."""
        return str(self._open.subtype)

    def read(self, frames: int, dtype: str = "float32", always_2d: bool = False) -> np.ndarray:
        """Return the next frames, [n] or [n, channels]; fewer at the end only.

        Raises:
            AudioError: the decoder gives up, or ends before the end.
        """
        pieces = []
        wanted = frames
        while True:
            block = self._read(wanted, dtype, always_2d)
            pieces.append(block)
            wanted -= len(block)
            if self._position == self.frames:
                self._say_notes()
            if not wanted or not self._go_on():
                return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _say_notes(self) -> None:
        say_notes(self.name, () if self._has_said else self.notes)
        self._has_said = True

    def _read(self, frames: int, dtype: str, always_2d: bool) -> np.ndarray:
        try:
            with self._decoding:
                block = self._block(min(frames, self._left), dtype, always_2d)
        except soundfile.SoundFileError as error:
            text = getattr(error, "error_string", str(error))
            where = f"after {self._position} of {self.frames} frames"
            raise AudioError(self.name, "damaged", f"the decoder gave up {where}: {text}") from None
        self._position += len(block)
        self._left -= len(block)
        return block

    def _block(self, frames: int, dtype: str, always_2d: bool) -> np.ndarray:
        if dtype != "float32" or not self._is_16_bit:
            block: np.ndarray = self._open.read(frames, dtype, always_2d)
            return block
        # The same as libsndfile's, bit for bit, in a third of the time.
        whole = np.empty(
            (frames, self.channels)[: 1 + (always_2d or self.channels > 1)], np.float32
        )
        filled, most = 0, max(1, _VALUES_AT_ONCE // self.channels)
        while filled < frames:
            block = self._open.read(min(most, frames - filled), "int16", always_2d)
            if not len(block):
                break
            np.multiply(block, _OF_16_BITS, out=whole[filled : filled + len(block)])
            filled += len(block)
        return whole[:filled]

    def _go_on(self) -> bool:
        """Open the next part; return False where there is none."""
        if self._next < len(self._opened):
            self._open.close()
            self._open = self._opened_part(self._next)
            self._left = self._open.frames
            self._next += 1
            return True
        if self._position < self.frames:
            what = f"{self._position} of {self.frames} frames"
            raise AudioError(self.name, "truncated", what)
        return False

    def close(self) -> None:
        """Close the file."""
        if self._open is not None:
            self._open.close()
        self._bytes.close()

    def __enter__(self) -> "AudioFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def say_notes(name: object, notes: tuple[str, ...]) -> None:
    """Log what a listener should know of a recording."""
    for note in notes:
        _LOG.warning("%s: %s", name, note)


def _plain(source: str | PathLike[str] | bytes, opened: BinaryIO) -> soundfile.SoundFile:
    """Open a file by its content, not by its name, which may be undecodable."""
    opened.seek(0)
    if isinstance(source, bytes):
        return _Forwards(opened)
    try:
        return _Forwards(opened.fileno(), closefd=False)
    except soundfile.SoundFileError:
        if not os.fspath(source).lower().endswith(_BY_NAME):
            raise
        return _Forwards(source)
