"""Spectrogram, generators and discriminators against definitions and published sizes."""

import functools
import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from rawnet_jax.errors import ConfigError
from rawnet_jax.vocoders.discriminators import Discriminators
from rawnet_jax.vocoders.families import FAMILIES, VocoderSpec
from rawnet_jax.vocoders.filter_bank import bank, joined
from rawnet_jax.vocoders.hifigan import HifiGan
from rawnet_jax.vocoders.inverse_stft import inverse_stft
from rawnet_jax.vocoders.mel import LOG_FLOOR, MelSetting, filter_bank, log_mel, stft_magnitude
from rawnet_jax.vocoders.objective import (
    deception_loss,
    discriminator_loss,
    feature_distance,
    mel_distance,
)
from rawnet_jax.vocoders.vocos import Vocos
from tests.models.small_models import quickly

RNG = np.random.default_rng(0)
SMALL = MelSetting(num_bands=8, hop=16, size=64)


TINY = {
    "vocos": {"width": 8, "hidden": 16, "num_blocks": 1},
    "flow": {"width": 8, "hidden": 16, "num_blocks": 1, "num_steps": 2},
    "codec": {"channels": 4, "latent": 8, "num_codebooks": 2, "num_entries": 16, "code": 4},
}


def num_values(network, *inputs) -> int:
    shapes = jax.eval_shape(network.init, jax.random.key(0), *inputs)
    return sum(functools.reduce(operator.mul, leaf.shape, 1) for leaf in jax.tree.leaves(shapes))


def test_magnitudes_equal_scipys() -> None:
    waveform = RNG.normal(size=640).astype(np.float32)
    padded = np.pad(waveform, 24, mode="reflect").astype(np.float64)
    window = scipy.signal.get_window("hann", 64)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 64)[::16] * window
    expected = np.abs(np.fft.rfft(frames))
    found = stft_magnitude(jnp.asarray(waveform[None]), 64, 16)[0]
    assert found.shape == (40, 33)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_filters_are_triangles_of_unit_area_at_slaneys_places() -> None:
    setting = MelSetting(num_bands=80, hop=256, size=1024)
    bank = filter_bank(setting)
    assert bank.shape == (513, 80)
    assert (bank >= 0).all()
    # Of wide bands the bins sample the area of the triangle, which is 1.
    np.testing.assert_allclose(bank[:, 40:].sum(axis=0) * 16_000 / 1024, 1.0, rtol=0.05)
    # Slaney's scale: 1 kHz is mel 15, and 6.4 kHz is 27 mels above it.
    peaks_hz = bank.argmax(axis=0) * 16_000 / 1024
    top = 15 + 27 * np.log(8.0) / np.log(6.4)
    mels = np.linspace(0, top, 82)[1:-1]
    hz = np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))
    np.testing.assert_allclose(peaks_hz, hz, atol=16_000 / 1024)


def test_silence_is_the_floor() -> None:
    mel = log_mel(jnp.zeros((1, 640)), SMALL)
    # sqrt(1e-9) of every bin, times the area of a filter, stays near the floor.
    assert mel.shape == (1, 40, 8)
    assert float(mel.min()) >= np.log(LOG_FLOOR) - 1e-5
    assert float(mel.max()) < -5


@pytest.mark.parametrize(
    "wrong",
    [
        {"hop": 0},
        {"hop": 15},
        {"num_bands": 0},
        {"high_hz": 9000.0},
        {"low_hz": 8000.0},
    ],
)
def test_impossible_spectrograms_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="must"):
        MelSetting(**{"num_bands": 8, "hop": 16, "size": 64, **wrong})


def test_the_inverse_transform_undoes_the_transform() -> None:
    waveform = RNG.normal(size=(2, 640)).astype(np.float32)
    padded = np.pad(waveform, ((0, 0), (24, 24)), mode="reflect")
    window = scipy.signal.get_window("hann", 64).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 64, axis=1)[:, ::16] * window
    spectrum = np.fft.rfft(frames).astype(np.complex64)
    np.testing.assert_allclose(inverse_stft(jnp.asarray(spectrum), 64, 16), waveform, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "published"),
    [("hifigan_v2", 0.92e6), ("hifigan_v3", 1.46e6), ("melgan", 4.26e6)],
)
def test_a_generator_has_the_published_size(family: str, published: float) -> None:
    network = VocoderSpec(family).build()
    # Table 1 of either paper, to its three digits.
    assert num_values(network, jnp.zeros((1, 4, 80))) == pytest.approx(published, rel=0.01)


def test_vocos_has_the_published_size() -> None:
    network = Vocos(width=512, hidden=1536, num_blocks=8)
    # The paper, section 4: 13.5 million.
    assert num_values(network, jnp.zeros((1, 4, 100))) == pytest.approx(13.5e6, rel=0.01)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_frame_becomes_a_hop(family: str) -> None:
    network = VocoderSpec(family, SMALL, TINY.get(family, {"channels": 8})).network()
    waveform = jnp.asarray(RNG.normal(size=(2, 160)), jnp.float32)
    params = quickly(network.init)(jax.random.key(0), waveform)
    copy = quickly(network.copied)(params, waveform)
    assert copy.shape == (2, 160)
    assert float(jnp.abs(copy).max()) <= 1
    assert float(jnp.std(copy)) > 0


