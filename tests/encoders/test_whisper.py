"""Whisper's encoder against a slow form, and against itself.

What all encoders have in common is in test_encoders.py.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.dsp.whisper_mel import whisper_mel
from rawnet_jax.encoders.catalog import encoder_config
from rawnet_jax.encoders.encoder import SpeechEncoder, encoder_shapes
from rawnet_jax.encoders.whisper import sinusoids
from rawnet_jax.errors import ConfigError
from rawnet_jax.interop.encoder_weights import state_from_encoder
from tests.encoders.small_encoders import drawn, encoded
from tests.encoders.small_whisper import LENGTHS, WHISPER, clips, slow_form, slow_mel

mel = jax.jit(whisper_mel, static_argnames="bands")


@functools.cache
def padded():
    """Variables, and what they make of a batch of two clips and a filler row."""
    variables = drawn(WHISPER)
    return variables, encoded(WHISPER, variables, clips(), LENGTHS)


# --- spectrogram


@pytest.mark.parametrize("bands", [80, 128])
def test_spectrogram_equals_the_slow_form(bands):
    lengths = np.array([5_120, 3_400, 4_959, 4_960, 201, 320], np.int32)
    waveform = np.concatenate([clips(), clips()[:, ::-1]])
    found, num_frames = mel(waveform, lengths, bands)
    assert found.shape == (6, 32, bands)
    for row, length in enumerate(lengths):
        wanted = slow_mel(waveform[row, :length], bands)
        assert len(wanted) == num_frames[row] == length // 160
        np.testing.assert_allclose(found[row, : len(wanted)], wanted, atol=2e-5)
        assert (found[row, len(wanted) :] == 0).all()
    first = slow_mel(waveform[0], bands)
    assert first.max() - first.min() == pytest.approx(2)  # the bound is 8 / 4 below the loudest


def test_spectrogram_of_silence():
    found, _ = mel(np.zeros((1, 640), np.float32), np.array([640]), 80)
    np.testing.assert_array_equal(found, np.full((1, 4, 80), -1.5))


# --- values


def test_hidden_states_equal_the_slow_form():
    """Each clip of a padded batch against the slow form on the clip alone."""
    variables, found = padded()
    state = state_from_encoder(variables, WHISPER)
    assert found.last.shape == (3, 16, 48)
    for row, length in enumerate(LENGTHS[:2]):
        last, states = slow_form(WHISPER, state, clips()[row, :length])
        frames = WHISPER.num_frames(length)
        assert len(last) == frames == found.extent.num_frames[row]
        np.testing.assert_allclose(found.last[row, :frames], last, atol=1e-4)
        assert len(found.hidden) == len(states) == 4
        for ours, wanted in zip(found.hidden, states, strict=True):
            np.testing.assert_allclose(ours[row, :frames], wanted, atol=1e-4)
            assert np.abs(wanted).max() > 1
    assert np.isfinite(found.hidden).all()
    assert np.isfinite(found.last).all()
    assert found.extent.real.tolist() == [True, True, False]


def test_a_clip_shorter_than_an_edge_is_followed_by_zeros():
    variables = padded()[0]
    waveform = np.ones((2, 100), np.float32)
    found = encoded(WHISPER, variables, waveform, np.array([100, 30], np.int32))
    state = state_from_encoder(variables, WHISPER)
    for row, length in enumerate((100, 30)):
        clip = np.pad(waveform[row, :length], (0, 201 - length))
        last, _ = slow_form(WHISPER, state, clip)
        np.testing.assert_allclose(found.last[row], last, atol=1e-4)
    np.testing.assert_array_equal(found.extent.num_frames, [WHISPER.num_frames(1)] * 2)
    assert WHISPER.num_frames(1) == 1


def test_padding_to_a_length_is_silence_that_counts():
    """As Whisper was trained; the frames that count in the output are the clip's own."""
    variables = padded()[0]
    config = WHISPER.replaced(pad_to_s=0.25)  # 4,000 samples: the first clip is longer
    found = encoded(config, variables, clips(), LENGTHS)
    state = state_from_encoder(variables, WHISPER)
    for row, clip in enumerate((clips()[0], np.pad(clips()[1, :3_400], (0, 600)))):
        last, _ = slow_form(WHISPER, state, clip)
        np.testing.assert_allclose(found.last[row, : len(last)], last, atol=1e-4)
    np.testing.assert_array_equal(found.extent.num_frames, [16, 11, 1])
    short = encoded(config, variables, clips()[1:2, :3_400], LENGTHS[1:2])
    assert short.last.shape == (1, 13, 48)
    np.testing.assert_allclose(short.last[0, :11], found.last[1, :11], atol=1e-5)
    plain = padded()[1]
    assert np.abs(plain.last[1, :11] - found.last[1, :11]).max() > 1e-2


def test_positions_are_those_of_the_paper():
    table = np.asarray(sinusoids(None, (1_500, 384)))
    frequency = np.exp(-np.log(10_000) * np.arange(192) / 191)
    for t in (0, 1, 750, 1_499):
        np.testing.assert_allclose(table[t, :192], np.sin(t * frequency), atol=1e-6)
        np.testing.assert_allclose(table[t, 192:], np.cos(t * frequency), atol=1e-6)


# --- limits


@pytest.mark.parametrize(("samples", "frames"), [(64_600, 202), (480_000, 1_500), (480_159, 1_500)])
def test_number_of_frames(samples, frames):
    assert encoder_config("whisper_tiny").num_frames(samples) == frames


def test_a_clip_beyond_the_last_position_is_refused():
    run, variables = SpeechEncoder(WHISPER).apply, encoder_shapes(WHISPER)
    count = jax.ShapeDtypeStruct((1,), jnp.int32)
    longest = jax.eval_shape(run, variables, jax.ShapeDtypeStruct((1, 32_159), float), count)
    assert longest.last.shape == (1, 100, 48)
    message = "a clip has 2.01 s; Whisper has positions for 2 s, so longer clips must be cut"
    with pytest.raises(ConfigError, match=message):
        jax.eval_shape(run, variables, jax.ShapeDtypeStruct((1, 32_160), float), count)


def test_a_whole_clip_of_30_s_has_a_shape():
    config = encoder_config("whisper_large_v3", pad_to_s=30.0)
    shapes = encoder_shapes(config)
    assert shapes["params"]["network"]["positions"].shape == (1_500, 1_280)
    assert shapes["params"]["network"]["conv1"]["kernel"].shape == (3, 128, 1_280)
    assert "bias" not in shapes["params"]["network"]["layers"]["layer"]["attention"]["k_proj"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pad_to_s": 31.0}, "pad_to_s is 31.0; it must be at most 30"),
        ({"pad_to_s": -1.0}, "pad_to_s is -1.0; it must be at most 30"),
        ({"mel_bands": 0}, "mel_bands is 0; it must be at least 1"),
        ({"family": "hubert"}, "family is 'hubert'; it must be one of 'whisper'"),
        ({"width": 3, "heads": 3}, "width is 3; it must be even"),
        ({"input_norm": "hf"}, "an encoder has no field input_norm; it has family, .*pad_to_s"),
    ],
)
def test_wrong_fields_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        encoder_config("whisper_tiny", **changes)
