"""The Conv1D classifier: a small convolution stack over one second of raw waveform.

The "RawNet2-inspired" Keras network that this project grew from, with its 13,409 values (13,217
trained, 192 running statistics of BatchNorm):

    Conv 32, width 80, stride 16 - ReLU - BatchNorm            - dropout .3   [B, T/16, 32]
    Conv 64, width  3, stride  1 - ReLU - BatchNorm - max 2    - dropout .3   [B, T/32, 64]
    mean over time - Dense 64 - ReLU - dropout .5 - Dense 1                   [B]

Contract: ``waveform [B, T] float32, num_samples [B]`` -> `ModelOutput` with ``logits [B]`` (log
odds of bona fide speech, which is also the score) and ``embedding [B, 64]``. Any T of at least 32
samples works; the published network has T = 16,000. A short clip is padded with zeros by the
loader, and the zeros count as signal, as they do in the original. With `variable_length` they do
not, and any T works: a clip below `shortest` samples is followed by zeros up to there. The windows
of a convolution then begin where they would for a T that its stride divides.

Keras calls the positive class spoof; here the last layer's sign is the other way round, so that
the logit points to bona fide speech.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.contract import ModelOutput, is_real
from rawnet_jax.nn.dropout import Dropout
from rawnet_jax.nn.layers import (
    BatchNorm,
    as_kernel,
    check_choice,
    in_float32,
    max_pool_1d,
    safe_sqrt,
)
from rawnet_jax.nn.lengths import Extent, clips_alone

POOLINGS = ("mean", "max", "attentive_statistics")


class AttentiveStatisticsPooling(nn.Module):
    """Weighted mean and weighted standard deviation over time, weights by a small network.

    Okabe, Koshinaka, Shinoda, "Attentive statistics pooling for deep speaker embedding",
    Interspeech 2018, equations 1 to 5, with tanh: e_t = v·tanh(W h_t + b), α = softmax_t(e). (A
    bias of e would do nothing.)

    Attributes:
        features: rows of W.
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array, extent: Extent) -> jax.Array:
        """Map [B, T, C], of which `extent` counts, to [B, 2 C]."""
        dense = partial(nn.Dense, promote_dtype=as_kernel)
        hidden = jnp.tanh(dense(self.features, name="hidden")(x))
        weight = extent.softmax(dense(1, use_bias=False, name="score")(hidden))
        self.sow("intermediates", "pooling_weight", weight)
        x = extent.cleared(x)
        mean = (weight * x).sum(axis=1)
        variance = (weight * jnp.square(x - mean[:, None])).sum(axis=1)
        return jnp.concatenate([mean, safe_sqrt(variance)], axis=-1)


class Conv1DClassifier(nn.Module):
    """Raw-waveform classifier; every number of the published network is a field.

    Attributes:
        channels: filters of each convolution.
        kernel_sizes: width of each convolution in frames of its input.
        strides: stride of each convolution.
        pool_sizes: max-pooling after each convolution; 1 = none.
        block_dropout: dropout rate after each convolution.
        hidden_features: width of the dense layer, and of the embedding.
        hidden_dropout: dropout rate after the dense layer.
        bn_momentum: share of the old running statistic kept at each step (Keras: .99).
        bn_epsilon: added to the variance (Keras: 1e-3).
        pooling: over time, before the dense layer: mean (published), max or attentive_statistics
            (`AttentiveStatisticsPooling`).
        attention_features: width of attentive_statistics' hidden layer; read for it alone.
        variable_length: padding is not a part of a clip (`rawnet_jax.nn.lengths`).
    """

    channels: tuple[int, ...] = (32, 64)
    kernel_sizes: tuple[int, ...] = (80, 3)
    strides: tuple[int, ...] = (16, 1)
    pool_sizes: tuple[int, ...] = (1, 2)
    block_dropout: tuple[float, ...] = (0.3, 0.3)
    hidden_features: int = 64
    hidden_dropout: float = 0.5
    bn_momentum: float = 0.99
    bn_epsilon: float = 1e-3
    pooling: str = "mean"
    attention_features: int = 64
    variable_length: bool = False

    @property
    def shortest(self) -> int:
        """Samples of a clip from which one frame reaches the pooling over time."""
        length = 1
        for stride, pool in zip(reversed(self.strides), reversed(self.pool_sizes), strict=True):
            length = (length * pool - 1) * stride + 1
        return length

    @nn.compact
    def __call__(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool = False
    ) -> ModelOutput:
        """Score clips; see the module's docstring for shapes.

        Raises:
            ValueError: for an unknown `pooling`.
        """
        check_choice("pooling", self.pooling, POOLINGS)
        extent = Extent(is_real(num_samples))
        if self.variable_length:
            waveform, extent = clips_alone(waveform, num_samples, self.shortest)
        glorot = nn.initializers.glorot_uniform()
        dense = partial(nn.Dense, kernel_init=glorot, promote_dtype=as_kernel)
        batch_norm = partial(BatchNorm, self.bn_epsilon, self.bn_momentum, unbiased=False)
        x = waveform[:, :, None]
        blocks = zip(
            self.channels,
            self.kernel_sizes,
            self.strides,
            self.pool_sizes,
            self.block_dropout,
            strict=True,
        )
        for i, (features, width, stride, pool, dropout) in enumerate(blocks):
            x = nn.Conv(
                features,
                (width,),
                (stride,),
                padding=extent.padding(x, (width,), (stride,)),
                kernel_init=glorot,
                promote_dtype=as_kernel,
                name=f"conv_{i}",
            )(extent.cleared(x))
            extent = extent.strided(stride)
            x = batch_norm(name=f"norm_{i}")(nn.relu(x), extent.mask(x), train)
            x, extent = Dropout(dropout)(max_pool_1d(x, pool), train), extent.pooled(pool)
        x = self._pooled(x, extent)
        embedding = nn.relu(dense(self.hidden_features, name="hidden")(x))
        x = Dropout(self.hidden_dropout)(embedding, train)
        logits = dense(1, name="head")(x)[:, 0]
        return in_float32(ModelOutput(score=logits, logits=logits, embedding=embedding))

    def _pooled(self, x: jax.Array, extent: Extent) -> jax.Array:
        """Map [B, T, C] to [B, C], or [B, 2 C] for attentive_statistics."""
        if self.pooling == "mean":
            return extent.mean(x, 1)
        if self.pooling == "max":
            return extent.max(x)
        return AttentiveStatisticsPooling(self.attention_features, name="attention")(x, extent)
