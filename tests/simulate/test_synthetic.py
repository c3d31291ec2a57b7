"""The synthesiser: what it says has pitch, formants, friction and closures where it should."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from rawnet_jax.errors import DataError
from rawnet_jax.simulate.phonemes import PHONEMES, PHRASES
from rawnet_jax.simulate.synthetic import Voice, draw_voice, synthesise


def steady_voice(**changes) -> Voice:
    """An average man who neither moves his pitch nor wobbles."""
    voice = draw_voice("M", np.random.default_rng(0))
    steady: dict[str, Any] = {
        "f0_hz": 100.0,
        "f0_span_st": 0.0,
        "declination_st": 0.0,
        "tremor_st": 0.0,
        "tract_scale": 1.0,
        "formant_offset": (1.0, 1.0, 1.0),
        "bandwidth_scale": 1.0,
        "jitter": 0.0,
        "shimmer": 0.0,
        "breathiness": 0.0,
        "rate": 2.0,
    }
    return dataclasses.replace(voice, **(steady | changes))


def power_spectrum(waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    power = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)))) ** 2
    return np.fft.rfftfreq(len(waveform), 1 / 16_000), power


def share_above(waveform: np.ndarray, frequency_hz: float) -> float:
    frequencies, power = power_spectrum(waveform)
    return float(power[frequencies > frequency_hz].sum() / power.sum())


def peak_between(waveform: np.ndarray, low_hz: float, high_hz: float) -> float:
    """Frequency of the strongest part of the envelope over harmonics, in Hz.

    Two differences undo the fall of the voice source by some 12 dB an octave.
    """
    frequencies, power = power_spectrum(np.diff(waveform, 2))
    width = int(120 / frequencies[1])
    envelope = np.convolve(power, np.hanning(width), "same")
    inside = (frequencies >= low_hz) & (frequencies <= high_hz)
    return float(frequencies[inside][np.argmax(envelope[inside])])


def middle(waveform: np.ndarray) -> np.ndarray:
    return waveform[len(waveform) // 3 : 2 * len(waveform) // 3]


@pytest.mark.parametrize("sex", ["M", "F"])
@pytest.mark.parametrize("phrase_id", sorted(PHRASES))
def test_every_phrase_is_a_clip_of_one_to_three_seconds(phrase_id, sex):
    rng = np.random.default_rng(1)
    waveform = synthesise(PHRASES[phrase_id], draw_voice(sex, rng), rng)
    assert waveform.dtype == np.float32
    assert waveform.ndim == 1
    assert 1.0 < len(waveform) / 16_000 < 3.2
    assert np.all(np.isfinite(waveform))
    assert np.sqrt(np.mean(waveform**2)) == pytest.approx(0.1, rel=1e-3)
    assert np.max(np.abs(waveform)) < 1.5  # crest factor of speech, no click


def test_phrases_are_ten_and_differ():
    assert list(PHRASES) == [f"S{number:02d}" for number in range(1, 11)]
    assert len(set(PHRASES.values())) == 10
    assert {name.rstrip("1") for phrase in PHRASES.values() for name in phrase} <= set(PHONEMES)


def test_the_generator_decides_every_sample():
    voice = draw_voice("F", np.random.default_rng(2))
    first, again, other = (
        synthesise(PHRASES["S02"], voice, np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    length = min(len(first), len(other))
    assert not np.array_equal(first[:length], other[:length])


def test_voices_of_the_sexes_have_their_own_pitch_and_tract():
    voices = {s: [draw_voice(s, np.random.default_rng(i)) for i in range(20)] for s in "MF"}
    assert max(v.f0_hz for v in voices["M"]) < min(v.f0_hz for v in voices["F"])
    assert max(v.tract_scale for v in voices["M"]) < min(v.tract_scale for v in voices["F"])


@pytest.mark.parametrize("f0_hz", [90.0, 140.0, 220.0])
def test_pitch_is_the_voice_s(f0_hz):
    voice = steady_voice(f0_hz=f0_hz)
    vowel = middle(synthesise(("AA",) * 4, voice, np.random.default_rng(5)))
    correlation = np.correlate(vowel, vowel, "full")[len(vowel) :]
    shortest, longest = 16_000 // 400, 16_000 // 60
    lag = 1 + shortest + np.argmax(correlation[shortest:longest])
    assert 16_000 / lag == pytest.approx(f0_hz, rel=0.08)


@pytest.mark.parametrize("name", ["IY", "EH", "AE", "AA", "AO", "UW"])
def test_first_formant_is_where_the_table_has_it(name):
    (f1_hz, _, _) = PHONEMES[name].formants_hz[0]
    vowel = middle(synthesise((name,) * 6, steady_voice(f0_hz=70.0), np.random.default_rng(6)))
    assert peak_between(vowel, 200, 900) == pytest.approx(f1_hz, abs=90)


def test_second_formant_follows_the_tract_length():
    peaks = []
    for scale in (0.9, 1.1):
        voice = steady_voice(f0_hz=70.0, tract_scale=scale)
        vowel = middle(synthesise(("IY",) * 6, voice, np.random.default_rng(7)))
        peaks.append(peak_between(vowel, 1900 * scale, 2650 * scale))
    assert peaks[0] == pytest.approx(0.9 * 2290, abs=110)
    assert peaks[1] == pytest.approx(1.1 * 2290, abs=110)


def test_a_sibilant_is_high_noise_and_a_vowel_is_not():
    voice = steady_voice()
    rng = np.random.default_rng(8)
    assert share_above(middle(synthesise(("S",) * 6, voice, rng)), 3500) > 0.8
    assert share_above(middle(synthesise(("AA",) * 6, voice, rng)), 3500) < 0.02


def test_a_voiceless_stop_closes_and_bursts():
    waveform = synthesise(("AA1", "T", "AA1"), steady_voice(), np.random.default_rng(9))
    blocks = waveform[: len(waveform) // 80 * 80].reshape(-1, 80)
    level_db = 10 * np.log10(np.mean(blocks**2, axis=1) + 1e-12)
    inner = level_db[len(level_db) // 4 : -len(level_db) // 4]
    quietest = int(np.argmin(inner))
    assert inner[quietest] < level_db.max() - 40  # shut
    assert np.ptp(inner[quietest : quietest + 24]) > 25  # and open again within 0.12 s


def test_a_phrase_without_any_voice_is_noise():
    waveform = synthesise(("S", "T", "HH", "F"), steady_voice(), np.random.default_rng(11))
    assert np.all(np.isfinite(waveform))
    assert share_above(waveform, 2000) > 0.8


def test_breath_fills_the_gaps_between_harmonics():
    def noise_share(breathiness: float) -> float:
        voice = steady_voice(breathiness=breathiness)
        vowel = middle(synthesise(("AA",) * 6, voice, np.random.default_rng(10)))
        return share_above(vowel, 4000)

    assert noise_share(0.1) > 3 * noise_share(0.0)


@pytest.mark.parametrize(
    ("phrase", "message"),
    [((), "no phonemes"), (("AA", "XX"), "unknown phoneme 'XX'")],
)
def test_a_phrase_that_cannot_be_spoken(phrase, message):
    with pytest.raises(DataError, match=message):
        synthesise(phrase, steady_voice(), np.random.default_rng(0))


def test_a_voice_of_unknown_sex():
    with pytest.raises(DataError, match="must be 'M' or 'F'"):
        draw_voice("m", np.random.default_rng(0))
