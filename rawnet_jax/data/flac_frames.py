"""Where the frames of a FLAC file are, and the streams that were joined.

A frame has no length, and its header may claim any number of samples for the whole. So frames are
found by their headers, which are numbered and have a checksum.
"""

import functools
from dataclasses import dataclass, field
from typing import NamedTuple

from rawnet_jax.data.recording_bytes import (
    Contents,
    Part,
    RecordingBytes,
    patched,
    places_of,
    skip_tags,
)

_BLOCK_BYTES = 2**16  # stays in a processor's cache
_HEADER_BYTES = 16  # the longest header of a frame
_MARK = b"fLaC"
_STREAMINFO_BYTES = 34
_FEW_SAMPLES = 128  # 8 ms at 16 kHz
_MOST_STRAYS = 16  # chance makes one in hours of audio
_MOST_TAIL_BYTES = 2**22  # a frame and tags behind it
_MOST_TRIES = 100
_SIZES = {1: 192, **{n: 576 << (n - 2) for n in range(2, 6)}, **{n: 1 << n for n in range(8, 16)}}


def _table(polynomial: int, bits: int) -> tuple[int, ...]:
    values = []
    for value in range(256):
        value <<= bits - 8
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> (bits - 1) else 0)
            value &= (1 << bits) - 1
        values.append(value)
    return tuple(values)


_MOST_GROUPS = 0x1000  # of 256 frames: a day of audio

_CRC8, _CRC16 = _table(0x07, 8), _table(0x8005, 16)


class _Frame(NamedTuple):
    at: int
    number: int  # of the frame, or of its first sample where block sizes vary
    num_samples: int


