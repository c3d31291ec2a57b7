"""RawBoost against the published code's output on the same draws, and what it draws."""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.augment import draw, fir
from rawnet_jax.augment.rawboost import (
    ALGORITHMS,
    NotchBands,
    draw_bands,
    draw_impulses,
    impulsive,
    linear_nonlinear,
    notch_response,
    rawboost,
    stationary,
    within_full_scale,
)

LENGTH = 2000
QUICK = {"xla_backend_optimization_level": "0"}  # to compile; what is computed is the same


@pytest.fixture(scope="module")
def fixture(shared_data: Path) -> tuple[dict, dict, float]:
    folder = shared_data / "parity"
    about = json.loads((folder / "rawboost.json").read_text(encoding="utf-8"))
    with np.load(folder / "rawboost.npz") as arrays:
        expected = dict(arrays)
    cases = {case["case"]: case for case in about["cases"]}
    return cases, expected, about["tolerance"]["float32_implementation_max_abs"]


def waveform(name: str) -> np.ndarray:
    if name == "noise":
        return (0.1 * np.random.default_rng([1, LENGTH]).standard_normal(LENGTH)).astype(np.float32)
    return (0.95 * np.sin(2 * np.pi * 400.0 * np.arange(LENGTH) / 16000.0)).astype(np.float32)


def bands_of(*filters: dict) -> NotchBands:
    table = np.array([each["bands_fc_bw_taps"] for each in filters])
    gain_db = np.array([each["gain_db"] for each in filters], np.float32)
    center, bandwidth, taps = np.moveaxis(table, -1, 0)
    return NotchBands(
        jnp.asarray(center, jnp.float32),
        jnp.asarray(bandwidth, jnp.float32),
        jnp.asarray(taps, jnp.int32),
        jnp.asarray(gain_db),
    )


def test_filters_are_the_published_ones(fixture):
    cases, expected, tolerance = fixture
    checked, notch = 0, jax.jit(notch_response)
    for name, case in cases.items():
        if name.startswith("fir."):
            response = np.asarray(notch(bands_of(case)))[0]
            taps = np.fft.irfft(response, fir.BLOCK_LENGTH)
            taps = np.roll(taps, case["length"] // 2)[: case["length"]]
            np.testing.assert_allclose(taps, expected[name], atol=tolerance)
            checked += 1
    assert checked == 6


def test_an_impulse_comes_one_sample_early(fixture):
    cases, expected, tolerance = fixture
    impulse = np.zeros((1, 400), np.float32)
    impulse[0, 200] = 1
    run = jax.jit(lambda x, bands: fir.filtered(x, notch_response(bands), advance=1))
    output = run(impulse, bands_of(cases["fir.one_band"]))
    assert np.argmax(output) == cases["filter.impulse"]["peak_index"]
    np.testing.assert_allclose(output, expected["filter.impulse"], atol=tolerance)


@pytest.mark.parametrize("name", ["noise", "loud"])
def test_lnl_is_the_published_one(fixture, name):
    cases, expected, tolerance = fixture
    bands = bands_of(*cases[f"lnl.{name}"]["filters"])
    output = jax.jit(linear_nonlinear)(waveform(name), LENGTH, bands)
    np.testing.assert_allclose(output, expected[f"lnl.{name}"], atol=tolerance)


@pytest.mark.parametrize("name", ["noise", "loud"])
def test_isd_is_the_published_one(fixture, name):
    _, expected, tolerance = fixture
    rng = np.random.default_rng([11, 1])
    positions = rng.permutation(LENGTH)[:150]
    factors = (2 * rng.random(150) - 1) * (2 * rng.random(150) - 1)
    output = jax.jit(impulsive)(waveform(name), positions, 2 * factors.astype(np.float32))
    np.testing.assert_allclose(output, expected[f"isd.{name}"], atol=tolerance)


def test_ssi_is_the_published_one(fixture):
    cases, expected, tolerance = fixture
    case = cases["ssi.noise"]
    noise = np.random.default_rng([13, 1]).standard_normal(LENGTH).astype(np.float32)
    output = jax.jit(stationary)(
        waveform("noise"), LENGTH, noise, bands_of(case), np.float32(case["snr_db"])
    )
    np.testing.assert_allclose(output, expected["ssi.noise"], atol=tolerance)


def test_a_clip_is_filtered_as_if_nothing_followed(fixture):
    cases, _, _ = fixture
    bands = bands_of(*cases["lnl.loud"]["filters"])
    padded = jnp.pad(waveform("loud"), (0, 3000))
    output = jax.jit(linear_nonlinear)(padded, LENGTH, bands)
    alone = jax.jit(linear_nonlinear)(waveform("loud"), LENGTH, bands)
    np.testing.assert_allclose(output[:LENGTH], alone, atol=1e-6)
    assert not np.any(output[LENGTH:])


@functools.cache
def boosted(algorithm: int) -> np.ndarray:
    def run(key, x):
        return rawboost(key, x, jnp.int32(LENGTH), algorithm=algorithm)

    jitted = jax.jit(run, compiler_options=QUICK)
    return np.asarray(jitted(jax.random.key(3), waveform("noise")))


def test_the_parallel_algorithm_is_the_sum_of_two():
    both = within_full_scale(jnp.asarray(boosted(1) + boosted(2)))
    np.testing.assert_allclose(boosted(8), both, atol=1e-6)


def test_algorithms_are_numbered_as_published():
    in_series = {number: "+".join(parts) for number, parts in ALGORITHMS.items() if number < 8}
    assert in_series == {
        0: "",
        1: "LnL",
        2: "ISD",
        3: "SSI",
        4: "LnL+ISD+SSI",
        5: "LnL+ISD",
        6: "LnL+SSI",
        7: "ISD+SSI",
    }
    # In series: what ISD does after LnL is to multiply samples of LnL's output.
    changed = boosted(5) != boosted(1)
    assert 0 < np.mean(changed) < 0.1
    np.testing.assert_array_equal(changed, boosted(2) != waveform("noise"))


def test_bands_are_drawn_within_the_published_bounds():
    bounds = ((20.0, 8000.0), (100.0, 1000.0), (10.0, 100.0))
    gains = [(0.0, 0.0), (-20.0, -5.0)]
    seeds = jax.random.bits(jax.random.key(0), (500, 4))
    drawn = jax.jit(jax.vmap(lambda own: draw_bands(own, 5, *bounds, gains)))(seeds)
    assert drawn.center_hz.shape == (500, 2, 5)
    for values, (low, high) in zip(drawn[:3], bounds, strict=True):
        assert low <= values.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) - 1 < values.max() <= high
    assert drawn.num_taps.max() == 99
    assert not drawn.gain_db[:, 0].any()
    assert -20 <= drawn.gain_db[:, 1].min() < -19.5 < -5.5 < drawn.gain_db[:, 1].max() <= -5


