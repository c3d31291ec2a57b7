"""Files made of chunks with a size each: WAV, RF64, W64, AIFF, CAF, and AU.

Programs that stream write the size of the samples before they know it. What stands there is held
against what the file holds.
"""

from dataclasses import dataclass
from typing import Literal

from rawnet_jax.data.recording_bytes import (
    Contents,
    Part,
    Piece,
    RecordingBytes,
    patched,
    skip_tags,
)

STREAMED_BYTES = 0x7FFF_0000
"""Programs that write to a pipe claim about 2 GiB of samples or more."""

_ROUND_FROM = 2**26  # a round number beyond it is a placeholder: half an hour at 16 kHz
_HEADER_SIZES = (0, 8, 24, 36, 44, 60)  # what a program may have added to a placeholder
_FEW_BYTES = 256  # a header that is so many off lost nothing that can be heard
_MOST_CHUNKS = 10_000
_USUAL_BYTES = 44  # of a WAV's header
_MPEG_TAGS = (0x50, 0x55)  # of WAV formats
_LONG = (b"RF64", b"BW64")  # one layout, of which libsndfile knows the first name
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")


@dataclass(frozen=True, slots=True)
class _Form:
    """How a container writes its chunks down."""

    start: int  # of the first chunk
    id_bytes: int
    size_bytes: int
    order: Literal["little", "big"]
    align: int
    samples_id: bytes
    counts_itself: bool = False  # a size counts the chunk's head too
    lead_bytes: int = 0  # of the samples' chunk before the samples
    whole_at: int | None = None  # where the size of the whole file stands

    @property
    def head_bytes(self) -> int:
        return self.id_bytes + self.size_bytes


_FORMS = {
    b"RIFF": _Form(12, 4, 4, "little", 2, b"data", whole_at=4),
    b"RIFX": _Form(12, 4, 4, "big", 2, b"data", whole_at=4),
    b"RF64": _Form(12, 4, 4, "little", 2, b"data"),
    b"BW64": _Form(12, 4, 4, "little", 2, b"data"),
    b"riff": _Form(40, 16, 8, "little", 8, b"data" + _W64_TAIL, counts_itself=True),
    b"FORM": _Form(12, 4, 4, "big", 2, b"SSND", lead_bytes=8, whole_at=4),
    b"caff": _Form(8, 4, 8, "big", 1, b"data", lead_bytes=4),
}