def test_a_hop_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="multiply to 16; hop is 20"):
        VocoderSpec("hifigan_v2", MelSetting(8, 20, 64), {"rates": (4, 4)}).build()
    with pytest.raises(ConfigError, match="multiply to 64; hop is 16"):
        VocoderSpec("mb_melgan", SMALL, {"rates": (4, 4)}).build()
    with pytest.raises(ConfigError, match="hop is 18; it must be a multiple of 4"):
        VocoderSpec("mb_melgan", MelSetting(8, 18, 64)).build()
    with pytest.raises(ConfigError, match="multiple of hop 20"):
        VocoderSpec("vocos", MelSetting(8, 20, 64)).build()
    with pytest.raises(ConfigError, match="multiple of hop 20"):
        VocoderSpec("flow", MelSetting(8, 20, 64)).build()
    with pytest.raises(ConfigError, match="multiply to 8; hop is 16"):
        VocoderSpec("codec", SMALL, {"rates": (4, 2)}).build()
    with pytest.raises(ConfigError, match="must be one of hifigan_v2"):
        VocoderSpec("wavenet").build()


def test_four_bands_give_a_waveform_back() -> None:
    filters = bank(4)
    waveform = RNG.normal(size=4000).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(waveform, 30), 64)[::4]
    bands = frames @ filters.T / 2
    found = np.asarray(jax.jit(joined)(jnp.asarray(bands[None])))[0]
    assert found.shape == waveform.shape
    error = (found - waveform)[64:-64]
    assert 10 * np.log10(np.mean(error**2) / np.mean(waveform**2)) < -64


def test_a_sine_is_in_its_band_alone() -> None:
    for band in range(4):
        sine = np.sin(np.pi * (band + 0.47) / 4 * np.arange(4000))
        frames = np.lib.stride_tricks.sliding_window_view(sine, 64)[::4]
        level = np.abs(frames @ bank(4).T / 2).max(axis=0)
        assert level[band] == pytest.approx(1, abs=0.01)
        assert np.delete(level, band).max() < 1e-3


def test_a_spec_survives_json() -> None:
    spec = VocoderSpec("hifigan_v2", SMALL, {"channels": 8})
    assert VocoderSpec.from_dict(spec.to_dict()) == spec
    with pytest.raises(ConfigError, match="not the settings"):
        VocoderSpec.from_dict({"family": "vocos", "mel": {"hops": 3}, "fields": {}})


def test_discriminators_see_every_period_and_resolution() -> None:
    network = Discriminators((4, 4), (4, 4), periods=(2, 3), resolutions=((32, 8),))
    waveform = jnp.asarray(RNG.normal(size=(2, 200)), jnp.float32)
    variables = quickly(network.init)(jax.random.key(0), waveform)
    judged = quickly(network.apply)
    scores, maps = judged(variables, waveform)
    assert [len(score) for score in scores] == [4, 6, 2]
    assert [len(layers) for layers in maps] == [2, 2, 2]
    # A sample that is a whole number of periods away is its neighbour, and only that.
    moved, _ = judged(variables, waveform.at[0, 100].add(5.0))
    np.testing.assert_array_equal(moved[0][2:], scores[0][2:])  # the other clip
    np.testing.assert_array_equal(moved[0][1], scores[0][1])  # odd samples of this one
    assert float(jnp.abs(moved[0][0] - scores[0][0]).max()) > 0


def test_the_discriminators_of_a_training_take_its_segments() -> None:
    scores, maps = jax.eval_shape(
        lambda: Discriminators().init_with_output(jax.random.key(0), jnp.zeros((2, 8192)))[0]
    )
    assert [len(score) for score in scores] == [4, 6, 10, 14, 22, 2, 2, 2]
    assert {len(layers) for layers in maps} == {4}


def test_losses_are_least_squares_and_l1() -> None:
    real, copy = [jnp.array([1.0, 0.5])], [jnp.array([0.0, 1.0])]
    assert float(discriminator_loss(real, copy)) == pytest.approx(0.125 + 0.5)
    assert float(deception_loss(copy)) == pytest.approx(0.5)
    assert float(feature_distance([real, copy], [copy, copy])) == pytest.approx(0.75)


def test_mel_distance_of_twice_the_level_is_its_logarithm() -> None:
    waveform = jnp.asarray(RNG.normal(size=(1, 4096)), jnp.float32)
    distance = quickly(mel_distance)
    assert float(distance(waveform, waveform)) == 0
    assert float(distance(waveform, 2 * waveform)) == pytest.approx(np.log(2), rel=1e-3)


def test_hifigan_pairs_or_not() -> None:
    mel = jnp.zeros((1, 2, 8))
    network = HifiGan(8, (4, 4), kernels=(3,), dilations=((1, 2),), is_paired=False)
    names = jax.eval_shape(network.init, jax.random.key(0), mel)
    assert set(names["params"]["block_0_0"]) == {"dilated_0", "dilated_1"}
