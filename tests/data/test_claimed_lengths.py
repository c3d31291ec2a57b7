"""What a header claims is held against what the file holds, in every container."""

import struct
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.made_recordings import (
    CHUNKED,
    DECODED,
    SHORT,
    buzz,
    decoded,
    encoded,
    long_ogg,
    ogg_pages,
    outcome,
    refusal,
)

SIZE_FIELDS: dict[str, tuple[bytes, int, int, Literal["little", "big"], int]] = {
    # where the size of the samples stands, its length, its order, what it counts more
    "wav": (b"data", 4, 4, "little", 0),
    "float": (b"data", 4, 4, "little", 0),
    "w64": (b"data\xf3\xac\xd3\x11", 16, 8, "little", 24),
    "aiff": (b"SSND", 4, 4, "big", 8),
    "caf": (b"data", 4, 8, "big", 0),
    "au": (b".snd", 8, 4, "big", 0),
}


def with_size(kind: str, change: int | None, value: int = 0) -> bytes:
    """Return a short file whose header claims so many bytes of samples more, or a value."""
    name, offset, length, order, _ = SIZE_FIELDS[kind]
    content = bytearray(SHORT[kind])
    at = content.find(name) + offset
    if change is not None:
        value = int.from_bytes(content[at : at + length], order) + change
    content[at : at + length] = value.to_bytes(length, order)
    return bytes(content)


@pytest.mark.parametrize("kind", SIZE_FIELDS)
def test_a_header_a_few_bytes_off_is_read_to_the_end_and_said(kind, caplog):
    np.testing.assert_array_equal(decoded(with_size(kind, 16)), DECODED[kind])
    assert "and all are read" in caplog.text


@pytest.mark.parametrize("kind", SIZE_FIELDS)
def test_a_size_that_was_never_filled_in_is_read_to_the_end_and_said(kind, caplog):
    more = SIZE_FIELDS[kind][4]
    for value in (0, 2_000_000_000 + more, 0x4000_0000 + more):
        caplog.clear()
        np.testing.assert_array_equal(decoded(with_size(kind, None, value)), DECODED[kind])
        assert "a placeholder" in caplog.text


@pytest.mark.parametrize("kind", SIZE_FIELDS)
def test_what_programs_write_to_a_pipe_is_read_to_the_end(kind):
    for value in (0x7FFF_FFFF, 0x7FFF_F000, 0xFFFF_FFFF):
        np.testing.assert_array_equal(decoded(with_size(kind, None, value)), DECODED[kind])
    if SIZE_FIELDS[kind][2] == 8:
        decoded_whole = decoded(with_size(kind, None, 2**64 - 1))
        np.testing.assert_array_equal(decoded_whole, DECODED[kind])


