"""Temporal-channel modelling (TCM): a Conformer on a self-supervised encoder.

Truong et al., Temporal-channel modeling in multi-head self-attention for synthetic speech
detection, Interspeech 2024 (arXiv 2406.17376); github.com/ductuantruong/tcm_add. With XLS-R 300M
and T = 66,800:

    encoder, the last state                              [B, 208, 1024]
    Dense 144, BatchNorm of an image with one channel, SELU, + sinusoids of the frame's number
    class token in front                                 [B, 209, 144]
    4 Conformer blocks                                   [B, 209, 144]
    the class token, Dense 2                             [B, 2]

A block is half a feed-forward part, attention, a convolution over time, half a feed-forward part,
each added to its input, and LayerNorm. In attention, each head's share of the channels, averaged
over time, becomes a token of its own, behind the others ("head tokens", after Yan et al., arXiv
2210.05958); what comes out for the class token is added to the means of frames and of head tokens.

Contract: ``waveform [B, T] float32, num_samples [B]`` -> `ModelOutput` with ``logits [B, 2]``
([spoof, bonafide]), ``score`` = the bona fide logit, as published, and ``embedding [B, 144]``.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.contract import ModelOutput
from rawnet_jax.encoders.features import gelu, layer_norm
from rawnet_jax.models.torch_names import TorchNames
from rawnet_jax.models.with_encoder import WithEncoder, image_norm
from rawnet_jax.nn.layers import BatchNorm, conv, dense, in_float32
from rawnet_jax.nn.lengths import Extent

_MOST_FRAMES = 10_000  # rows of the published table of sinusoids
_LONGEST_PERIOD = 10_000


def sinusoids(num_frames: int, features: int) -> np.ndarray:
    """Return sines and cosines in turn, float32 [num_frames, features]."""
    column = np.arange(features)
    angle = np.arange(num_frames)[:, None] / _LONGEST_PERIOD ** (2 * (column // 2) / features)
    angle = angle.astype(np.float32)  # so early in the published code
    return np.where(column % 2, np.cos(angle), np.sin(angle)).astype(np.float32)


class HeadTokenAttention(nn.Module):
    """Attention over class token and frames, and over a token of each head.

    Attributes:
        heads: they share the channels.
    """

    heads: int

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent) -> jax.Array:
        """Attend.

        Args:
            x: [B, 1 + T, C], the class token first.
            extent: which of these count.

        Returns:
            The same shape.
        """
        batch, count, channels = x.shape
        share = channels // self.heads
        tokens = jnp.concatenate([x, self._head_tokens(extent.mean(x, 1))], axis=1)
        qkv = dense(channels, 3 * channels, bias=False, name="qkv")(tokens)
        query, key, value = jnp.moveaxis(qkv.reshape(batch, -1, 3, self.heads, share), 2, 0)
        logits = jnp.einsum("bqhd,bkhd->bhqk", query, key) * share**-0.5
        weight = extent.followed_by(self.heads).softmax(logits, axis=-1)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", weight, value).reshape(batch, -1, channels)
        y = dense(channels, channels, name="proj")(mixed)
        frames, heads = y[:, 1:count], y[:, count:]
        of_frames = extent.shortened(1).mean(frames, 1, keepdims=True)
        first = y[:, :1] + heads.mean(1, keepdims=True) + of_frames
        return jnp.concatenate([first, frames], axis=1)

    def _head_tokens(self, mean: jax.Array) -> jax.Array:
        """Return a token for each head's share of the mean over time, [B, heads, C]."""
        batch, channels = mean.shape
        share = channels // self.heads
        x = dense(share, channels, name="ht_proj")(mean.reshape(batch, self.heads, share))
        x = x.reshape(batch, self.heads, self.heads, share)
        x = gelu(layer_norm("ht_norm")(x)).reshape(batch, self.heads, channels)
        position = self.param("pos_embed", nn.initializers.zeros, (1, self.heads, channels))
        return x + position


