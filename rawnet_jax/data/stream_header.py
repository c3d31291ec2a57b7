"""The header of a WAV or AU that comes through a pipe: read once, from front to back."""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from rawnet_jax.data.chunk_files import is_placeholder
from rawnet_jax.data.pcm import PcmFormat
from rawnet_jax.errors import AudioError

SNIFFED_BYTES = 12
"""What tells a header from raw samples."""

_WAV_ORDERS = {b"RIFF": "<", b"RF64": "<", b"RIFX": ">"}
_PCM, _FLOAT, _ALAW, _MULAW = 1, 3, 6, 7
_EXTENSIBLE = 0xFFFE  # the format is in the first two bytes of a longer header's GUID
_OF_FILES = {  # what libsndfile reads and a pipe cannot
    **{0x02: "MS ADPCM", 0x11: "IMA ADPCM", 0x31: "GSM 6.10", 0x38: "NMS ADPCM", 0x40: "G.721"},
    **{0x50: "MPEG audio", 0x55: "MP3"},
}
_AU_ENCODINGS = {1: "mulaw", 2: "s8", 3: "s16be", 4: "s24be", 5: "s32be", 6: "f32be", 7: "f64be"}
_AU_ENCODINGS |= {27: "alaw"}
_AU_OF_FILES = {23: "G.721", 25: "G.723", 26: "G.723"}
_MAX_HEADER_BYTES = 2**24  # pictures and notes stand before the samples


@dataclass(frozen=True, slots=True)
class Header:
    """What a header tells.

    Attributes:
        format: of the samples.
        num_bytes: of samples; None = all that come.
        chunks: byte order of the chunks that may follow the samples; "" = there are none.
    """

    format: PcmFormat
    num_bytes: int | None
    chunks: str = ""


def is_header(start: bytes) -> bool:
    """Return whether `SNIFFED_BYTES` begin a WAV or AU."""
    return start[:4] == b".snd" or (start[:4] in _WAV_ORDERS and start[8:] == b"WAVE")


def read_header(start: bytes, read: Callable[[int], bytes], name: str) -> Header:
    """Read the rest of a header, up to the first sample.

    Args:
        start: its first `SNIFFED_BYTES`.
        read: gives the next bytes; fewer at the end only.
        name: what errors call it.

    Raises:
        AudioError: it is damaged, or tells of samples that a pipe is not read of.
    """
    kind = "AU" if start[:4] == b".snd" else "WAV"

    def exactly(size: int) -> bytes:
        data = read(size)
        if len(data) < size:
            raise AudioError(name, "truncated", f"it ends in its {kind} header")
        return data

    if kind == "AU":
        return _au(start, exactly, name)
    return _wav(_WAV_ORDERS[start[:4]], exactly, name)


def _wav(order: str, exactly: Callable[[int], bytes], name: str) -> Header:
    found: PcmFormat | None = None
    num_read = whole_size = 0
    while True:
        chunk, size = struct.unpack(f"{order}4sI", exactly(8))
        if chunk == b"data":
            break
        num_read += size
        if num_read > _MAX_HEADER_BYTES:
            raise AudioError(name, "damaged", f"no samples in {num_read} bytes of header")
        body = exactly(size + size % 2)
        if chunk == b"fmt ":
            found = _wav_format(body, order, name)
        elif chunk == b"ds64" and size >= 24:  # of RF64, whose other sizes have 32 bits only
            whole_size = int.from_bytes(body[8:16], "little")
    if found is None:
        raise AudioError(name, "damaged", "its WAV header tells no format")
    if size == 0xFFFF_FFFF and whole_size:
        size = whole_size
    return Header(found, _promised(size), order)


def _promised(size: int) -> int | None:
    return size if size and not is_placeholder(size) else None


def _wav_format(body: bytes, order: str, name: str) -> PcmFormat:
    """Return the format that a format chunk names."""
    if len(body) < 16:
        raise AudioError(name, "damaged", f"{len(body)} bytes of WAV format")
    code, channels, rate, _, _, bits = struct.unpack(f"{order}HHIIHH", body[:16])
    if code == _EXTENSIBLE and len(body) >= 26:
        code = struct.unpack(f"{order}H", body[24:26])[0]
    end, wide = "le" if order == "<" else "be", -(-bits // 8) * 8
    encoding = None
    if code in (_ALAW, _MULAW):  # some programs write the bits that they decode to
        encoding = "alaw" if code == _ALAW else "mulaw"
    elif code == _PCM and wide in (8, 16, 24, 32):
        encoding = "u8" if wide == 8 else f"s{wide}{end}"
    elif code == _FLOAT and bits in (32, 64):
        encoding = f"f{bits}{end}"
    if encoding is None:
        raise _not_pcm(name, "WAV", _OF_FILES.get(code), f"format {code} with {bits} bits")
    return PcmFormat(encoding, rate, channels)


def _au(start: bytes, exactly: Callable[[int], bytes], name: str) -> Header:
    body, size = struct.unpack(">II", start[4:12])
    code, rate, channels = struct.unpack(">III", exactly(12))
    if not 24 <= body <= _MAX_HEADER_BYTES:
        raise AudioError(name, "damaged", f"its AU header claims to have {body} bytes")
    exactly(body - 24)
    encoding = _AU_ENCODINGS.get(code)
    if encoding is None:
        raise _not_pcm(name, "AU", _AU_OF_FILES.get(code), f"encoding {code}")
    return Header(PcmFormat(encoding, rate, channels), _promised(size))


def _not_pcm(name: str, kind: str, known_as: str | None, code: str) -> AudioError:
    read = "PCM, float, µ-law and A-law are read from a pipe"
    if known_as is None:
        what = f"{kind} of {code}; {read}"
    else:
        what = f"{kind} of {known_as}; {read}. Save it as a file, which can be scored"
    return AudioError(name, "not PCM", what)
