"""BatchNorm against its formula, differentiated by JAX."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.nn.batch_norm import identity, selu
from rawnet_jax.nn.layers import BatchNorm
from rawnet_jax.nn.lengths import Extent

SHAPES = [(4, 6, 3), (4, 3, 5, 2)]
NUM_SAMPLES = jnp.array([9, 0, 5, 7])  # the second row is filler


def plain(params, x, activation):
    """The formula, and the batch's mean and variance."""
    real = x[jnp.array([0, 2, 3])].reshape(-1, x.shape[-1])
    mean, var = real.mean(0), real.var(0)
    y = (x - mean) / jnp.sqrt(var + 1e-5) * params["scale"] + params["bias"]
    return activation(y), (mean, var)


def drawn(shape):
    keys = jax.random.split(jax.random.key(0), 4)
    params = {"scale": jax.random.normal(keys[0], shape[-1:]), "bias": jnp.arange(shape[-1]) - 1.0}
    x, cotangent = jax.random.normal(keys[1], shape) + 2.0, jax.random.normal(keys[2], shape)
    return params, x, cotangent


def layer(params, x, **fields):
    module, mask = BatchNorm(**fields), Extent(NUM_SAMPLES > 0).mask(x)
    start = {"mean": jnp.ones(x.shape[-1:]), "var": jnp.full(x.shape[-1:], 3.0)}
    variables = {"params": params, "batch_stats": start}
    y, updates = module.apply(variables, x, mask, True, mutable=["batch_stats"])
    return y, updates["batch_stats"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("activation", [identity, selu, jax.nn.sigmoid])
def test_value_and_gradients_are_those_of_the_formula(shape, activation):
    params, x, cotangent = drawn(shape)

    def ours(params, x):
        return layer(params, x, activation=activation)[0]

    def formula(params, x):
        return plain(params, x, activation)[0]

    for a, b in zip(
        gradients(ours, params, x, cotangent),
        gradients(formula, params, x, cotangent),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def gradients(function, params, x, cotangent):
    y, pull = jax.vjp(function, params, x)
    return jax.tree.leaves((y, pull(cotangent)))


@pytest.mark.parametrize("unbiased", [True, False])
def test_running_statistics(unbiased):
    params, x, _ = drawn(SHAPES[0])
    found = layer(params, x, unbiased=unbiased, momentum=0.75)[1]
    mean, var = plain(params, x, identity)[1]
    count = 3 * x.shape[1]
    var = var * count / (count - 1) if unbiased else var
    np.testing.assert_allclose(found["mean"], 0.75 * 1.0 + 0.25 * mean, rtol=1e-5)
    np.testing.assert_allclose(found["var"], 0.75 * 3.0 + 0.25 * var, rtol=1e-5)


def test_variance_beside_a_large_mean():
    """Computed from centred values: the mean of squares less the squared mean would be noise."""
    params, x, _ = drawn(SHAPES[1])
    variance = layer(params, x + 1e4, momentum=0.0)[1]["var"]
    np.testing.assert_allclose(variance, layer(params, x, momentum=0.0)[1]["var"], rtol=1e-2)


def test_scoring_uses_the_running_statistics():
    params, x, _ = drawn(SHAPES[0])
    stats = {"mean": jnp.ones(3), "var": jnp.full(3, 3.0)}
    variables = {"params": params, "batch_stats": stats}
    found: Any = BatchNorm(activation=selu).apply(
        variables, x, Extent(NUM_SAMPLES > 0).mask(x), False
    )
    wanted = jax.nn.selu((x - 1.0) / jnp.sqrt(3.0 + 1e-5) * params["scale"] + params["bias"])
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_bfloat16_has_statistics_in_float32():
    params, x, _ = drawn(SHAPES[1])
    x = x.astype(jnp.bfloat16)
    y, stats = layer(params, x, momentum=0.0)
    wanted, (mean, _) = plain(params, x.astype(jnp.float32), identity)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(stats["mean"], mean, rtol=1e-5)
    np.testing.assert_allclose(y.astype(jnp.float32), wanted, rtol=1e-2, atol=1e-2)


def test_selu_is_jaxs():
    x = jnp.linspace(-20.0, 5.0, 2_001)
    np.testing.assert_allclose(selu(x), jax.nn.selu(x), atol=2e-7, rtol=2e-7)
    found, wanted = (jax.vmap(jax.grad(f))(x) for f in (selu, jax.nn.selu))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


def test_several_at_once_equal_one_after_the_other():
    params, x, cotangent = drawn(SHAPES[0])
    several = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf + 1]), (params, x))

    def both(params, x):
        return gradients(lambda p, x: layer(p, x, activation=selu)[0], params, x, cotangent)

    wanted = [both(*jax.tree.map(lambda leaf, i=i: leaf[i], several)) for i in range(2)]
    for found, *each in zip(jax.vmap(both)(*several), *wanted, strict=True):
        np.testing.assert_allclose(found, jnp.stack(each), rtol=1e-4, atol=1e-5)
