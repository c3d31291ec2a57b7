"""The gate names what cannot be judged, and lets everything real pass."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from rawnet_jax.config import AudioConfig, GateConfig
from rawnet_jax.errors import AudioError
from rawnet_jax.scoring.gate import ChannelMix, Reason, gate_refusal, read_gated

GATE = GateConfig(speech="off")  # test_speech.py looks for speech
RNG = np.random.default_rng(0)
SPEECH = (0.1 * RNG.standard_normal(16_000)).astype(np.float32)
DRIFT = (1e-3 * np.sin(2 * np.pi * np.arange(16_000) / 16_000)).astype(np.float32)
SILENT = np.zeros(16_000, np.float32)


def click(num_samples: int) -> np.ndarray:
    """Faint noise with a short loud part."""
    waveform = 1e-4 * SPEECH
    waveform[3_840 : 3_840 + num_samples] = SPEECH[:num_samples]
    return waveform


@pytest.mark.parametrize(
    ("waveform", "reason", "value", "limit"),
    [
        (np.where(np.arange(16_000) == 9, np.nan, SPEECH), Reason.NOT_FINITE, 1, 0),
        (np.where(np.arange(16_000) < 7, np.inf, SPEECH), Reason.NOT_FINITE, 7, 0),
        (np.zeros(0, np.float32), Reason.TOO_SHORT, 0, 0.1),
        (SPEECH[:1_599], Reason.TOO_SHORT, 1_599 / 16_000, 0.1),
        (SILENT, Reason.DIGITAL_SILENCE, 0, 0),
        (7e-4 * SPEECH, Reason.NEAR_SILENCE, 0, 0.1),  # -83 dBFS
        (7e-4 * SPEECH + DRIFT, Reason.NEAR_SILENCE, 0, 0.1),
        (click(1_280), Reason.NEAR_SILENCE, 0.08, 0.1),
        (SILENT + np.float32(0.25), Reason.DC_OFFSET, 1, 0.99),
        (0.01 * SPEECH + np.float32(0.25), Reason.DC_OFFSET, 1, 0.99),
        (np.sign(SPEECH), Reason.HEAVY_CLIPPING, 1, 0.3),
        (np.clip(30 * SPEECH, -0.5, 0.5), Reason.HEAVY_CLIPPING, 0.87, 0.3),
    ],
)
def test_what_cannot_be_judged_is_named(waveform, reason, value, limit):
    refusal = gate_refusal(waveform, GATE)
    assert refusal is not None
    assert refusal.reason == reason
    assert refusal.value == pytest.approx(value, abs=0.011)
    assert refusal.limit == limit
    assert str(refusal).startswith(f"cannot judge: {reason}: ")


@pytest.mark.parametrize(
    "waveform",
    [
        SPEECH,
        SPEECH[:1_600],
        SPEECH.astype(np.float64),
        1.4e-3 * SPEECH,  # -77 dBFS
        click(1_600),
        SPEECH + np.float32(0.5),
        np.clip(10 * SPEECH, -1.2, 1.2),  # a quarter of the samples clipped
        0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000),
    ],
)
def test_what_is_only_bad_is_judged(waveform):
    assert gate_refusal(waveform, GATE) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("min_duration_s", 1.1),
        ("silence_dbfs", -10.0),
        ("min_active_s", 1.01),
        ("max_dc_share", 0.0),
        ("max_clipped_share", 0.0),
    ],
)
def test_every_bound_is_read(field, value):
    assert gate_refusal(SPEECH, GATE) is None
    assert gate_refusal(SPEECH, replace(GATE, **{field: value})) is not None


def test_length_is_in_seconds():
    assert gate_refusal(SPEECH[:800], GATE, sample_rate_hz=8_000) is None
    assert gate_refusal(SPEECH[:800], GATE) is not None


STEREO = {
    "same": np.stack([SPEECH, SPEECH], axis=1),
    "other": np.stack([SPEECH, SPEECH[::-1]], axis=1),
    "inverted": np.stack([SPEECH, -0.95 * SPEECH], axis=1),
    "half": np.stack([SPEECH, SILENT], axis=1),
    "offset": np.stack([SPEECH, SILENT + 0.2], axis=1),
    "silent": np.stack([SILENT, SILENT], axis=1),
    "one of four": np.stack([SILENT, SILENT, SPEECH, SILENT], axis=1),
}


@pytest.mark.parametrize(
    ("name", "channel", "words"),
    [
        ("same", None, None),
        ("other", None, None),
        ("same", 2, None),
        ("same", 3, "there is no channel 3; the recording has 2"),
        ("same", 0, "there is no channel 0"),
        ("inverted", None, "cancel each other"),
        ("inverted", 2, None),
        ("half", None, "channel 2 of 2 is empty"),
        ("half", 2, "channel 2 of 2 is empty"),
        ("half", 1, None),
        ("offset", None, "channel 2 of 2 is empty"),
        ("one of four", None, "channel 1, 2, 4 of 4 is empty"),
        ("one of four", 3, None),
    ],
)
def test_channels_that_hold_no_recording(name, channel, words):
    refusal = gate_refusal(STEREO[name], GATE, channel=channel)
    if words is None:
        assert refusal is None
    else:
        assert refusal is not None
        assert refusal.reason == Reason.WRONG_CHANNEL
        assert words in refusal.detail


def test_silence_everywhere_is_no_matter_of_channels():
    for channel in (None, 1, 2):
        refusal = gate_refusal(STEREO["silent"], GATE, channel=channel)
        assert refusal is not None
        assert refusal.reason == Reason.DIGITAL_SILENCE
    assert gate_refusal(SPEECH, GATE, channel=1) is None
    assert gate_refusal(SPEECH, GATE, channel=2).reason == Reason.WRONG_CHANNEL  # type: ignore[union-attr]


@pytest.mark.parametrize("name", STEREO)
@pytest.mark.parametrize("channel", [None, 1, 2])
def test_channels_are_judged_the_same_block_by_block(name, channel):
    whole, parts = ChannelMix(GATE, channel), ChannelMix(GATE, channel)
    mono = np.concatenate([parts(block) for block in np.array_split(STEREO[name], [0, 5, 9_000])])
    np.testing.assert_array_equal(mono, whole(STEREO[name]))
    one, other = whole.refusal(), parts.refusal()
    assert (one and one.reason) == (other and other.reason)
    if one is not None and other is not None:
        assert one.value == pytest.approx(other.value)


def test_files_are_read_and_judged(tmp_path):
    def judged(samples, rate=16_000, channel=None, subtype="PCM_16"):
        soundfile.write(tmp_path / "a.wav", samples, rate, subtype=subtype)
        return read_gated(tmp_path / "a.wav", AudioConfig(), GATE, channel)

    waveform, refusal = judged(STEREO["other"], 48_000)
    assert refusal is None
    assert waveform.shape == (5_333,)
    waveform, refusal = judged(STEREO["half"], channel=1)
    np.testing.assert_allclose(waveform, SPEECH, atol=4e-5)
    for samples, channel, reason in (
        (SILENT, None, Reason.DIGITAL_SILENCE),
        (SPEECH[:20], None, Reason.TOO_SHORT),
        (STEREO["inverted"], None, Reason.WRONG_CHANNEL),
        (STEREO["half"], 2, Reason.WRONG_CHANNEL),
        (STEREO["half"], 5, Reason.WRONG_CHANNEL),
    ):
        waveform, refusal = judged(samples, channel=channel)
        assert waveform is None
        assert refusal.reason == reason
    waveform, refusal = judged(np.where(SPEECH > 0.3, np.nan, SPEECH), subtype="FLOAT")
    assert waveform is None
    assert refusal.reason == Reason.NOT_FINITE
    (tmp_path / "a.wav").write_bytes(b"no audio")
    with pytest.raises(AudioError, match="not audio"):
        read_gated(tmp_path / "a.wav", AudioConfig(), GATE)


def test_no_real_clip_is_refused(shared_data):
    """Neither whole nor the first second of it, which is all that Conv1D hears."""
    paths = sorted((shared_data / "speech" / "flac").glob("*.flac"))
    paths += sorted((shared_data / "digits").glob("*.wav"))
    assert len(paths) == 2_744 + 600
    for path in paths[::4]:
        waveform, rate = soundfile.read(path, dtype="float32")
        assert gate_refusal(waveform, GATE, sample_rate_hz=rate) is None, path
        assert gate_refusal(waveform[:rate], GATE, sample_rate_hz=rate) is None, path


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 3e38])
def test_samples_that_are_no_sound_warn_of_nothing(wrong):
    """A warning of NumPy would be an error here."""
    mix = ChannelMix(GateConfig())
    block = np.full((50, 2), wrong, np.float32)
    block[::2, 1] *= -1
    assert mix(block).shape == (50,)
    mix.refusal()
