"""Bytes from a pipe become the samples that a file of them holds."""

import io
import struct

import numpy as np
import pytest
import soundfile

from rawnet_jax.config import AudioConfig
from rawnet_jax.data.audio import Encoded, read_waveform
from rawnet_jax.data.pcm import PcmFormat, raw_format
from rawnet_jax.data.pcm_stream import PcmStream
from rawnet_jax.errors import AudioError, ConfigError

SAMPLES = np.random.default_rng(0).uniform(-1, 1, (500, 2)).astype(np.float32)


class Pipe(io.BytesIO):
    """Gives a few bytes at a time, as a slow program does."""

    def read1(self, size=-1):
        return super().read1(min(size, 7) if size >= 0 else 7)


def wav(subtype="PCM_16", form="WAV", samples=SAMPLES, rate=44_100, endian="FILE") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype, endian=endian)
    return file.getvalue()


def read(data: bytes, raw: PcmFormat | None = None) -> np.ndarray:
    return np.concatenate(list(PcmStream(Pipe(data), "pipe", raw).blocks()))


LINEAR = ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
TELEPHONY = ("ULAW", "ALAW")


@pytest.mark.parametrize(
    ("form", "subtype", "endian"),
    [
        *((form, kind, "FILE") for form in ("WAV", "WAVEX", "RF64") for kind in LINEAR),
        *((form, kind, "FILE") for form in ("WAV", "WAVEX", "RF64", "AU") for kind in TELEPHONY),
        *(("WAV", kind, "BIG") for kind in (*LINEAR, *TELEPHONY, "PCM_U8")),
        *(("AU", kind, "FILE") for kind in (*LINEAR, "PCM_S8")),
        ("WAV", "PCM_U8", "FILE"),
    ],
)
def test_a_pipe_is_read_as_libsndfile_reads_the_file(form, subtype, endian):
    data = wav(subtype, form, rate=8_000, endian=endian)
    wanted, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    stream = PcmStream(Pipe(data), "pipe")
    assert (stream.format.sample_rate_hz, stream.format.num_channels) == (rate, 2)
    np.testing.assert_array_equal(np.concatenate(list(stream.blocks())), wanted)


@pytest.mark.parametrize(("encoding", "subtype"), [("mulaw", "ULAW"), ("alaw", "ALAW")])
def test_every_code_of_telephony(encoding, subtype):
    codes = bytes(range(256))
    how = {"format": "RAW", "subtype": subtype, "samplerate": 8_000, "channels": 1}
    wanted, _ = soundfile.read(io.BytesIO(codes), dtype="float32", **how)
    found = read(codes, PcmFormat(encoding, 8_000))
    np.testing.assert_array_equal(found[:, 0], wanted)
    both = read(codes, PcmFormat(encoding, 8_000, 2))
    np.testing.assert_array_equal(both, wanted.reshape(-1, 2))


@pytest.mark.parametrize(
    ("encoding", "data", "wanted"),
    [
        ("s16le", b"\x00\x80\xff\x7f\x00\x00\x00\x40", [-1, 32_767 / 32_768, 0, 0.5]),
        ("s24le", b"\x00\x00\x80\x00\x00\x40", [-1, 0.5]),
        ("s32le", b"\x00\x00\x00\x80\x00\x00\x00\xc0", [-1, -0.5]),
        ("u8", b"\x00\x80\xc0\xff", [-1, 0, 0.5, 127 / 128]),
        ("f32le", struct.pack("<2f", 0.25, -2), [0.25, -2]),
        ("f64le", struct.pack("<2d", 0.25, 1e300), [0.25, np.inf]),
    ],
)
def test_raw_samples(encoding, data, wanted):
    found = read(data, PcmFormat(encoding, 16_000, 2))
    np.testing.assert_array_equal(found, np.reshape(wanted, (-1, 2)).astype(np.float32))


def test_samples_come_as_soon_as_they_are_there():
    blocks = PcmStream(Pipe(bytes(60)), "pipe", PcmFormat("s16le", 16_000)).blocks()
    assert [len(block) for block in blocks] == [6, 3, 4, 3, 4, 3, 4, 3]


@pytest.mark.parametrize("size", [0, 0xFFFF_FFFF, 0x7FFF_F000, 2_000_000_000])
@pytest.mark.parametrize("subtype", ["PCM_16", *TELEPHONY])
def test_a_header_written_before_the_length_was_known(subtype, size):
    data = wav(subtype, rate=8_000)
    start = data.index(b"data") + 4
    streamed = data[:start] + struct.pack("<I", size) + data[start + 4 :]
    np.testing.assert_array_equal(read(streamed), read(data))


def test_what_stands_behind_the_samples_is_no_sound():
    data = wav()
    note = b"LIST" + struct.pack("<I", 4) + b"note"
    np.testing.assert_array_equal(read(data + note), read(data))
    before = data[:12] + note + data[12:]
    np.testing.assert_array_equal(read(before), read(data))
    mulaw = wav("ULAW", rate=8_000)
    start = mulaw.index(b"data")
    assert b"fact" in mulaw[:start]
    np.testing.assert_array_equal(read(mulaw[:start] + note + mulaw[start:]), read(mulaw))


def test_an_au_of_unknown_length_and_what_stands_behind_one(caplog):
    data = wav("ULAW", "AU", rate=8_000)
    for size in (0, 0xFFFF_FFFF):
        unknown = data[:8] + struct.pack(">I", size) + data[12:]
        np.testing.assert_array_equal(read(unknown), read(data))
    assert not caplog.text
    np.testing.assert_array_equal(read(data + b"LIST\4\0\0\0note"), read(data))
    assert "12 bytes behind its end" in caplog.text
    with pytest.raises(AudioError, match="another recording follows"):
        read(data + data)


