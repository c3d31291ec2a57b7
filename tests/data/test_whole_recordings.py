"""What is decoded is what a listener would hear; else the file is refused or a note says so."""

import functools
import io
import struct
import time
import tracemalloc
from typing import Literal

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from rawnet_jax.config import AudioConfig
from rawnet_jax.data.audio import Encoded, open_audio, read_waveform
from rawnet_jax.data.live_audio import open_live
from rawnet_jax.data.mp3_frames import header_of
from rawnet_jax.data.ogg_pages import page_checksum
from rawnet_jax.errors import AudioError

CONFIG = AudioConfig()
RATE = 16_000
KINDS = {
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "opus": ("OGG", "OPUS"),
    "vorbis": ("OGG", "VORBIS"),
    "flac": ("FLAC", "PCM_16"),
}
CHUNKED = {
    "wav": ("WAV", "PCM_16"),
    "float": ("WAV", "FLOAT"),
    "mulaw": ("WAV", "ULAW"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "au": ("AU", "PCM_16"),
}
ID3V1 = b"TAG" + bytes(125)
ID3V2 = b"ID3\x04\0\0\0\0\0\x05hello"
APE = b"APETAGEX" + struct.pack("<IIII8x", 2000, 32, 0, 0)


def buzz(num_samples: int, seed: int = 0, channels: int = 1) -> np.ndarray:
    """Noise with syllables: float64 [n] or [n, channels]."""
    rng = np.random.default_rng(seed)
    loudness = np.abs(np.sin(np.arange(num_samples) / 2_000))
    values = rng.normal(0, 0.1, (num_samples, channels)).clip(-0.9, 0.9) * loudness[:, None]
    return values[:, 0] if channels == 1 else values


def encoded(kind: str, samples: np.ndarray, rate: int = RATE, **options: object) -> bytes:
    container, subtype = (KINDS | CHUNKED)[kind]
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype, format=container, **options)
    return file.getvalue()


def decoded(content: bytes) -> np.ndarray:
    """Read all samples as `score` does."""
    with open_audio(Encoded(content), CONFIG) as file:
        blocks = []
        while len(block := file.read(2**20)):
            blocks.append(block)
        assert sum(map(len, blocks)) == file.frames
    return np.concatenate(blocks)


def plain(content: bytes) -> np.ndarray:
    """Read what libsndfile reads by itself."""
    with soundfile.SoundFile(io.BytesIO(content)) as file:
        return file.read(2**20, dtype="float32")


def refusal(content: bytes) -> str:
    with pytest.raises(AudioError) as caught:
        decoded(content)
    assert "\n" not in str(caught.value)
    return caught.value.reason


def ogg_pages(content: bytes) -> list[tuple[int, int]]:
    """Return [start, stop) of every page."""
    pages, at = [], 0
    while at < len(content):
        table = content[at + 27 : at + 27 + content[at + 26]]
        pages.append((at, at + 27 + len(table) + sum(table)))
        at = pages[-1][1]
    return pages


@functools.cache
def long_ogg(kind: str) -> bytes:
    return encoded(kind, buzz(30 * RATE))


def with_page(content: bytes, page: tuple[int, int], at: int, new: bytes) -> bytes:
    """Overwrite bytes of a page and set its checksum."""
    changed = bytearray(content[page[0] : page[1]])
    changed[at : at + len(new)] = new
    changed[22:26] = page_checksum(changed)
    return content[: page[0]] + bytes(changed) + content[page[1] :]


def without_xing(content: bytes) -> bytes:
    first = header_of(content[1], content[2])
    assert first is not None
    assert b"Xing" in content[:48] or b"Info" in content[:48]
    return content[first.size :]


def wav_of(content: bytes, code: int, claim: int | None = None) -> bytes:
    form = struct.pack("<HHIIHHHHIHHH", code, 1, RATE, 8_000, 1, 0, 12, 1, 2, 576, 1, 0)
    size = len(content) if claim is None else claim
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", len(body) + len(content)) + body + content


@pytest.mark.parametrize("kind", [*KINDS, *CHUNKED])
@pytest.mark.parametrize(("rate", "channels"), [(8_000, 2), (16_000, 1), (48_000, 2)])
def test_a_plain_file_is_as_libsndfile_reads_it_bit_for_bit(kind, rate, channels, caplog):
    content = encoded(kind, buzz(3 * rate, channels=channels), rate)
    np.testing.assert_array_equal(decoded(content), plain(content))
    assert not caplog.text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("between", [b"", ID3V2, ID3V1, APE], ids=["", "id3v2", "id3v1", "ape"])
