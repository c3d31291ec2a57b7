"""Building blocks that several networks share. All are channels-last: [B, T, C] or [B, H, W, C].

`conv`, `dense` and `BatchNorm` start and behave as PyTorch's layers do by default, since most
systems of this field were published in PyTorch and owe their numbers to it.
"""

import functools
import math
from collections.abc import Collection, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.contract import ModelOutput
from rawnet_jax.nn import batch_norm
from rawnet_jax.nn.batch_norm import Activation, identity
from rawnet_jax.nn.conv2d import conv_general_dilated


def uniform_within(bound: float) -> nn.initializers.Initializer:
    """Return an initializer that draws from U(-bound, bound)."""

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def as_kernel(*arrays: jax.Array | None, **_: Any) -> list[jax.Array | None]:
    """Bring a layer's input to its kernel's dtype: Flax's `promote_dtype` of (input, kernel, bias).

    So a network computes in bfloat16 when its parameters are given in bfloat16.
    """
    dtype = next(array.dtype for array in arrays[1:] if array is not None)
    return [array if array is None else array.astype(dtype) for array in arrays]


def in_float32(output: ModelOutput) -> ModelOutput:
    """Return a model's output in float32, whatever the model computed in."""
    return jax.tree.map(lambda x: x.astype(jnp.float32), output)


def conv(
    in_features: int,
    features: int,
    kernel_size: Sequence[int],
    *,
    strides: int | Sequence[int] = 1,
    padding: Any = "VALID",
    bias: bool = True,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
    kernel_init: nn.initializers.Initializer | None = None,
    name: str | None = None,
) -> nn.Conv:
    """Return a convolution with PyTorch's initial values: U(±1/√fan_in), bias too.

    Args:
        in_features: channels that come in.
        features: channels that go out.
        kernel_size: width per dimension.
        strides: step, one or one per dimension.
        padding: as in `nn.Conv`; ((1, 1), (0, 1)) pads rows by 1 and 1, columns by 0 and 1.
        bias: whether there is one.
        groups: in_features = depthwise.
        dilation: from one tap to the next, one or one per dimension.
        kernel_init: where a system draws its kernels otherwise.
        name: of the sub-module.
    """
    bound = 1.0 / math.sqrt(math.prod(kernel_size) * in_features / groups)
    return nn.Conv(
        features,
        tuple(kernel_size),
        strides,
        padding=padding,
        use_bias=bias,
        feature_group_count=groups,
        kernel_dilation=dilation,
        kernel_init=kernel_init or uniform_within(bound),
        bias_init=uniform_within(bound),
        conv_general_dilated=conv_general_dilated,  # fast kernel gradients on a CPU
        promote_dtype=as_kernel,
        name=name,
    )


def dense(
    in_features: int,
    features: int,
    *,
    bias: bool = True,
    kernel_init: nn.initializers.Initializer | None = None,
    name: str | None = None,
) -> nn.Dense:
    """Return a linear layer with PyTorch's initial values: U(±1/√fan_in), bias too."""
    bound = 1.0 / math.sqrt(in_features)
    return nn.Dense(
        features,
        use_bias=bias,
        kernel_init=kernel_init or uniform_within(bound),
        bias_init=uniform_within(bound),
        promote_dtype=as_kernel,
        name=name,
    )