def test_the_length_of_an_rf64_stands_in_a_chunk_of_its_own():
    data = wav(form="RF64")
    start = data.index(b"data") + 4
    assert data[start : start + 4] == b"\xff" * 4
    np.testing.assert_array_equal(read(data + b"LIST\4\0\0\0note"), read(data))


@pytest.mark.parametrize(
    ("subtype", "named"),
    [
        ("GSM610", "WAV of GSM 6.10; .* Save it as a file"),
        ("IMA_ADPCM", "WAV of IMA ADPCM; .* Save it as a file"),
        ("MS_ADPCM", "WAV of MS ADPCM; .* Save it as a file"),
    ],
)
def test_what_a_pipe_cannot_be_read_of_is_named_and_read_from_a_file(subtype, named):
    tone = np.sin(np.arange(3_200) / 5)
    data = wav(subtype, samples=0.5 * tone, rate=8_000)
    with pytest.raises(AudioError, match=f"pipe: not PCM: {named}"):
        read(data)
    assert len(read_waveform(Encoded(data), AudioConfig())) >= 6_400


@pytest.mark.parametrize("data", [b"", b"\0"])
@pytest.mark.parametrize("raw", [None, PcmFormat("s16le", 8_000)])
def test_a_pipe_without_a_sample_is_empty(data, raw):
    header = wav(samples=SAMPLES[:0]) if raw is None and data else b""
    with pytest.raises(AudioError, match="pipe: empty"):
        read(header + data, raw)


def test_an_early_end_is_told(caplog):
    assert len(read(wav()[:-6])) == 498
    assert "ends 6 bytes before" in caplog.text
    assert "2 bytes at its end" in caplog.text


G726 = b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 69, 1, 8_000, 8_000, 1, 4) + b"data"
AU = b".snd" + struct.pack(">5I", 24, 0, 9, 8_000, 1)


@pytest.mark.parametrize(
    ("data", "encoding", "named"),
    [
        (b"", None, "empty"),
        (b"ID3\x04" + bytes(50), None, "no WAV or AU header.*--format"),
        (wav()[:30], None, "ends in its WAV header"),
        (b"RIFF\0\0\0\0WAVEdata\4\0\0\0abcd", None, "no format"),
        (b"RIFF\0\0\0\0WAVEfmt \4\0\0\0abcd", None, "4 bytes of WAV format"),
        (b"RIFF\0\0\0\0WAVELIST\xff\xff\xff\x7f", None, "no samples in"),
        (G726 + bytes(4), None, "WAV of format 69 with 4 bits; PCM, float, µ-law and A-law"),
        (AU + bytes(4), None, "AU of encoding 9; PCM"),
        (AU[:16], None, "ends in its AU header"),
        (b".snd" + bytes(20), None, "claims to have 0 bytes"),
        (AU, "mulaw", "leave out --format"),
        (wav(), "s16le", "leave out --format"),
        (struct.pack("<4f", 0, 0, 0, 3e9), "f32le", "3e\\+09 times full scale"),
    ],
)
def test_what_is_no_audio_is_named(data, encoding, named):
    with pytest.raises(AudioError, match=f"pipe: .*{named}"):
        read(data, encoding and PcmFormat(encoding, 16_000, 2))


def test_bounds_hold():
    bounds = AudioConfig(max_channels=1)
    with pytest.raises(AudioError, match="2; it must be 1 to 1"):
        PcmStream(Pipe(wav()), "pipe").check(bounds)
    for form in (PcmFormat("u8", 100), PcmFormat("u8", 16_000, 0)):
        with pytest.raises(AudioError, match="out of bounds"):
            PcmStream(Pipe(b"ab"), "pipe", form).check(AudioConfig())


def test_flags_that_do_not_fit():
    assert raw_format(None, None, None) is None
    assert raw_format("u8", 8_000, None) == PcmFormat("u8", 8_000, 1)
    assert raw_format("u8", 8_000, 0) == PcmFormat("u8", 8_000, 0)
    with pytest.raises(ConfigError, match="give --rate too"):
        raw_format("u8", None, 2)
    with pytest.raises(ConfigError, match="give --format too"):
        raw_format(None, 16_000, None)


@pytest.mark.parametrize("more", [b"", b"LIST\x04\0\0\0INFO"])
def test_a_second_recording_in_a_pipe_is_refused(more):
    with pytest.raises(AudioError, match="another recording follows"):
        read(wav() + more + wav())


def test_chunks_behind_the_samples_are_passed_over_and_junk_is_said(caplog):
    chunk = b"LIST\x04\0\0\0INFO"
    np.testing.assert_array_equal(read(wav() + chunk), read(wav()))
    assert not caplog.text
    np.testing.assert_array_equal(read(wav() + chunk + bytes(99)), read(wav()))
    assert "99 bytes behind its end" in caplog.text


def test_what_is_no_number_hides_no_sample_that_is_too_loud():
    samples = np.array([np.nan, 1e30, np.inf, 1e300], "<f8").tobytes()
    with pytest.raises(AudioError, match="a sample is 1e\\+30 times full scale; is it f64le"):
        read(samples, PcmFormat("f64le", 16_000, 2))
    nothing = read(np.array([np.nan, 1e300], "<f8").tobytes(), PcmFormat("f64le", 16_000, 2))
    assert not np.isfinite(nothing).any()
