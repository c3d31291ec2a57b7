"""Rooms and background noise."""

import math
import sys

import numpy as np
import pyroomacoustics
import pytest

from rawnet_jax.errors import DataError
from rawnet_jax.simulate.devices import ENVIRONMENTS, NEUTRAL_ENVIRONMENT
from rawnet_jax.simulate.rooms import (
    Environment,
    add_background,
    coloured_noise,
    reverberate,
    room_impulse_response,
)

ROOM = Environment("E99", "test", (5.0, 4.0, 2.8), 0.45, (0.5, 1.0), (20.0, 20.0))


def decay_s(response: np.ndarray) -> float:
    """RT60 from the slope between -5 and -25 dB of Schroeder's backward integral."""
    energy_db = 10 * np.log10(np.cumsum(response[::-1] ** 2)[::-1] / np.sum(response**2) + 1e-12)
    start, end = (int(np.argmax(energy_db < level)) for level in (-5, -25))
    return 3 * (end - start) / 16_000


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda e: e.environment_id)
def test_every_room_of_the_table_has_a_response(environment):
    response, direct = room_impulse_response(environment, np.random.default_rng(0))
    assert np.all(np.isfinite(response))
    assert abs(response[direct]) == 1.0
    assert np.max(np.abs(response)) == 1.0
    assert len(response) >= 0.9 * environment.rt60_s * 16_000


@pytest.mark.parametrize("rt60_s", [0.3, 0.5, 0.8])
def test_reverberation_decays_at_the_room_s_rate(rt60_s):
    room = Environment("E99", "test", (6.0, 5.0, 3.0), rt60_s, (1.5, 2.0))
    decays = [
        decay_s(room_impulse_response(room, np.random.default_rng(seed))[0]) for seed in range(5)
    ]
    assert np.mean(decays) == pytest.approx(rt60_s, rel=0.3)


def test_a_response_is_the_same_for_any_number_of_threads():
    before = pyroomacoustics.constants.get("num_threads")
    responses = []
    try:
        for num_threads in (1, 3):
            pyroomacoustics.constants.set("num_threads", num_threads)
            responses.append(room_impulse_response(ROOM, np.random.default_rng(1))[0])
            assert pyroomacoustics.constants.get("num_threads") == num_threads
    finally:
        pyroomacoustics.constants.set("num_threads", before)
    np.testing.assert_array_equal(responses[0], responses[1])


def test_direct_sound_stays_where_it_was():
    click = np.zeros(4_000)
    click[1_000] = 1.0
    wet = reverberate(click, ROOM, np.random.default_rng(2))
    assert len(wet) == len(click)
    assert int(np.argmax(np.abs(wet))) == 1_000
    assert np.sum(wet[1_200:] ** 2) > 0.01  # and a room answers


def test_a_measured_response_is_used_and_aligned():
    response = np.zeros(500, dtype=np.float32)
    response[40], response[140] = 0.5, 0.25
    measured = Environment("E101", "measured", impulse_response=response)
    click = np.zeros(1_000)
    click[300] = 1.0
    wet = reverberate(click, measured, np.random.default_rng(0))
    expected = np.zeros(1_000)
    expected[300], expected[400] = 1.0, 0.5
    np.testing.assert_allclose(wet, expected, atol=1e-12)


def test_the_neutral_place_changes_nothing():
    waveform = np.random.default_rng(3).normal(size=300)
    rng = np.random.default_rng(0)
    wet = reverberate(waveform, NEUTRAL_ENVIRONMENT, rng)
    np.testing.assert_array_equal(add_background(wet, NEUTRAL_ENVIRONMENT, rng), waveform)


def test_background_has_the_level_that_was_asked_for():
    waveform = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    noise = add_background(waveform, ROOM, np.random.default_rng(4)) - waveform
    snr_db = 10 * math.log10(np.mean(waveform**2) / np.mean(noise**2))
    assert snr_db == pytest.approx(20.0, abs=0.1)


@pytest.mark.parametrize("slope_db", [0.0, 3.0, 6.0])
def test_noise_falls_by_its_slope_an_octave(slope_db):
    noise = coloured_noise(160_001, slope_db, np.random.default_rng(5))
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequencies = np.fft.rfftfreq(len(noise), 1 / 16_000)

    def level_db(low_hz: float) -> float:
        inside = (frequencies >= low_hz) & (frequencies < 1.2 * low_hz)
        return 10 * math.log10(np.mean(power[inside]))

    assert level_db(500) - level_db(4_000) == pytest.approx(3 * slope_db, abs=1.0)
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(1.0, rel=1e-2)


def test_hum_is_at_the_mains_frequency():
    room = Environment("E99", "hum", snr_db=(0.0, 0.0), hum_db=20.0)
    silence_with_level = np.ones(32_000) * 0.1
    noise = add_background(silence_with_level, room, np.random.default_rng(6)) - 0.1
    power = np.abs(np.fft.rfft(noise * np.hanning(len(noise)))) ** 2
    assert np.fft.rfftfreq(len(noise), 1 / 16_000)[np.argmax(power)] == pytest.approx(50, abs=1)


def test_missing_simulator_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    with pytest.raises(DataError, match=r"pip install 'rawnet_jax\[simulate\]'"):
        room_impulse_response(ROOM, np.random.default_rng(0))
