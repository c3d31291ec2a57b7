"""2-D convolution whose kernel gradient is fast on a CPU.

XLA may take the kernel gradient of a *padded* 2-D convolution off its fast path on a CPU: for an
input of [4, 23, 3541, 32] and a kernel of 2 x 3 it took 23 s, where the forward pass took .1 s.
With the input padded beforehand it took .5 s, and by a loop over pieces of rows, with one matrix
product a tap, .2 s (seconds of CPU time, two busy cores, JAX 0.10.2).
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

_NHWC = ("NHWC", "HWIO", "NHWC")
# Positions of the output taken at a time: their inputs stay in a core's cache.
_TILE = 512
# Values (positions times channels) in a row of the input; of less, the products are so small that
# the loop costs more than it saves.
_LONG_ROW = 8_192

_Pair = tuple[int, int]


def conv_general_dilated(
    lhs: jax.Array,
    rhs: jax.Array,
    window_strides: Sequence[int],
    padding: Any,
    *,
    feature_group_count: int = 1,
    **others: Any,
) -> jax.Array:
    """Convolve as `jax.lax.conv_general_dilated` does; for `nn.Conv(conv_general_dilated=…)`.

    What is not a plain 2-D convolution (grouped, dilated, of another rank, of a stated precision)
    goes to JAX's own.

    Args:
        lhs: [B, H, W, C], the input.
        rhs: [kh, kw, C, features], the kernel.
        window_strides: step in rows and in columns.
        padding: "SAME", "VALID" or ((top, bottom), (left, right)).
        feature_group_count: as in JAX's.
        **others: as in JAX's.

    Returns:
        [B, H', W', features].
    """
    dilations = [*(others.get("lhs_dilation") or ()), *(others.get("rhs_dilation") or ())]
    plain = lhs.ndim == 4 and feature_group_count == 1 and others.get("precision") is None
    if not plain or any(dilation != 1 for dilation in dilations):
        return jax.lax.conv_general_dilated(
            lhs, rhs, window_strides, padding, feature_group_count=feature_group_count, **others
        )
    strides = (window_strides[0], window_strides[1])
    if isinstance(padding, str):
        padding = jax.lax.padtype_to_pads(lhs.shape[1:3], rhs.shape[:2], strides, padding)
    return _conv2d(lhs, rhs, strides, tuple((low, high) for low, high in padding))


def _convolve(
    x: jax.Array, kernel: jax.Array, strides: _Pair, padding: tuple[_Pair, ...]
) -> jax.Array:
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=_NHWC)


def _forward(
    x: jax.Array, kernel: jax.Array, strides: _Pair, padding: tuple[_Pair, ...]
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _convolve(x, kernel, strides, padding), (x, kernel)


def _backward(
    strides: _Pair,
    padding: tuple[_Pair, ...],
    saved: tuple[jax.Array, jax.Array],
    grad: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    # The other way round than for the kernel's gradient: here padding by XLA is faster.
    (grad_x,) = jax.vjp(lambda x: _convolve(x, kernel, strides, padding), x)[1](grad)
    padded = jnp.pad(x, ((0, 0), *padding, (0, 0)))

    def by_xla(x: jax.Array, grad: jax.Array) -> jax.Array:
        unpadded = ((0, 0), (0, 0))
        (found,) = jax.vjp(lambda kernel: _convolve(x, kernel, strides, unpadded), kernel)[1](grad)
        return found

    if grad.shape[2] * x.shape[-1] < _LONG_ROW:
        return grad_x, by_xla(padded, grad)
    size = (kernel.shape[0], kernel.shape[1])
    by_rows = functools.partial(_kernel_gradient_by_rows, size=size, strides=strides)
    return grad_x, jax.lax.platform_dependent(padded, grad, cpu=by_rows, default=by_xla)


_conv2d = jax.custom_vjp(_convolve, nondiff_argnums=(2, 3))
_conv2d.defvjp(_forward, _backward)


def _kernel_gradient_by_rows(
    x: jax.Array, grad: jax.Array, *, size: _Pair, strides: _Pair
) -> jax.Array:
    """Sum the kernel's gradient over pieces of the output's rows: one matrix product a tap.

    Args:
        x: [B, H, W, C], padded.
        grad: [B, H', W', features], of the output.
        size: rows and columns of the kernel.
        strides: step in rows and in columns.

    Returns:
        [kh, kw, C, features].
    """
    (kh, kw), (row_step, step) = size, strides
    batch, height, width, features = grad.shape
    channels = x.shape[-1]

    def add(total: jax.Array, i: Any, column: Any, num: int) -> jax.Array:
        """Add the part of row i from a column on."""
        image, row = i // height, i % height
        span = (num - 1) * step + 1
        taken = (1, kh, span + kw - 1, channels)
        inputs = jax.lax.dynamic_slice(x, (image, row * row_step, column * step, 0), taken)[0]
        change = jax.lax.dynamic_slice(grad, (image, row, column, 0), (1, 1, num, features))[0, 0]
        taps = [inputs[a, b : b + span : step].T @ change for a in range(kh) for b in range(kw)]
        return total + jnp.stack(taps)

    tile = min(_TILE, width)
    num_tiles, rest = divmod(width, tile)

    def add_row(i: Any, total: jax.Array) -> jax.Array:
        total = jax.lax.fori_loop(
            0, num_tiles, lambda k, total: add(total, i, k * tile, tile), total
        )
        return add(total, i, num_tiles * tile, rest) if rest else total

    total = jnp.zeros((kh * kw, channels, features), grad.dtype)
    total = jax.lax.fori_loop(0, batch * height, add_row, total)
    return total.reshape(kh, kw, channels, features)
