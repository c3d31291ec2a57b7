"""The replay chain: neutral is identity, every device leaves its mark, nothing breaks."""

import math
from pathlib import Path

import numpy as np
import pytest

from rawnet_jax.errors import DataError
from rawnet_jax.simulate.devices import (
    ENVIRONMENTS,
    NEUTRAL_ENVIRONMENT,
    NEUTRAL_PLAYBACK,
    NEUTRAL_RECORDING,
    PLAYBACK_DEVICES,
    RECORDING_DEVICES,
    PlaybackDevice,
    RecordingDevice,
    ReplayChain,
    device_rows,
    draw_chain,
)
from rawnet_jax.simulate.replay import MAX_PEAK, play, record, replay_waveform
from rawnet_jax.simulate.responses import FrequencyResponse, peaking_section


def noise(num_samples: int = 16_000, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(num_samples)).astype(np.float32)


def tone(frequency_hz: float, num_samples: int = 16_000) -> np.ndarray:
    return 0.1 * math.sqrt(2) * np.sin(2 * np.pi * frequency_hz * np.arange(num_samples) / 16_000)


def level_db(waveform: np.ndarray, low_hz: float, high_hz: float) -> float:
    power = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)))) ** 2
    frequencies = np.fft.rfftfreq(len(waveform), 1 / 16_000)
    inside = (frequencies >= low_hz) & (frequencies < high_hz)
    return 10 * math.log10(np.mean(power[inside]) + 1e-30)


def rms(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))


def all_chains() -> list[ReplayChain]:
    """Chains in which every row of every table is used."""
    number = max(len(ENVIRONMENTS), len(PLAYBACK_DEVICES), len(RECORDING_DEVICES))
    return [
        ReplayChain(
            PLAYBACK_DEVICES[i % len(PLAYBACK_DEVICES)],
            ENVIRONMENTS[i % len(ENVIRONMENTS)],
            RECORDING_DEVICES[i % len(RECORDING_DEVICES)],
        )
        for i in range(number)
    ]


def test_the_neutral_chain_changes_nothing():
    waveform = noise()
    replayed = replay_waveform(waveform, ReplayChain(), np.random.default_rng(0))
    np.testing.assert_allclose(replayed, waveform, atol=1e-7)
    assert ReplayChain().ids == ("E00", "P00", "R00")


@pytest.mark.parametrize("chain", all_chains(), ids=lambda chain: "-".join(chain.ids))
@pytest.mark.parametrize("num_samples", [1, 100, 16_001])
def test_every_device_keeps_length_level_and_bounds(chain, num_samples):
    waveform = noise(num_samples)
    replayed = replay_waveform(waveform, chain, np.random.default_rng(1))
    assert replayed.dtype == np.float32
    assert replayed.shape == waveform.shape
    assert np.all(np.isfinite(replayed))
    assert np.max(np.abs(replayed)) < 1.0
    if num_samples > 1_000:
        assert rms(replayed) == pytest.approx(rms(waveform), rel=1e-3)
        assert np.max(np.abs(replayed - waveform)) > 0.01


def test_a_loud_clip_is_scaled_down_not_clipped():
    waveform = np.clip(6 * noise(), -1, 1)
    replayed = replay_waveform(waveform, all_chains()[0], np.random.default_rng(2))
    assert np.max(np.abs(replayed)) == pytest.approx(MAX_PEAK, abs=1e-6)
    assert np.sum(np.abs(replayed) > 0.98) < 5


def test_the_generator_decides_every_sample():
    replays = [
        replay_waveform(noise(), all_chains()[1], np.random.default_rng(seed)) for seed in (3, 3, 4)
    ]
    np.testing.assert_array_equal(replays[0], replays[1])
    assert not np.array_equal(replays[0], replays[2])


def test_silence_stays_silence():
    replayed = replay_waveform(np.zeros(100, np.float32), all_chains()[0], np.random.default_rng(0))
    np.testing.assert_array_equal(replayed, np.zeros(100))


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.zeros(0, np.float32), r"got shape \(0,\)"),
        (np.zeros((2, 5), np.float32), r"got shape \(2, 5\)"),
        (np.array([0.1, np.nan], np.float32), "finite"),
        (np.array([0.1, np.inf], np.float32), "finite"),
    ],
)
def test_what_cannot_be_replayed(waveform, message):
    with pytest.raises(DataError, match=message):
        replay_waveform(waveform, ReplayChain(), np.random.default_rng(0))


@pytest.mark.parametrize("device", PLAYBACK_DEVICES, ids=lambda device: device.playback_id)
def test_a_loudspeaker_radiates_its_band_only(device):
    waveform = noise(32_000)
    linear = device.response.apply(waveform.astype(np.float64))
    low_hz, high_hz = device.response.low_cut_hz, device.response.high_cut_hz
    middle_db = level_db(linear, 1.5 * low_hz, 5_000) - level_db(waveform, 1.5 * low_hz, 5_000)
    below_db = level_db(linear, 0.1 * low_hz, low_hz / 2) - level_db(
        waveform, 0.1 * low_hz, low_hz / 2
    )
    assert below_db < middle_db - 6 * device.response.low_order
    if high_hz < 7_500:
        above_db = level_db(linear, high_hz + 400, 8_000) - level_db(waveform, high_hz + 400, 8_000)
        assert above_db < middle_db - 6


