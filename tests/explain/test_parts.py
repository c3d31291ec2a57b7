"""Parts of a waveform: together they are the waveform, and each holds what its name says."""

import numpy as np
import pytest

from rawnet_jax.errors import ConfigError
from rawnet_jax.explain.baseline import make_baseline, noise_floor
from rawnet_jax.explain.parts import DEFAULT_BAND_EDGES_HZ, make_parts, parse_bands

RNG = np.random.default_rng(3)
TIME_S = np.arange(8_000) / 16_000
NOISE = (0.1 * RNG.standard_normal(8_000)).astype(np.float32)


def power(waveform: np.ndarray) -> float:
    return float(np.mean(np.square(waveform, dtype=np.float64)))


@pytest.mark.parametrize("num_samples", [1, 160, 161, 8_000])
def test_parts_together_are_the_waveform(num_samples):
    waveform = NOISE[:num_samples]
    parts = make_parts(num_samples, 7, DEFAULT_BAND_EDGES_HZ)
    np.testing.assert_allclose(parts.weights.sum(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(parts.bands_of(waveform).sum(axis=0), waveform, atol=1e-6)
    assert parts.bands_of(waveform).shape == (parts.num_bands, num_samples)
    assert parts.span_edges_s[-1] == num_samples / 16_000


def test_a_span_has_all_of_its_middle_and_nothing_of_the_others():
    parts = make_parts(8_000, 5, (0, 8000))
    middles = (TIME_S[None] > parts.span_edges_s[:-1, None] + 0.006) & (
        TIME_S[None] < parts.span_edges_s[1:, None] - 0.006
    )
    for i, weight in enumerate(parts.weights):
        assert (weight[middles[i]] == 1).all()
        assert (weight[np.delete(middles, i, axis=0).any(axis=0)] == 0).all()
    assert np.abs(np.diff(parts.weights, axis=1)).max() < 0.02  # no clicks


@pytest.mark.parametrize(("hz", "band"), [(100, 0), (700, 2), (3_940, 5), (7_800, 9)])
def test_a_tone_is_in_its_band(hz, band):
    tone = np.sin(2 * np.pi * hz * TIME_S).astype(np.float32) * np.hanning(8_000)
    bands = make_parts(8_000, 1, DEFAULT_BAND_EDGES_HZ).bands_of(tone)
    shares = np.array([power(one) for one in bands]) / power(tone)
    assert shares[band] > 0.99
    assert np.delete(shares, band).max() < 1e-3


def test_filters_have_no_phase():
    click = np.zeros(8_001, np.float32)
    click[4_000] = 1
    for one in make_parts(8_001, 1, (0, 300, 3400, 8000)).bands_of(click):
        np.testing.assert_allclose(one, one[::-1], atol=1e-7)
        assert np.abs(one).argmax() == 4_000


def test_short_clips_have_fewer_spans():
    assert make_parts(1_600, 50, (0, 8000)).num_spans == 10
    assert make_parts(100, 50, (0, 8000)).num_spans == 1


@pytest.mark.parametrize(
    ("text", "edges"),
    [
        ("2", (0, 4000, 8000)),
        ("300,3400", (0, 300, 3400, 8000)),
        ("0,300.5,8000", (0, 300.5, 8000)),
    ],
)
def test_bands_as_a_user_writes_them(text, edges):
    assert parse_bands(text) == edges


@pytest.mark.parametrize("text", ["", "x", "0", "1.5", "500", "nan,5", "1,2,x"])
def test_a_misspelt_band_is_one_line(text):
    with pytest.raises(ConfigError, match="--bands") as error:
        parse_bands(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("edges", [(0, 8000, 9000), (100, 8000), (0, 500, 400, 8000), (0,)])
def test_bands_that_make_no_sense(edges):
    with pytest.raises(ConfigError, match="must rise from 0 to 8000 Hz"):
        make_parts(100, 1, edges)
    with pytest.raises(ConfigError, match="0 spans"):
        make_parts(100, 0, (0, 8000))


def test_the_floor_is_what_the_clip_has_where_it_is_quiet():
    """Loud speech-like noise over a quiet one: the floor is the quiet one, band by band."""
    quiet = 1e-3 * RNG.standard_normal(32_000)
    low = make_parts(32_000, 1, (0, 2000, 8000)).bands_of(quiet)[0]
    loud = 0.2 * RNG.standard_normal(32_000) * (np.arange(32_000) % 16_000 < 12_000)
    floor = noise_floor(loud + 10 * low + quiet)
    assert floor.dtype == np.float32
    measured = [power(one) for one in make_parts(32_000, 1, (0, 2000, 8000)).bands_of(floor)]
    wanted = [power(11 * low), power(quiet - low)]
    np.testing.assert_allclose(10 * np.log10(np.divide(measured, wanted)), 0, atol=4)


def test_what_never_pauses_is_taken_away_too():
    assert power(noise_floor(NOISE)) < power(NOISE) / 90
    tone = np.sin(2 * np.pi * 440 * TIME_S)
    assert power(noise_floor(tone)) < power(tone) / 90


def test_a_seed_gives_the_same_floor_and_silence_none():
    np.testing.assert_array_equal(make_baseline(NOISE), noise_floor(NOISE, 0))
    assert not np.array_equal(make_baseline(NOISE, seed=1), make_baseline(NOISE))
    assert not make_baseline(NOISE, "silence").any()
    assert not make_baseline(np.zeros(100)).any()
    with pytest.raises(ConfigError, match="fill is 'x'"):
        make_baseline(NOISE, "x")
