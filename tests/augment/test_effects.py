"""That each effect does what its name and its fields say, in figures."""

import io
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
import soundfile

from rawnet_jax.augment.bank import noise_bank, response_bank
from rawnet_jax.augment.channel import (
    a_law_coded,
    band_limit,
    mu_law,
    mu_law_coded,
    sample_rate_reduction,
)
from rawnet_jax.augment.level import clipping, gain, polarity
from rawnet_jax.augment.masking import frequency_mask, time_mask, time_shift
from rawnet_jax.augment.noise import coloured_noise, noise
from rawnet_jax.augment.resampling import pitch, speed
from rawnet_jax.augment.room import rir

LENGTH = 8000
KEY = jax.random.key(4)
QUICK = {"xla_backend_optimization_level": "0"}  # to compile; what is computed is the same


def white(num_samples: int = LENGTH, level: float = 0.1) -> np.ndarray:
    clip = level * np.random.default_rng(2).standard_normal(LENGTH)
    return np.where(np.arange(LENGTH) < num_samples, clip, 0).astype(np.float32)


def tone(frequency_hz: float, num_samples: int = LENGTH) -> np.ndarray:
    clip = 0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(LENGTH) / 16_000)
    return np.where(np.arange(LENGTH) < num_samples, clip, 0).astype(np.float32)


def run(effect, waveform: np.ndarray, *banks, num_samples: int = LENGTH, key=KEY, **fields):
    jitted = jax.jit(partial(effect, **fields), compiler_options=QUICK)
    return jax.tree.map(np.asarray, jitted(key, waveform, np.int32(num_samples), *banks))


def energy(clip: np.ndarray) -> float:
    return float(np.sum(clip.astype(np.float64) ** 2))


def band_level_db(clip: np.ndarray, low_hz: float, high_hz: float) -> float:
    """Mean power of a band, in dB."""
    frequency, power = scipy.signal.welch(clip, 16_000, nperseg=1024)
    return 10 * np.log10(power[(frequency > low_hz) & (frequency < high_hz)].mean())


def test_gain_is_in_decibels_and_may_clip():
    louder = run(gain, white(), gain_db=(6.0, 6.0))
    np.testing.assert_allclose(louder, white() * np.float32(10**0.3), rtol=1e-5)
    assert np.abs(run(gain, white(), gain_db=(40.0, 40.0), clip=True)).max() == 1


def test_clipping_goes_by_the_clip_s_own_peak():
    for level in (0.01, 1.0):
        clip = white(level=level)
        cut = run(clipping, clip, share=(0.5, 0.5))
        limit = np.abs(clip).max() / 2
        assert np.mean(np.abs(cut) == limit) > 0.01
        np.testing.assert_array_equal(cut, clip.clip(-limit, limit))
    drawn = [np.abs(run(clipping, white(), key=jax.random.key(i))).max() for i in range(6)]
    shares = np.array(drawn) / np.abs(white()).max()
    assert shares.min() < 0.5
    assert ((shares > 0.2) & (shares < 1.0)).all()


def test_polarity_turns_the_sign():
    np.testing.assert_array_equal(run(polarity, white()), -white())


@pytest.mark.parametrize("effect", [noise, coloured_noise])
def test_noise_is_at_the_drawn_ratio_over_the_clips_own_samples(effect):
    source = np.random.default_rng(0).standard_normal(900).astype(np.float32)
    banks = (noise_bank([source], LENGTH),) if effect is noise else ()
    clip = white(5000)
    added = run(effect, clip, *banks, num_samples=5000, snr_db=(7.0, 7.0)) - clip
    assert 10 * np.log10(energy(clip) / energy(added)) == pytest.approx(7, abs=0.1)
    assert not added[5000:].any()
    assert np.abs(added[4900:5000]).max() > 0


def test_noise_is_a_piece_of_a_recording_and_a_short_one_goes_round():
    source = np.arange(1, 701, dtype=np.float32)
    added = run(noise, white(), noise_bank([source], LENGTH), snr_db=(0.0, 0.0)) - white()
    step = np.diff(added)
    assert np.argmin(step) + 700 in (np.argsort(step)[:12])
    assert np.median(step) > 0


