"""The 2-D convolution with a fast kernel gradient: equal to JAX's own in value and gradients."""

from typing import Any

import flax.linen as nn
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.nn import conv2d, conv2d_cpu
from rawnet_jax.nn.layers import conv


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


# Values of a map from which the kernel's gradient is summed by pieces, and values of a piece.
BY_XLA, WHOLE, ROWS, TILES = (10**9, 1), (0, 10**9), (0, 2 * 11 * 5), (0, 4 * 5)


@pytest.mark.parametrize("pieces", [BY_XLA, WHOLE, ROWS, TILES])
@pytest.mark.parametrize(
    ("kernel_size", "options"),
    [
        ((2, 3), {"padding": ((1, 1), (1, 1))}),
        ((2, 3), {"padding": ((0, 0), (1, 1))}),
        ((1, 3), {"padding": ((0, 0), (0, 2))}),
        ((1, 1), {"padding": "VALID", "use_bias": False}),
        ((3, 3), {"padding": "SAME", "strides": (2, 1)}),
        ((1, 1), {"padding": "VALID", "strides": (2, 2)}),
        ((3, 2), {"padding": ((1, 1), (1, 1)), "strides": (1, 2)}),
        ((2, 4), {"padding": ((0, 3), (2, 0)), "strides": (3, 2)}),
    ],
)
def test_equals_the_plain_convolution(pieces, kernel_size, options, monkeypatch):
    large_map, step = pieces
    monkeypatch.setattr(conv2d, "_LARGE_MAP", large_map)
    monkeypatch.setattr(conv2d_cpu, "_STEP", step)
    check_equal_to_plain((2, 5, 11, 5), kernel_size, options)


@pytest.mark.parametrize(
    ("shape", "kernel_size", "options"),
    [
        ((2, 5, 11, 1), (2, 3), {"padding": ((1, 1), (1, 1))}),  # one channel
        ((2, 5, 11, 1), (1, 3), {"padding": ((0, 0), (0, 2)), "use_bias": False}),
        ((2, 5, 11, 1), (3, 3), {"padding": "SAME", "strides": (2, 2)}),
        ((2, 40, 60, conv2d_cpu._WIDE), (3, 3), {"padding": "SAME"}),  # all taps in one product
        ((2, 5, 11, 5), (3, 3), {"padding": "SAME", "feature_group_count": 5}),  # JAX's own
        ((2, 5, 11, 5), (3, 3), {"padding": "SAME", "kernel_dilation": (1, 2)}),  # JAX's own
    ],
)
def test_other_ways_equal_the_plain_convolution(shape, kernel_size, options):
    check_equal_to_plain(shape, kernel_size, options)


def check_equal_to_plain(shape, kernel_size, options):
    x = jax.random.normal(jax.random.key(0), shape)
    found = value_and_gradients(x, kernel_size, True, **options)
    wanted = value_and_gradients(x, kernel_size, False, **options)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=4e-6 * float(jnp.abs(b).max()), rtol=2e-5)


def test_several_kernels_at_once_equal_one_after_the_other():
    """As when several seeds train together."""
    x = jax.random.normal(jax.random.key(0), (2, 12, 90, 12))
    kernels = jax.random.normal(jax.random.key(1), (3, 3, 3, 12, 4))

    def gradient(kernel):
        def total(kernel):
            return jnp.sin(conv2d.conv_general_dilated(x, kernel, (2, 2), "SAME")).sum()

        return jax.grad(total)(kernel)

    wanted = jnp.stack([gradient(kernel) for kernel in kernels])
    np.testing.assert_allclose(jax.vmap(gradient)(kernels), wanted, rtol=1e-4, atol=1e-4)


def test_layers_conv_uses_it():
    assert conv(3, 4, (2, 3)).conv_general_dilated is conv2d.conv_general_dilated


def test_one_dimension_is_as_before():
    x = jax.random.normal(jax.random.key(0), (2, 30, 3))
    module = conv(3, 4, (3,), strides=2)
    variables = module.init(jax.random.key(1), x)
    plain = nn.Conv(4, (3,), 2, padding="VALID")
    np.testing.assert_array_equal(module.apply(variables, x), plain.apply(variables, x))


def test_what_is_for_a_cpu_stays_on_it():
    """Elsewhere value and gradients are plain convolutions, without loops and sums of shifts."""

    def total(kernel, x):
        return jnp.sin(conv2d.conv_general_dilated(x, kernel, (1, 1), "VALID")).sum()

    def program(platform, channels):
        shapes = ((2, 3, channels, 4), (2, 40, 90, channels))
        arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
        gradient = jax.jit(jax.grad(total, argnums=(0, 1)))
        return jax.export.export(gradient, platforms=platform)(*arguments).mlir_module()

    for channels in (1, 3):
        for platform in ("cuda", "tpu"):
            text = program([platform], channels)
            assert text.count("stablehlo.convolution") == 3
            assert "stablehlo.while" not in text
    assert "stablehlo.while" in program(["cpu"], 3)
    assert "stablehlo.convolution" not in program(["cpu"], 1)
    program(["cpu", "cuda", "tpu"], 3)
