"""Recordings from folders: which are read, how they are laid out, and what is said of mistakes."""

import numpy as np
import pytest
import soundfile

from rawnet_jax.augment.bank import noise_bank, response_bank
from rawnet_jax.config import AudioConfig, AugmentConfig
from rawnet_jax.data.augment_banks import read_banks
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
        ("{folder}/empty", DataError, r"no \.wav, .* file in it"),
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
