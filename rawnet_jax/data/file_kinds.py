"""What a file is, told by its first bytes and never by its name."""

import io
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import BinaryIO

from rawnet_jax.data.ogg_packets import codec_of
from rawnet_jax.data.recording_bytes import RecordingBytes, skip_tags

NEEDS_MEDIA = "not audio this install can read"
"""`AudioError.reason` of what the extra `media` reads, where it is not installed."""

_BEGIN_BYTES = 16
_HEAD_BYTES = 2**13 + 2**11  # an ADTS frame has fewer than 2^13
_ZEROS_OF_FTYP = 3  # ISO media begins with zeros
_MOST_LEAD_BYTES = 2**26  # of tags with pictures before the audio


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file.

    Attributes:
        words: what it is, for people.
        demuxer: of FFmpeg, where the extra `media` reads this kind; "" = it does not.
        has_sound: whether a converter finds sound in it.
        is_ours: libsndfile reads it, but for some codecs in it.
        is_estimated: FFmpeg guesses its length from its size.
    """

    words: str
    demuxer: str = ""
    has_sound: bool = True
    is_ours: bool = False
    is_estimated: bool = False


def _other(words: str) -> Kind:
    return Kind(words, has_sound=False)


_STARTS = {
    b"#!AMR\n": Kind("AMR narrow-band speech (amr)", "amr", is_estimated=True),
    b"#!AMR-WB\n": Kind("AMR wide-band speech (amr, awb)", "amr", is_estimated=True),
    bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"): Kind("Windows Media (wma, asf)", "asf"),
    b"wvpk": Kind("WavPack (wv)", "wv"),
    b"MAC ": Kind("Monkey's Audio (ape)", "ape"),
    b"TTA1": Kind("True Audio (tta)", "tta"),
    b"caff": Kind("CAF", "caf", is_ours=True),
    b"FORM": Kind("AIFF", "aiff", is_ours=True),
    b"RIFF": Kind("WAV", "wav", is_ours=True),
    b"fLaC": Kind("FLAC", is_ours=True),
    b".RMF": Kind("RealMedia"),
    b".ra\xfd": Kind("RealAudio"),
    b"FLV\x01": Kind("Flash video (flv)"),
    b"DSD ": Kind("DSD audio (dsf)"),
    b"FRM8": Kind("DSD audio (dff)"),
    b"tBaK": Kind("TAK audio"),
    b"OFR ": Kind("OptimFROG audio"),
    b"MPCK": Kind("Musepack audio"),
    b"MP+": Kind("Musepack audio"),
    b"\0\0\1\xba": Kind("an MPEG program stream (mpg)"),
    b"MThd": _other("MIDI notes, which hold no sound"),
    b"%PDF": _other("a PDF document"),
    b"PK\3\4": _other("a ZIP archive or an Office document"),
    b"\x1f\x8b": _other("compressed by gzip"),
    b"BZh": _other("compressed by bzip2"),
    b"\xfd7zXZ\0": _other("compressed by xz"),
    b"\x28\xb5\x2f\xfd": _other("compressed by zstd"),
    b"7z\xbc\xaf\x27\x1c": _other("a 7z archive"),
    b"Rar!": _other("a RAR archive"),
    b"\x89PNG": _other("a PNG picture"),
    b"\xff\xd8\xff": _other("a JPEG picture"),
    b"GIF8": _other("a GIF picture"),
    b"II*\0": _other("a TIFF picture"),
    b"MM\0*": _other("a TIFF picture"),
    b"\x7fELF": _other("a program (ELF)"),
    b"MZ": _other("a program (Windows)"),
    b"\xcf\xfa\xed\xfe": _other("a program (macOS)"),
    b"\xd0\xcf\x11\xe0": _other("an Office document"),
    b"SQLite format 3": _other("an SQLite database"),
    b"\x93NUMPY": _other("a NumPy array"),
    b"\x89HDF": _other("an HDF5 file"),
    b"PAR1": _other("a Parquet table"),
    b"version https://git-lfs": _other("a pointer of Git LFS; `git lfs pull` gets the file"),
}
_RIFF_FORMS = {b"AVI ": Kind("an AVI video"), b"WEBP": _other("a WebP picture")}
_TEXT_STARTS = {
    "#extm3u": "a playlist, which names other files",
    "[playlist]": "a playlist, which names other files",
    "<!doctype html": "an HTML page",
    "<html": "an HTML page",
    "<?xml": "XML",
    "{": "JSON or other text",
    "%!ps": "PostScript",
}
_ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"moof", b"styp")
_MPEG4 = "MPEG-4 (mp4)"
_BRANDS = {
    b"M4A": "MPEG-4 audio (m4a)",
    b"M4B": "an MPEG-4 audio book (m4b)",
    b"M4P": "protected MPEG-4 audio (m4p)",
    b"M4V": "MPEG-4 video (m4v)",
    b"qt ": "QuickTime (mov)",
    b"3gp": "3GPP (3gp)",
    b"3g2": "3GPP2 (3g2)",
}
_PICTURE_BRANDS = (b"hei", b"hev", b"mif", b"msf", b"avi")  # heic, avif and their kin


def kind_of_file(source: str | os.PathLike[str] | bytes) -> Kind | None:
    """Return what a file is; None = nothing that is known here.

    Args:
        source: a path, or the bytes of a file.

    Raises:
        OSError: it cannot be read.
    """
    with opened(source) as file:
        kind = _by_start(file.read(_BEGIN_BYTES))
        if kind is not None and kind.is_ours:  # most files are, and need no further look
            return kind
        return kind_of(RecordingBytes(file, ""))


def opened(source: str | os.PathLike[str] | bytes) -> AbstractContextManager[BinaryIO]:
    """Open a path, or the bytes of a file."""
    return io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb", buffering=0)


def kind_of(data: RecordingBytes, start: int = 0) -> Kind | None:
    """Return what begins at a place of a file, or behind tags and zeros there; None = unknown."""
    kind = _kind_of(data.at(start, _HEAD_BYTES))
    if kind is None:
        behind = skip_tags(data, start, min(data.size, start + _MOST_LEAD_BYTES))
        for at in (behind - _ZEROS_OF_FTYP, behind) if start < behind < data.size else ():
            kind = kind or _kind_of(data.at(at, _HEAD_BYTES))
    return kind


def _kind_of(head: bytes) -> Kind | None:
    return next((kind for find in _FINDERS if (kind := find(head)) is not None), None)


def _by_start(head: bytes) -> Kind | None:
    if head[:4] == b"RIFF" and head[8:12] in _RIFF_FORMS:
        return _RIFF_FORMS[head[8:12]]
    if head[:4] == b"MAC " and not 3_000 < int.from_bytes(head[4:6], "little") < 5_000:
        return None  # its version tells it from text
    return next((kind for start, kind in _STARTS.items() if head.startswith(start)), None)


def _iso_media(head: bytes) -> Kind | None:
    if head[4:8] not in _ISO_BOXES:
        return None
    brand = head[8:11] if head[4:8] in (b"ftyp", b"styp") else b"qt "
    if brand in _PICTURE_BRANDS:
        return _other("an HEIF or AVIF picture")
    return Kind(_BRANDS.get(brand, _MPEG4), "mov")


def _ebml(head: bytes) -> Kind | None:
    if head[:4] != b"\x1a\x45\xdf\xa3":
        return None
    return Kind("WebM" if b"webm" in head[:64] else "Matroska (mkv, mka)", "matroska")


def _ogg(head: bytes) -> Kind | None:
    if head[:4] != b"OggS" or len(head) < 28:
        return None
    words = {"flac": "Ogg FLAC", "speex": "Ogg Speex"}
    codec = codec_of(head[27 + head[26] :])
    if codec in words:
        return Kind(words[codec], "ogg")
    return Kind("Ogg", is_ours=True)


def _adts(head: bytes) -> Kind | None:
    size = adts_bytes(head)
    if size and (len(head) <= size or adts_bytes(head[size:])):
        return Kind("AAC in ADTS frames (aac)", "aac", is_estimated=True)
    return None


def adts_bytes(head: bytes) -> int:
    """Return how long the ADTS frame is that begins there, its header included; 0 = none does."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return 0
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return size if size >= 7 else 0


