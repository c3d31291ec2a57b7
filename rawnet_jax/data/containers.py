"""One rule for the end of a recording, whatever container it is in.

The rule: what is decoded is all that a listener would hear. The end is where the container's own
structure ends, never where a header says. Where the two differ, the recording is read to its true
end with a note, or it is refused; it is never shorter without a word.
"""

from dataclasses import replace

from rawnet_jax.data.chunk_files import chunk_contents
from rawnet_jax.data.flac_frames import flac_contents
from rawnet_jax.data.mp3_frames import begins_mp3, first_frame, mp3_contents
from rawnet_jax.data.ogg_pages import ogg_contents
from rawnet_jax.data.recording_bytes import Contents, RecordingBytes, skip_tags

_SNIFFED_BYTES = 2**13
_MOST_LEAD_BYTES = 2**26  # of tags with pictures before the audio
_FIRST_ONLY = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM", b"caff", b".snd")
_CONTAINERS = (*_FIRST_ONLY, b"OggS", b"fLaC")


def contents_of(data: RecordingBytes) -> Contents | None:
    """Return the parts of a recording; None = a kind whose structure is not known here.

    Raises:
        AudioError: it is cut, damaged, or holds what no decoder would play with the rest.
    """
    first, head = 0, data.at(0, _SNIFFED_BYTES)
    if head[:4] not in _CONTAINERS and (
        first := skip_tags(data, 0, min(data.size, _MOST_LEAD_BYTES))
    ):
        head = data.at(first, _SNIFFED_BYTES)
    if first and head[:4] in _FIRST_ONLY:
        raise data.refused("not audio", f"its header stands behind {first} bytes of tags")
    if head[:4] == b"OggS":
        contents, end = ogg_contents(data, first)
    elif head[:4] == b"fLaC":
        contents, end = flac_contents(data, 0, first)
    elif begins_mp3(head):
        contents, end = mp3_contents(data, 0, first, data.size)
        contents = _with_tags(data, contents, end)
    elif head[:4] in _CONTAINERS or (frame := first_frame(head)) is None:
        _check_mpeg(data, head)
        return _of_chunks(data)
    else:
        contents, end = mp3_contents(data, first + frame, first + frame, data.size)
        note = f"{frame} bytes before its first MPEG frame are not read"
        contents = replace(contents, notes=(note, *contents.notes))
    return _with_rest(data, contents, end)


def _check_mpeg(data: RecordingBytes, head: bytes) -> None:
    """Refuse what libsndfile would take for MPEG frames by its first two bytes alone.

    libmpg123 would look for frames, find none, and say so on standard error, without a name.
    """
    if head[:1] == b"\xff" and head[1:2] >= b"\xe0" and head[1] & 6:  # else it is AAC or no MPEG
        what = "it must be WAV, FLAC, Ogg or MP3: it begins like an MPEG frame, but none follow"
        raise data.refused("not audio", what)


def _of_chunks(data: RecordingBytes) -> Contents | None:
    samples = chunk_contents(data)
    if samples is None:
        return None
    contents = samples.contents
    if samples.holds_mpeg:
        first = skip_tags(data, samples.start, samples.stop)
        inner, end = mp3_contents(data, samples.start, first, samples.stop)
        contents = replace(inner, notes=contents.notes + inner.notes)
        if skip_tags(data, end, samples.stop) < samples.stop:
            raise data.refused("damaged", f"bytes that are not an MPEG frame, at byte {end}")
    return _with_rest(data, contents, samples.end)


def _with_rest(data: RecordingBytes, contents: Contents, end: int) -> Contents:
    """Look at what stands behind the end: tags, junk or more audio."""
    after = skip_tags(data, end, data.size)
    if after == data.size:
        return contents
    head = data.at(after, _SNIFFED_BYTES)
    if head[:4] in _CONTAINERS or begins_mp3(head):
        what = f"another recording follows its end, at byte {after}; cut it off or score both"
        raise data.refused("damaged", what)
    note = f"{data.size - after} bytes behind its end are not audio and are not read"
    return replace(contents, notes=(*contents.notes, note))


def _with_tags(data: RecordingBytes, contents: Contents, end: int) -> Contents:
    """Leave an MP3 with tags at its end as it is: libmpg123 passes over them."""
    is_plain = len(contents.parts) == 1 and contents.parts[0].pieces == (range(end),)
    if is_plain and end == data.size:
        return contents
    if is_plain and skip_tags(data, end, data.size) == data.size:
        whole = replace(contents.parts[0], pieces=(range(data.size),))
        return replace(contents, parts=(whole,))
    return contents
