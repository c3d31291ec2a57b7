"""Programs as flat lists of equations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from rawnet_jax.errors import ExportError
from rawnet_jax.export.flat import BATCH, clips_in, flatten
from rawnet_jax.export.patterns import find_functions
from rawnet_jax.models.rawnet2 import leaky_relu
from rawnet_jax.nn.batch_norm import selu
from rawnet_jax.nn.layers import max_pool_1d


def spec(*shape):
    (batch,) = export.symbolic_shape(BATCH)
    return jax.ShapeDtypeStruct((batch, *shape), jnp.float32)


def ops(function, *shape, **options):
    return [e.op for e in find_functions(flatten(function, spec(*shape), **options)).equations]


def test_what_follows_from_constants_is_computed():
    weight = jnp.asarray(np.array([1.0, 4.0, 9.0], np.float32))
    flat = flatten(lambda x: x * jax.lax.rsqrt(weight + 7.0), spec(3))
    assert [e.op for e in flat.equations] == ["mul"]
    constant = flat.equations[0].inputs[1]
    assert constant.value is not None
    np.testing.assert_allclose(constant.value, 1 / np.sqrt([[8.0, 11.0, 16.0]]), rtol=1e-6)
    assert constant.shape[1:] == (3,)  # of the whole batch, and one row is kept
    assert constant.value.shape == (1, 3)


def test_what_depends_on_the_batch_is_not_a_constant():
    def function(x):
        length = jnp.full(x.shape[:1], 5)
        return x + (jnp.arange(3) < length[:, None])

    assert ops(function, 3) == ["add"]  # every clip has the same length
    flat = flatten(lambda x: x.reshape(-1), spec(3))
    assert clips_in(flat.outputs[0].shape[0]) == 3


def test_what_counts_or_adds_over_the_batch_is_not_computed_beforehand():
    def function(x):
        ones = jnp.broadcast_to(jnp.float32(1), x.shape)
        return x + ones.sum(0) + jnp.arange(x.shape[0], dtype=jnp.float32)[:, None]

    assert {"reduce_sum", "iota"} < set(ops(function, 3))


def test_dead_equations_are_dropped():
    def function(x):
        jnp.exp(x)
        return x + 1.0

    assert ops(function, 3) == ["add"]


def test_the_branch_for_no_platform_in_particular_is_taken():
    def function(x):
        return jax.lax.platform_dependent(x, cpu=jnp.exp, default=jnp.sin)

    assert ops(function, 3) == ["sin"]


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (selu, "selu"),
        (leaky_relu, "leaky_relu"),
        (lambda x: jax.nn.softmax(x, axis=1), "softmax"),
        (lambda x: jax.nn.softmax(x, axis=2), "softmax"),
    ],
)
def test_functions_are_found_again(function, name):
    assert ops(lambda x: 2.0 * function(x + 1.0), 4, 5) == ["add", name, "mul"]


def test_what_is_nearly_a_function_is_not_taken_for_it():
    assert "leaky_relu" not in ops(lambda x: jnp.where(x > 0, x, 0.2 * x), 4, 5)
    assert "leaky_relu" not in ops(lambda x: jnp.where(x > 1, x, 0.3 * x), 4, 5)
    assert "softmax" not in ops(lambda x: jnp.exp(x) / jnp.exp(x).sum(1, keepdims=True), 4, 5)


def test_rows_joined_for_pooling_alone_are_not_joined():
    def function(x):
        batch, height, width, channels = x.shape
        pooled = max_pool_1d(x.reshape(batch * height, width, channels), 3)
        return pooled.reshape(batch, height, width // 3, channels)

    assert ops(function, 4, 10, 2, whole=("max_pool_1d",)) == ["max_pool_1d"]


def test_an_axis_that_is_no_multiple_of_the_batch_is_refused():
    (batch,) = export.symbolic_shape(BATCH)
    assert clips_in(6 * batch) == 6
    with pytest.raises(ExportError, match=r"an axis of .* elements"):
        clips_in(batch + 1)
