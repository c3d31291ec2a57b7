"""Decoding: what is accepted comes out right, what is not ends in one short reason."""

import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rawnet_jax.config import AudioConfig
from rawnet_jax.data import audio
from rawnet_jax.data.audio import from_int16, read_waveform, to_int16
from rawnet_jax.data.full_scale import FullScale
from rawnet_jax.errors import AudioError

CONFIG = AudioConfig()


def noise(num_samples: int, seed: int = 0) -> np.ndarray:
    """float64 noise well inside full scale, on the 16-bit grid."""
    values = np.random.default_rng(seed).normal(0, 0.1, num_samples).clip(-0.9, 0.9)
    return np.rint(values * 32768) / 32768


def sine(num_samples: int, frequency_hz: float, sample_rate_hz: int) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(num_samples) / sample_rate_hz)


def strongest_hz(waveform: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(np.argmax(spectrum)) * 16_000 / len(waveform)


def reason_of(path: Path, **bounds: float) -> str:
    config = AudioConfig()
    for name, value in bounds.items():
        setattr(config, name, value)
    with pytest.raises(AudioError) as caught:
        read_waveform(path, config)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("extension", ["wav", "flac"])
@pytest.mark.parametrize("num_samples", [160, 16_000, 40_001])
def test_lossless_files_come_out_sample_by_sample(tmp_path, extension, num_samples):
    path = tmp_path / f"a.{extension}"
    values = noise(num_samples)
    soundfile.write(path, values, 16_000, subtype="PCM_16")
    waveform = read_waveform(path, CONFIG)
    assert waveform.dtype == np.float32
    np.testing.assert_array_equal(waveform, values.astype(np.float32))
    samples, num_clipped = to_int16(waveform)
    assert num_clipped == 0
    np.testing.assert_array_equal(samples, soundfile.read(path, dtype="int16")[0])


@pytest.mark.parametrize("extension", ["mp3", "ogg"])
def test_lossy_files_keep_length_and_pitch(tmp_path, extension):
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, sine(16_000, 1000, 16_000), 16_000)
    waveform = read_waveform(path, CONFIG)
    assert len(waveform) == 16_000
    assert strongest_hz(waveform) == pytest.approx(1000, abs=1)


@pytest.mark.parametrize("sample_rate_hz", [4_000, 8_000, 11_025, 22_050, 44_100, 48_000, 384_000])
def test_other_rates_are_resampled(tmp_path, sample_rate_hz, monkeypatch):
    monkeypatch.setattr(audio, "_BLOCK_VALUES", 5_000)  # several blocks, the last one short
    path = tmp_path / "a.wav"
    num_samples = sample_rate_hz + 123
    soundfile.write(path, sine(num_samples, 1000, sample_rate_hz), sample_rate_hz)
    waveform = read_waveform(path, CONFIG)
    assert len(waveform) == pytest.approx(num_samples * 16_000 / sample_rate_hz, abs=1)
    assert strongest_hz(waveform) == pytest.approx(1000, abs=2)
    middle = waveform[2_000:-2_000]
    expected = sine(len(waveform), 1000, 16_000)[2_000:-2_000]
    np.testing.assert_allclose(middle, expected, atol=2e-4)


def test_channels_are_averaged(tmp_path, monkeypatch):
    left, right = noise(3_000, 1), noise(3_000, 2)
    path = tmp_path / "a.flac"
    soundfile.write(path, np.stack([left, right], axis=1), 16_000)
    expected = ((left + right) / 2).astype(np.float32)
    np.testing.assert_array_equal(read_waveform(path, CONFIG), expected)
    monkeypatch.setattr(audio, "_BLOCK_VALUES", 512)
    np.testing.assert_array_equal(read_waveform(path, CONFIG), expected)


def test_opposite_channels_are_silent(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([noise(3_000), -noise(3_000)], axis=1), 16_000)
    assert reason_of(path) == "silent"


def test_real_recordings_at_8_khz(shared_data):
    paths = sorted((shared_data / "digits").glob("*.wav"))[::60]
    assert len(paths) == 10
    for path in paths:
        waveform = read_waveform(path, CONFIG)
        assert abs(len(waveform) - 2 * soundfile.info(path).frames) <= 1
        assert 0.001 < np.abs(waveform).max() < 1.5


def write_nothing(path: Path) -> None:
    path.touch()


def write_text(path: Path) -> None:
    path.write_text("utterance bonafide\n" * 100)


def write_random_bytes(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(10_000))


def write_no_samples(path: Path) -> None:
    soundfile.write(path, np.zeros(0), 16_000, subtype="PCM_16", format="WAV")


def write_digital_silence(path: Path) -> None:
    soundfile.write(path, np.zeros(16_000), 16_000, subtype="PCM_16", format="WAV")


def write_float(value: float):
    def write(path: Path) -> None:
        values = noise(16_000).astype(np.float32)
        values[9_000] = value
        soundfile.write(path, values, 16_000, subtype="FLOAT", format="WAV")

    return write


