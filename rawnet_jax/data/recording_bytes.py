"""The bytes of a recording, and in which parts they decode.

Modules that know one container each find the parts; `rawnet_jax.data.audio_file` decodes them.
"""

import io
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from rawnet_jax.errors import AudioError

_ZEROS_BYTES = 2**20  # of padding looked at at once
_FIRST_BYTES = 2**13  # are read at once; then twice as many each time: a header takes no long read
_WINDOW_BYTES = 2**18  # at most
_APE_FOOTER_BYTES = 32


class RecordingBytes:
    """Bytes at any place of a file that is open.

    Attributes:
        name: what errors call the recording.
        size: of the file in bytes.
    """

    def __init__(self, file: BinaryIO, name: object) -> None:
        self.name = name
        self.size = file.seek(0, io.SEEK_END)
        self._file = file
        self._start, self._window = 0, b""  # what was read last
        self._ahead = _FIRST_BYTES

    def at(self, position: int, num_bytes: int) -> bytes:
        """Return the bytes there; fewer where the file ends."""
        if not 0 <= position < self.size:  # a size from a header may lead anywhere
            return b""
        num_bytes = min(num_bytes, self.size - position)
        inside = position - self._start
        if not 0 <= inside <= len(self._window) - num_bytes:
            self._file.seek(position)
            self._start, self._window = position, self._file.read(max(num_bytes, self._ahead))
            self._ahead = min(2 * self._ahead, _WINDOW_BYTES)
            inside = 0
        return self._window[inside : inside + num_bytes]

    def refused(self, reason: str, detail: str) -> AudioError:
        """Return the error that refuses this recording."""
        return AudioError(self.name, reason, detail)


Piece = bytes | range
"""Bytes that stand in for those of the file, or a range of the file's own."""


@dataclass(frozen=True, slots=True)
class Part:
    """What libsndfile decodes as one file.

    Attributes:
        pieces: one after another they are that file.
        least_frames: the decoder must find as many, else it would leave audio out.
        is_exact: and no more, however many it sees.
        least_s: as `least_frames`, in seconds, where the decoder chooses the rate.
        sample_bytes: of samples that are not compressed; 0 = unknown.
    """

    pieces: tuple[Piece, ...]
    least_frames: int = 0
    is_exact: bool = False
    least_s: float = 0.0
    sample_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Contents:
    """A recording from end to end.

    Attributes:
        parts: to be decoded one after another.
        notes: what a listener should know of how it was read.
        is_mpeg: whether libmpg123 decodes it.
    """

    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()
    is_mpeg: bool = False

    def is_plain(self, size: int) -> bool:
        """Return whether the file decodes as it is."""
        return len(self.parts) == 1 and self.parts[0].pieces == (range(size),)


class PiecedFile(io.RawIOBase):
    """Pieces of a file, read as one file."""

    def __init__(self, data: RecordingBytes, pieces: tuple[Piece, ...]) -> None:
        self._data = data
        self._pieces = pieces
        self._size = sum(map(len, pieces))
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, which may lie behind the end."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(origin + offset, 0)
        return self._position

    def readinto(self, buffer: object) -> int:
        """Fill a buffer; return how many bytes there were."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        filled, start = 0, 0
        for piece in self._pieces:
            inside = self._position - start
            if filled < len(view) and 0 <= inside < len(piece):
                wanted = min(len(view) - filled, len(piece) - inside)
                found = _bytes_of(self._data, piece, inside, wanted)
                view[filled : filled + len(found)] = found
                filled += len(found)
                self._position += len(found)
            start += len(piece)
        return filled


def _bytes_of(data: RecordingBytes, piece: Piece, inside: int, wanted: int) -> bytes:
    if isinstance(piece, bytes):
        return piece[inside : inside + wanted]
    return data.at(piece.start + inside, wanted)


def patched(span: range, *patches: tuple[int, bytes]) -> tuple[Piece, ...]:
    """Return a range of a file with other bytes at some places, which are given in order."""
    pieces: list[Piece] = []
    position = span.start
    for at, content in patches:
        pieces += [range(position, at), content]
        position = at + len(content)
    return (*(piece for piece in pieces if len(piece)), range(position, span.stop))


def places_of(block: bytes, *pairs: bytes) -> list[int]:
    """Return where two bytes stand, of any of the pairs; many times as fast as `bytes.find`."""
    wanted = [int.from_bytes(pair, "little") for pair in pairs]
    found: list[int] = []
    for odd in (0, 1):
        words = np.frombuffer(block, "<u2", max(len(block) - odd, 0) // 2, odd)
        mask = words == wanted[0]
        for more in wanted[1:]:
            mask |= words == more
        marked = mask.tobytes()
        at = marked.find(1)
        while at >= 0:
            found.append(2 * at + odd)
            at = marked.find(1, at + 1)
    return sorted(found)


def tag_bytes(data: RecordingBytes, position: int, stop: int) -> int:
    """Return the length of the tag that begins there; 0 = none does."""
    head = data.at(position, _APE_FOOTER_BYTES)
    if head[:3] == b"ID3" and len(head) >= 10 and max(head[6:10]) < 0x80:
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        length = 10 + size + (10 if head[5] & 0x10 else 0)
    elif head[:4] == b"TAG+":
        length = 227
    elif head[:3] == b"TAG":
        length = 128
    elif head[:8] == b"APETAGEX" and len(head) == _APE_FOOTER_BYTES:
        is_header = int.from_bytes(head[20:24], "little") & 0x2000_0000
        length = int.from_bytes(head[12:16], "little") + 32 if is_header else 32
    elif head[:11] == b"LYRICSBEGIN":
        end = data.at(position, min(2**17, stop - position)).find(b"LYRICS200")
        length = end + 9 if end >= 0 else 0
    else:
        return 0
    return length if position + length <= stop else 0


def skip_tags(data: RecordingBytes, position: int, stop: int) -> int:
    """Return where tags and bytes of zero end that begin there."""
    while position < stop:
        length = tag_bytes(data, position, stop) or _zeros(data, position, stop)
        if not length:
            break
        position += length
    return position


def _zeros(data: RecordingBytes, position: int, stop: int) -> int:
    begin = position
    while position < stop:
        block = data.at(position, min(_ZEROS_BYTES, stop - position))
        zeros = len(block) - len(block.lstrip(b"\0"))
        position += zeros
        if not block or zeros < len(block):
            break
    return position - begin
