"""What a file is, by its first bytes."""

import sys

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from rawnet_jax.config import AudioConfig
from rawnet_jax.data.audio import Encoded, read_waveform
from rawnet_jax.data.file_kinds import Kind, kind_of_file
from rawnet_jax.errors import AudioError

ID3 = b"ID3\4\0\0\0\0\0\x0a" + bytes(10)
ADTS = (b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(9)) * 3  # frames of 16 bytes
PAGE = b"OggS\0\2" + bytes(20) + b"\1\x20"
HEADS = {
    "MPEG-4 audio (m4a)": b"\0\0\0\x20ftypM4A \0\0\0\0",
    "protected MPEG-4 audio (m4p)": b"\0\0\0\x20ftypM4P ",
    "MPEG-4 (mp4)": b"\0\0\0\x20ftypisom\0\0\2\0",
    "3GPP (3gp)": b"\0\0\0\x20ftyp3gp4\0\0\2\0",
    "QuickTime (mov)": b"\0\0\0\x08wide\0\0\1\0mdat",
    "WebM": b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\1\x42\x82\x84webm",
    "Matroska (mkv, mka)": b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\1\x42\x82\x88matroska",
    "AAC in ADTS frames (aac)": ADTS,
    "AMR narrow-band speech (amr)": b"#!AMR\n\x3c",
    "AMR wide-band speech (amr, awb)": b"#!AMR-WB\n\x44",
    "Windows Media (wma, asf)": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
    "Ogg FLAC": PAGE + b"\x7fFLAC\1\0",
    "Ogg Speex": PAGE + b"Speex   1.2",
    "Ogg": PAGE + b"OpusHead",
    "AC-3 (ac3)": b"\x0b\x77\0\0\x1c\x40",
    "E-AC-3 (eac3)": b"\x0b\x77\1\xff\x3f\x80",
    "WavPack (wv)": b"wvpk\0\0\0\0",
    "Monkey's Audio (ape)": b"MAC \x96\x0f",
    "True Audio (tta)": b"TTA1\1\0",
    "WAV": b"RIFF\0\0\0\0WAVE",
    "an AVI video": b"RIFF\0\0\0\0AVI ",
    "a WebP picture": b"RIFF\0\0\0\0WEBP",
    "an HEIF or AVIF picture": b"\0\0\0\x18ftypheic",
    "a PDF document": b"%PDF-1.7\n",
    "a ZIP archive or an Office document": b"PK\3\4\x14",
    "a PNG picture": b"\x89PNG\r\n",
    "a JPEG picture": b"\xff\xd8\xff\xe0",
    "a program (ELF)": b"\x7fELF\2",
    "compressed by gzip": b"\x1f\x8b\x08",
    "an HTML page": b"\xef\xbb\xbf\n <!DOCTYPE html><html>",
    "a playlist, which names other files": b"#EXTM3U\nhttp://example.org/1.ts\n",
    "text": "MAC addresses of März\n".encode(),
    "a pointer of Git LFS; `git lfs pull` gets the file": b"version https://git-lfs.github.com/",
}


@pytest.mark.parametrize("words", HEADS)
@pytest.mark.parametrize("lead", [b"", ID3])
def test_kinds_are_told_by_their_first_bytes(words, lead):
    kind = kind_of_file(lead + HEADS[words])
    assert kind is not None
    assert kind.words == words


def test_text_in_other_encodings_and_unknown_bytes():
    cut = b"x" + "ä".encode() * 300  # a letter is cut at 512 bytes
    for text, words in (("<html>ä".encode("utf-16"), "an HTML page"), (cut, "text")):
        kind = kind_of_file(text)
        assert kind is not None
        assert kind.words == words
    assert kind_of_file(b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(50)) is None  # one frame alone
    assert kind_of_file(b"MAC \0\0") is None
    assert kind_of_file(bytes(100)) is None
    assert kind_of_file(b"") is None


@given(st.binary(max_size=600))
def test_any_bytes_have_a_kind_or_none(content):
    found = kind_of_file(content)
    assert found is None or isinstance(found, Kind)


@pytest.mark.parametrize("words", [w for w in HEADS if "(" in w and "program" not in w])
def test_without_the_extra_both_cures_are_named(words, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    path = tmp_path / "my call.m4a"
    path.write_bytes(HEADS[words] + bytes(5_000))
    with pytest.raises(AudioError) as caught:
        read_waveform(path, AudioConfig())
    assert caught.value.reason == "not audio this install can read"
    assert str(caught.value) == (
        f"{path}: not audio this install can read: it is {words}; install the extra: pip install "
        f"'rawnet_jax[media]', or convert it: ffmpeg -i '{path}' -ar 16000 '{tmp_path}/my call.wav'"
    )


@pytest.mark.parametrize(
    ("head", "detail"),
    [
        (b"%PDF-1.7\n", "it is a PDF document; it must be WAV, FLAC, Ogg or MP3"),
        (b"#EXTM3U\nx.wav\n", "it is a playlist, which names other files; it must be WAV"),
        (b"RIFF\0\0\0\0AVI ", "it is an AVI video; convert it to WAV with ffmpeg"),
    ],
)
def test_what_nothing_here_reads_is_named(head, detail):
    with pytest.raises(AudioError, match="clip: not audio: ") as caught:
        read_waveform(Encoded(head, "clip"), AudioConfig())
    assert caught.value.detail.startswith(detail)


def test_a_name_that_begins_like_an_option_and_one_that_ends_in_wav(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.chdir(tmp_path)
    for name, command in (
        ("-a.amr", "ffmpeg -i ./-a.amr -ar 16000 ./-a.wav"),
        ("b.wav", "ffmpeg -i b.wav -ar 16000 b.16k.wav"),
    ):
        (tmp_path / name).write_bytes(b"#!AMR\n\x3c")
        with pytest.raises(AudioError) as caught:
            read_waveform(name, AudioConfig())
        assert caught.value.detail.endswith(command)


def test_bw64_is_read_as_rf64(tmp_path):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (4_000, 2))
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, 16_000, "PCM_24", format="RF64")
    content = path.read_bytes()
    expected = read_waveform(Encoded(content), AudioConfig())
    path.write_bytes(b"BW64" + content[4:])
    assert content[:4] == b"RF64"
    np.testing.assert_array_equal(read_waveform(path, AudioConfig()), expected)
    path.write_bytes(b"BW64" + content[4:-3_000])
    with pytest.raises(AudioError, match="truncated"):
        read_waveform(path, AudioConfig())
