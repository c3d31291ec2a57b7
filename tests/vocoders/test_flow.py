"""The flow vocoder against a velocity that is known, its level and its noise."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.vocoders.flow import Flow, digests, envelope
from rawnet_jax.vocoders.mel import MelSetting, log_mel, stft

SETTING = MelSetting(num_bands=20, hop=64, size=256)
FLOW = Flow(SETTING, width=8, hidden=16, num_blocks=1)


def loss(params: Any, waveform: jax.Array) -> float:
    return float(jnp.asarray(FLOW.apply(params, waveform, jax.random.key(0), method="loss")))


@pytest.fixture(scope="module")
def waveform() -> jax.Array:
    # Noise that falls by 10 dB towards 8 kHz.
    white = np.random.default_rng(0).normal(size=(2, 4096))
    spectrum = np.fft.rfft(white) * np.geomspace(1, 10 ** (-10 / 20), 2049)
    return jnp.asarray(0.1 * np.fft.irfft(spectrum), jnp.float32)


def test_with_the_true_velocity_the_copy_is_the_source(waveform, monkeypatch) -> None:
    mel = log_mel(waveform, SETTING)
    speech = FLOW.divided(waveform, mel)

    def true(self, x: jax.Array, mel: jax.Array, angle: jax.Array) -> jax.Array:
        return (speech - jnp.sin(angle)[:, None, None] * x) / jnp.cos(angle)[:, None, None]

    monkeypatch.setattr(Flow, "velocity", true)
    copy = jnp.asarray(FLOW.apply({}, waveform))
    # Eight steps of Euler's method miss the end of a quarter circle by 1 to 2 %.
    assert float(jnp.std(copy - waveform) / jnp.std(waveform)) < 0.03
    assert loss({}, waveform) < 1e-6


def test_before_it_learns_noise_and_speech_have_one_level(waveform) -> None:
    params = jax.jit(FLOW.init)(jax.random.key(0), waveform)
    assert loss(params, waveform) == pytest.approx(1, abs=0.1)
    level = envelope(log_mel(waveform, SETTING), SETTING)
    ratio = jnp.mean(jnp.abs(stft(waveform, 256, 64)), axis=(0, 1)) / jnp.mean(level, axis=(0, 1))
    np.testing.assert_allclose(ratio[2:-2], 1, atol=0.3)


def test_the_noise_of_a_row_is_of_its_samples_alone(waveform) -> None:
    params = jax.jit(FLOW.init)(jax.random.key(0), waveform)
    copied = jax.jit(FLOW.apply)
    both = copied(params, waveform)
    np.testing.assert_allclose(copied(params, waveform[1:])[0], both[1], atol=1e-5)
    again = digests(jnp.concatenate([waveform, waveform.at[:, 7].add(1e-3)]))
    assert len(set(np.asarray(again).tolist())) == 4
    np.testing.assert_array_equal(again[:2], digests(waveform))
