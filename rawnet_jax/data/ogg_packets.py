"""How many samples the packets of an Ogg stream hold: Opus and Vorbis, without decoding them."""

from collections.abc import Callable

_MODE_BITS = 41  # of a mode in Vorbis' setup header: flag, window, transform, mapping
_MOST_HEADER_BYTES = 2**24  # comments may hold a picture
_HEADER_PACKETS = {"opus": 2, "vorbis": 3}

Packet = tuple[bytes, bool]
"""Bytes that a page has of a packet, and whether the packet ends on that page."""


def codec_of(payload: bytes) -> str:
    """Return what the first page of a stream names: opus, vorbis, flac, speex or "" (no audio)."""
    starts = {
        b"OpusHead": "opus",
        b"\x01vorbis": "vorbis",
        b"\x7fFLAC": "flac",
        b"Speex  ": "speex",
    }
    return next((codec for start, codec in starts.items() if payload.startswith(start)), "")


class PacketClock:
    """Counts the samples of one stream, page by page.

    Attributes:
        total: samples of all packets that have ended.
        knows: whether this codec can be counted.
        rate: samples per second.
        skipped: samples at the beginning that no decoder gives out.
    """

    def __init__(self, codec: str) -> None:
        self.total = 0
        self.knows = codec in _HEADER_PACKETS
        self.rate = 48_000 if codec == "opus" else 0
        self.skipped = 0
        self._codec = codec
        self._headers: list[bytes] = []
        self._open: bytes | None = None  # a packet that goes on
        self._length: Callable[[bytes], int] = opus_samples

    def feed(self, packets: list[Packet]) -> int:
        """Take the packets of a page; return the samples of those that end on it."""
        before = self.total
        for content, ends in packets:
            whole = content if self._open is None else self._open + content
            # Of an audio packet the first bytes tell all; they are never divided between pages.
            is_header = len(self._headers) < _HEADER_PACKETS.get(self._codec, 0)
            self._open = None if ends else whole[: _MOST_HEADER_BYTES if is_header else 2]
            if ends:
                self._end(whole, is_header)
        return self.total - before

    def _end(self, packet: bytes, is_header: bool) -> None:
        if not self.knows:
            return
        if not is_header:
            self.total += self._length(packet)
            return
        self._headers.append(packet)
        if len(self._headers) == 1:
            self._read_first(packet)
        if self._codec == "vorbis" and len(self._headers) == _HEADER_PACKETS["vorbis"]:
            lengths = vorbis_blocks(self._headers[0], self._headers[2])
            self.knows = bool(lengths)
            self._length = _VorbisLength(lengths)

    def _read_first(self, packet: bytes) -> None:
        if self._codec == "opus":
            self.skipped = int.from_bytes(packet[10:12], "little")
        else:
            self.rate = int.from_bytes(packet[12:16], "little")


def opus_samples(packet: bytes) -> int:
    """Return how long an Opus packet is, at 48 kHz (RFC 6716, section 3.1)."""
    if not packet:
        return 0
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:
        frame = (480, 960)[config & 1]
    else:
        frame = (120, 240, 480, 960)[config & 3]
    if code == 3:
        return frame * (packet[1] & 63) if len(packet) > 1 else 0
    return frame * (1 if code == 0 else 2)


class _VorbisLength:
    """A Vorbis packet adds a quarter of the block before it and a quarter of its own."""

    def __init__(self, blocks: tuple[int, ...]) -> None:
        self._blocks = blocks
        self._mask = (1 << max(len(blocks) - 1, 0).bit_length()) - 1
        self._last = 0

    def __call__(self, packet: bytes) -> int:
        if not packet or packet[0] & 1:
            return 0
        mode = packet[0] >> 1 & self._mask
        block = self._blocks[mode] if mode < len(self._blocks) else 0
        added = (self._last + block) // 4 if self._last else 0
        self._last = block
        return added


def vorbis_blocks(identification: bytes, setup: bytes) -> tuple[int, ...]:
    """Return the block length of every mode; () = the headers are not understood.

    The modes stand last in the setup header, and their number before them. They are read from the
    end, since all that stands before would have to be parsed otherwise.
    """
    if len(identification) < 29:
        return ()
    sizes = (1 << (identification[28] & 15), 1 << (identification[28] >> 4))
    bits = int.from_bytes(setup, "little")
    end = bits.bit_length() - 1  # the framing bit
    flags: list[int] = []
    found: tuple[int, ...] = ()
    while end - _MODE_BITS * (len(flags) + 1) - 6 >= 0 and len(flags) < 64:
        at = end - _MODE_BITS * (len(flags) + 1)
        mode = bits >> at & ((1 << _MODE_BITS) - 1)
        if mode >> 1 & 0xFFFF_FFFF or mode >> 33 > 63:  # windows and transforms are always 0
            break
        flags.insert(0, mode & 1)
        if bits >> (at - 6) & 63 == len(flags) - 1:
            found = tuple(sizes[flag] for flag in flags)
    return found
