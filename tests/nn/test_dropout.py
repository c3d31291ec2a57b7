"""Dropout by a hash: as many zeros as asked for, without a pattern, other ones for another key."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.nn.dropout import Dropout, dropped

SHAPE = (8, 250, 64)


def mask(seed, rate=0.3, shape=SHAPE):
    key = jax.random.bits(jax.random.key(seed), (2,), jnp.uint32)
    return np.asarray(dropped(jnp.ones(shape), key, rate) == 0)


@pytest.mark.parametrize("rate", [0.01, 0.3, 0.5, 0.9])
def test_as_many_zeros_as_asked_for(rate):
    found = mask(0, rate)
    spread = np.sqrt(rate * (1 - rate) / found.size)
    assert abs(found.mean() - rate) < 4 * spread
    # By channel, by frame and by row as well: no line of the array is favoured.
    for axis in range(3):
        means = found.mean(axis=tuple({0, 1, 2} - {axis}))
        line = np.sqrt(rate * (1 - rate) * means.size / found.size)
        assert abs(means - rate).max() < 5 * line


def test_neighbours_and_keys_have_nothing_to_do_with_each_other():
    a, b = mask(0) - 0.3, mask(1) - 0.3
    pairs = [(a, b), *((a[:-1], a[1:]), (a[:, :-1], a[:, 1:]), (a[..., :-1], a[..., 1:]))]
    pairs += [(a[..., ::2], a[..., 1::2]), (a[:4], a[4:]), (mask(0) - 0.3, mask(256) - 0.3)]
    for x, y in pairs:
        assert abs((x * y).mean()) < 5 * 0.3 * 0.7 / np.sqrt(x.size)


def test_the_rest_grows_and_the_gradient_is_the_mask():
    x = jax.random.normal(jax.random.key(1), SHAPE)
    key = jnp.array([3, 5], jnp.uint32)
    y, pull = jax.vjp(lambda x: dropped(x, key, 0.3), x)
    kept = np.asarray(y != 0)
    np.testing.assert_allclose(y, np.where(kept, x / 0.7, 0), rtol=1e-6)
    np.testing.assert_allclose(pull(jnp.ones(SHAPE))[0], kept / 0.7, rtol=1e-6)


def test_layer_draws_in_training_alone():
    x, layer = jnp.ones((4, 50)), Dropout(0.5)
    apply: Any = layer.apply
    rngs = [{"dropout": jax.random.key(seed)} for seed in (0, 0, 1)]
    first, same, other = (apply({}, x, True, rngs=rng) for rng in rngs)
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
    np.testing.assert_array_equal(layer.apply({}, x, False), x)
    np.testing.assert_array_equal(Dropout(0.0).apply({}, x, True), x)


def test_each_of_several_models_has_its_own():
    keys = jax.random.split(jax.random.key(0), 3)

    def run(key):
        return Dropout(0.5).apply({}, jnp.ones((40, 5)), True, rngs={"dropout": key})

    found = jax.vmap(run)(keys)
    np.testing.assert_array_equal(found, jnp.stack([run(key) for key in keys]))
    assert (found[0] != found[1]).any()