def test_joined_files_are_read_to_the_end_of_the_last(kind, between, caplog):
    first = encoded(kind, buzz(2 * RATE))
    second = encoded(kind, buzz(RATE, 1))
    joined = decoded(first + between + second + between + second)
    expected = [plain(first), plain(second), plain(second)]
    np.testing.assert_array_equal(joined, np.concatenate(expected))
    assert not caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_every_reader_reads_all_parts(tmp_path, kind):
    path = tmp_path / "joined"
    parts = [encoded(kind, buzz(2 * RATE)), encoded(kind, buzz(RATE, 1))]
    path.write_bytes(b"".join(parts))
    expected = np.concatenate([plain(part) for part in parts])
    np.testing.assert_array_equal(read_waveform(path, CONFIG), expected)
    with open_live(str(path), CONFIG) as live:
        streamed = np.concatenate(list(live.blocks))[:, 0]
    assert len(streamed) == len(expected)
    np.testing.assert_allclose(streamed, expected, atol=1e-6)  # libmpg123 seeks for every block
    with open_audio(path, CONFIG) as file:
        assert file.frames == len(expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (16_000, 2)])
def test_parts_of_different_kinds_are_refused(kind, rate, channels):
    second = encoded(kind, buzz(16_000, 1, channels), rate)
    assert refusal(encoded(kind, buzz(RATE)) + second) == "mixed parts"


@pytest.mark.parametrize("first", [*KINDS, *CHUNKED])
@pytest.mark.parametrize("second", [*KINDS, "wav", "w64", "caf"])
def test_a_recording_behind_another_is_never_left_out_in_silence(first, second, caplog):
    if KINDS.get(first, "a")[0] == KINDS.get(second, "b")[0] and first == second:
        return
    parts = [encoded(first, buzz(2 * RATE)), encoded(second, buzz(RATE, 1))]
    try:
        samples = decoded(b"".join(parts))
    except AudioError:
        return
    assert len(samples) == 3 * RATE or "behind" in caplog.text


@pytest.mark.parametrize("kind", [*KINDS, *CHUNKED])
@pytest.mark.parametrize("tag", [ID3V1, APE + ID3V1, bytes(1_000)], ids=["id3v1", "ape", "zeros"])
def test_tags_behind_the_end_are_passed_over(kind, tag, caplog):
    content = encoded(kind, buzz(2 * RATE))
    np.testing.assert_array_equal(decoded(content + tag), plain(content))
    assert not caplog.text


@pytest.mark.parametrize("kind", [*KINDS, "wav", "w64", "caf", "au"])
def test_junk_behind_the_end_is_said(kind, caplog):
    content = encoded(kind, buzz(2 * RATE))
    junk = b"\x01" + np.random.default_rng(0).bytes(20_000)
    np.testing.assert_array_equal(decoded(content + junk), plain(content))
    assert "behind its" in caplog.text


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("quiet_s", [0, 2])
def test_mp3_without_a_frame_count_is_read_whole(mode, rate, quiet_s):
    samples = np.concatenate([np.zeros(quiet_s * rate), buzz(4 * rate)])
    content = encoded("mp3", samples, rate, bitrate_mode=mode, compression_level=0.3)
    whole, bare = decoded(content), decoded(without_xing(content))
    assert len(bare) % 576 == 0
    assert len(samples) <= len(bare) < len(samples) + 5 * 1152
    start = len(bare) - len(whole)
    offsets = [n for n in range(start + 1) if np.array_equal(bare[n : n + len(whole)], whole)]
    assert offsets, "the samples with a frame count are among those without"


def test_mp3_in_wav_is_read_whole():
    bare = without_xing(encoded("mp3", buzz(2 * RATE)))
    for claim in (None, 0, 0x7FFF_FFFF, 0xFFFF_FFFF):
        np.testing.assert_array_equal(decoded(wav_of(bare, 0x55, claim)), decoded(bare))


