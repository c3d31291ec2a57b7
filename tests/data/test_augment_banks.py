"""Recordings from folders: which are read, how they are laid out, and what is said of mistakes."""

import numpy as np
import pytest
import soundfile

from rawnet_jax.augment.bank import noise_bank, response_bank
from rawnet_jax.config import AudioConfig, AugmentConfig
from rawnet_jax.data.augment_banks import read_banks, read_recordings
from rawnet_jax.errors import AudioError, ConfigError, DataError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    rng = np.random.default_rng(0)
    for name, length in (("b.wav", 400), ("a.flac", 1000), ("sub/c.WAV", 250)):
        path = tmp_path / name
        kind = path.suffix[1:].upper()
        soundfile.write(path, 0.1 * rng.standard_normal(length), 16_000, format=kind)
    (tmp_path / "SOURCES.csv").write_text("file,licence\n", encoding="utf-8")
    return tmp_path


def test_folders_are_read_in_order_of_name(folder):
    config = AugmentConfig(noise_dir=str(folder), rir_dir=str(folder), rir_max_s=0.02)
    banks = read_banks(config, AudioConfig(), {"noise", "rir"}, 600)
    assert banks.noise is not None
    assert banks.rir is not None
    assert banks.noise.length.tolist() == [1000, 400, 250]
    assert banks.rir.taps.shape == (3, 320)
    np.testing.assert_allclose(np.sum(banks.rir.taps**2, axis=1), 1, rtol=1e-5)
    assert (np.abs(banks.rir.taps).argmax(axis=1) == 0).all()


def test_only_what_is_needed_is_read():
    assert read_banks(AugmentConfig(), AudioConfig(), set(), 100) == (None, None)


def test_a_clips_worth_follows_every_sample_of_a_noise():
    short, long = np.linspace(0.1, 1, 7), np.linspace(-0.2, 0.5, 30)
    bank = noise_bank([short, long], num_samples=20)
    assert bank.samples.dtype == np.int16
    for waveform, start, length in zip((short, long), bank.start, bank.length, strict=True):
        for first in range(length):
            piece = bank.samples[start + first : start + first + 20] / 32767
            assert len(piece) == 20
            round_and_round = np.tile(waveform / np.abs(waveform).max(), 20)
            expected = round_and_round[first : first + 20]
            np.testing.assert_allclose(piece, expected, atol=2e-5)


def test_what_comes_before_the_direct_sound_is_cut():
    bank = response_bank([np.array([0.1, -2.0, 1.0]), np.array([3.0])], max_taps=50)
    expected = np.array([[-2 / 5**0.5, 1 / 5**0.5], [1.0, 0.0]])
    np.testing.assert_allclose(bank.taps, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("noise_dir", "error", "message"),
    [
        ("", ConfigError, r"config\.augment\.noise_dir is empty"),
        ("{folder}/none", DataError, "none: no such folder"),
        ("{folder}/empty", DataError, "no audio file in it"),
    ],
)
def test_a_missing_folder_is_named(folder, noise_dir, error, message):
    (folder / "empty").mkdir()
    config = AugmentConfig(noise_dir=noise_dir.format(folder=folder))
    with pytest.raises(error, match=message):
        read_banks(config, AudioConfig(), {"noise"}, 600)


def test_a_damaged_file_is_named(folder):
    (folder / "d.wav").write_bytes(b"RIFF")
    with pytest.raises(AudioError, match=r"d\.wav"):
        read_banks(AugmentConfig(rir_dir=str(folder)), AudioConfig(), {"rir"}, 600)