def write_float_stereo_nan(path: Path) -> None:
    values = np.stack([noise(16_000)] * 2, axis=1).astype(np.float32)
    values[-1, 1] = np.nan
    soundfile.write(path, values, 16_000, subtype="FLOAT", format="WAV")


def write_at_1_hz(path: Path) -> None:
    soundfile.write(path, noise(1_500), 1, subtype="PCM_16", format="WAV")


def write_1024_channels(path: Path) -> None:
    soundfile.write(path, np.tile(noise(100)[:, None], 1024), 16_000, format="WAV")


def write_9_ms(path: Path) -> None:
    soundfile.write(path, noise(144), 16_000, format="WAV")


def write_cut(extension: str):
    def write(path: Path) -> None:
        whole = path.with_suffix(f".whole.{extension}")
        soundfile.write(whole, noise(32_000), 16_000)
        data = whole.read_bytes()
        path.write_bytes(data[: len(data) // 2])

    return write


def write_wav_claiming(num_bytes: int):
    def write(path: Path) -> None:
        soundfile.write(path, noise(32_000), 16_000, subtype="PCM_16", format="WAV")
        data = bytearray(path.read_bytes())
        where = data.find(b"data") + 4
        data[where : where + 4] = struct.pack("<I", num_bytes)
        path.write_bytes(data)

    return write


def write_flac_claiming(num_frames: int):
    def write(path: Path) -> None:
        soundfile.write(path, noise(32_000), 16_000, subtype="PCM_16", format="FLAC")
        data = bytearray(path.read_bytes())
        data[21] = (data[21] & 0xF0) | (num_frames >> 32)  # low bits of a 36-bit field
        data[22:26] = struct.pack(">I", num_frames & 0xFFFF_FFFF)
        path.write_bytes(data)

    return write


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (write_nothing, "empty"),
        (write_no_samples, "empty"),
        (write_text, "not audio"),
        (write_random_bytes, "not audio"),
        (write_digital_silence, "silent"),
        (write_float(np.nan), "not finite"),
        (write_float(-np.inf), "not finite"),
        (write_float_stereo_nan, "not finite"),
        (write_float(-1e38), "too loud"),
        (write_float(30_000.0), "too loud"),
        (write_at_1_hz, "sample rate out of bounds"),
        (write_1024_channels, "too many channels"),
        (write_9_ms, "too short"),
        (write_cut("wav"), "truncated"),
        (write_cut("ogg"), "truncated"),
        (write_cut("flac"), "truncated"),
        (write_wav_claiming(128_000), "truncated"),
        (write_wav_claiming(2**30 + 1234), "truncated"),
    ],
)
def test_what_cannot_be_used_has_a_short_reason(tmp_path, write, reason):
    path = tmp_path / "a.wav"
    write(path)
    assert reason_of(path) == reason


def test_cut_mp3_is_truncated(tmp_path, capfd):
    path = tmp_path / "a.mp3"
    write_cut("mp3")(path)
    assert reason_of(path) == "truncated"
    capfd.readouterr()  # libmpg123 has its say on standard error


@pytest.mark.parametrize(
    "claim", [0, 0x7FFF_FFFF, 0xFFFF_FFFF, 2_000_000_000, 0x4000_0000, 64_002, 64_016]
)
def test_wav_whose_size_is_none_is_read_to_its_end(tmp_path, claim):
    path = tmp_path / "a.wav"
    write_wav_claiming(claim)(path)
    np.testing.assert_array_equal(read_waveform(path, CONFIG), noise(32_000).astype(np.float32))


@pytest.mark.parametrize("claim", [0, 10_000, 32_001, 2**36 - 1])
def test_flac_is_read_to_its_end_whatever_it_claims(tmp_path, claim):
    path = tmp_path / "a.flac"
    write_flac_claiming(claim)(path)
    np.testing.assert_array_equal(read_waveform(path, CONFIG), noise(32_000).astype(np.float32))


def test_wav_that_claims_less_is_believed_and_says_so(tmp_path, caplog):
    path = tmp_path / "a"
    write_wav_claiming(20_000)(path)
    np.testing.assert_array_equal(read_waveform(path, CONFIG), noise(32_000)[:10_000])
    assert "44000 bytes behind its end" in caplog.text


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    assert reason_of(tmp_path) == "not a file"
    assert reason_of(tmp_path / "pipe.wav") == "not a file"
    assert reason_of(tmp_path / "absent.wav") == "missing"


def test_headerless_name_is_not_audio(tmp_path):
    (tmp_path / "a.raw").write_bytes(bytes(1000))
    assert reason_of(tmp_path / "a.raw") == "not audio"


def test_no_permission(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(1_600), 16_000)
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read everything
        path.write_bytes(b"refused")
        monkeypatch.setattr(os, "access", lambda *_: False)
    assert reason_of(path) == "unreadable"


