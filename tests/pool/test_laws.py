"""The laws: what is drawn, what it does, and that it knows nothing of the class."""

import numpy as np
import pytest

from rawnet_jax.contract import SAMPLE_RATE_HZ as RATE
from rawnet_jax.data.audio import from_int16
from rawnet_jax.data.codecs import has_codec
from rawnet_jax.pool.features import FEATURES, measured
from rawnet_jax.pool.laws import (
    CODEC_SHARES,
    COLOUR_HZ,
    LENGTH_S,
    LEVEL_DBFS,
    NOISE_DB,
    PieceLaws,
    RecordingLaws,
    draw_piece,
    dressed,
    generator,
    joined,
    trimmed,
)

FLAT = (0.0,) * len(COLOUR_HZ)
PLAIN = PieceLaws(2.0, FLAT, 8_000.0, -90.0, 0.0, "none", 0.0, RATE, -25.0)


def noise(seconds: float, gain: float = 0.1, seed: int = 0) -> np.ndarray:
    return gain * np.random.default_rng(seed).standard_normal(round(seconds * RATE))


def with_pauses(lead_s: float, pause_s: float, tail_s: float) -> np.ndarray:
    parts = [noise(lead_s, 1e-4), noise(1, seed=1), noise(pause_s, 1e-4), noise(1, seed=2)]
    return np.concatenate([*parts, noise(tail_s, 1e-4)])


def test_draws_depend_on_seed_and_name_alone():
    first, again, other = (draw_piece(generator(*key)) for key in ((1, "a"), (1, "a"), (1, "b")))
    assert first == again != other != draw_piece(generator(2, "b"))


def test_draws_fill_their_ranges():
    drawn = [draw_piece(generator(0, str(number))) for number in range(400)]
    lengths = np.array([each.length_s for each in drawn])
    assert LENGTH_S[0] <= lengths.min() < 1.3
    assert 3.1 < lengths.max() <= LENGTH_S[1]
    for codec, share in CODEC_SHARES.items():
        assert np.mean([each.codec == codec for each in drawn]) == pytest.approx(share, abs=0.08)
    clear = [each for each in drawn if each.noise_db < NOISE_DB[0]]
    assert 0.15 < np.mean([each.band_hz < 8_000 for each in drawn]) < 0.35
    assert 0.2 < len(clear) / len(drawn) < 0.4
    assert all(each.band_hz == 8_000 for each in clear)
    assert all(each.codec_rate >= 64 for each in clear if each.codec == "mp3")


def test_pauses_are_cut_at_the_ends_and_inside():
    laws = RecordingLaws(trim_db=30.0, margin_s=0.05, pause_s=0.1)
    got = trimmed(with_pauses(0.7, 0.8, 0.4), laws)
    assert len(got) / RATE == pytest.approx(0.05 + 1 + 0.1 + 1 + 0.05, abs=0.06)
    kept = trimmed(with_pauses(0.02, 0.05, 0.02), laws)
    assert len(kept) / RATE == pytest.approx(2.09, abs=0.02)
    assert not len(trimmed(np.zeros(50), laws))


def test_seams_have_no_click():
    tone = np.sin(2 * np.pi * 100 * np.arange(1_000) / RATE)
    whole = joined([tone[:400], tone[250:]])
    assert len(whole) == 400 + 750 - 64
    assert np.abs(np.diff(whole)).max() < 1.5 * np.abs(np.diff(tone)).max()


@pytest.mark.parametrize("codec", ["none", *(name for name in ("mp3", "vorbis", "opus"))])
def test_a_piece_gets_its_level_and_keeps_its_length(codec):
    if codec != "none" and not has_codec(codec):
        pytest.skip(f"libsndfile has no {codec}")
    for level in LEVEL_DBFS:
        hz = 22_050 if codec == "mp3" else RATE
        rate = 4.0 if codec == "vorbis" else 40.0
        laws = PieceLaws(2.0, FLAT, 6_000.0, -40.0, 0.5, codec, rate, hz, level)
        got = dressed(noise(1.5, 0.03), laws, generator(0, "x"))
        assert got.dtype == np.int16
        assert len(got) == 1.5 * RATE
        assert measured(from_int16(got))["level_dbfs"] == pytest.approx(level, abs=0.2)


def test_a_band_is_cut_and_a_noise_floor_is_laid():
    tone = np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE) * (np.arange(2 * RATE) > RATE)
    quiet = measured(from_int16(dressed(tone, PLAIN, generator(0, "x"))))
    noisy = PieceLaws(2.0, FLAT, 8_000.0, -30.0, 0.0, "none", 0.0, RATE, -25.0)
    loud = measured(from_int16(dressed(tone, noisy, generator(0, "x"))))
    assert loud["noise_floor_db"] - quiet["noise_floor_db"] > 15
    narrow = PieceLaws(2.0, FLAT, 5_000.0, -90.0, 0.0, "none", 0.0, RATE, -25.0)
    wide, cut = (
        measured(from_int16(dressed(noise(2), laws, generator(0, "x")))) for laws in (PLAIN, narrow)
    )
    assert wide["bandwidth_hz"] > 7_800 > 5_400 > cut["bandwidth_hz"]
    assert wide["high_band_db"] - cut["high_band_db"] > 30


def test_a_colour_follows_its_gains():
    gains = tuple(10.0 if hz in (500.0, 1_000.0) else -5.0 for hz in COLOUR_HZ)
    tones = [np.sin(2 * np.pi * hz * np.arange(2 * RATE) / RATE) for hz in (707.0, 4_000.0)]
    coloured = PieceLaws(2.0, gains, 8_000.0, -90.0, 0.0, "none", 0.0, RATE, -25.0)
    got = from_int16(dressed(tones[0] + tones[1], coloured, generator(0, "x")))
    low, high = (abs(np.dot(got, tone)) for tone in tones)
    assert 20 * np.log10(low / high) == pytest.approx(15.0, abs=0.5)


def test_features_are_finite_whatever_comes():
    for waveform in (np.zeros(0), np.zeros(100), np.zeros(RATE), noise(0.05), np.ones(RATE)):
        values = measured(waveform)
        assert set(values) == set(FEATURES)
        assert np.isfinite(list(values.values())).all()