@pytest.mark.parametrize(
    ("claim", "outcome"), [(0, "read"), (10, "read"), (58, "read"), (59, "read"), (90, "truncated")]
)
def test_mp3_is_held_against_the_count_of_its_header(claim, outcome):
    content = bytearray(encoded("mp3", buzz(2 * RATE)))
    at = content.find(b"Xing") if b"Xing" in content[:48] else content.find(b"Info")
    true = struct.unpack(">I", content[at + 8 : at + 12])[0]
    assert true == 58
    content[at + 8 : at + 12] = struct.pack(">I", claim)
    if outcome == "truncated":
        assert refusal(bytes(content)) == "truncated"
    else:
        assert 2 * RATE <= len(decoded(bytes(content))) <= true * 576


@pytest.mark.parametrize("kind", ["opus", "vorbis"])
def test_ogg_without_an_end_flag_is_read(kind, caplog):
    content = encoded(kind, buzz(2 * RATE))
    page = ogg_pages(content)[-1]
    bare = with_page(content, page, 5, bytes((content[page[0] + 5] & ~4,)))
    np.testing.assert_array_equal(decoded(bare), plain(content))
    assert "not marked as the last" in caplog.text


@pytest.mark.parametrize("kind", ["opus", "vorbis"])
def test_ogg_that_claims_less_than_it_holds_is_refused(kind):
    content = long_ogg(kind)
    pages = ogg_pages(content)
    for page in pages[2:]:
        granule = int.from_bytes(content[page[0] + 6 : page[0] + 14], "little")
        content = with_page(content, page, 6, (granule // 4).to_bytes(8, "little"))
    assert refusal(content) == "damaged"


@pytest.mark.parametrize("kind", ["opus", "vorbis"])
@pytest.mark.parametrize("position", [0, 0.5, 0.999, 5])
def test_ogg_whose_pages_all_claim_the_same_time_is_read_whole_or_refused(kind, position):
    content = long_ogg(kind)
    pages = ogg_pages(content)
    last = int.from_bytes(content[pages[-1][0] + 6 : pages[-1][0] + 14], "little")
    for page in pages[2:]:
        if content[page[0] + 6 : page[0] + 14] not in (bytes(8), b"\xff" * 8):
            content = with_page(content, page, 6, int(position * last).to_bytes(8, "little"))
    found = outcome(content)
    assert found is None or found[0] >= 29 * RATE


@pytest.mark.parametrize("num_bytes", [1, 300, 2_000])
def test_mp3_that_begins_within_a_frame_is_read_from_the_next(num_bytes, caplog):
    content = without_xing(SHORT["mp3"])
    cut = decoded(content[num_bytes:])
    assert len(decoded(content)) - 576 * (1 + num_bytes // 100) <= len(cut) < len(decoded(content))
    assert "before its first MPEG frame" in caplog.text


@pytest.mark.parametrize("extension", ["mp3", "wav", "au"])
def test_what_only_begins_like_mp3_never_comes_to_libmpg123(tmp_path, capfd, extension):
    """Which would write lines of its own to standard error."""
    rng = np.random.default_rng(0)
    path = tmp_path / f"a.{extension}"
    for second in (0xFB, 0xFA, 0xF3, 0xE3, 0xFE):
        for third in (0x00, 0x90, 0xA0):
            path.write_bytes(bytes((0xFF, second, third)) + rng.bytes(3_000))
            with pytest.raises(AudioError, match="not audio"):
                read_waveform(path, CONFIG)
    path.write_bytes(rng.bytes(3_000))
    with pytest.raises(AudioError, match="not audio"):
        read_waveform(path, CONFIG)
    path.write_bytes(without_xing(SHORT["mp3"])[:150])
    with pytest.raises(AudioError):
        read_waveform(path, CONFIG)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["opus", "vorbis"])
def test_ogg_that_goes_on_after_its_end_is_refused(kind):
    content = long_ogg(kind)
    page = ogg_pages(content)[-2]
    assert refusal(with_page(content, page, 5, b"\x04")) == "damaged"


SHORT = {kind: encoded(kind, buzz(2 * RATE)) for kind in [*KINDS, *CHUNKED]}
DECODED = {kind: plain(content) for kind, content in SHORT.items()}


def outcome(content: bytes) -> tuple[int, bool] | None:
    """Return how many samples were read and whether there was a note; None = refused."""
    try:
        with open_audio(Encoded(content), CONFIG) as file:
            return len(file.read(2**22)), bool(file.notes)
    except AudioError:
        return None


@settings(max_examples=120)
@given(kind=st.sampled_from(list(SHORT)), share=st.floats(0.02, 0.9999))
def test_a_file_that_was_cut_is_refused_or_says_so(kind, share):
    content = SHORT[kind]
    found = outcome(content[: int(len(content) * share)])
    assert found is None or found[1]


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


@settings(max_examples=40)
@given(
    parts=st.lists(st.tuples(st.integers(200, 8_000), st.integers(0, 9)), min_size=1, max_size=4),
    kind=st.sampled_from(list(KINDS)),
    tags=st.lists(st.sampled_from([b"", ID3V2, ID3V1, APE, bytes(64)]), min_size=4, max_size=4),
)
def test_random_joins_are_read_whole(parts, kind, tags):
    contents = [encoded(kind, buzz(length, seed)) for length, seed in parts]
    joined = b"".join(content + tag for content, tag in zip(contents, tags, strict=False))
    expected = np.concatenate([plain(content) for content in contents])
    np.testing.assert_array_equal(decoded(joined), expected)


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


@settings(max_examples=150)
@given(
    kind=st.sampled_from(list(SHORT)),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4),
    in_header=st.booleans(),
)
def test_random_bytes_end_in_samples_or_one_line(kind, edits, in_header):
    content = bytearray(SHORT[kind])
    for share, byte in edits:
        content[int(share * ((80 if in_header else len(content)) - 1))] = byte
    said = ""
    samples = np.zeros(0)
    try:
        samples = read_waveform(Encoded(bytes(content)), CONFIG)
    except AudioError as error:
        said = str(error)
    assert bool(len(samples)) != bool(said)
    assert np.isfinite(samples).all()
    assert "\n" not in said


def test_frames_without_a_header_behind_a_flac_are_not_left_out():
    second = SHORT["flac"]
    at = second.find(b"\xff\xf8")
    assert refusal(SHORT["flac"] + second[at:]) == "damaged"


def test_two_chunks_of_samples_are_refused():
    content = SHORT["wav"]
    more = content + b"data" + struct.pack("<I", 32_000) + content[-32_000:]
    assert refusal(more) == "damaged"


def test_chunks_that_cannot_be_followed_are_refused():
    content = SHORT["wav"]
    odd = content[:36] + b"LIST" + struct.pack("<I", 7) + b"INFOabc" + content[36:]
    assert refusal(odd) == refusal(odd + content) == "not audio"


def test_tags_before_a_wav_are_refused():
    assert refusal(ID3V2 + SHORT["wav"] + SHORT["wav"]) == "not audio"


def test_a_wav_without_samples_is_empty():
    content = encoded("wav", np.zeros(0)) + b"LIST" + struct.pack("<I", 4) + b"INFO"
    assert refusal(content) == "empty"


@pytest.mark.parametrize("kind", ["flac", "opus", "mp3"])
def test_memory_stays_bounded_over_many_parts(tmp_path, kind):
    path = tmp_path / "joined"
    path.write_bytes(encoded(kind, np.tile(buzz(20 * RATE), 2)) * 10)
    tracemalloc.start()
    try:
        with open_audio(path, CONFIG) as file:
            while len(file.read(2**16)):
                pass
            assert file.frames == 400 * RATE
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4e6


def test_a_name_that_is_not_utf_8_is_read(tmp_path):
    path = tmp_path / "caf\udce9.wav"
    path.write_bytes(SHORT["wav"])
    np.testing.assert_array_equal(read_waveform(path, CONFIG), DECODED["wav"])


HOSTILE = {
    "zeros behind RIFF": b"RIFF\xff\xff\xff\x7fWAVE" + bytes(2**24),
    "empty chunks": b"RIFF\xff\xff\xff\x7fWAVE" + (b"LIST" + bytes(4)) * 2**20,
    "zeros": bytes(2**26),
    "headers of MP3 frames": SHORT["mp3"] + b"\x01" + b"\xff\xfb\x90\x00" * 2**20,
    "headers of FLAC frames": SHORT["flac"] + SHORT["flac"][86:96] * 2**17,
    "zeros and junk behind FLAC": SHORT["flac"] + bytes(2**21) + b"\x01",
    "pages of Ogg without packets": SHORT["opus"][: ogg_pages(SHORT["opus"])[0][1]] * 5_000,
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bytes_take_no_long_time(content):
    start = time.process_time()
    outcome(content)
    assert time.process_time() - start < 10
