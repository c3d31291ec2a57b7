"""Where the links of an Ogg file begin and end."""

import struct
import zlib
from dataclasses import dataclass, field
from typing import NamedTuple

from rawnet_jax.data.ogg_packets import PacketClock, codec_of
from rawnet_jax.data.recording_bytes import Contents, Part, RecordingBytes, patched, skip_tags

_BOS, _EOS = 2, 4
_HEAD = struct.Struct("<BQI")  # flags, granule position, serial number
_HEADER_BYTES = 27
_NO_GRANULE = 2**64 - 1  # no packet ends on the page
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class _Page(NamedTuple):
    at: int
    stop: int
    flags: int
    granule: int
    serial: int
    content: bytes


@dataclass(slots=True)
class _Stream:
    """One logical stream: pages of one serial number."""

    clock: PacketClock
    last: _Page
    begin: int | None = None  # granule position of its first sample
    highest: int = 0
    last_page_samples: int = 0

    def take(self, page: _Page, data: RecordingBytes) -> None:
        if self.last.flags & _EOS and page is not self.last:
            raise data.refused("damaged", f"an Ogg stream goes on after its end, at byte {page.at}")
        self.last = page
        samples = self.clock.feed(page.content)
        if page.granule == _NO_GRANULE:
            self.last_page_samples += samples
            return
        if samples and self.begin is None:
            self.begin = max(page.granule - self.clock.total, 0)
        self.last_page_samples = samples
        if page.granule < self.highest:
            raise data.refused("damaged", f"its Ogg pages run back in time at byte {page.at}")
        self.highest = page.granule

    def check_end(self, data: RecordingBytes) -> None:
        """The last page may cut its own samples off, but none before."""
        end = (self.begin or 0) + self.clock.total
        if self.clock.knows and self.highest < end - self.last_page_samples:
            what = f"its Ogg pages claim {self.highest} samples and hold {end}"
            raise data.refused("damaged", what)

    @property
    def least_s(self) -> float:
        """Seconds that a decoder must find: all packets but those of the last page."""
        if not self.clock.knows:
            return 0.0
        return max(self.clock.total - self.last_page_samples - self.clock.skipped, 0) / (
            self.clock.rate or 1
        )


@dataclass(slots=True)
class _Link:
    """Streams that begin together. Files that were joined have several links."""

    start: int
    streams: dict[int, _Stream] = field(default_factory=dict)
    audio: list[_Stream] = field(default_factory=list)
    has_begun: bool = False  # a page that begins a stream belongs to the next link
    stop: int = 0

    def take(self, page: _Page, data: RecordingBytes) -> None:
        if page.flags & _BOS:
            codec = codec_of(page.content[_HEADER_BYTES + page.content[26] :])
            stream = self.streams[page.serial] = _Stream(PacketClock(codec), page)
            if codec:
                self.audio.append(stream)
        else:
            self.has_begun = True
        if page.serial not in self.streams:
            raise data.refused("damaged", f"an Ogg stream has no beginning, at byte {page.at}")
        self.streams[page.serial].take(page, data)
        self.stop = page.stop

    def part(self, data: RecordingBytes, notes: list[str]) -> Part:
        if len(self.audio) != 1:
            what = f"{len(self.audio)} audio streams at once in Ogg; it must be one"
            raise data.refused("not audio", what)
        stream, span = self.audio[0], range(self.start, self.stop)
        stream.check_end(data)
        last = stream.last
        if last.flags & _EOS:
            return Part((span,), least_s=stream.least_s)
        if _goes_on(last):
            raise data.refused("truncated", "it ends in the middle of an Ogg packet")
        notes.append("its last Ogg page is not marked as the last; all that it holds is read")
        flagged = bytearray(last.content)
        flagged[5] |= _EOS
        flagged[22:26] = page_checksum(flagged)
        return Part(patched(span, (last.at, bytes(flagged))), least_s=stream.least_s)


def _goes_on(page: _Page) -> bool:
    count = page.content[26]
    return count > 0 and page.content[_HEADER_BYTES + count - 1] == 255


def ogg_contents(data: RecordingBytes, start: int) -> tuple[Contents, int]:
    """Return the links of an Ogg file as parts, and where they end.

    Raises:
        AudioError: a page is damaged or cut, or what its pages claim contradicts them.
    """
    links: list[_Link] = []
    position = start
    while (page := _page_at(data, position)) is not None:
        if not links or (page.flags & _BOS and links[-1].has_begun):
            links.append(_Link(start if not links else page.at))
        links[-1].take(page, data)
        position = page.stop
        if data.at(position, 4) != b"OggS":
            position = _after_junk(data, position)
    notes: list[str] = []
    parts = tuple(link.part(data, notes) for link in links)
    return Contents(parts, tuple(notes)), position


def _page_at(data: RecordingBytes, position: int) -> _Page | None:
    head = data.at(position, _HEADER_BYTES + 255)
    if head[:4] != b"OggS":
        return None
    count = head[26] if len(head) >= _HEADER_BYTES else 0
    size = _HEADER_BYTES + count + sum(head[_HEADER_BYTES : _HEADER_BYTES + count])
    if len(head) < _HEADER_BYTES or position + size > data.size:
        raise data.refused("truncated", "it ends in the middle of an Ogg page")
    content = data.at(position, size)
    if page_checksum(content) != content[22:26]:
        raise data.refused("damaged", f"the checksum of its Ogg page at byte {position} is wrong")
    flags, granule, serial = _HEAD.unpack_from(content, 5)
    return _Page(position, position + size, flags, granule, serial, content)


def _after_junk(data: RecordingBytes, position: int) -> int:
    """Return where the next link begins: behind tags; where nothing follows, the same place."""
    after = skip_tags(data, position, data.size)
    if data.at(after, 4) == b"OggS":
        return after
    if _finds(data, after, b"OggS"):
        raise data.refused("damaged", f"bytes that are not an Ogg page, at byte {position}")
    return position


def _finds(data: RecordingBytes, position: int, wanted: bytes) -> bool:
    while len(block := data.at(position, 2**20)) >= len(wanted):
        if wanted in block:
            return True
        position += len(block) - len(wanted) + 1
    return False


def page_checksum(content: bytes | bytearray) -> bytes:
    """Return the checksum of an Ogg page, of which the field of the checksum counts as 0.

    Ogg's polynomial is zlib's with the bits in the other order and without inversions.
    """
    value = zlib.crc32((content[:22] + bytes(4)).translate(_REVERSED), 0xFFFF_FFFF)
    value = zlib.crc32(content[26:].translate(_REVERSED), value) ^ 0xFFFF_FFFF
    return value.to_bytes(4, "big").translate(_REVERSED)