RECORDINGS = (*_FORMS, b".snd", b"OggS", b"fLaC")
"""The first four bytes of recordings."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    name: bytes
    at: int  # of its head
    body: int
    size: int  # as claimed


@dataclass(frozen=True, slots=True)
class Samples:
    """Where the samples of a file of chunks are.

    Attributes:
        contents: the parts to be decoded.
        start: of the samples.
        stop: of the samples.
        end: of all chunks, or of what is left.
        holds_mpeg: the samples are a file of MPEG frames.
    """

    contents: Contents
    start: int
    stop: int
    end: int
    holds_mpeg: bool = False


def is_placeholder(claim: int) -> bool:
    """Return whether a size is one that was written before the true one was known."""
    return claim >= STREAMED_BYTES or (
        claim >= _ROUND_FROM
        and any(
            (claim + sign * more) % unit == 0
            for more in _HEADER_SIZES
            for sign in (1, -1)
            for unit in (2**20, 10**6)
        )
    )


def chunk_contents(data: RecordingBytes) -> Samples | None:
    """Return where the samples of a recording are; None = it has none in a chunk.

    Raises:
        AudioError: samples are missing, or there are more than the header tells.
    """
    head = data.at(0, _USUAL_BYTES)
    if (usual := _usual_samples(head, data.size)) is not None:
        return usual
    form = _FORMS.get(head[:4])
    if head[:4] == b".snd":
        found: _Chunk | None = _au_chunk(data)
        form = _Form(0, 4, 4, "big", 1, b".snd")
    elif form is not None:
        found = _find(data, form, form.start)
    if form is None or found is None:
        return None
    claim, size_at, size_bytes = found.size, found.at + form.id_bytes, form.size_bytes
    if head[:4] in _LONG and claim == 0xFFFF_FFFF:
        claim, size_at, size_bytes = _rf64_size(data, claim, size_at)
    held = data.size - found.body
    name = ((0, b"RF64"),) if head[:4] == b"BW64" else ()
    if claim == 0 and _goes_on(data, form, found.body):
        return None  # no samples, and libsndfile says so
    if 0 < claim <= held:
        stop = found.body + claim
        end = _end(data, form, stop)
        contents = Contents(
            (Part(patched(range(end), *name), sample_bytes=claim - form.lead_bytes),)
        )
    else:
        note = _note(data, claim, held)
        stop = end = data.size
        size = held + (form.head_bytes if form.counts_itself else 0)
        filled = (size_at, size.to_bytes(size_bytes, form.order))
        pieces = _resized(data, form, *name, filled)
        contents = Contents((Part(pieces, sample_bytes=held - form.lead_bytes),), note)
    is_mpeg = head[:4] in (b"RIFF", *_LONG) and _is_mpeg(data, form)
    return Samples(contents, found.body, stop, end, is_mpeg)


def _usual_samples(head: bytes, size: int) -> Samples | None:
    """Return what chunk by chunk would be found in most files: a WAV with nothing but samples."""
    if head[:4] != b"RIFF" or head[8:20] != b"WAVEfmt \x10\0\0\0" or head[36:40] != b"data":
        return None
    claim = int.from_bytes(head[40:], "little")
    if head[20:22] != b"\1\0" or not claim or _USUAL_BYTES + claim != size:  # 1 = PCM
        return None
    contents = Contents((Part((range(size),), sample_bytes=claim),))
    return Samples(contents, _USUAL_BYTES, size, size)


def _note(data: RecordingBytes, claim: int, held: int) -> tuple[str, ...]:
    """Say what is made of a size that is more than the file holds, or refuse the file."""
    if claim >= STREAMED_BYTES:
        return ()  # what every program that writes to a pipe leaves
    if claim == 0 or is_placeholder(claim):
        return (f"its header claims {claim} bytes of samples, a placeholder; all {held} are read",)
    if claim - held <= _FEW_BYTES:
        return (f"its header claims {claim} bytes of samples; it holds {held}, and all are read",)
    raise data.refused("truncated", f"{held} of {claim} bytes of samples")


def _resized(data: RecordingBytes, form: _Form, *patches: tuple[int, bytes]) -> tuple[Piece, ...]:
    whole = range(data.size)
    if form.whole_at is None:
        return patched(whole, *patches)
    total = min(data.size - 8, 0xFFFF_FFFF).to_bytes(4, form.order)
    return patched(whole, (form.whole_at, total), *patches)


def _chunk(data: RecordingBytes, form: _Form, at: int) -> _Chunk | None:
    head = data.at(at, form.head_bytes)
    if len(head) < form.head_bytes:
        return None
    size = int.from_bytes(head[form.id_bytes :], form.order)
    if form.counts_itself:
        size = max(size - form.head_bytes, 0)
    return _Chunk(head[: form.id_bytes], at, at + form.head_bytes, size)


def _after(form: _Form, chunk: _Chunk) -> int:
    return chunk.body + chunk.size + -chunk.size % form.align


def _find(data: RecordingBytes, form: _Form, at: int, name: bytes = b"") -> _Chunk | None:
    """Return the next chunk of samples, or of another name."""
    for _ in range(_MOST_CHUNKS):
        chunk = _chunk(data, form, at)
        if chunk is None or not _is_name(chunk.name):
            return None
        if chunk.name == (name or form.samples_id):
            return chunk
        at = _after(form, chunk)
    raise data.refused("damaged", f"more than {_MOST_CHUNKS} chunks before its samples")


def _goes_on(data: RecordingBytes, form: _Form, at: int) -> bool:
    """Return whether chunks follow up to the end, or nothing does."""
    for _ in range(_MOST_CHUNKS):
        if at >= data.size:
            return True
        chunk = _chunk(data, form, at)
        if chunk is None or not _is_name(chunk.name) or chunk.body + chunk.size > data.size:
            return False
        at = _after(form, chunk)
    return False


def _is_name(name: bytes) -> bool:
    return all(0x20 <= byte < 0x7F for byte in name[:4])


def _end(data: RecordingBytes, form: _Form, stop: int) -> int:
    """Return where the chunks behind the samples end."""
    if form.samples_id == b".snd" or data.at(stop, 4) in RECORDINGS:
        return stop
    at = stop + -stop % form.align
    for _ in range(_MOST_CHUNKS):
        chunk = _chunk(data, form, at)
        if chunk is None or not _is_name(chunk.name) or chunk.name[:4] in RECORDINGS:
            break
        if skip_tags(data, at, data.size) == data.size:
            break
        if chunk.name == form.samples_id:
            raise data.refused("damaged", f"more than one chunk of samples, at byte {at}")
        if chunk.body + chunk.size > data.size:
            break
        at = _after(form, chunk)
    return min(at, data.size)


def _au_chunk(data: RecordingBytes) -> _Chunk | None:
    head = data.at(0, 12)
    body = int.from_bytes(head[4:8], "big")
    if len(head) < 12 or body > data.size:
        return None
    return _Chunk(b".snd", 4, body, int.from_bytes(head[8:12], "big"))


def _rf64_size(data: RecordingBytes, claim: int, size_at: int) -> tuple[int, int, int]:
    """Return the size that stands in a chunk of its own, and where."""
    chunk = _find(data, _FORMS[b"RF64"], 12, b"ds64")
    if chunk is None or chunk.size < 24:
        return claim, size_at, 4
    return int.from_bytes(data.at(chunk.body + 8, 8), "little"), chunk.body + 8, 8


def _is_mpeg(data: RecordingBytes, form: _Form) -> bool:
    chunk = _find(data, form, form.start, b"fmt ")
    return chunk is not None and int.from_bytes(data.at(chunk.body, 2), form.order) in _MPEG_TAGS
