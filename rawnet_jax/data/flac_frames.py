"""Where the frames of a FLAC file are, and the streams that were joined.

A frame has no length, and its header may claim any number of samples for the whole. So frames are
found by their headers, which are numbered and have a checksum.
"""

from dataclasses import dataclass, field

import numpy as np

from rawnet_jax.data.recording_bytes import Contents, Part, RecordingBytes, patched, skip_tags

_BLOCK_BYTES = 2**20
_HEADER_BYTES = 16  # the longest header of a frame
_MARK = b"fLaC"
_STREAMINFO_BYTES = 34
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


_CRC8, _CRC16 = _table(0x07, 8), _table(0x8005, 16)


@dataclass(frozen=True, slots=True)
class _Frame:
    at: int
    number: int  # of the frame, or of its first sample where block sizes vary
    num_samples: int


@dataclass(slots=True)
class _Stream:
    """One stream: a mark, what it says of itself, and frames."""

    start: int
    frames_at: int
    claim: int  # samples
    most_bytes: int  # of a frame; 0 = unknown
    kind: bytes = b""  # what every frame header repeats
    nominal: int = 0  # samples of a frame where all are equally long; 0 = they are not
    last: _Frame | None = None
    expected: int = 0
    strays: list[_Frame] = field(default_factory=list)  # headers out of order, or chance
    ends: dict[int, int] = field(default_factory=dict)  # of a stray, where the next frame begins

    def take(self, frame: _Frame) -> None:
        if self.strays and self.strays[-1].at not in self.ends:
            self.ends[self.strays[-1].at] = frame.at
        if frame.number != self.expected:
            self.strays.append(frame)
            return
        self.last = frame
        self.expected += 1 if self.nominal else frame.num_samples

    @property
    def num_samples(self) -> int:
        if self.last is None:
            return 0
        return self.last.number * (self.nominal or 1) + self.last.num_samples


def flac_contents(data: RecordingBytes, start: int, mark: int) -> tuple[Contents, int]:
    """Return the streams of a FLAC file as parts, and where they end.

    Args:
        data: the recording.
        start: where it begins, with its tags.
        mark: where its first stream begins.

    Raises:
        AudioError: frames are missing or out of order.
    """
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
    claim = int.from_bytes(info[13:18], "big") & 0xF_FFFF_FFFF
    stream = _Stream(mark, position, claim, int.from_bytes(info[7:10], "big"))
    head = data.at(position, _HEADER_BYTES)
    stream.kind = head[:2] + bytes((head[2] & 15, head[3] & 15)) if len(head) > 4 else b""
    first = _frame(head, 0, position, stream.kind)
    if first is None or first.number:
        if claim or position < data.size:
            raise data.refused("damaged", f"its first FLAC frame is none, at byte {position}")
        raise data.refused("empty", "the file has no samples")
    stream.nominal = 0 if head[1] & 1 else first.num_samples
    return stream


def _is_stream(data: RecordingBytes, mark: int) -> bool:
    head = data.at(mark, 8)
    return head[:4] == _MARK and head[4:] in (b"\0\0\0\x22", b"\x80\0\0\x22")


def _scan(data: RecordingBytes, stream: _Stream) -> int | None:
    """Give a stream its frames; return where the next stream begins, None = nowhere."""
    base = stream.frames_at
    while True:
        block = data.at(base, _BLOCK_BYTES + _HEADER_BYTES)
        stop = min(len(block), _BLOCK_BYTES)
        following = _next_stream(data, block, base, stop)
        if following is not None:
            stop = following - base
        for at in _places(block, stop, stream.kind):
            frame = _frame(block, at, base + at, stream.kind)
            if frame is not None:
                stream.take(frame)
        if following is not None or len(block) <= _BLOCK_BYTES:
            return following
        base += _BLOCK_BYTES


def _places(block: bytes, stop: int, kind: bytes) -> list[int]:
    """Return where the first two bytes of a frame stand; several times as fast as `bytes.find`."""
    values = np.frombuffer(block, np.uint8)
    found = np.flatnonzero((values[:-1] == kind[0]) & (values[1:] == kind[1]))
    return [int(at) for at in found if at < stop]


def _next_stream(data: RecordingBytes, block: bytes, base: int, stop: int) -> int | None:
    at = block.find(_MARK)
    while 0 <= at < stop:
        if _is_stream(data, base + at):
            return base + at
        at = block.find(_MARK, at + 1)
    return None


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
    total, last = stream.num_samples, stream.last
    assert last is not None
    if stream.claim > total:
        raise data.refused("truncated", f"{total} of {stream.claim} frames")
    for stray in stream.strays:
        end = stream.ends.get(stray.at, stop)
        if len(stream.strays) > _MOST_STRAYS or stray.at > last.at or _closes(data, stray.at, end):
            raise data.refused("damaged", f"a FLAC frame is out of order at byte {stray.at}")
    is_short = stop - last.at <= stream.most_bytes
    if not (stream.claim == total and is_short) and not _ends_well(data, last.at, stop):
        notes.append("bytes behind its last FLAC frame are no audio and are not read")
    if stream.claim == total:
        return Part((range(start, stop),), total)
    if stream.claim:
        notes.append(f"its header claims {stream.claim} frames; all {total} are read")
    at = stream.start + 4 + 4 + 13
    info = int.from_bytes(data.at(at, 5), "big") & ~0xF_FFFF_FFFF | total
    return Part(patched(range(start, stop), (at, info.to_bytes(5, "big"))), total)


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
