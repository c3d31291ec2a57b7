"""Where the frames of an MPEG audio file are, and the parts that were joined.

Only the frames tell how long such a file is. A Xing frame may claim it, and libmpg123 stops there;
without one libmpg123 guesses from the first bit rate. So each part gets a Xing frame that is right.
"""

import functools
import re
from dataclasses import dataclass

from rawnet_jax.data.recording_bytes import (
    Contents,
    Part,
    RecordingBytes,
    patched,
    places_of,
    skip_tags,
)

_BLOCK_BYTES = 2**20
_MOST_FRAME_BYTES = 2**13
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_KBPS = {  # by (is version 1, layer)
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_DECODER_DELAY = 529
_SILENT_SAMPLES = 4608
_MOST_TRIMMED = 2 * 4096  # samples that a LAME tag may take off at both ends together
_MARKS = (b"Xing", b"Info", b"VBRI")
_MARK_OFFSETS = (36, 21, 13, 38, 23, 15)  # behind side information, with checksum or not
_MOST_TRIES = 10_000  # to find a frame in what seems to be none
_SYNC = re.compile(b"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff][\x10-\xef]")


_Kind = tuple[int, int, bool]  # layer, rate, mono


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What the second and third byte of a frame say.

    Attributes:
        layer: 1 to 3.
        rate: samples per second.
        samples: per channel.
        size: in bytes, header and all.
        version: 3 = MPEG 1, 2 = MPEG 2, 0 = MPEG 2.5.
    """

    layer: int
    rate: int
    samples: int
    size: int
    version: int


@functools.cache
def header_of(second: int, third: int) -> FrameHeader | None:
    """Return what two bytes after 0xFF say; None = they begin no frame."""
    version, layer = second >> 3 & 3, 4 - (second >> 1 & 3)
    bitrate, rate_index, padding = third >> 4, third >> 2 & 3, third >> 1 & 1
    if second < 0xE0 or version == 1 or layer == 4 or bitrate in (0, 15) or rate_index == 3:
        return None
    rate = _RATES[version][rate_index]
    kbps = _KBPS[version == 3, layer][bitrate - 1]
    if layer == 1:
        return FrameHeader(1, rate, 384, (12_000 * kbps // rate + padding) * 4, version)
    samples = 1152 if layer == 2 or version == 3 else 576
    return FrameHeader(layer, rate, samples, samples // 8 * 1000 * kbps // rate + padding, version)


@functools.lru_cache(2**10)
def _kind_and_size(head: bytes) -> tuple[_Kind, int]:
    """Return layer, rate and whether it is mono, and the size of a frame that begins so."""
    header = header_of(head[1], head[2]) if len(head) == 4 and head[0] == 0xFF else None
    return (
        ((0, 0, False), 0)
        if header is None
        else ((header.layer, header.rate, head[3] >= 0xC0), header.size)
    )


def begins_mp3(head: bytes) -> bool:
    """Return whether bytes are two frames of one kind."""
    first = header_of(head[1], head[2]) if len(head) > 3 and head[0] == 0xFF else None
    if first is None:
        return False
    second = head[first.size : first.size + 3]
    if len(second) < 3 or second[0] != 0xFF:
        return False
    found = header_of(second[1], second[2])
    return found is not None and (found.layer, found.rate) == (first.layer, first.rate)


def first_frame(head: bytes) -> int | None:
    """Return where the first of three frames of one kind stands; None = nowhere.

    Two are not enough: in bytes of other kinds chance makes them once in ten thousand files.
    """
    for found in _SYNC.finditer(head):
        at = found.start()
        first = header_of(head[at + 1], head[at + 2])
        if first is not None and begins_mp3(head[at:]) and begins_mp3(head[at + first.size :]):
            return at
    return None


@dataclass(slots=True)
class _Run:
    """Frames that are decoded together."""

    start: int  # tags before the first frame are libmpg123's to read
    kind: _Kind = (-1, 0, False)
    head: bytes = b""  # the first frame, which holds no audio where it is a Xing frame
    first: FrameHeader | None = None
    begin: int = 0  # of the first frame
    mark: int | None = None  # of "Xing" in it
    stop: int = 0
    num_frames: int = 0


class _Walk:
    """Goes from frame to frame."""

    def __init__(self, data: RecordingBytes, start: int, stop: int) -> None:
        self.runs = [_Run(start)]
        self._data = data
        self._stop = stop
        self._base = 0
        self._block = b""
        self._limit = -1  # of places in the block behind which a whole frame fits
        self._sizes: dict[bytes, int] = {}  # of frames, by the headers of the run
        self._marks: frozenset[int] = frozenset()
        self._starts: frozenset[int] = frozenset()  # where a frame would have one of them

    def go(self, position: int) -> int:
        """Take all frames that follow one another; return where none does."""
        while True:
            at = position - self._base
            if not 0 <= at <= self._limit:
                at = self._load(position)
            block = self._block
            at = self._pass(at)
            position = self._base + at
            if at > self._limit:
                continue
            if at + 4 > len(block) or block[at] != 0xFF:
                return position
            header = header_of(block[at + 1], block[at + 2])
            if header is None or at + header.size > len(block):
                return position
            run = self.runs[-1]
            mark = None
            if at in self._starts:
                mark = next(o for o in _MARK_OFFSETS if at + o in self._marks)
            kind, _ = _kind_and_size(block[at : at + 4])
            if kind != run.kind or mark is not None:
                run = self._begin(position, header, kind)
                run.head, run.mark = block[at : at + header.size], mark
            position += header.size
            run.stop = position
            run.num_frames += mark is None

    def _pass(self, at: int) -> int:
        """Take frames of the run's kind that have no mark; return where none is."""
        block, starts, sizes, limit = self._block, self._starts, self._sizes, self._limit
        most, count, run = len(block), 0, self.runs[-1]
        while at <= limit and at not in starts:
            head = block[at : at + 4]
            size = sizes.get(head)
            if size is None:
                kind, size = _kind_and_size(head)
                if kind != run.kind:
                    break
                sizes[head] = size
            if at + size > most:
                break
            at += size
            count += 1
        if count:
            run.num_frames += count
            run.stop = self._base + at
        return at

    def begin(self, position: int) -> None:
        """Have another run begin there."""
        self._sizes = {}
        self.runs.append(_Run(position))

    def _load(self, position: int) -> int:
        self._base = position
        self._block = self._data.at(position, min(_BLOCK_BYTES, self._stop - position))
        is_last = position + len(self._block) >= self._stop
        self._limit = len(self._block) - (0 if is_last else _MOST_FRAME_BYTES)
        pairs = places_of(self._block, *(mark[:2] for mark in _MARKS))
        self._marks = frozenset(at for at in pairs if self._block.startswith(_MARKS, at))
        self._starts = frozenset(mark - o for mark in self._marks for o in _MARK_OFFSETS)
        return 0

    def _begin(self, position: int, header: FrameHeader, kind: _Kind) -> _Run:
        if self.runs[-1].first:
            self.runs.append(_Run(position))
        run = self.runs[-1]
        self._sizes = {}
        run.kind, run.first, run.begin = kind, header, position
        return run


def mp3_contents(data: RecordingBytes, start: int, first: int, stop: int) -> tuple[Contents, int]:
    """Return the parts of a file of MPEG frames, and where the last frame ends.

    Args:
        data: the recording.
        start: where it begins, with its tags.
        first: its first frame.
        stop: where it ends at the latest.

    Raises:
        AudioError: bytes between frames are none, or frames are missing.
    """
    walk = _Walk(data, start, stop)
    position = walk.go(first)
    while (after := skip_tags(data, position, stop)) > position and _begins(data, after):
        walk.begin(after)
        position = walk.go(after)
    notes = _notes_of_rest(data, position, stop, walk.runs[-1])
    runs = [run for run in walk.runs if run.num_frames]
    if not runs:
        raise data.refused("empty", "no MPEG frame is whole")
    parts = tuple(_part(data, run, notes) for run in runs)
    return Contents(parts, tuple(notes), is_mpeg=True), _end_of_cut(data, position, stop)


def _begins(data: RecordingBytes, position: int) -> bool:
    return begins_mp3(data.at(position, _MOST_FRAME_BYTES))


def _end_of_cut(data: RecordingBytes, position: int, stop: int) -> int:
    """Return the end of the file where all that is left is a frame that was cut."""
    head = data.at(position, 3)
    header = header_of(head[1], head[2]) if len(head) == 3 and head[0] == 0xFF else None
    return stop if header is not None and position + header.size > stop else position


def _notes_of_rest(data: RecordingBytes, position: int, stop: int, run: _Run) -> list[str]:
    """Look for frames behind bytes that are none: libmpg123 would give up or skip them."""
    if _end_of_cut(data, position, stop) > position:
        return [f"its last MPEG frame is cut off, {stop - position} bytes of it are left"]
    at, tries = position, 0
    while at < stop:
        block = data.at(at, min(_BLOCK_BYTES, stop - at))
        for found in _SYNC.finditer(block):
            tries += 1
            if tries > _MOST_TRIES or (
                at + found.start() > position and _begins(data, at + found.start())
            ):
                where = run.num_frames * run.first.samples / run.first.rate if run.first else 0
                what = f"bytes that are not an MPEG frame, {where:.1f} s after byte {run.begin}"
                raise data.refused("damaged", what)
        at += len(block) - (1 if at + len(block) < stop else 0)
    return []


def _part(data: RecordingBytes, run: _Run, notes: list[str]) -> Part:
    assert run.first is not None
    span, found = range(run.start, run.stop), run.num_frames
    num_samples = found * run.first.samples
    if run.first.layer != 3:  # no Xing frames; libmpg123 guesses from the bit rate
        return Part((span,), num_samples, is_exact=True)
    mark = run.mark
    if mark is None or not _gives_frames(run.head, mark):
        begin = run.begin + (len(run.head) if mark is not None else 0)
        return Part((_xing_frames(run.head, run.first, found), range(begin, run.stop)), num_samples)
    claim = int.from_bytes(run.head[mark + 8 : mark + 12], "big")
    least = max(num_samples - _MOST_TRIMMED, 1)
    if claim == found:
        return Part((span,), least)
    if claim > found + 1:  # some programs count the Xing frame itself
        raise data.refused("truncated", f"{found} of {claim} MPEG frames")
    if claim < found:
        notes.append(f"its header claims {claim} MPEG frames; all {found} are read")
    head = bytearray(run.head)
    head[mark + 8 : mark + 12] = found.to_bytes(4, "big")
    padding = mark + 8 + _lame_bytes(head[mark + 7]) + 22
    if len(head) >= padding + 2:
        head[padding] &= 0xF0  # what was padding at the claimed end is none at the real one
        head[padding + 1] = 0
    return Part(patched(span, (run.begin, bytes(head))), least)


def _gives_frames(head: bytes, mark: int) -> bool:
    return head[mark : mark + 4] != b"VBRI" and len(head) >= mark + 12 and bool(head[mark + 7] & 1)


def _lame_bytes(flags: int) -> int:
    """Return the length of what stands between a Xing frame's flags and the LAME tag."""
    return 4 * (flags & 1) + 2 * (flags & 2) + 25 * (flags & 4) + (flags & 8) // 2


def _xing_frames(head: bytes, first: FrameHeader, num_frames: int) -> bytes:
    """Return a frame of the same kind that says how many follow, and silent ones.

    Where libmpg123 knows the number of frames it also cuts off 529 samples, the delay of a decoder.
    Here it cuts off the silent frames instead, and so nothing of the audio. There are so many that
    its buffers turn full circle: what follows comes out as it would alone, bit for bit.
    """
    second, is_mono = head[1] | 1, head[3] >= 0xC0  # without a checksum
    side = (17 if is_mono else 32) if first.version == 3 else (9 if is_mono else 17)
    silent = _SILENT_SAMPLES // first.samples
    cut = (_SILENT_SAMPLES - _DECODER_DELAY) << 12 | _DECODER_DELAY  # at the beginning, at the end
    xing = b"Xing" + (1).to_bytes(4, "big") + (num_frames + silent).to_bytes(4, "big")
    body = bytes(side) + xing + b"LAME3.100".ljust(21, b"\0") + cut.to_bytes(3, "big") + bytes(12)
    frames = b""
    for content, count in ((body, 1), (bytes(side), silent)):
        for bitrate in range(1, 15):
            third = bitrate << 4 | head[2] & 0x0F
            found = header_of(second, third)
            if found is not None and found.size >= 4 + len(content):
                frame = bytes((0xFF, second, third, head[3])) + content
                frames += frame.ljust(found.size, b"\0") * count
                break
    return frames