def test_every_noise_and_every_place_is_drawn():
    bank = noise_bank([np.full(3, -1.0), np.full(4, 1.0), np.arange(1.0, 6.0)], LENGTH)
    keys = jax.random.split(KEY, 200)
    clip = jnp.ones(LENGTH)
    many = jax.jit(
        jax.vmap(lambda key: noise(key, clip, jnp.int32(LENGTH), bank, snr_db=(0.0, 0.0))[0] - 1)
    )
    assert len(np.unique(np.round(np.asarray(many(keys)), 4))) == 7


def test_silence_stays_silent():
    silent = np.zeros(LENGTH, np.float32)
    assert not run(coloured_noise, silent).any()
    assert not run(noise, silent, noise_bank([white()], LENGTH)).any()
    assert not run(rir, silent, response_bank([white()], 100)).any()


def test_noise_has_the_drawn_colour():
    added = run(coloured_noise, white(), snr_db=(0.0, 0.0), slope_db=(-6.0, -6.0)) - white()
    levels = [band_level_db(added, low, 2 * low) for low in (500, 1000, 2000)]
    assert np.diff(levels) == pytest.approx([-6, -6], abs=1)


def test_a_response_is_convolved_without_delay_and_at_the_same_level():
    response = np.array([0.0, 0.1, 1.0, 0.0, -0.5, 0.25], np.float32)
    bank = response_bank([response], max_taps=100)
    assert bank.taps.shape == (1, 4)
    assert np.sum(bank.taps**2) == pytest.approx(1)
    wet = run(rir, white(6000), bank, num_samples=6000)
    expected = np.convolve(white(6000), response[2:])[:LENGTH]
    expected[6000:] = 0
    expected *= np.sqrt(energy(white(6000)) / energy(expected))
    np.testing.assert_allclose(wet, expected, atol=1e-6)


def test_long_responses_are_cut_and_dry_sound_is_mixed_in():
    bank = response_bank([np.ones(300, np.float32)], max_taps=200)
    assert bank.taps.shape == (1, 200)
    half = run(rir, white(), bank, wet=(0.5, 0.5))
    expected = 0.5 * white() + 0.5 * np.convolve(white(), bank.taps[0])[:LENGTH]
    expected *= np.sqrt(energy(white()) / energy(expected))
    np.testing.assert_allclose(half, expected, atol=1e-5)


@pytest.mark.parametrize(("subtype", "coded"), [("ULAW", mu_law_coded), ("ALAW", a_law_coded)])
def test_companding_is_g711_to_the_bit(subtype, coded):
    # libsndfile's tables, on every 16-bit value that they tell apart.
    samples = np.arange(-32768, 32768, 16, dtype=np.int16) + 3
    file = io.BytesIO()
    soundfile.write(file, samples, 8000, subtype=subtype, format="WAV")
    file.seek(0)
    expected = soundfile.read(file, dtype="int16")[0]
    ours = np.asarray(jax.jit(coded)(samples / np.float32(32768))) * 32768
    np.testing.assert_array_equal(ours, expected)


def test_a_telephone_has_nothing_above_4_khz_and_noise_of_8_bits():
    coded = run(mu_law, tone(970))
    assert np.abs(np.fft.rfft(coded))[2100:].max() < 0.01 * LENGTH / 4
    # The first and last filter lengths of a tone that starts and stops are its own matter.
    error = (coded - tone(970))[300:-300]
    ratio_db = 10 * np.log10(energy(tone(970)[300:-300]) / energy(error))
    assert 35 < ratio_db < 42
    assert len(np.unique(run(mu_law, white(), telephone=False))) <= 256


def test_a_lower_rate_leaves_what_is_below_half_of_it():
    reduced = run(sample_rate_reduction, white(), rate_hz=(8000.0, 8000.0))
    assert band_level_db(reduced, 4200, 7900) < band_level_db(white(), 4200, 7900) - 45
    below = band_level_db(reduced, 100, 3800)
    assert below == pytest.approx(band_level_db(white(), 100, 3800), abs=0.1)


def test_a_band_is_limited_at_both_ends():
    limited = run(band_limit, white(), low_hz=(1000.0, 1000.0), high_hz=(3000.0, 3000.0))
    inside = band_level_db(limited, 1150, 2850)
    assert inside == pytest.approx(band_level_db(white(), 1150, 2850), abs=0.1)
    assert band_level_db(limited, 0, 850) < inside - 45
    assert band_level_db(limited, 3150, 8000) < inside - 45