def _dolby(head: bytes) -> Kind | None:
    if head[:2] != b"\x0b\x77" or len(head) < 6:
        return None
    version = head[5] >> 3
    if version > 16:
        return None
    kind = Kind("AC-3 (ac3)", "ac3", is_estimated=True)
    return kind if version <= 10 else replace(kind, words="E-AC-3 (eac3)", demuxer="eac3")


def _transport(head: bytes) -> Kind | None:
    is_one = len(head) > 376 and head[0] == head[188] == head[376] == 0x47
    return Kind("an MPEG transport stream (ts)") if is_one else None


def _archive(head: bytes) -> Kind | None:
    return _other("a tar archive") if head[257:262] == b"ustar" else None


def _text(head: bytes) -> Kind | None:
    head = head[:512]
    if not head:
        return None
    code = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = head.decode(code)
    except UnicodeDecodeError as error:
        if len(head) - error.start > 3:  # not a letter that is cut off
            return None
        text = head[: error.start].decode(code)
    begin = text.lstrip().lower()
    if not all(letter.isprintable() or letter.isspace() for letter in begin):
        return None
    known = (words for start, words in _TEXT_STARTS.items() if begin.startswith(start))
    return _other(next(known, "text"))


_FINDERS: tuple[Callable[[bytes], Kind | None], ...] = (
    *(_iso_media, _by_start, _ebml, _ogg, _adts, _dolby, _transport, _archive, _text),
)
