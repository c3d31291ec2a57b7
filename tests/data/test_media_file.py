"""Recordings of phones and messengers: read whole, or refused."""

import io
import logging
import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from rawnet_jax.config import AudioConfig
from rawnet_jax.data.audio import Encoded, open_audio, read_waveform
from rawnet_jax.data.live_audio import open_live
from rawnet_jax.errors import AudioError
from tests.data.media_samples import FORMS, LOSSLESS, encoded, tone

pytest.importorskip("av", reason="the extra `media` is not installed")

CONFIG = AudioConfig()
PLACES = {"truncated", "damaged", "empty", "not audio"}


@pytest.fixture(scope="module")
def made():
    """Return a second of a tone in every form."""
    return {form: encoded(form, tone(1, rate)) for form, (_, _, rate) in FORMS.items()}


def decoded(content: bytes) -> tuple[np.ndarray, int, tuple[str, ...]]:
    with open_audio(Encoded(content, "clip"), CONFIG) as file:
        samples = file.read(2**22)
        assert len(file.read(10)) == 0
        return samples, file.samplerate, file.notes


def refusal(content: bytes, config: AudioConfig = CONFIG) -> AudioError:
    with pytest.raises(AudioError) as caught:
        read_waveform(Encoded(content, "clip"), config)
    return caught.value