@pytest.mark.parametrize("shift", [-1000, 0, 2600])
def test_a_shift_moves_a_clip_within_itself(shift):
    bounds = (shift / 16_000, shift / 16_000)
    clip = white(6000)
    rolled = run(time_shift, clip, num_samples=6000, shift_s=bounds)
    np.testing.assert_array_equal(rolled[:6000], np.roll(clip[:6000], shift))
    moved = run(time_shift, clip, num_samples=6000, shift_s=bounds, wrap=False)
    expected = np.zeros(LENGTH, np.float32)
    expected[max(shift, 0) : 6000 + min(shift, 0)] = clip[max(-shift, 0) : 6000 - max(shift, 0)]
    np.testing.assert_array_equal(moved, expected)
    assert not rolled[6000:].any()


def test_masks_in_time_are_as_long_as_drawn():
    clip = jnp.asarray(white(5000) + (np.arange(LENGTH) < 5000))
    one = jax.jit(
        jax.vmap(
            lambda key: time_mask(key, clip, jnp.int32(5000), num_masks=1, duration_s=(0.05, 0.05))
        )
    )
    masked = np.asarray(one(jax.random.split(KEY, 300)))[:, :5000] == 0
    assert (masked.sum(axis=1) == 800).all()
    start = masked.argmax(axis=1)
    assert all(row[first : first + 800].all() for row, first in zip(masked, start, strict=True))
    assert start.min() < 100
    assert 4100 < start.max() <= 4200


def test_a_mask_in_frequency_is_as_wide_as_drawn():
    masked = run(frequency_mask, white(), width_hz=(1500.0, 1500.0))
    frequency, power = scipy.signal.welch(masked, 16_000, nperseg=512)
    relative_db = 10 * np.log10(power / scipy.signal.welch(white(), 16_000, nperseg=512)[1])
    assert np.sum(relative_db < -6) * np.diff(frequency[:2])[0] == pytest.approx(1500, abs=70)
    assert np.sum(relative_db < -40) * 31.25 > 1200
    assert np.sum(relative_db > -0.3) * 31.25 > 8000 - 1500 - 300


@pytest.mark.parametrize(("factor", "num_samples"), [(1.1, 8000), (0.9, 6000), (1.25, 6000)])
def test_speed_reads_between_samples(factor, num_samples):
    clip = tone(700, num_samples)
    fast, after = run(speed, clip, num_samples=num_samples, factor=(factor, factor))
    lasted = round(num_samples / factor)
    assert after == (LENGTH if num_samples == LENGTH else min(LENGTH, lasted))
    expected = 0.5 * np.sin(2 * np.pi * 700 * factor * np.arange(LENGTH) / 16_000)
    inside = slice(40, min(lasted, LENGTH) - 40)
    np.testing.assert_allclose(fast[inside], expected[inside], atol=1e-3)
    assert not fast[after:].any()


def test_a_full_clip_goes_on_from_its_beginning():
    fast, after = run(speed, tone(700), factor=(1.25, 1.25))
    assert after == LENGTH
    np.testing.assert_allclose(fast[6500:7900], fast[100:1500], atol=1e-3)


def test_faster_leaves_out_what_would_alias():
    fast, _ = run(speed, tone(7500), factor=(1.25, 1.25))
    assert energy(fast[200:-200]) < 1e-3 * energy(tone(7500)[200:-200])


@pytest.mark.parametrize("semitones", [-2.0, 2.0])
def test_pitch_moves_and_duration_stays(semitones):
    clip = tone(500, 7000)
    shifted = run(pitch, clip, num_samples=7000, semitones=(semitones, semitones))
    spectrum = np.abs(np.fft.rfft(shifted[:6400] * np.hanning(6400)))
    found_hz = np.sum(np.arange(len(spectrum)) * spectrum**2) / np.sum(spectrum**2) * 2.5
    assert found_hz == pytest.approx(500 * 2 ** (semitones / 12), abs=12)
    assert np.abs(shifted[6800:7000]).max() > 0.1
    assert not shifted[7000:].any()