@pytest.mark.parametrize(
    ("num_samples", "fits"), [(159, False), (160, True), (1_600, True), (1_601, False)]
)
@pytest.mark.parametrize("sample_rate_hz", [16_000, 8_000])
def test_bounds_of_duration(tmp_path, num_samples, fits, sample_rate_hz):
    path = tmp_path / "a.wav"
    soundfile.write(path, sine(num_samples, 700, 16_000), sample_rate_hz)
    scale = 16_000 / sample_rate_hz
    config = AudioConfig(min_duration_s=0.01 * scale, max_duration_s=0.1 * scale)
    if fits:
        assert len(read_waveform(path, config)) == pytest.approx(num_samples * scale, abs=1)
    else:
        with pytest.raises(AudioError, match="too short" if num_samples < 1_000 else "too long"):
            read_waveform(path, config)


def write_silent_hour(path: Path) -> None:
    with soundfile.SoundFile(path, "w", 16_000, 1, "PCM_16", format="FLAC") as file:
        for _ in range(60):
            file.write(np.zeros(16_000 * 60, np.int16))


def write_wide_rate(path: Path) -> None:
    with soundfile.SoundFile(path, "w", 384_000, 16, "PCM_16", format="WAV") as file:
        for _ in range(10):
            file.write(np.zeros((38_400, 16), np.int16))


@pytest.mark.parametrize(
    ("write", "reason", "max_duration_s", "max_mb"),
    [
        (write_silent_hour, "too long", 2.0, 2),
        (write_silent_hour, "too long", 100.0, 16),
        (write_wide_rate, "too long", 0.5, 10),
        (write_flac_claiming(2**36 - 1), "too long", 1.0, 10),
        (write_1024_channels, "too many channels", 600.0, 2),
        (write_at_1_hz, "sample rate out of bounds", 600.0, 2),
    ],
)
def test_memory_stays_bounded(tmp_path, write, reason, max_duration_s, max_mb):
    path = tmp_path / "bomb"
    write(path)
    tracemalloc.start()
    try:
        assert reason_of(path, max_duration_s=max_duration_s) == reason
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < max_mb * 1e6


def test_too_long_names_what_raises_the_limit(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(32_000), 16_000)
    with pytest.raises(AudioError, match="more than 1 s") as caught:
        read_waveform(tmp_path / "a.wav", AudioConfig(max_duration_s=1.0))
    assert "--max-duration" in str(caught.value)
    assert "config.data.audio.max_duration_s" in str(caught.value)


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_what_is_beyond_full_scale_is_clipped_as_the_cache_does(tmp_path, rate, caplog):
    path = tmp_path / "hot.wav"
    soundfile.write(path, 8 * noise(rate), rate, "FLOAT")
    waveform = read_waveform(path, CONFIG)
    cached = from_int16(to_int16(waveform)[0])
    assert np.abs(waveform).max() == 1
    assert np.abs(waveform - cached).max() <= 1 / 32_768  # a step of 16 bit, at full scale
    assert "are beyond full scale and are clipped" in caplog.text
    with soundfile.SoundFile(path) as file:
        raw = file.read(dtype="float32")
    if rate == 16_000:
        np.testing.assert_array_equal(waveform, raw.clip(-1, 1))


def test_who_counts_what_is_clipped_needs_no_warning(tmp_path, caplog):
    soundfile.write(tmp_path / "hot.wav", 8 * noise(16_000), 16_000, "FLOAT")
    counts: list[int] = []
    read_waveform(tmp_path / "hot.wav", CONFIG, on_clipped=counts.append)
    assert counts == [np.count_nonzero(np.abs(np.float32(8 * noise(16_000))) > 1)]
    assert counts[0] > 100
    assert not caplog.text


def test_a_stray_sample_beyond_full_scale_is_clipped_without_a_word(tmp_path, caplog):
    waveform = noise(16_000)
    waveform[100] = -1.25
    soundfile.write(tmp_path / "a.wav", waveform, 16_000, "FLOAT")
    assert read_waveform(tmp_path / "a.wav", CONFIG).min() == -1
    assert not caplog.text


def test_what_is_not_finite_is_not_clipped():
    block = np.array([0, np.inf, -np.inf, np.nan, 2], np.float32)
    np.testing.assert_array_equal(
        FullScale("a")(block), np.array([0, np.nan, np.nan, np.nan, 1], np.float32)
    )
    assert len(FullScale("a")(np.zeros(0, np.float32))) == 0


def test_to_int16_clips_and_counts():
    waveform = np.array([0, 1, -1, 1.5, -1.0001, 0.5, 32767 / 32768], np.float32)
    samples, num_clipped = to_int16(waveform)
    assert samples.tolist() == [0, 32767, -32768, 32767, -32768, 16384, 32767]
    assert num_clipped == 3
    assert to_int16(np.zeros(0, np.float32))[0].shape == (0,)


def test_every_int16_survives_the_way_there_and_back():
    samples = np.arange(-32768, 32768).astype(np.int16)
    waveform = from_int16(samples)
    assert waveform.dtype == np.float32
    np.testing.assert_array_equal(to_int16(waveform)[0], samples)
    np.testing.assert_array_equal(waveform, samples / 32768)
    out = np.empty(len(samples), np.float32)
    assert from_int16(samples, out) is out
    np.testing.assert_array_equal(out, waveform)
