"""Every vocoder of the table: what it keeps of a voice, and what it does not."""

from typing import Any

import numpy as np
import pytest

from rawnet_jax.copy_synthesis import phase
from rawnet_jax.copy_synthesis.pitch import pitch_of
from rawnet_jax.copy_synthesis.table import VOCODERS, all_vocoders, chosen
from rawnet_jax.copy_synthesis.vocoder import Between, OneOf, Vocoder, copy_of
from rawnet_jax.errors import DataError
from tests.copy_synthesis.voices import envelope_db, log_spectral_distance, voice

F0_HZ = 140.0
# Least and largest log-spectral distance in dB that a copy may have.
DISTANCE_DB = {
    "world": (1.5, 6.0),
    "world-pitch": (4.0, 14.0),
    "world-formants": (2.5, 9.0),
    "world-coded": (1.5, 7.0),
    "mlsa": (1.0, 6.0),
    "lpc": (1.5, 9.0),
    "griffin-lim": (1.0, 9.0),
    "phase-random": (1.0, 8.0),
    "phase-zero": (2.0, 16.0),
    "phase-minimum": (2.0, 13.0),
}


def made(name: str, waveform: np.ndarray, seed: int = 0, **settings: Any) -> np.ndarray:
    """Return a copy with drawn settings, but those that are given."""
    row = VOCODERS[name]
    if not row.is_installed:
        pytest.skip(f"{row.package} is not installed")
    drawn = row.draw(np.random.default_rng(seed))
    assert set(settings) <= set(drawn)
    return copy_of(waveform, row, {**drawn, **settings}, np.random.default_rng(seed))


def median_pitch(waveform: np.ndarray) -> float:
    f0 = pitch_of(waveform, 80)
    return float(np.median(f0[f0 > 0]))


def test_each_vocoder_has_bounds():
    assert set(DISTANCE_DB) == set(VOCODERS)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", VOCODERS)
def test_a_copy_is_as_long_and_as_loud_and_near_but_not_the_same(name, seed):
    source = voice(F0_HZ)
    copy = made(name, source, seed)
    assert copy.dtype == np.float32
    assert copy.shape == source.shape
    assert np.all(np.isfinite(copy))
    assert np.mean(copy**2) == pytest.approx(np.mean(source**2), rel=0.01)
    low, high = DISTANCE_DB[name]
    assert low < log_spectral_distance(source, copy) < high


@pytest.mark.parametrize("name", VOCODERS)
def test_same_settings_and_seed_same_samples(name):
    source = voice(num_samples=6_000)
    first = made(name, source, 3)
    made(name, voice(200.0, 4_000), 4)  # leaves nothing behind
    np.testing.assert_array_equal(made(name, source, 3), first)


@pytest.mark.parametrize("name", VOCODERS)
def test_the_level_of_the_source_changes_the_level_alone(name):
    source = voice(num_samples=6_000)
    quiet, loud = (made(name, scale * source) for scale in (2.0**-9, 2.0))
    np.testing.assert_allclose(2.0**10 * quiet, loud, atol=2e-3 * np.max(np.abs(loud)))


