"""Whether a file that FFmpeg is to decode is whole: its boxes, elements and frames, walked through.

Demuxers stop where a file ends, and some say nothing of it; none reads a second recording behind
the first. Only what is needed for that is looked at, and nothing is decoded.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from rawnet_jax.data.containers import contents_of
from rawnet_jax.data.file_kinds import Kind, adts_bytes, kind_of
from rawnet_jax.data.recording_bytes import RecordingBytes, skip_tags, tag_bytes

_MOST_ITEMS = 20_000_000  # 24 hours of frames
_EBML, _SEGMENT, _CLUSTER = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"
_OF_SEGMENT = ("114d9b74", "1549a966", "1654ae6b", "1c53bb6b", "1254c367", "1043a770", "1941a469")
_OF_CLUSTER = ("e7", "a3", "a0", "a7", "ab", "af", "ec", "bf", "5854")
_ELEMENTS = {*map(bytes.fromhex, (*_OF_SEGMENT, *_OF_CLUSTER)), _EBML, _SEGMENT, _CLUSTER}
_ADTS_RATES = (
    *(96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000),
    *(12_000, 11_025, 8_000, 7_350),
)
_ADTS_SAMPLES = 1024
_ADTS_SYNC = re.compile(rb"\xff[\xf0\xf1\xf8\xf9]")
_MOST_JUNK_BYTES = 2**22
_AMR_S = 0.02
_AMR_BYTES = (13, 14, 16, 18, 20, 21, 27, 32, 6, *[1] * 7)
_AMR_WB_BYTES = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, *[1] * 6)
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_BROADCAST = 1


@dataclass(frozen=True, slots=True)
class Structure:
    """What the bytes of a recording tell.

    Attributes:
        least_s: seconds that a decoder must find; 0 = unknown.
        stop: behind its last byte; None = where the file ends.
        notes: what a listener should know.
    """

    least_s: float = 0.0
    stop: int | None = None
    notes: tuple[str, ...] = ()


def structure_of(data: RecordingBytes, kind: Kind) -> Structure:
    """Walk through a recording.

    Raises:
        AudioError: it is cut or damaged, or another recording follows its end.
    """
    walk = _WALKS.get(kind.demuxer)
    return Structure() if walk is None else walk(data)


def rest_notes(data: RecordingBytes, end: int) -> tuple[str, ...]:
    """Return what is to be said of the bytes behind the end of a recording.

    Raises:
        AudioError: they are another one.
    """
    after = skip_tags(data, end, data.size)
    if after >= data.size:
        return ()
    kind = kind_of(data, end)
    if kind is not None and kind.has_sound:
        raise _another(data, end)
    return (f"{data.size - after} bytes behind its end are not audio and are not read",)


def _another(data: RecordingBytes, at: int) -> Exception:
    what = f"another recording follows its end, at byte {at}; cut it off or score both"
    return data.refused("damaged", what)


def _check_fits(data: RecordingBytes, what: str, at: int, stop: int) -> None:
    if stop > data.size:
        text = f"{data.size - at} of {stop - at} bytes of {what} at byte {at}"
        raise data.refused("truncated", text)


def _boxes(data: RecordingBytes) -> Structure:
    """Walk through ISO media: mp4, m4a, mov, 3gp."""
    at, has_index = 0, False
    for _ in range(_MOST_ITEMS):
        head = data.at(at, 16)
        size, name = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if at >= data.size or (size == 0 and has_index):  # 0 = up to the end of the file
            break
        if not size and name == b"mdat":
            raise data.refused("truncated", "it ends before its index (moov)")
        if size < 8 or not name.isalnum() or tag_bytes(data, at, data.size):
            return Structure(notes=rest_notes(data, at))
        if has_index and name in (b"moov", b"ftyp"):
            raise _another(data, at)
        _check_fits(data, f"its box {name.decode()}", at, at + size)
        has_index = has_index or name == b"moov"
        at += size
    if not has_index:
        raise data.refused("truncated", "it has no index (moov)")
    return Structure()


def _elements(data: RecordingBytes) -> Structure:
    """Walk through EBML: webm, mkv, mka."""
    at, has_length = 0, True
    for _ in range(_MOST_ITEMS):
        head = data.at(at, 12)
        id_bytes = _vint_bytes(head[:1])
        size_bytes = _vint_bytes(head[id_bytes : id_bytes + 1])
        name = head[:id_bytes]
        if name == _EBML and at:
            raise _another(data, at)
        if at >= data.size or name not in _ELEMENTS or not size_bytes:
            break
        body = at + id_bytes + size_bytes
        bits = 7 * size_bytes
        size = int.from_bytes(head[id_bytes : id_bytes + size_bytes], "big") & (1 << bits) - 1
        if size == (1 << bits) - 1:  # unknown: what is inside follows
            if name not in (_SEGMENT, _CLUSTER):
                raise data.refused("damaged", f"an element without a length at byte {at}")
            at, has_length = body, False
            continue
        _check_fits(data, "its elements", at, body + size)
        at = body + size
        if name == _SEGMENT:
            break
    if at < data.size and (not has_length or data.at(at, 4) in _ELEMENTS):
        raise data.refused("damaged", f"its elements do not fit together at byte {at}")
    return Structure(notes=rest_notes(data, at))


def _vint_bytes(first: bytes) -> int:
    """Return how long a number is that begins so; 0 = none does."""
    return 9 - first[0].bit_length() if first and first[0] else 0


def _adts_frames(data: RecordingBytes) -> Structure:
    at, seconds = skip_tags(data, 0, data.size), 0.0
    for _ in range(_MOST_ITEMS):
        head = data.at(at, 7)
        size = adts_bytes(head)
        if not size:
            behind = skip_tags(data, at, data.size)
            if behind == at or behind == data.size:
                break
            at = behind
            continue
        _check_fits(data, "its last AAC frame", at, at + size)
        seconds += ((head[6] & 3) + 1) * _ADTS_SAMPLES / _ADTS_RATES[head[2] >> 2 & 15]
        at += size
    if 0 < data.size - at < 7 and data.at(at, 1) == b"\xff":
        raise data.refused("truncated", "it ends in the header of an AAC frame")
    notes = rest_notes(data, at)
    rest = data.at(at, _MOST_JUNK_BYTES)
    if any(
        _is_adts(rest[found.start() : found.start() + 2**13 + 7])
        for found in _ADTS_SYNC.finditer(rest)
    ):
        raise data.refused("damaged", f"bytes between AAC frames that are none, at byte {at}")
    return Structure(seconds, at, notes)


def _is_adts(head: bytes) -> bool:
    """Return whether two frames begin there."""
    size = adts_bytes(head)
    return size > 0 and adts_bytes(head[size : size + 7]) > 0


def _amr_frames(data: RecordingBytes) -> Structure:
    is_wide = data.at(0, 9) == b"#!AMR-WB\n"
    sizes = _AMR_WB_BYTES if is_wide else _AMR_BYTES
    at, count = 9 if is_wide else 6, 0
    while at < data.size:
        head = data.at(at, 5)
        if head == b"#!AMR":
            raise _another(data, at)
        size = sizes[head[0] >> 3 & 15]
        _check_fits(data, "its last AMR frame", at, at + size)
        at += size
        count += 1
    return Structure(count * _AMR_S)


def _wavpack_blocks(data: RecordingBytes) -> Structure:
    at = 0
    while data.at(at, 4) == b"wvpk":
        stop = at + 8 + int.from_bytes(data.at(at + 4, 4), "little")
        _check_fits(data, "its last block", at, stop)
        at = stop
    return Structure(stop=at, notes=rest_notes(data, at))


def _asf_objects(data: RecordingBytes) -> Structure:
    at, stop = 30, min(int.from_bytes(data.at(16, 8), "little"), data.size)
    while at + 24 <= stop:
        name, size = data.at(at, 16), int.from_bytes(data.at(at + 16, 8), "little")
        if name == _ASF_FILE:
            claim = int.from_bytes(data.at(at + 40, 8), "little")
            is_live = bool(int.from_bytes(data.at(at + 88, 4), "little") & _ASF_BROADCAST)
            if is_live or not claim:
                return Structure()
            _check_fits(data, "the file", 0, claim)
            return Structure(notes=rest_notes(data, claim))
        at += max(size, 24)
    return Structure()


def _known_contents(data: RecordingBytes) -> Structure:
    """Walk through a container that libsndfile reads, too."""
    contents = contents_of(data)
    if contents is not None and len(contents.parts) > 1:
        raise data.refused("damaged", "several recordings are joined in it; score each by itself")
    return Structure(notes=contents.notes if contents is not None else ())


_WALKS: dict[str, Callable[[RecordingBytes], Structure]] = {
    "mov": _boxes,
    "matroska": _elements,
    "aac": _adts_frames,
    "amr": _amr_frames,
    "asf": _asf_objects,
    "wv": _wavpack_blocks,
    "ogg": _known_contents,
    "caf": _known_contents,
    "wav": _known_contents,
    "aiff": _known_contents,
}