class FeedForward(nn.Module):
    """LayerNorm and two linear layers with SiLU between them.

    Attributes:
        factor: inner channels per outer channel.
    """

    factor: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [B, N, C] to the same shape."""
        channels = x.shape[-1]
        inside = dense(channels, channels * self.factor, name="net_0")(layer_norm("norm")(x))
        return dense(channels * self.factor, channels, name="net_3")(nn.silu(inside))


class ConvModule(nn.Module):
    """LayerNorm, gated linear layer, depthwise convolution over time, BatchNorm, linear layer.

    Attributes:
        factor: inner channels per outer channel.
        kernel: width of the convolution, in frames.
    """

    factor: int
    kernel: int

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent, train: bool) -> jax.Array:
        """Map [B, N, C] to the same shape."""
        channels = x.shape[-1]
        inner = channels * self.factor
        y = conv(channels, 2 * inner, (1,), name="net_2")(layer_norm("net_0")(x))
        y, gate = jnp.split(y, 2, axis=-1)
        y = extent.cleared(y * nn.sigmoid(gate))
        padding = ((self.kernel // 2, (self.kernel - 1) // 2),)
        y = conv(inner, inner, (self.kernel,), padding=padding, groups=inner, name="net_4")(y)
        y = BatchNorm(activation=nn.silu, name="net_5")(y, extent.mask(y), train)
        return conv(inner, channels, (1,), name="net_7")(y)


class ConformerBlock(nn.Module):
    """Feed-forward, attention, convolution, feed-forward; see the module's docstring.

    Attributes:
        heads: of attention.
        feed_forward: channels inside a feed-forward part to those outside.
        conv_factor: channels inside the convolution's part to those outside.
        kernel: frames that a convolution sees.
    """

    heads: int
    feed_forward: int
    conv_factor: int
    kernel: int

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent, train: bool) -> jax.Array:
        """Map [B, N, C] to the same shape."""
        x = x + FeedForward(self.feed_forward, name="ff1")(x) * 0.5
        attention = HeadTokenAttention(self.heads, name="attn")
        x = x + attention(layer_norm("attn_norm")(x), extent)
        x = x + ConvModule(self.conv_factor, self.kernel, name="conv")(x, extent, train)
        x = x + FeedForward(self.feed_forward, name="ff2")(x) * 0.5
        return layer_norm("post_norm")(x)


class SslTcm(WithEncoder):
    """A Conformer with head tokens; every number of the published one is a field.

    Attributes:
        features: channels of the Conformer.
        heads: of its attention; they share the channels.
        blocks: how many.
        feed_forward: channels inside a feed-forward part to those outside.
        conv_factor: channels inside the convolution's part to those outside.
        kernel: frames that a convolution sees.
    """

    features: int = 144
    heads: int = 4
    blocks: int = 4
    feed_forward: int = 4
    conv_factor: int = 2
    kernel: int = 31

    @nn.compact
    def __call__(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool = False
    ) -> ModelOutput:
        """Score clips; see the module's docstring for shapes.

        Raises:
            ValueError: if `heads` does not divide `features`.
        """
        if self.features % self.heads:
            raise ValueError(f"heads is {self.heads}; it must divide features, {self.features}")
        found = self.encoded(waveform, num_samples, train=train)
        x = dense(found.last.shape[-1], self.features, name="LL")(found.last)
        x = image_norm(x, found.extent, train)
        x = x + sinusoids(x.shape[1], self.features).astype(x.dtype)
        token = self.param("class_token", nn.initializers.uniform(1.0), (1, self.features))
        first = jnp.broadcast_to(token, (x.shape[0], 1, self.features)).astype(x.dtype)
        x, extent = jnp.concatenate([first, x], axis=1), found.extent.shortened(-1)
        for i in range(self.blocks):
            block = ConformerBlock(
                self.heads, self.feed_forward, self.conv_factor, self.kernel, name=f"block_{i}"
            )
            x = block(x, extent, train)
        embedding = x[:, 0]
        logits = dense(self.features, 2, name="fc5")(embedding)
        return in_float32(ModelOutput(score=logits[:, 1], logits=logits, embedding=embedding))


def _published_sinusoids(features: int) -> np.ndarray:
    return sinusoids(_MOST_FRAMES, features)[None]


TORCH_NAMES = TorchNames(
    rules=(
        (r"^block_(\d+)/attn_norm/", r"block_\1/attn/norm/"),
        (r"^block_(\d+)/attn/(?!norm/)", r"block_\1/attn/fn/"),
        (r"^block_(\d+)/(ff[12])/norm/", r"block_\1/\2/fn/norm/"),
        (r"^block_(\d+)/(ff[12])/net_(\d)/", r"block_\1/\2/fn/fn/net/\3/"),
        (r"/conv/net_4/", r"/conv/net/4/conv/"),
        (r"/conv/net_(\d)/", r"/conv/net/\1/"),
        (r"^block_(\d+)/", r"conformer/encoder_blocks/\1/"),
        (r"^(class_token|fc5/.*)$", r"conformer/\1"),
    ),
    # A table that is not trained, yet part of the published state dict.
    constants={"conformer.positional_emb": ("conformer.class_token", _published_sinusoids)},
    encoder="ssl_model.model.",
)
