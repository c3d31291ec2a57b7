"""From samples to frames: normalisation, seven convolutions, a projection, a position embedding.

A frame that is not clip reaches no other: `rawnet_jax.nn.lengths`.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.encoders.config import Wav2Vec2Config
from rawnet_jax.nn.dropout import Dropout
from rawnet_jax.nn.grouped_conv import over_time
from rawnet_jax.nn.layers import BatchNorm, conv, dense, uniform_within
from rawnet_jax.nn.lengths import Extent

EPSILON = 1e-5
_INPUT_EPSILON = {"hf": 1e-7, "layer_norm": EPSILON}


def layer_norm(name: str) -> nn.LayerNorm:
    """Return a LayerNorm over channels, with statistics in float32 and of two passes."""
    return nn.LayerNorm(epsilon=EPSILON, use_fast_variance=False, name=name)


def gelu(x: jax.Array) -> jax.Array:
    """Return x Φ(x), without the usual approximation."""
    return nn.gelu(x, approximate=False)


def normalised_input(waveform: jax.Array, num_samples: jax.Array, input_norm: str) -> jax.Array:
    """Bring each clip to mean 0 and variance 1, over its own samples.

    Args:
        waveform: float32 [B, T].
        num_samples: int32 [B]; what is behind them stays as it is.
        input_norm: a word of `rawnet_jax.encoders.config.INPUT_NORMS`.
    """
    if input_norm == "none":
        return waveform
    inside = jnp.arange(waveform.shape[1]) < num_samples[:, None]
    count = jnp.maximum(num_samples, 1)[:, None].astype(jnp.float32)
    mean = jnp.where(inside, waveform, 0.0).sum(axis=1, keepdims=True) / count
    centered = jnp.where(inside, waveform - mean, 0.0)
    variance = jnp.square(centered).sum(axis=1, keepdims=True) / count
    scaled = (waveform - mean) * jax.lax.rsqrt(variance + _INPUT_EPSILON[input_norm])
    return jnp.where(inside, scaled, waveform)


class TimeNorm(nn.Module):
    """Normalise each channel over a clip's frames: GroupNorm with a group per channel."""

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent) -> jax.Array:
        """Map [B, T, C], of which `extent` counts, to the same shape; statistics are float32."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        wide = x.astype(jnp.float32)
        centered = wide - extent.mean(wide, 1, keepdims=True)
        variance = extent.mean(jnp.square(centered), 1, keepdims=True)
        return (centered * jax.lax.rsqrt(variance + EPSILON) * scale + bias).astype(x.dtype)


class ConvFeatures(nn.Module):
    """The convolutions over samples; 20 ms of them make a frame of 25 ms.

    Attributes:
        config: of the encoder.
    """

    config: Wav2Vec2Config

    @nn.compact
    def __call__(self, waveform: jax.Array, extent: Extent) -> tuple[jax.Array, Extent]:
        """Map [B, T] to [B, frames, conv_features], with how much of it is clip."""
        config = self.config
        x, channels = waveform[..., None], 1
        sizes = zip(config.conv_kernels, config.conv_strides, strict=True)
        for i, (kernel, stride) in enumerate(sizes):
            x = conv(
                channels,
                config.conv_features,
                (kernel,),
                strides=stride,
                bias=config.conv_bias,
                name=f"conv_{i}",
            )(x)
            extent, channels = extent.shortened(kernel - 1).strided(stride), config.conv_features
            if config.conv_norm == "layer":
                x = layer_norm(f"norm_{i}")(x)
            elif i == 0:
                x = TimeNorm(name="norm_0")(x, extent)
            x = gelu(x)
        return x, extent


class Projection(nn.Module):
    """From the convolutions' channels to the transformer's.

    Attributes:
        config: of the encoder.
    """

    config: Wav2Vec2Config

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Map [B, T, conv_features] to [B, T, width]."""
        if self.config.projection_norm:
            x = layer_norm("norm")(x)
        x = dense(self.config.conv_features, self.config.width, name="projection")(x)
        return Dropout(self.config.input_dropout)(x, train)


class WeightNormConv(nn.Module):
    """Grouped convolution over time, whose kernel is a direction and a length per position.

    Attributes:
        features: channels, in and out.
        width: frames that an output sees.
        groups: of channels.
    """

    features: int
    width: int
    groups: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [B, T, features] to the same shape."""
        direction = _Direction(self.features, self.width, self.groups, name="direction")()
        length = self.param("length", nn.initializers.ones, (1, 1, self.width))
        start, _ = _start(self.features, self.width, self.groups)
        bias = self.param("bias", start, (self.features,))
        wide = direction.astype(jnp.float32)
        norm = jnp.sqrt(jnp.square(wide).sum(axis=(1, 2), keepdims=True))
        kernel = (wide * (length.reshape(-1, 1, 1) / norm)).astype(direction.dtype)
        return over_time(x.astype(kernel.dtype), kernel, self.groups) + bias


class _Direction(nn.Module):
    """A kernel [width, features / groups, features] under the name that kernels have."""

    features: int
    width: int
    groups: int

    @nn.compact
    def __call__(self) -> jax.Array:
        start, shape = _start(self.features, self.width, self.groups)
        kernel: jax.Array = self.param("kernel", start, shape)
        return kernel


class GroupedConv(nn.Module):
    """Grouped convolution over time with a plain kernel; attributes as of `WeightNormConv`."""

    features: int
    width: int
    groups: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [B, T, features] to the same shape."""
        start, shape = _start(self.features, self.width, self.groups)
        kernel = self.param("kernel", start, shape)
        bias = self.param("bias", start, (self.features,))
        return over_time(x.astype(kernel.dtype), kernel, self.groups) + bias


def _start(features: int, width: int, groups: int) -> tuple[Any, tuple[int, int, int]]:
    """Return what draws parameters of a grouped convolution, and its kernel's shape."""
    inputs = features // groups
    return uniform_within((width * inputs) ** -0.5), (width, inputs, features)


class PositionEmbedding(nn.Module):
    """What a wide convolution over the frames says of their order.

    Attributes:
        config: of the encoder.
    """

    config: Wav2Vec2Config

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent, train: bool) -> jax.Array:
        """Map [B, T, width], zero where `extent` does not count, to what is added to it."""
        config = self.config
        sizes = (config.width, config.position_kernel, config.position_groups)
        if not config.position_batch_norm:
            return gelu(WeightNormConv(*sizes, name="conv")(x))
        x = BatchNorm(epsilon=EPSILON, name="batch_norm")(x, extent.mask(x), train)
        return gelu(GroupedConv(*sizes, name="conv")(extent.cleared(x)))