def test_impulses_are_exactly_as_many_as_drawn_and_nowhere_twice():
    run = jax.jit(lambda seeds, n: draw_impulses(seeds, 4000, n, (10.01, 10.01)))
    for num_samples in (4000, 2500, 1):
        positions, factors = run(jnp.arange(3, dtype=jnp.uint32), num_samples)
        used = np.asarray(positions)[np.asarray(positions) < 4000]
        assert len(used) == num_samples // 10
        assert len(set(used.tolist())) == len(used)
        assert (used < num_samples).all()
        assert np.abs(factors).max() <= 1


def test_positions_are_spread_evenly_and_independently():
    run = jax.jit(jax.vmap(lambda seed: draw.distinct_positions(seed, 300, jnp.int32(3000))))
    drawn = np.asarray(run(jax.random.bits(jax.random.key(1), (300,))))
    hits = np.bincount(drawn.ravel(), minlength=3000)
    assert 0.8 < hits.var() / hits.mean() < 1.0  # binomial: 0.9
    gaps = np.diff(np.sort(drawn, axis=1), axis=1)
    assert np.mean(gaps == 1) == pytest.approx(0.1, abs=0.01)
    assert abs(np.corrcoef(drawn[:, 1:].ravel(), drawn[:, :-1].ravel())[0, 1]) < 0.02


def test_white_noise_is_white_and_as_good_as_gaussian():
    seeds = jnp.array([5, 6], jnp.uint32)
    one, two = jax.jit(jax.vmap(lambda seed: draw.white_noise(seed, 2**17)))(seeds)
    one, two = np.asarray(one, np.float64), np.asarray(two, np.float64)
    assert one.mean() == pytest.approx(0, abs=0.01)
    assert one.std() == pytest.approx(1, abs=0.01)
    assert (one**4).mean() == pytest.approx(3, abs=0.15)
    shares = [np.mean(np.abs(one) < bound) for bound in (0.5, 1, 2, 3)]
    assert shares == pytest.approx([0.3829, 0.6827, 0.9545, 0.9973], abs=0.005)
    for lag in (1, 2, 16, 1024):
        assert abs(np.mean(one[lag:] * one[:-lag])) < 0.015
    assert abs(np.mean(one * two)) < 0.015
    power = np.abs(np.fft.rfft(one.reshape(-1, 256))) ** 2
    assert power.mean(axis=0)[1:-1] == pytest.approx(256, rel=0.25)
