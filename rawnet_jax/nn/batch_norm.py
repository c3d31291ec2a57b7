"""Batch normalisation with an activation behind it, in as few passes over memory as it takes.

Activations of a raw-waveform network are hundreds of megabytes: what such a layer costs is how
often it reads and writes them. The gradient is written out, so that the backward pass keeps nothing
but the layer's input (JAX's own keeps the centred input, the mask at full size and what the
activation was computed from) and goes over it twice.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

Activation = Callable[[jax.Array], jax.Array]

_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


def identity(x: jax.Array) -> jax.Array:
    """Return x."""
    return x


def selu(x: jax.Array) -> jax.Array:
    """Scaled exponential linear unit, by exp(x) - 1.

    `jax.nn.selu` computes expm1(x), which is more exact near 0 (here the error is up to 1e-7,
    which is float32's beside values of order 1) and takes three times as long on a CPU.
    """
    positive = x > 0
    negative = _SELU_ALPHA * (jnp.exp(jnp.where(positive, 0.0, x)) - 1.0)
    return _SELU_SCALE * jnp.where(positive, x, negative)


def affine(
    x: jax.Array,
    mean: jax.Array,
    var: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    epsilon: float,
    activation: Activation,
) -> jax.Array:
    """Return activation(scale (x - mean) / √(var + epsilon) + bias), in x's dtype."""
    factor = scale * jax.lax.rsqrt(var + epsilon)
    y = x.astype(jnp.float32) * factor + (bias - mean * factor)
    return activation(y).astype(x.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def normalised(
    x: jax.Array,
    weight: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    epsilon: float,
    activation: Activation,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalise each channel over all other axes by its own mean and variance.

    Args:
        x: [B, ..., C].
        weight: 1 = takes part in the statistics, 0 = does not; float32 [B] for rows of x, or
            [B, T] for positions of its second axis from the end.
        scale: float32 [C].
        bias: float32 [C].
        epsilon: added to the variance.
        activation: elementwise, applied to the result.

    Returns:
        The result in the shape and the dtype of x; mean and (biased) variance, float32 [C], through
        which no gradient goes.
    """
    mean, var = _statistics(x, weight)
    return affine(x, mean, var, scale, bias, epsilon, activation), mean, var


def count(x: jax.Array, weight: jax.Array) -> jax.Array:
    """Return how many values of a channel take part in the statistics; at least 1."""
    positions = x.size // (weight.size * x.shape[-1])
    return jnp.maximum(weight.sum() * positions, 1.0)


def _statistics(x: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
    inner = tuple(range(1, x.ndim - 1))
    x, num = x.astype(jnp.float32), count(x, weight)
    if weight.ndim > 1:
        axes, spread = (0, *inner), _spread(weight, x.ndim)
        mean = (spread * x).sum(axes) / num
        return mean, (spread * jnp.square(x - mean)).sum(axes) / num
    # Rows are weighed after they are summed: at full size the mask would be another activation.
    mean = weight @ x.sum(inner) / num
    return mean, weight @ jnp.square(x - mean).sum(inner) / num


def _spread(weight: jax.Array, ndim: int) -> jax.Array:
    """Shape [B] to [B, 1, …, 1] or [B, T] to [B, 1, …, T, 1]."""
    rows, *frames = weight.shape
    ones = (1,) * (ndim - 1 - 2 * len(frames))
    return weight.reshape(rows, *ones, *frames, *(1,) * len(frames))


_Saved = tuple[jax.Array, ...]


def _forward(
    x: jax.Array,
    weight: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    epsilon: float,
    activation: Activation,
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], _Saved]:
    y, mean, var = normalised(x, weight, scale, bias, epsilon, activation)
    return (y, mean, var), (x, weight, scale, bias, mean, var)


def _backward(
    epsilon: float, activation: Activation, saved: _Saved, grads: tuple[jax.Array, ...]
) -> tuple[jax.Array | None, ...]:
    # Without the barrier XLA would keep the forward pass's intermediates instead of forming them
    # again.
    saved, grad = jax.lax.optimization_barrier((saved, grads[0]))
    x, weight, scale, bias, mean, var = saved
    dtype, axes = x.dtype, tuple(range(x.ndim - 1))
    x, grad = x.astype(jnp.float32), grad.astype(jnp.float32)
    inverse = jax.lax.rsqrt(var + epsilon)
    factor = scale * inverse
    (grad,) = jax.vjp(activation, x * factor + (bias - mean * factor))[1](grad)
    grad_bias = grad.sum(axes)
    grad_scale = inverse * (grad * (x - mean)).sum(axes)
    slope = grad_scale * inverse / count(x, weight)
    offset = grad_bias / count(x, weight)
    grad_x = factor * (grad - _spread(weight, x.ndim) * (slope * (x - mean) + offset))
    return grad_x.astype(dtype), None, grad_scale, grad_bias


normalised.defvjp(_forward, _backward)
