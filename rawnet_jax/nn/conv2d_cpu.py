"""Parts of a 2-D convolution for which XLA has no fast way on a CPU, written in other operations.

All take stride and kernel size as (rows, columns) and maps as [B, H, W, C].
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

# Values of the input taken at a time for the kernel's gradient: with what is made of them they stay
# in the cache, and the products are large enough for two cores to share.
_STEP = 160_000
# From so many channels on, one product for all taps is worth copying its input together.
_WIDE = 64

_Pair = tuple[int, int]
_Add = Callable[[Any, jax.Array], jax.Array]


def kernel_gradient(x: jax.Array, grad: jax.Array, size: _Pair, strides: _Pair) -> jax.Array:
    """Return the kernel's gradient, summed over pieces of the map.

    Args:
        x: [B, H, W, C], padded.
        grad: [B, H', W', features], of the output.
        size: of the kernel.
        strides: of the convolution.

    Returns:
        [kh, kw, C, features].
    """
    (kh, kw), (row_step, step) = size, strides
    batch, height, width, features = grad.shape
    channels = x.shape[-1]
    positions = max(_STEP // channels, 1)
    tile, rows = min(positions, width), min(max(positions // width, 1), height)

    def add(total: jax.Array, start: tuple[Any, ...], num_rows: int, num: int) -> jax.Array:
        """Add the part of some rows and columns from a start (image, row, column)."""
        image, row, column = start
        row_span, span = (num_rows - 1) * row_step + 1, (num - 1) * step + 1
        taken = (1, row_span + kh - 1, span + kw - 1, channels)
        begin = (image, row * row_step, column * step, 0)
        inputs = jax.lax.dynamic_slice(x, begin, taken)[0]
        change = jax.lax.dynamic_slice(grad, (*start, 0), (1, num_rows, num, features))
        taps = [
            inputs[a : a + row_span : row_step, b : b + span : step].reshape(-1, channels)
            for a in range(kh)
            for b in range(kw)
        ]
        return total + _products(taps, change.reshape(-1, features))

    def add_rows(total: jax.Array, image: Any, row: Any, num_rows: int) -> jax.Array:
        def add_tile(k: Any, total: jax.Array) -> jax.Array:
            return add(total, (image, row, k * tile), num_rows, tile)

        whole, rest = divmod(width, tile)
        total = _loop(whole, add_tile, total)
        return add(total, (image, row, whole * tile), num_rows, rest) if rest else total

    def add_image(image: Any, total: jax.Array) -> jax.Array:
        whole, rest = divmod(height, rows)
        total = _loop(whole, lambda k, total: add_rows(total, image, k * rows, rows), total)
        return add_rows(total, image, whole * rows, rest) if rest else total

    total = _loop(batch, add_image, jnp.zeros((kh * kw, channels, features), jnp.float32))
    return total.reshape(kh, kw, channels, features).astype(grad.dtype)


def _products(taps: list[jax.Array], change: jax.Array) -> jax.Array:
    """Return [taps, C, features], float32, of inputs [N, C] per tap and [N, features]."""

    def product(inputs: jax.Array) -> jax.Array:
        return jnp.dot(inputs.T, change, preferred_element_type=jnp.float32)

    if taps[0].shape[1] < _WIDE:
        return jnp.stack([product(tap) for tap in taps])
    return product(jnp.concatenate(taps, axis=1)).reshape(len(taps), -1, change.shape[1])


def _loop(count: int, body: _Add, total: jax.Array) -> jax.Array:
    return body(0, total) if count == 1 else jax.lax.fori_loop(0, count, body, total)


def strided_input_gradient(
    grad: jax.Array, kernel: jax.Array, strides: _Pair, padded: _Pair
) -> jax.Array:
    """Return the gradient of the padded input of a convolution with stride.

    XLA would spread the output's gradient out with zeros between and convolve that: with a stride
    of 2, three quarters of its products are with zeros. Here the values that a stride keeps apart
    are convolved apart, each with its own taps, and put together.

    Args:
        grad: [B, H', W', features], of the output.
        kernel: [kh, kw, C, features].
        strides: of the convolution.
        padded: rows and columns of the input, padded.

    Returns:
        [B, *padded, C].
    """
    (row_step, step), (height, width) = strides, padded
    lengths = (-(-height // row_step), -(-width // step))
    phases = [
        [_phase(grad, kernel[a::row_step, b::step], lengths) for b in range(step)]
        for a in range(row_step)
    ]
    spread = jnp.stack([jnp.stack(row, axis=3) for row in phases], axis=2)
    size = (lengths[0] * row_step, lengths[1] * step)
    spread = spread.reshape(grad.shape[0], *size, kernel.shape[2])
    return spread[:, :height, :width]


def _phase(grad: jax.Array, taps: jax.Array, lengths: _Pair) -> jax.Array:
    """Convolve with the reversed taps [kh, kw, C, features], to a size of [B, *lengths, C]."""
    if not math.prod(taps.shape):
        return jnp.zeros((grad.shape[0], *lengths, taps.shape[2]), grad.dtype)
    padding = [
        (num - 1, length - size)
        for num, length, size in zip(taps.shape[:2], lengths, grad.shape[1:3], strict=True)
    ]
    flipped = taps[::-1, ::-1].swapaxes(2, 3)
    return jax.lax.conv_general_dilated(
        grad, flipped, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def from_one_channel(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolve one channel, unpadded and without stride: a sum that XLA joins with what follows.

    Args:
        x: [B, H, W, 1].
        kernel: [kh, kw, 1, features].
    """
    products = [tap[..., None] * weight for tap, weight in _shifted(x, kernel)]
    return functools.reduce(jnp.add, products)


def one_channel_gradients(
    x: jax.Array, kernel: jax.Array, grad: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return the gradients of `from_one_channel` by x and by the kernel."""
    kh, kw, _, features = kernel.shape
    by_tap = grad @ kernel.reshape(-1, features).T
    parts = [
        jnp.pad(by_tap[..., a * kw + b], ((0, 0), (a, kh - 1 - a), (b, kw - 1 - b)))
        for a in range(kh)
        for b in range(kw)
    ]
    taps = jnp.stack([tap for tap, _ in _shifted(x, kernel)]).reshape(kh * kw, -1)
    flat = grad.reshape(-1, features)
    grad_kernel = jnp.dot(taps, flat, preferred_element_type=jnp.float32)
    return functools.reduce(jnp.add, parts)[..., None], grad_kernel.astype(grad.dtype).reshape(
        kernel.shape
    )


def _shifted(x: jax.Array, kernel: jax.Array) -> list[tuple[jax.Array, jax.Array]]:
    """Return for each tap the part of the map that it meets, [B, H', W'], and its weights."""
    kh, kw = kernel.shape[:2]
    height, width = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    return [
        (x[:, a : a + height, b : b + width, 0], kernel[a, b, 0])
        for a in range(kh)
        for b in range(kw)
    ]
