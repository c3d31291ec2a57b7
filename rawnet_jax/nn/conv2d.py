"""2-D convolution that is fast on a CPU where XLA's own is not; elsewhere it is XLA's own.

What XLA does slowly on a CPU (JAX 0.10.2), and `rawnet_jax.nn.conv2d_cpu` otherwise:

    the kernel's gradient      may leave the fast path, and takes two hundred times as long as the
                               forward pass (23 s for [4, 23, 3541, 32] and 2 x 3)
    one input channel          twice to six times as long as a sum of products
    the input's gradient       with stride 2, four times the products
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from rawnet_jax.nn import conv2d_cpu

_NHWC = ("NHWC", "HWIO", "NHWC")
# Taps of a kernel over one channel up to which the convolution is written as a sum.
_FEW_TAPS = 9
# Values (positions times channels) of a map; for less, XLA's kernel gradient is as good as a loop.
_LARGE_MAP = 8_192

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


def _by_xla(
    x: jax.Array, kernel: jax.Array, strides: _Pair, padding: tuple[_Pair, ...]
) -> jax.Array:
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=_NHWC)


def _is_sum(kernel: jax.Array, strides: _Pair) -> bool:
    """Whether the convolution is a short sum of one channel's products."""
    return kernel.shape[2] == 1 and strides == (1, 1) and math.prod(kernel.shape[:2]) <= _FEW_TAPS


def _padded(x: jax.Array, padding: tuple[_Pair, ...]) -> jax.Array:
    return jnp.pad(x, ((0, 0), *padding, (0, 0)))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _conv2d(
    x: jax.Array, kernel: jax.Array, strides: _Pair, padding: tuple[_Pair, ...]
) -> jax.Array:
    if not _is_sum(kernel, strides):
        return _by_xla(x, kernel, strides, padding)
    return jax.lax.platform_dependent(
        x,
        kernel,
        cpu=lambda x, kernel: conv2d_cpu.from_one_channel(_padded(x, padding), kernel),
        default=lambda x, kernel: _by_xla(x, kernel, strides, padding),
    )


def _forward(
    x: jax.Array, kernel: jax.Array, strides: _Pair, padding: tuple[_Pair, ...]
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _conv2d(x, kernel, strides, padding), (x, kernel)


def _backward(
    strides: _Pair,
    padding: tuple[_Pair, ...],
    saved: tuple[jax.Array, jax.Array],
    grad: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    return jax.lax.platform_dependent(
        x,
        kernel,
        grad,
        cpu=functools.partial(_gradients_on_cpu, strides, padding),
        default=functools.partial(_gradients_by_xla, strides, padding),
    )


def _gradients_by_xla(
    strides: _Pair,
    padding: tuple[_Pair, ...],
    x: jax.Array,
    kernel: jax.Array,
    grad: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    by_xla = functools.partial(_by_xla, strides=strides, padding=padding)
    grad_x, grad_kernel = jax.vjp(by_xla, x, kernel)[1](grad)
    return grad_x, grad_kernel


def _gradients_on_cpu(
    strides: _Pair,
    padding: tuple[_Pair, ...],
    x: jax.Array,
    kernel: jax.Array,
    grad: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    # Each is used several times below; XLA would form it as often from what it comes from.
    x, grad = jax.lax.optimization_barrier((x, grad))
    padded = _padded(x, padding)
    (top, _), (left, _) = padding
    inside = (slice(None), slice(top, top + x.shape[1]), slice(left, left + x.shape[2]))
    if _is_sum(kernel, strides):
        grad_x, grad_kernel = conv2d_cpu.one_channel_gradients(padded, kernel, grad)
        return grad_x[inside], grad_kernel
    if strides == (1, 1):
        (grad_x,) = jax.vjp(lambda x: _by_xla(x, kernel, strides, padding), x)[1](grad)
    else:
        size = (padded.shape[1], padded.shape[2])
        grad_x = conv2d_cpu.strided_input_gradient(grad, kernel, strides, size)[inside]
    if math.prod(grad.shape[1:3]) * x.shape[-1] < _LARGE_MAP:
        unpadded = functools.partial(_by_xla, padded, strides=strides, padding=((0, 0), (0, 0)))
        (grad_kernel,) = jax.vjp(unpadded, kernel)[1](grad)
        return grad_x, grad_kernel
    size = (kernel.shape[0], kernel.shape[1])
    return grad_x, conv2d_cpu.kernel_gradient(padded, grad, size, strides)


_conv2d.defvjp(_forward, _backward)