def hertz_of(samples: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_whole(made, form):
    samples, rate, notes = decoded(made[form])
    expected = tone(1, FORMS[form][2])
    assert rate == FORMS[form][2]
    assert notes == ()
    assert len(samples) / rate == pytest.approx(1, abs=0.1)
    assert len(samples) >= len(expected) - 0.05 * rate
    assert hertz_of(samples, rate) == pytest.approx(440, abs=3)
    if form in LOSSLESS:
        np.testing.assert_array_equal(samples, expected / np.float32(32_768))


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="the program ffmpeg is not here")
@pytest.mark.parametrize("form", FORMS)
def test_samples_are_those_of_ffmpeg(made, form, tmp_path):
    path = tmp_path / f"a.{form}"
    path.write_bytes(made[form])
    command = ("ffmpeg", "-v", "quiet", "-i", path, "-map", "0:a:0", "-f", "f32le", "-")
    true = np.frombuffer(subprocess.run(command, capture_output=True).stdout, np.float32)
    samples, _, _ = decoded(made[form])
    # Other versions leave what the encoder put before the audio, or cut the last frame.
    assert abs(len(samples) - len(true)) <= 2_048
    true = true[max(len(true) - len(samples), 0) :]
    np.testing.assert_allclose(samples[: len(true)], true, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_a_cut_file_is_refused(made, form):
    content = made[form]
    for stop in (len(content) * 2 // 5, len(content) * 4 // 5, len(content) - 3):
        try:
            samples, rate, notes = decoded(content[:stop])
        except AudioError as error:
            assert error.reason in PLACES  # noqa: PT017 - either is right
        else:  # what was cut are the tags behind the end
            assert stop == len(content) - 3
            assert len(samples) >= 0.95 * rate
            assert notes


@pytest.mark.parametrize("form", FORMS)
def test_a_second_recording_behind_the_first_is_read_or_refused(made, form):
    second = encoded(form, tone(1, FORMS[form][2], 1_500))
    for behind in (second, made["m4a"], made["webm"], made["amr"], wav(tone(1, 8_000))):
        try:
            samples, rate, notes = decoded(made[form] + behind)
        except AudioError as error:
            assert error.reason in PLACES  # noqa: PT017 - either is right
        else:
            half = samples[len(samples) // 2 :]
            is_read = len(samples) > 1.9 * rate and abs(hertz_of(half, rate) - 1_500) < 9
            assert is_read or "are not read" in notes[0]


def wav(samples: np.ndarray, rate: int = 8_000) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format="WAV")
    return stream.getvalue()


def test_tags_behind_the_end_are_passed_over(made):
    tag = b"APETAGEX" + (2_000).to_bytes(4, "little") + (32).to_bytes(4, "little") + bytes(16)
    for form in ("wv", "tta", "aac", "m4a"):
        assert decoded(made[form] + tag)[2] == ()
        assert "600 bytes behind its end" in decoded(made[form] + b"\x55\1" * 300)[2][0]


def test_the_name_says_nothing(made, tmp_path):
    (tmp_path / "a.wav").write_bytes(made["alac.m4a"])
    (tmp_path / "b.m4a").write_bytes(wav(tone(1, 16_000), 16_000))
    expected = tone(1, 16_000) / np.float32(32_768)
    np.testing.assert_array_equal(read_waveform(tmp_path / "b.m4a", CONFIG), expected)
    with open_audio(tmp_path / "a.wav", CONFIG) as file:
        assert (file.format, file.subtype, file.frames) == ("MPEG-4 audio (m4a)", "alac", None)
        assert len(file.read(100_000)) == FORMS["alac.m4a"][2]


def test_blocks_of_any_size_give_the_same_samples(made):
    whole, _, _ = decoded(made["m4a"])
    with open_audio(Encoded(made["m4a"]), CONFIG) as file:
        blocks = [file.read(size, always_2d=True) for size in (1, 0, 999, 20_000, 50_000, 50_000)]
    assert [block.shape[1] for block in blocks] == [1] * 6
    np.testing.assert_array_equal(np.concatenate(blocks)[:, 0], whole)


def test_sound_of_a_video_and_two_streams_of_sound(caplog):
    first, second = tone(1, 44_100), tone(1, 44_100, 1_500)
    samples, rate, notes = decoded(encoded("mp4", first, pictures=20))
    assert hertz_of(samples, rate) == pytest.approx(440, abs=3)
    assert notes == ()
    with caplog.at_level(logging.WARNING):
        samples, rate, notes = decoded(encoded("mp4", first, second, pictures=5))
    assert hertz_of(samples, rate) == pytest.approx(440, abs=3)
    assert notes == ("it has 2 audio streams; only number 1 is read",)
    assert caplog.messages == [f"clip: {notes[0]}"]
    assert refusal(encoded("mp4", pictures=5)).detail == "it holds no audio stream"


def test_packets_that_are_missing_inside_are_said():
    content = encoded("mkv", tone(2, 48_000), left_out=range(20, 50))
    samples, rate, notes = decoded(content)
    assert len(samples) / rate == pytest.approx(2 - 30 * 1_024 / rate, abs=0.05)
    assert "0.64 s of gaps between its packets are left out" in notes


def test_a_file_whose_container_claims_more_is_refused():
    content = encoded("webm", tone(1, 48_000))
    at = content.index(b"\x44\x89\x88") + 3  # Duration, a float64 of milliseconds
    assert decoded(content)[2] == ()
    longer = content[:at] + np.array([3_000.0], ">f8").tobytes() + content[at + 8 :]
    tag = longer.index(b"DURATION")
    longer = longer.replace(longer[tag : tag + 8], b"DURATIOM")  # the stream's own claim
    assert refusal(longer).reason == "truncated"


def test_fragments_are_read_and_a_lost_end_is_seen():
    options = {"movflags": "frag_every_frame+empty_moov+default_base_moof"}
    content = encoded("mp4", tone(1, 44_100), options=options)
    samples, rate, _ = decoded(content)
    assert len(samples) / rate == pytest.approx(1, abs=0.1)
    assert refusal(content[:-200]).reason == "truncated"


def test_a_long_silence_in_a_tiny_file_ends_at_the_bound(tmp_path):
    content = encoded("flac.ogg", np.zeros(16_000 * 120, np.int16))
    assert len(content) < 40_000
    assert refusal(content, AudioConfig(max_duration_s=5.0)).reason == "too long"
    assert refusal(content, AudioConfig(max_duration_s=119.0)).reason == "too long"
    path = tmp_path / "silence.ogg"
    path.write_bytes(content)
    with (
        open_live(str(path), AudioConfig(max_duration_s=5.0)) as live,
        pytest.raises(AudioError, match="too long: more than 5 s"),
    ):
        list(live.blocks)


def test_bounds_hold(made):
    assert refusal(made["amr"], AudioConfig(min_sample_rate_hz=16_000)).reason == (
        "sample rate out of bounds"
    )
    assert refusal(made["m4a"], AudioConfig(min_duration_s=2.0)).reason == "too short"
    quiet = encoded("alac.m4a", np.zeros(48_000, np.int16))
    assert refusal(quiet).reason == "silent"
