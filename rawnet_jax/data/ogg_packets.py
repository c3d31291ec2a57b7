"""How many samples the packets of an Ogg stream hold: Opus and Vorbis, without decoding them."""

from collections.abc import Callable, Sequence

_MODE_BITS = 41  # of a mode in Vorbis' setup header: flag, window, transform, mapping
_MOST_HEADER_BYTES = 2**24  # comments may hold a picture
_HEADER_PACKETS = {"opus": 2, "vorbis": 3}


_Count = Callable[[bytes, Sequence[int]], int]


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
        self._num_headers = _HEADER_PACKETS.get(codec, 0)
        self._open: bytes | None = None  # a packet that goes on; of audio its first bytes
        self._count: _Count = opus_samples

    def feed(self, page: bytes) -> int:
        """Take a page; return the samples of the packets that end on it."""
        before = self.total
        at = 27 + page[26]
        begins: list[int] = []
        begin = at
        for lacing in page[27:at]:
            at += lacing
            if lacing < 255:
                if at > begin or (self._open is not None and not begins):
                    begins.append(begin)  # of a packet that is not empty, or of the rest of one
                begin = at
        if self.knows and len(self._headers) < self._num_headers:
            self._feed_headers(page, begins, begin)
        elif self.knows:
            if begins and self._open is not None:  # its end is here
                self.total += self._count(self._open, (0,))
                del begins[0]
                self._open = None
            self.total += self._count(page, begins)
        if begin < at and self._open is None:
            self._open = page[begin : begin + 2]
        return self.total - before

    def _feed_headers(self, page: bytes, begins: list[int], rest: int) -> None:
        for begin, end in zip(begins, [*begins[1:], rest], strict=True):
            packet = (self._open or b"") + page[begin:end]
            self._open = None
            if len(self._headers) < self._num_headers:
                self._take_header(packet)
            elif packet:
                self.total += self._count(packet, (0,))
        if len(self._headers) < self._num_headers and rest < len(page):
            self._open = ((self._open or b"") + page[rest:])[:_MOST_HEADER_BYTES]

    def _take_header(self, packet: bytes) -> None:
        self._headers.append(packet)
        if len(self._headers) == 1:
            self._read_first(packet)
        if self._codec == "vorbis" and len(self._headers) == self._num_headers:
            lengths = vorbis_blocks(self._headers[0], self._headers[2])
            self.knows = bool(lengths)
            self._count = _VorbisSamples(lengths)

    def _read_first(self, packet: bytes) -> None:
        if self._codec == "opus":
            self.skipped = int.from_bytes(packet[10:12], "little")
        else:
            self.rate = int.from_bytes(packet[12:16], "little")


def _opus_frames(config: int) -> int:
    """Return how long a frame is, at 48 kHz (RFC 6716, section 3.1)."""
    if config < 12:
        return (480, 960, 1920, 2880)[config & 3]
    return (480, 960)[config & 1] if config < 16 else (120, 240, 480, 960)[config & 3]


_OPUS_SAMPLES = [_opus_frames(first >> 3) * (1, 2, 2, 0)[first & 3] for first in range(256)]


def opus_samples(content: bytes, begins: Sequence[int]) -> int:
    """Return how many samples Opus packets hold, at 48 kHz.

    Args:
        content: bytes that hold them.
        begins: where each begins.
    """
    total = 0
    for begin in begins:
        samples = _OPUS_SAMPLES[content[begin]]
        if not samples:  # the second byte tells the number of frames
            many = content[begin + 1 : begin + 2]
            samples = _opus_frames(content[begin] >> 3) * (many[0] & 63) if many else 0
        total += samples
    return total


class _VorbisSamples:
    """A Vorbis packet adds a quarter of the block before it and a quarter of its own."""

    def __init__(self, blocks: tuple[int, ...]) -> None:
        mask = (1 << max(len(blocks) - 1, 0).bit_length()) - 1
        modes = [first >> 1 & mask for first in range(256)]
        self._blocks = [
            0 if first & 1 or modes[first] >= len(blocks) else blocks[modes[first]]
            for first in range(256)
        ]  # by the first byte; 0 = no audio
        self._last = 0

    def __call__(self, content: bytes, begins: Sequence[int]) -> int:
        total, last, blocks = 0, self._last, self._blocks
        for begin in begins:
            block = blocks[content[begin]]
            if block:
                total += (last + block) // 4 if last else 0
                last = block
        self._last = last
        return total


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
