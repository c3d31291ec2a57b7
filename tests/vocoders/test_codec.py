"""The codec's quantiser: discrete, and passing gradients."""

import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.vocoders.codec import Quantiser, closest
from rawnet_jax.vocoders.families import VocoderSpec
from rawnet_jax.vocoders.mel import MelSetting
from tests.vocoders.test_networks import TINY

RNG = np.random.default_rng(0)


def test_what_passes_is_one_of_few() -> None:
    x = jnp.asarray(RNG.normal(size=(1, 50, 6)), jnp.float32)
    network = Quantiser(num_codebooks=2, num_entries=2, code=3)
    variables = {"params": network.init(jax.random.key(0), x)["params"]}
    found = np.round(np.asarray(network.apply(variables, x))[0], 4)
    assert 1 < len(np.unique(found, axis=0)) <= 4


def test_the_closest_entry_is_that_of_the_least_angle() -> None:
    codes, entries = RNG.normal(size=(5, 3)), RNG.normal(size=(7, 3)) * RNG.uniform(1, 9, (7, 1))
    angles = codes @ (entries / np.linalg.norm(entries, axis=1, keepdims=True)).T
    found = closest(jnp.asarray(codes, jnp.float32), jnp.asarray(entries, jnp.float32))
    np.testing.assert_array_equal(found, angles.argmax(axis=1))


def test_gradients_pass_the_codes() -> None:
    network = VocoderSpec("codec", MelSetting(8, 16, 64), TINY["codec"]).network()
    waveform = jnp.asarray(RNG.normal(size=(1, 160)), jnp.float32)
    params = jax.jit(network.init)(jax.random.key(0), waveform)

    def of_copy(params):
        copy, losses = network.copied_and_losses(params, waveform)
        return jnp.sum(jnp.square(copy - waveform)), losses

    grads, losses = jax.jit(jax.grad(of_copy, has_aux=True))(params)
    assert set(losses) == {"quantiser"}
    assert float(losses["quantiser"]) > 0
    assert float(jnp.abs(grads["first"]["kernel"]).max()) > 0
    # Entries learn from the quantiser's loss alone.
    assert float(jnp.abs(grads["quantiser"]["codebook_0"]).max()) == 0
    own = jax.jit(jax.grad(lambda p: network.copied_and_losses(p, waveform)[1]["quantiser"]))(
        params
    )
    for name in ("codebook_0", "codebook_1"):
        assert float(jnp.abs(own["quantiser"][name]).max()) > 0
    assert float(jnp.abs(own["first"]["kernel"]).max()) > 0