class BatchNorm(nn.Module):
    """Batch normalisation as PyTorch has it: the running variance is the unbiased one.

    Attributes:
        epsilon: added to the variance.
        momentum: share of the old running statistic kept at each step; PyTorch's .1 is .9 here.
        activation: elementwise, applied to the result; here, and not by the caller, it costs no
            pass over memory of its own.
        unbiased: whether the running variance is the unbiased one; Keras has the other.
    """

    epsilon: float = 1e-5
    momentum: float = 0.9
    activation: Activation = identity
    unbiased: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array, train: bool) -> jax.Array:
        """Normalise each channel over all other axes, and activate.

        Statistics are float32, whatever x is.

        Args:
            x: [B, ..., C].
            mask: bool [B, 1, ..., 1]; statistics are over the rows that are True. Or, for the
                positions of x's second axis from the end, [B, 1, ..., T, 1].
            train: normalise by the batch's statistics and move the running ones.

        Returns:
            The shape and the dtype of x.
        """
        channels = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,)).astype(jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (channels,)).astype(jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,))
        running_var = self.variable("batch_stats", "var", jnp.ones, (channels,))
        rule = (scale, bias, self.epsilon, self.activation)
        if not train:
            return batch_norm.affine(x, running_mean.value, running_var.value, *rule)
        is_of_frames = x.ndim > 2 and mask.shape[-2] > 1
        weighed = (x.shape[0], x.shape[-2]) if is_of_frames else x.shape[:1]
        weight = mask.reshape(-1, *weighed[1:])
        weight = jnp.broadcast_to(weight, weighed).astype(jnp.float32)
        y, mean, var = batch_norm.normalised(x, weight, *rule)
        if not self.is_initializing():
            if self.unbiased:
                num = batch_norm.count(x, weight)
                var = var * num / jnp.maximum(num - 1.0, 1.0)
            running_mean.value += (1.0 - self.momentum) * (mean - running_mean.value)
            running_var.value += (1.0 - self.momentum) * (var - running_var.value)
        return y


class InertBatchNorm(nn.Module):
    """The entries of a BatchNorm that a published network computes and then does not use.

    They take part in nothing; they exist so that its weights go in and out without loss.

    Attributes:
        features: channels.
    """

    features: int

    @nn.compact
    def __call__(self) -> None:
        """Make the entries."""
        self.param("scale", nn.initializers.ones, (self.features,))
        self.param("bias", nn.initializers.zeros, (self.features,))
        self.variable("batch_stats", "mean", jnp.zeros, (self.features,))
        self.variable("batch_stats", "var", jnp.ones, (self.features,))


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def max_pool_1d(x: jax.Array, size: int) -> jax.Array:
    """Max-pool over time with stride = window and no padding (an odd rest is dropped).

    Written as a maximum of strided slices because the gradient of XLA's reduce-window
    (select-and-scatter) is several times slower on a CPU. The gradient goes to the first of equal
    values; for it, a byte per window is kept and not the input.

    Args:
        x: [B, T, C].
        size: frames pooled into one; 1 = no pooling.

    Returns:
        [B, T // size, C].
    """
    return functools.reduce(jnp.maximum, _slices(x, size))


def _slices(x: jax.Array, size: int) -> list[jax.Array]:
    length = x.shape[1] // size * size
    return [x[:, i:length:size] for i in range(size)]


def _pool_forward(x: jax.Array, size: int) -> tuple[jax.Array, tuple[jax.Array, int]]:
    pooled, *others = _slices(x, size)
    first = jnp.zeros(pooled.shape, jnp.int8)
    # Compared one with the other, not each with the largest: XLA may compute a value twice, and the
    # two need not be equal to the last bit.
    for i, part in enumerate(others, start=1):
        first = jnp.where(part > pooled, jnp.int8(i), first)
        pooled = jnp.maximum(pooled, part)
    return pooled, (first, x.shape[1] % size)


def _pool_backward(size: int, kept: tuple[jax.Array, int], grad: jax.Array) -> tuple[jax.Array]:
    first, rest = kept
    batch, length, channels = grad.shape
    is_first = first[:, :, None] == jnp.arange(size, dtype=jnp.int8)[:, None]
    spread = jnp.where(is_first, grad[:, :, None], jnp.zeros((), grad.dtype))
    spread = spread.reshape(batch, length * size, channels)
    return (jnp.pad(spread, ((0, 0), (0, rest), (0, 0))),)


max_pool_1d.defvjp(_pool_forward, _pool_backward)


def safe_sqrt(x: jax.Array) -> jax.Array:
    """Square root with derivative 0 where x is 0, instead of infinity."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1.0)), 0.0)


def check_choice(field: str, value: str, choices: Collection[str]) -> None:
    """Check a network's field that is one of a few words.

    Raises:
        ValueError: for another word, naming the choices.
    """
    if value not in choices:
        raise ValueError(f"{field} is {value!r}; it must be one of {', '.join(choices)}")