def write(path, channels, rate_hz=16_000):
    """Write channels [n] or [n, c] to a file in a folder that is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, channels, rate_hz, subtype="FLOAT")


def lengths(folder, name, **limits):
    return [len(w) for w in read_recordings(str(folder), name, AudioConfig(), **limits)]


@pytest.fixture
def musan(tmp_path):
    rng = np.random.default_rng(0)
    names = ["music/fma/music-fma-0000", "noise/free-sound/noise-free-sound-0000"]
    names += ["noise/sound-bible/noise-sound-bible-0000", "speech/librivox/speech-librivox-0000"]
    for number, name in enumerate(names):
        samples = 0.1 * rng.standard_normal(1000 + number)
        write(tmp_path / "musan" / f"{name}.wav", samples)
        (tmp_path / "musan" / f"{name}.txt").write_text("not audio", encoding="utf-8")
    return tmp_path / "musan"


def test_musan_as_it_is_published(musan):
    assert lengths(musan, "noise") == [1000, 1001, 1002, 1003]
    assert lengths(musan / "noise", "noise") == [1001, 1002]
    assert lengths(musan, "noise", max_files=2) == [1000, 1003]
    assert lengths(musan, "noise", max_files=9) == [1000, 1001, 1002, 1003]


def test_rirs_noises_as_it_is_published(tmp_path):
    rng = np.random.default_rng(0)
    root = tmp_path / "RIRS_NOISES"
    files = {
        "pointsource_noises/noise-free-sound-0000.wav": 1000,
        "real_rirs_isotropic_noises/RVB2014_type1_noise_largeroom1_1.wav": 1001,
        "real_rirs_isotropic_noises/RVB2014_type1_rir_largeroom1_far_angla.wav": 1002,
        "real_rirs_isotropic_noises/air_type1_air_binaural_booth_0_1.wav": 1003,
        "simulated_rirs/smallroom/Room001/Room001-00001.wav": 1004,
    }
    for name, length in files.items():
        write(root / name, 0.1 * rng.standard_normal(length))
    for folder in (tmp_path, root):
        assert lengths(folder, "noise") == [1000, 1001]
        assert lengths(folder, "rir") == [1002, 1003, 1004]
    assert lengths(root / "real_rirs_isotropic_noises", "noise") == [1001]
    assert lengths(root / "simulated_rirs" / "smallroom", "rir") == [1004]
    with pytest.raises(DataError, match="file in it for 'noise'"):
        lengths(root / "simulated_rirs", "noise")


def test_of_several_microphones_the_first_is_taken(tmp_path):
    first = np.zeros(400)
    first[[20, 60]] = 0.5, -0.25
    second = np.roll(np.abs(first), 9)
    write(tmp_path / "array.wav", np.stack([first, second, second], axis=1))
    config = AugmentConfig(rir_dir=str(tmp_path), rir_max_s=0.01)
    rir = read_banks(config, AudioConfig(), {"rir"}, 100).rir
    assert rir is not None
    expected = np.zeros(160)
    expected[[0, 40]] = 0.8**0.5, -(0.2**0.5)
    np.testing.assert_allclose(rir.taps, expected[None], atol=1e-6)


def test_only_the_beginning_of_a_long_noise_is_read(tmp_path):
    samples = 0.1 * np.random.default_rng(0).standard_normal(40_000)
    write(tmp_path / "a.wav", samples)
    write(tmp_path / "b.wav", samples[:8_000], rate_hz=8_000)
    bounds = AudioConfig(max_duration_s=2.0)
    with pytest.raises(AudioError, match="too long"):
        read_recordings(str(tmp_path), "noise", bounds)
    long, resampled = read_recordings(str(tmp_path), "noise", bounds, max_s=0.5)
    np.testing.assert_allclose(long, samples[:8_000], atol=1e-7)
    assert len(resampled) == 8_000
    config = AugmentConfig(noise_dir=str(tmp_path), noise_max_s=0.5, noise_max_files=1)
    noise = read_banks(config, bounds, {"noise"}, 100).noise
    assert noise is not None
    assert noise.length.tolist() == [8_000]


def test_a_silent_beginning_is_named(tmp_path):
    samples = np.zeros(4_000)
    samples[3_000:] = 0.5
    write(tmp_path / "late.wav", samples)
    assert lengths(tmp_path, "noise") == [4_000]
    with pytest.raises(AudioError, match=r"late\.wav: silent: in its first 0\.1 s"):
        lengths(tmp_path, "noise", max_s=0.1)