@dataclass(slots=True)
class _Stream:
    """One stream: a mark, what it says of itself, and frames."""

    start: int
    frames_at: int
    info: bytes  # what it says of itself
    kind: bytes = b""  # what every frame header repeats
    nominal: int = 0  # samples of a frame where all are equally long; 0 = they are not
    last_at: int = -1  # the last frame
    last_samples: int = 0  # in it
    expected: int = 0  # the number of the next frame
    strays: list[_Frame] = field(default_factory=list)  # headers out of order, or chance
    ends: dict[int, int] = field(default_factory=dict)  # of a stray, where the next frame begins

    @property
    def claim(self) -> int:
        """Samples, by its header; 0 = unknown."""
        return int.from_bytes(self.info[13:18], "big") & 0xF_FFFF_FFFF

    @property
    def most_samples(self) -> int:
        """Of a frame."""
        return int.from_bytes(self.info[2:4], "big")

    @property
    def most_tail(self) -> int:
        """Bytes that the last frame may have: what the header says, and no more than its samples.

        0 = unknown.
        """
        channels, bits = (self.info[12] >> 1 & 7) + 1, (self.info[12] & 1) << 4 | self.info[13] >> 4
        raw = _HEADER_BYTES + channels * (8 + self.last_samples * (bits // 8 + 2))
        return min(int.from_bytes(self.info[7:10], "big"), raw)

    def take(self, frame: _Frame) -> None:
        if self.strays and self.strays[-1].at not in self.ends:
            self.ends[self.strays[-1].at] = frame.at
        if frame.number != self.expected:
            self.strays.append(frame)
            return
        self.last_at, self.last_samples = frame.at, frame.num_samples
        self.expected += 1 if self.nominal else frame.num_samples

    @property
    def num_samples(self) -> int:
        if not self.nominal:
            return self.expected
        return max(self.expected - 1, 0) * self.nominal + self.last_samples


def flac_contents(data: RecordingBytes, start: int, mark: int) -> tuple[Contents, int]:
    """Return the streams of a FLAC file as parts, and where they end.

    Args:
        data: the recording.
        start: where it begins, with its tags.
        mark: where its first stream begins.

    Raises:
        AudioError: frames are missing or out of order.
    """
    stream = _open(data, mark)
    _scan(data, stream, follows=False)
    if _is_plain(data, stream):
        return Contents((Part((range(start, data.size),), stream.num_samples),)), data.size
    notes: list[str] = []
    parts: list[Part] = []
    found: int | None = mark
    while found is not None:
        stream = _open(data, found)
        following = _scan(data, stream)
        begin = start if not parts else stream.start
        parts.append(_part(data, stream, begin, following or data.size, notes))
        found = following
    return Contents(tuple(parts), tuple(notes)), data.size


def _open(data: RecordingBytes, mark: int) -> _Stream:
    """Read what stands before the frames."""
    position = mark + 4
    info = data.at(position + 4, _STREAMINFO_BYTES)
    is_last = False
    while not is_last:
        head = data.at(position, 4)
        if len(head) < 4 or (position == mark + 4 and not _is_stream(data, mark)):
            raise data.refused("damaged", f"its FLAC header ends at byte {position}")
        is_last = head[0] >= 0x80
        position += 4 + int.from_bytes(head[1:], "big")
    stream = _Stream(mark, position, info)
    head = data.at(position, _HEADER_BYTES)
    stream.kind = head[:2] + bytes((head[2] & 15, head[3] & 15)) if len(head) > 4 else b""
    heads = _usual_heads(head[:4], stream.kind, 0)
    if heads and head.startswith(heads[0]):
        stream.nominal = 0 if head[1] & 1 else _SIZES[head[2] >> 4]
        return stream
    first = _frame(head, 0, position, stream.kind)
    if first is None or first.number:
        if stream.claim or position < data.size:
            raise data.refused("damaged", f"its first FLAC frame is none, at byte {position}")
        raise data.refused("empty", "the file has no samples")
    stream.nominal = 0 if head[1] & 1 else first.num_samples
    return stream


def _is_stream(data: RecordingBytes, mark: int) -> bool:
    head = data.at(mark, 8)
    return head[:4] == _MARK and head[4:] in (b"\0\0\0\x22", b"\x80\0\0\x22")


def _is_plain(data: RecordingBytes, stream: _Stream) -> bool:
    """Return whether a stream, of which all frames were found, is the whole file as it claims.

    What stands between its frames and is none is the decoder's to find: it loses its place there.
    So it need not be searched for streams. What stands behind the last frame no decoder reads.
    """
    tail = data.size - stream.last_at
    return (
        not stream.strays
        and stream.claim == stream.num_samples
        and tail <= stream.most_tail
        and _MARK not in data.at(stream.last_at, tail)
    )


def _scan(data: RecordingBytes, stream: _Stream, *, follows: bool = True) -> int | None:
    """Give a stream its frames; return where the next stream begins, None = nowhere.

    Args:
        data: the recording.
        stream: what `_open` returned.
        follows: whether another stream is looked for.
    """
    base, kind = stream.frames_at, stream.kind
    while True:
        block = data.at(base, _BLOCK_BYTES + _HEADER_BYTES)
        stop = min(len(block), _BLOCK_BYTES)
        following = _next_stream(data, block, base, stop) if follows else None
        if following is not None:
            stop = following - base
        _take_frames(stream, block, base, [at for at in places_of(block, kind[:2]) if at < stop])
        if following is not None or len(block) <= _BLOCK_BYTES:
            return following
        base += _BLOCK_BYTES


def _next_stream(data: RecordingBytes, block: bytes, base: int, stop: int) -> int | None:
    for at in places_of(block, _MARK[:2]):
        if at < stop and _is_stream(data, base + at):
            return base + at
    return None


def _take_frames(stream: _Stream, block: bytes, base: int, places: list[int]) -> None:
    """Give a stream the frames of a block that stand at some of the places.

    To compare with what must stand there is many times as fast as to read it.
    """
    heads: tuple[bytes, ...] = ()
    lead, size, group = b"", 0, -1
    for at in places:
        if stream.expected >> 8 != group or not block.startswith(lead, at):
            lead, group = block[at : at + 4], stream.expected >> 8
            heads = _usual_heads(lead, stream.kind, group) if stream.nominal else ()
            size = _SIZES.get(lead[2] >> 4, 0) if len(lead) == 4 else 0
        if heads and not stream.strays and block.startswith(heads[stream.expected & 255], at):
            stream.last_at, stream.last_samples = base + at, size
            stream.expected += 1
        elif (frame := _frame(block, at, base + at, stream.kind)) is not None:
            stream.take(frame)


@functools.lru_cache(2**8)
def _usual_heads(lead: bytes, kind: bytes, group: int) -> tuple[bytes, ...]:
    """Return the headers of 256 frames of which four bytes and the number tell all.

    Args:
        lead: the first four bytes.
        kind: what must be in them.
        group: the first frame's number / 256.

    Returns:
        () where other bytes tell more.
    """
    if len(lead) < 4 or (lead[2] & 15, lead[3] & 15) != (kind[2], kind[3]) or kind[3] & 1:
        return ()
    if lead[2] >> 4 not in _SIZES or kind[2] > 11 or group >= _MOST_GROUPS:
        return ()
    numbers = range(group << 8, group + 1 << 8)
    heads = [lead + chr(number).encode("utf-8", "surrogatepass") for number in numbers]
    return tuple(head + bytes((_crc(head, _CRC8, 8),)) for head in heads)


def _frame(block: bytes, at: int, position: int, kind: bytes) -> _Frame | None:
    """Return the frame of which the header stands there; None = none does."""
    head = block[at : at + _HEADER_BYTES]
    if len(head) < 6 or head[2] & 15 != kind[2] or head[3] & 15 != kind[3] or kind[3] & 1:
        return None
    lead = head[4]
    more = 0 if lead < 0x80 else 7 - (~lead & 0xFF).bit_length()  # as in UTF-8, to 36 bits
    if 0x80 <= lead < 0xC0 or lead == 0xFF or len(head) < 9 + more - 2:
        return None
    number = lead if lead < 0x80 else lead & (0x3F >> more)
    for byte in head[5 : 5 + more]:
        number = number << 6 | byte & 0x3F
    end = 5 + more
    size_code, rate_code = head[2] >> 4, head[2] & 15
    extra = {6: 1, 7: 2}.get(size_code, 0)
    size = _SIZES.get(size_code) or int.from_bytes(head[end : end + extra], "big") + 1
    end += extra + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if size_code == 0 or end >= len(head) or _crc(head[:end], _CRC8, 8) != head[end]:
        return None
    return _Frame(position, number, size)


def _crc(content: bytes, table: tuple[int, ...], bits: int) -> int:
    value, shift, mask = 0, bits - 8, (1 << bits) - 1
    for byte in content:
        value = (value << 8 & mask) ^ table[value >> shift ^ byte]
    return value


def _part(data: RecordingBytes, stream: _Stream, start: int, stop: int, notes: list[str]) -> Part:
    """Hold what a stream claims against its frames."""
    total, last_at = stream.num_samples, stream.last_at
    if stream.claim > total and not _is_complete(data, stream, stop):
        raise data.refused("truncated", f"{total} of {stream.claim} frames")
    for stray in stream.strays:
        end = stream.ends.get(stray.at, stop)
        if len(stream.strays) > _MOST_STRAYS or stray.at > last_at or _closes(data, stray.at, end):
            raise data.refused("damaged", f"a FLAC frame is out of order at byte {stray.at}")
    is_short = stop - last_at <= stream.most_tail
    if not (stream.claim == total and is_short) and not _ends_well(data, last_at, stop):
        notes.append("bytes behind its last FLAC frame are not audio and are not read")
    if stream.claim == total:
        return Part((range(start, stop),), total)
    if stream.claim:
        notes.append(f"its header claims {stream.claim} frames; all {total} are read")
    at = stream.start + 4 + 4 + 13
    info = int.from_bytes(data.at(at, 5), "big") & ~0xF_FFFF_FFFF | total
    return Part(patched(range(start, stop), (at, info.to_bytes(5, "big"))), total)


def _is_complete(data: RecordingBytes, stream: _Stream, stop: int) -> bool:
    """Return whether a stream that claims more samples than it holds has lost nothing.

    Its last frame must be whole and last in the file. If that frame is shorter than the others, it
    is the end: encoders make a shorter one nowhere else. If it is as long, frames may have followed
    it, and the claim may be a few samples off only, fewer than can be heard.
    """
    is_end = 0 < stream.last_samples < stream.most_samples and stream.nominal
    is_close = stream.claim - stream.num_samples <= _FEW_SAMPLES
    return bool(is_end or is_close) and _ends_well(data, stream.last_at, stop)


def _closes(data: RecordingBytes, start: int, stop: int) -> bool:
    """Return whether a frame fills a range: its checksum stands last."""
    if stop - start > _MOST_TAIL_BYTES:
        return False
    return _crc(data.at(start, stop - start), _CRC16, 16) == 0


def _ends_well(data: RecordingBytes, start: int, stop: int) -> bool:
    """Return whether nothing stands between the last frame and the end but tags and zeros."""
    if stop - start > _MOST_TAIL_BYTES:
        return False
    value, tries = 0, 0
    content = data.at(start, stop - start)
    for at, byte in enumerate(content):
        if value == 0 and at and tries < _MOST_TRIES:
            tries += 1
            if skip_tags(data, start + at, stop) == stop:
                return True
        value = (value << 8 & 0xFFFF) ^ _CRC16[value >> 8 ^ byte]
    return value == 0
