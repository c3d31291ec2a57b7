"""Codecs: the waveform comes back in time, as long as it was, and what is missing is said."""

import numpy as np
import pytest
import soundfile

from rawnet_jax.data.codecs import CODECS, has_codec, require_codec, round_trip
from rawnet_jax.errors import ConfigError

CASES = [
    ("mp3", 16),  # below 48 kb/s there is no tag, and the delay is taken off by its known length
    ("mp3", 32),
    ("mp3", 64),
    ("mp3", 160),
    ("vorbis", 0),
    ("vorbis", 10),
    ("opus", 12),
    ("opus", 64),
]


def voice(num_samples: int) -> np.ndarray:
    """Return pulses of a rising pitch through two resonances: no two periods are alike."""
    time_s = np.arange(num_samples) / 16_000
    phase = np.cumsum(110 + 60 * time_s) / 16_000
    pulses = np.diff(np.floor(phase), prepend=0)
    tones = np.sin(2 * np.pi * np.outer([600, 1_500], time_s)).sum(axis=0)
    ring = np.exp(-90 * time_s) * tones
    waveform = np.convolve(pulses, ring[:800])[:num_samples]
    return (0.3 * waveform / np.abs(waveform).max()).astype(np.float32)


def skip_without(name: str) -> None:
    if not has_codec(name):
        pytest.skip(f"this libsndfile cannot encode {name}")


@pytest.mark.parametrize(("name", "rate"), CASES)
def test_what_comes_back_is_in_time(name, rate):
    skip_without(name)
    waveform = voice(12_000)
    coded = round_trip(name, waveform, rate)
    assert coded.dtype == np.float32
    assert len(coded) == len(waveform)
    lags = np.arange(-1_500, 1_501)
    middle = waveform[2_000:10_000]
    likeness = [np.dot(middle, coded[2_000 + lag : 10_000 + lag]) for lag in lags]
    assert lags[np.argmax(likeness)] == 0
    assert 0 < np.mean((coded - waveform) ** 2) < 0.3 * np.mean(waveform**2)


@pytest.mark.parametrize("name", CODECS)
def test_better_rates_are_nearer(name):
    skip_without(name)
    waveform = voice(8_000)
    errors = [np.mean((round_trip(name, waveform, r) - waveform) ** 2) for r in CODECS[name].limits]
    assert errors[1] < errors[0]


@pytest.mark.parametrize("num_samples", [1, 50, 999])
@pytest.mark.parametrize(("name", "rate"), CASES[::2])
def test_short_clips_keep_their_length(name, rate, num_samples):
    skip_without(name)
    coded = round_trip(name, voice(num_samples + 300)[300:], rate)
    assert coded.shape == (num_samples,)
    assert np.isfinite(coded).all()


def test_a_codec_that_is_missing_is_named(monkeypatch):
    real = soundfile.write

    def write(*arguments, **options):
        if options["format"] == "MP3":
            raise soundfile.LibsndfileError(1)
        return real(*arguments, **options)

    monkeypatch.setattr(soundfile, "write", write)
    with pytest.raises(ConfigError, match=r"x names 'mp3', which libsndfile .* can: vorbis, opus"):
        require_codec("mp3", "x")
    require_codec("vorbis", "x")
