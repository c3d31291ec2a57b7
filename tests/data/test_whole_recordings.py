"""What is decoded is what a listener would hear; else the file is refused or a note says so."""

import struct
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawnet_jax.data.audio import Encoded, open_audio, read_waveform
from rawnet_jax.data.live_audio import open_live
from rawnet_jax.errors import AudioError
from tests.data.made_recordings import (
    APE,
    CHUNKED,
    CONFIG,
    DECODED,
    ID3V1,
    ID3V2,
    KINDS,
    RATE,
    SHORT,
    buzz,
    decoded,
    encoded,
    long_ogg,
    ogg_pages,
    outcome,
    plain,
    refusal,
    wav_of,
    with_page,
    without_xing,
)


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


@settings(max_examples=120)
@given(kind=st.sampled_from(list(SHORT)), share=st.floats(0.02, 0.9999))
def test_a_file_that_was_cut_is_refused_or_says_so(kind, share):
    content = SHORT[kind]
    found = outcome(content[: int(len(content) * share)])
    assert found is None or found[1]


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
