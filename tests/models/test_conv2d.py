"""The 2-D convolution with a fast kernel gradient: equal to JAX's own in value and gradients."""

from typing import Any

import flax.linen as nn
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.models import conv2d
from rawnet_jax.models.layers import conv

WIDE = conv2d._LONG_ROW // 3 + 3  # enough with 3 channels and 3 taps


def value_and_gradients(x, kernel_size, fast, **options):
    """Output, and the gradients of all its elements differently weighed."""
    module = nn.Conv(
        5,
        kernel_size,
        conv_general_dilated=conv2d.conv_general_dilated if fast else None,
        **options,
    )
    variables = module.init(jax.random.key(1), x)

    def total(variables, x):
        y: Any = module.apply(variables, x)
        return (y * jnp.cos(jnp.arange(y.size, dtype=jnp.float32)).reshape(y.shape)).sum(), y

    gradients, y = jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))(variables, x)
    return y, gradients


@pytest.mark.parametrize(
    ("width", "long_row"),
    [(11, 12 * 5), (11, 0), (2 * conv2d._TILE + 9, 0)],
    ids=["whole", "rows", "tiles"],
)
@pytest.mark.parametrize(
    ("kernel_size", "options"),
    [
        ((2, 3), {"padding": ((1, 1), (1, 1))}),
        ((2, 3), {"padding": ((0, 0), (1, 1))}),
        ((1, 3), {"padding": ((0, 0), (0, 2))}),
        ((1, 1), {"padding": "VALID", "use_bias": False}),
        ((3, 3), {"padding": "SAME", "strides": (2, 1)}),
        ((3, 2), {"padding": ((1, 1), (1, 1)), "strides": (1, 2)}),
        ((3, 3), {"padding": "SAME", "feature_group_count": 5}),  # JAX's own
        ((3, 3), {"padding": "SAME", "kernel_dilation": (1, 2)}),  # JAX's own
    ],
)
def test_equals_the_plain_convolution(width, long_row, kernel_size, options, monkeypatch):
    monkeypatch.setattr(conv2d, "_LONG_ROW", long_row)
    x = jax.random.normal(jax.random.key(0), (2, 4, width, 5))
    found = value_and_gradients(x, kernel_size, True, **options)
    wanted = value_and_gradients(x, kernel_size, False, **options)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=2e-6 * float(jnp.abs(b).max()), rtol=2e-5)


def test_layers_conv_uses_it():
    assert conv(3, 4, (2, 3)).conv_general_dilated is conv2d.conv_general_dilated


def test_one_dimension_is_as_before():
    x = jax.random.normal(jax.random.key(0), (2, 30, 3))
    module = conv(3, 4, (3,), strides=2)
    variables = module.init(jax.random.key(1), x)
    plain = nn.Conv(4, (3,), 2, padding="VALID")
    np.testing.assert_array_equal(module.apply(variables, x), plain.apply(variables, x))


def test_long_rows_lower_for_every_platform():
    """The loop over rows, and in it over tiles, is for CPUs alone."""

    def total(kernel, x):
        y = conv2d.conv_general_dilated(x, kernel, (1, 1), "VALID")
        return y.sum()

    shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in ((2, 3, 3, 4), (2, 4, WIDE, 3))]
    loops = {
        platform: jax.export.export(jax.jit(jax.grad(total)), platforms=[platform])(*shapes)
        .mlir_module()
        .count("stablehlo.while")
        for platform in ("cpu", "cuda", "tpu")
    }
    assert loops == {"cpu": 2, "cuda": 0, "tpu": 0}
    jax.export.export(jax.jit(jax.grad(total)), platforms=["cpu", "cuda", "tpu"])(*shapes)