def test_replay_loses_what_the_loudspeaker_cannot_play():
    phone = ReplayChain(playback=PLAYBACK_DEVICES[0])
    waveform = noise(32_000)
    replayed = replay_waveform(waveform, phone, np.random.default_rng(5))

    def change_db(low_hz: float, high_hz: float) -> float:
        return level_db(replayed, low_hz, high_hz) - level_db(waveform, low_hz, high_hz)

    assert change_db(50, 200) < change_db(1_000, 3_000) - 15
    assert change_db(7_700, 8_000) < change_db(1_000, 3_000) - 6


@pytest.mark.parametrize(
    ("device", "second_db", "third_db"),
    [
        (PlaybackDevice("P", "linear"), -100, -100),
        (PlaybackDevice("P", "driven", drive_db=14), -100, -30),
        (PlaybackDevice("P", "asymmetric", drive_db=14, asymmetry=0.2), -30, -30),
    ],
    ids=lambda value: getattr(value, "description", None),
)
def test_a_driven_loudspeaker_makes_harmonics(device, second_db, third_db):
    radiated = play(tone(1_000), device)
    reference_db = level_db(radiated, 980, 1_020)
    for harmonic_hz, expected_db in ((2_000, second_db), (3_000, third_db)):
        harmonic_db = level_db(radiated, harmonic_hz - 20, harmonic_hz + 20) - reference_db
        if expected_db == -100:
            assert harmonic_db < -75
        else:
            assert harmonic_db > expected_db


def test_harmonics_above_the_band_do_not_fold_back():
    radiated = play(tone(6_000), PlaybackDevice("P", "driven", drive_db=14))
    # The third harmonic, 18 kHz, would fold to 2 kHz.
    assert level_db(radiated, 1_980, 2_020) < level_db(radiated, 5_980, 6_020) - 40


@pytest.mark.parametrize("gain_db", [-6.0, 6.0])
def test_a_resonance_has_its_gain_at_its_centre(gain_db):
    response = FrequencyResponse(resonances=((2_000, 3.0, gain_db),))
    for frequency_hz, expected_db in ((2_000, gain_db), (200, 0.0)):
        played = response.apply(tone(frequency_hz))[4_000:]
        change_db = 20 * math.log10(rms(played) / rms(tone(frequency_hz)[4_000:]))
        assert change_db == pytest.approx(expected_db, abs=0.3)
    assert peaking_section(2_000, 3.0, gain_db).shape == (1, 6)


def test_self_noise_has_its_level():
    device = RecordingDevice("R", "noisy", self_noise_db=-30)
    signal = tone(500)
    added = record(signal, device, np.random.default_rng(6)) - signal
    assert 20 * math.log10(rms(added) / 0.1) == pytest.approx(-30, abs=0.3)


def test_gain_control_brings_loud_and_quiet_together():
    loud = tone(500)
    signal = np.concatenate([loud, 0.1 * tone(500, 48_000)])
    device = RecordingDevice("R", "gain control", gain_control=0.5)
    levelled = record(signal, device, np.random.default_rng(0))
    difference_db = 20 * math.log10(rms(levelled[8_000:16_000]) / rms(levelled[-8_000:]))
    assert difference_db == pytest.approx(10.0, abs=2.0)  # half of 20 dB is left


@pytest.mark.parametrize(("bits", "snr_db"), [(8, 30), (12, 50)])
def test_companding_costs_what_its_bits_say(bits, snr_db):
    device = RecordingDevice("R", "compander", companding_bits=bits)
    signal = tone(500) * 3
    error = record(signal, device, np.random.default_rng(0)) - signal
    measured_db = 20 * math.log10(rms(signal) / rms(error))
    assert snr_db < measured_db < snr_db + 15


def test_ids_are_unique_and_in_the_style_of_2017():
    ids = [row_id for row_id, _, _ in device_rows()]
    assert len(set(ids)) == len(ids)
    expected = [f"E{i + 1:02d}" for i in range(len(ENVIRONMENTS))]
    expected += [f"P{i + 1:02d}" for i in range(len(PLAYBACK_DEVICES))]
    expected += [f"R{i + 1:02d}" for i in range(len(RECORDING_DEVICES))]
    assert ids == expected
    assert NEUTRAL_ENVIRONMENT not in ENVIRONMENTS
    assert NEUTRAL_PLAYBACK not in PLAYBACK_DEVICES
    assert NEUTRAL_RECORDING not in RECORDING_DEVICES


def test_only_eval_draws_what_is_held_out():
    def drawn(partition: str) -> set[str]:
        rng = np.random.default_rng(7)
        return {row_id for _ in range(200) for row_id in draw_chain(partition, rng).ids}

    everything = {row_id for row_id, _, _ in device_rows()}
    open_to_all = {row_id for row_id, _, use in device_rows() if use != "eval"}
    assert drawn("train") == drawn("dev") == open_to_all
    assert drawn("eval") == everything
    assert len(everything - open_to_all) >= 6


def test_the_documentation_has_every_row_of_the_tables():
    text = (Path(__file__).parents[2] / "docs" / "replay.md").read_text(encoding="utf-8")
    missing = [
        f"| {i} | {name} |" for i, name, _ in device_rows() if f"| {i} | {name} |" not in text
    ]
    assert missing == []
    for environment in ENVIRONMENTS:
        low, high = environment.snr_db
        assert f"| {low:g} to {high:g} | {'eval' if environment.held_out else 'all'} |" in text