@pytest.mark.parametrize("length", [160, 1_601])
@pytest.mark.parametrize("name", VOCODERS)
def test_odd_input_gives_a_copy_all_the_same(name, length):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(length).astype(np.float32)
    click = 1e-3 * noise
    click[length // 2] = 1.0
    for source in (noise, click):
        copy = made(name, source)
        assert len(copy) == length
        assert np.any(copy)


@pytest.mark.parametrize("name", VOCODERS)
def test_a_copy_lies_on_its_source_in_time(name):
    rng = np.random.default_rng(0)
    source = 1e-4 * rng.standard_normal(9_600)
    source[4_000:5_600] += 0.1 * rng.standard_normal(1_600)
    power = made(name, source.astype(np.float32), 1) ** 2
    middle = np.sum(power * np.arange(len(power))) / np.sum(power)
    assert middle == pytest.approx(4_800, abs=160)
    assert np.sum(power[3_400:6_200]) > 0.98 * np.sum(power)


@pytest.mark.parametrize("factor", [0.75, 1.33])
def test_world_with_moved_pitch_moves_it_by_the_factor(factor):
    copy = made("world-pitch", voice(F0_HZ), factor=factor)
    assert median_pitch(copy) == pytest.approx(factor * F0_HZ, rel=0.02)


@pytest.mark.parametrize(
    "name", ["world", "world-formants", "world-coded", "mlsa", "lpc", "griffin-lim", "phase-random"]
)
def test_others_keep_the_pitch(name):
    assert median_pitch(made(name, voice(F0_HZ))) == pytest.approx(F0_HZ, rel=0.02)


@pytest.mark.parametrize("warp", [0.84, 1.18])
def test_world_with_moved_formants_stretches_the_envelope(warp):
    source = voice(F0_HZ)
    copy = envelope_db(made("world-formants", source, warp=warp))
    plain = envelope_db(made("world", source))
    at = np.arange(60, 260)  # 0.9 to 4 kHz
    where_it_was, where_it_should_be = plain[at], np.interp(at / warp, np.arange(513), plain)
    assert np.mean(np.abs(copy[at] - where_it_should_be)) < 2.0
    assert np.mean(np.abs(copy[at] - where_it_was)) > 4.0


def test_a_finer_code_is_nearer():
    source = voice(F0_HZ)
    far, near = (
        np.mean(
            np.abs(
                envelope_db(made("world-coded", source, envelope_size=n))
                - envelope_db(made("world", source))
            )
        )
        for n in (16, 60)
    )
    assert near < far


def test_a_higher_order_is_nearer():
    source = voice(F0_HZ)
    for name, orders in (("lpc", (10, 24)), ("mlsa", (16, 30))):
        far, near = (
            log_spectral_distance(source, made(name, source, order=n, hop=80, noise_from_hz=8_000))
            for n in orders
        )
        assert near < far


def test_noise_above_a_frequency_takes_the_harmonics_away():
    def harmonicity(copy: np.ndarray) -> float:
        spectrum = np.abs(np.fft.rfft(copy * np.hanning(len(copy))))[3_750:6_000]  # 5 to 8 kHz
        return float(np.max(spectrum) / np.median(spectrum))

    source = voice(F0_HZ)
    mixed, pulses = (
        harmonicity(made("mlsa", source, noise_from_hz=edge)) for edge in (3_000, 8_000)
    )
    assert pulses > 3 * mixed


def test_griffin_lim_knows_nothing_above_its_bands():
    rng = np.random.default_rng(0)
    source = 0.05 * rng.standard_normal(8_000).astype(np.float32)
    copy = made("griffin-lim", source, top_hz=7_000.0, iterations=16)
    power = np.abs(np.fft.rfft(copy)) ** 2
    assert np.mean(power[3_650:]) < 1e-3 * np.mean(power[1_000:3_000])


def test_more_iterations_of_griffin_lim_are_nearer():
    source = voice(F0_HZ)
    same: dict[str, Any] = {
        "bands": 128,
        "window": 800,
        "overlap": 4,
        "top_hz": 8_000.0,
        "momentum": 0.0,
    }
    few, many = (
        log_spectral_distance(source, made("griffin-lim", source, iterations=n, **same))
        for n in (1, 60)
    )
    assert many < few


def test_phases_are_turned_and_long_term_magnitudes_kept():
    source = voice(F0_HZ)
    copy = made("phase-random", source, strength=1.0, window=1_024)
    assert np.max(np.abs(envelope_db(copy) - envelope_db(source))[20:400]) < 4.0
    assert abs(np.corrcoef(source, copy)[0, 1]) < 0.1
    nearly = made("phase-random", source, strength=0.4, window=1_024)
    assert np.corrcoef(source, nearly)[0, 1] > 0.5


@pytest.mark.parametrize("make", [phase.even_frames, phase.response_frames])
def test_frames_of_given_phase_have_the_magnitudes(make):
    magnitude = np.abs(np.random.default_rng(0).standard_normal((3, 257))) + 0.01
    frames = make(magnitude)
    np.testing.assert_allclose(np.abs(np.fft.rfft(frames)), magnitude, rtol=1e-6)


def test_zero_phase_is_even_and_minimum_phase_comes_first():
    magnitude = np.hanning(515)[None, 1:-1][:, 256:] + 0.1
    even = phase.even_frames(magnitude)[0]
    np.testing.assert_allclose(even[256 + 1 :], even[1:256][::-1], atol=1e-12)
    response = phase.response_frames(magnitude)[0]
    assert np.sum(response[:256] ** 2) < 1e-3 * np.sum(response**2)
    assert np.argmax(np.cumsum(response**2) > 0.9 * np.sum(response**2)) < 256 + 16


def test_draws_are_within_what_the_list_says():
    rng = np.random.default_rng(0)
    for row in VOCODERS.values():
        for _ in range(20):
            drawn = row.draw(rng)
            assert list(drawn) == [setting.name for setting in row.settings]
            for setting in row.settings:
                value = drawn[setting.name]
                if isinstance(setting, OneOf):
                    assert value in setting.values
                else:
                    assert isinstance(setting, Between)
                    assert setting.low <= float(value) <= setting.high


def test_a_long_recording_goes_through_in_pieces_that_join():
    lengths = []

    def same(waveform, _settings, _rng):
        lengths.append(len(waveform))
        return waveform

    for seconds in (29.0, 30.01, 60.0, 95.3):
        lengths.clear()
        source = voice(num_samples=int(seconds * 16_000))
        copy = copy_of(source, row_of(same), {}, np.random.default_rng(0))
        np.testing.assert_allclose(copy, source, atol=1e-6)
        assert max(lengths) <= 480_000
        assert len(lengths) == -(-int(seconds * 16_000 - 320) // (480_000 - 320))


def row_of(function) -> Vocoder:
    return Vocoder("bad", "test", function, (), "", "")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x, s, r: np.full_like(x, np.nan), "not finite"),
        (lambda x, s, r: 0 * x, "silence"),
        (lambda x, s, r: x[1:], "shape"),
    ],
)
def test_a_copy_that_cannot_be_used_is_refused(function, message):
    with pytest.raises(DataError, match=f"bad: gave .*{message}"):
        copy_of(voice(), row_of(function), {}, np.random.default_rng(0))


def test_a_silent_recording_is_refused():
    with pytest.raises(DataError, match="recording is silent"):
        copy_of(np.zeros(2_000, np.float32), VOCODERS["lpc"], {}, np.random.default_rng(0))


def test_names_that_cannot_be():
    assert [row.name for row in chosen(["lpc", "phase-zero"])] == ["lpc", "phase-zero"]
    with pytest.raises(DataError, match="'lcp' is not known; did you mean 'lpc'"):
        chosen(["lcp"])
    with pytest.raises(DataError, match="lpc is named twice"):
        chosen(["lpc", "lpc"])
    with pytest.raises(DataError, match="two vocoders are called lpc"):
        all_vocoders([VOCODERS["lpc"]])


def test_without_its_package_a_vocoder_is_not_drawn_from_and_says_what_it_needs():
    absent = Vocoder("gone", "test", lambda x, s, r: x, (), "", "", package="no_such_package")
    assert "gone" not in [row.name for row in chosen([], [absent])]
    with pytest.raises(
        DataError, match=r"gone needs .* no_such_package: pip install 'rawnet_jax\["
    ):
        chosen(["gone"], [absent])