@pytest.mark.parametrize("kind", ["opus", "vorbis"])
def test_an_ogg_that_was_cut_in_its_last_page_is_refused(kind):
    """The pages before it are whole, and decoders leave out what is left of the last one."""
    content = long_ogg(kind)
    start, stop = ogg_pages(content)[-1]
    for end in (stop - 1, start + (stop - start) // 10, start + 27, start + 4):
        assert refusal(content[:end]) == "truncated"
    for end in (start, start + 1):  # as phones leave a whole one
        found = outcome(content[:end])
        assert found is not None
        assert found[1]
    damaged = content[: stop - 10] + bytes((content[stop - 10] ^ 1,)) + content[stop - 9 :]
    assert refusal(damaged) == "damaged"


@pytest.mark.parametrize("kind", CHUNKED)
def test_a_file_that_lost_half_its_samples_is_refused(kind):
    assert refusal(SHORT[kind][: len(SHORT[kind]) // 2]) == "truncated"


SIZES = st.one_of(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 1, 0x7FFF_FFFF, 2_000_000_000, 2**30, 2**32 - 1, 64_000, 64_016, 63_990]),
)


@settings(max_examples=80)
@given(size=SIZES, riff=SIZES, kind=st.sampled_from(["wav", "float", "mulaw"]))
def test_any_size_in_a_wav_header_is_read_to_the_end_refused_or_noted(size, riff, kind):
    content = bytearray(SHORT[kind])
    at = content.find(b"data") + 4
    content[4:8], content[at : at + 4] = struct.pack("<I", riff), struct.pack("<I", size)
    found = outcome(bytes(content))
    assert found is None or found[0] == len(DECODED[kind]) or found[1]
    if size in (0, 2_000_000_000, 2**30, 2**32 - 1):
        assert found is not None
        assert found[0] == len(DECODED[kind])


def flac_claiming(content: bytes, claim: int) -> bytes:
    lead = bytes((content[21] & 0xF0 | claim >> 32,))
    return content[:21] + lead + struct.pack(">I", claim & 0xFFFF_FFFF) + content[26:]


@settings(max_examples=80)
@given(claim=st.integers(0, 2**36 - 1) | st.integers(0, 40_000))
def test_flac_is_read_to_its_end_whatever_its_header_claims(claim):
    found = outcome(flac_claiming(SHORT["flac"], claim))
    assert found == (32_000, claim not in (0, 32_000))


def flac_frames(content: bytes) -> list[int]:
    """Return where the frames of a mono FLAC at 16 kHz begin."""
    found: list[int] = []
    at = content.find(b"\xff\xf8")
    while at >= 0:
        if content[at + 2] & 15 == 5 and content[at + 3] == 8 and content[at + 4] == len(found):
            found.append(at)
        at = content.find(b"\xff\xf8", at + 1)
    return found


@pytest.mark.parametrize("lost", [1, 3, 6])
def test_flac_that_lost_its_last_frames_is_refused(lost):
    """What is left is whole and ends where the file does, but with a frame as long as all."""
    content = SHORT["flac"]
    frames = flac_frames(content)
    assert len(frames) == 8
    assert refusal(content[: frames[-lost]]) == "truncated"


def test_flac_that_lost_a_frame_in_its_middle_is_refused():
    content = SHORT["flac"]
    frames = flac_frames(content)
    assert refusal(content[: frames[3]] + content[frames[4] :]) in ("damaged", "truncated")


@pytest.mark.parametrize(("off", "is_read"), [(-1, True), (1, True), (128, True), (129, False)])
def test_flac_of_whole_frames_may_be_a_few_samples_off(off, is_read):
    """Where the last frame is as long as all others, another one could have followed."""
    content = encoded("flac", buzz(4 * 4096))
    found = outcome(flac_claiming(content, 4 * 4096 + off))
    assert found == ((4 * 4096, True) if is_read else None)


def test_a_flac_within_a_flac_is_refused():
    """libFLAC would play frames that are not numbered in order, and stop before the last ones."""
    content = SHORT["flac"]
    frames = flac_frames(content)
    other = encoded("flac", buzz(20_000, 1, 2), 8_000)
    for more in (other, other[other.find(b"\xff\xf8") :], content, content[frames[0] : frames[2]]):
        assert refusal(content[: frames[3]] + more + content[frames[3] :]) in (
            "damaged",
            "truncated",
            "mixed parts",
        )


@pytest.mark.parametrize("most_bytes", [0, 2**24 - 1])
def test_a_flac_behind_a_flac_is_found_whatever_the_size_of_its_frames(most_bytes, caplog):
    content = bytearray(SHORT["flac"])
    content[15:18] = most_bytes.to_bytes(3, "big")
    more = encoded("flac", buzz(20_000, 1))
    assert len(decoded(bytes(content) + more)) == 52_000
    for length in (500, 20_000):  # the shorter is no longer than the last frame could be
        other = encoded("flac", buzz(length, 1, 2), 8_000)
        assert refusal(bytes(content) + other) == "mixed parts"
    assert refusal(bytes(content) + more[more.find(b"\xff\xf8") + 1 :]) == "damaged"
    decoded(bytes(content) + np.random.default_rng(0).bytes(20_000))
    assert "behind its last FLAC frame" in caplog.text


@settings(max_examples=80)
@given(claim=st.integers(0, 2**32 - 1) | st.integers(0, 80), flags=st.integers(0, 15))
def test_any_count_in_an_mp3_header_is_read_to_the_end_or_refused(claim, flags):
    content = bytearray(SHORT["mp3"])
    at = content.find(b"Xing") if b"Xing" in content[:48] else content.find(b"Info")
    content[at + 7], content[at + 8 : at + 12] = flags, struct.pack(">I", claim)
    found = outcome(bytes(content))
    assert found is None or found[0] >= 32_000 - 4095  # which a LAME tag may cut off at the start
    assert found is not None or claim > 59
