"""The grouped convolution over time: equal to JAX's own in value and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.nn import grouped_conv


@pytest.mark.parametrize("width", [1, 6, 7])
@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("frames", [3, 11])
def test_value_and_gradients(width, groups, frames):
    generator = np.random.default_rng(width + groups + frames)
    x = generator.normal(size=(3, frames, 8)).astype(np.float32)
    kernel = generator.normal(size=(width, 8 // groups, 8)).astype(np.float32)
    weights = generator.normal(size=x.shape).astype(np.float32)

    def plain(x, kernel):
        return grouped_conv._padded_conv(x, kernel, width, groups)

    def fast(x, kernel):
        return grouped_conv.over_time(x, kernel, groups)

    np.testing.assert_array_equal(fast(x, kernel), plain(x, kernel))
    wanted, found = (gradients(conv, x, kernel, weights) for conv in (plain, fast))
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(other, one, atol=2e-5)


def gradients(conv, x, kernel, weights):
    return jax.grad(lambda *given: (conv(*given) * weights).sum(), (0, 1))(x, kernel)


def test_dtype_of_the_gradient_is_the_kernels():
    x, kernel = jnp.ones((1, 5, 4), jnp.bfloat16), jnp.ones((3, 2, 4), jnp.bfloat16)
    found = jax.grad(lambda kernel: grouped_conv.over_time(x, kernel, 2).sum())(kernel)
    assert found.dtype == jnp.bfloat16
