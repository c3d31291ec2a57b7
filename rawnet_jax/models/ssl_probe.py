"""The linear probe: one layer of a frozen speech encoder, pooled over time, and one linear layer.

    encoder, its first layers (`rawnet_jax.encoders`)      the state h_k  [B, frames, width]
    pooling over time, see `rawnet_jax.poolings`                               [B, D]
    standardised with mean and variance of the training clips             [B, D]
    linear                                                                [B]

Contract: ``waveform [B, T] float32, num_samples [B]`` -> `ModelOutput` with ``logits [B]`` (log
odds of bona fide speech, which is also the score) and ``embedding [B, D]``, standardised. Layers
above the chosen one are not in the network: `EncoderConfig.first_layers`.

Source: the recipe of AI4T's detector, XLS-R 2B, layer 9, mean, logistic regression. ``python -m
rawnet_jax probe`` finds layer, pooling and linear layer and writes the run; docs/probe.md.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.contract import ModelOutput
from rawnet_jax.errors import ConfigError
from rawnet_jax.models.with_encoder import WithEncoder
from rawnet_jax.nn.layers import check_choice, dense, safe_sqrt
from rawnet_jax.nn.lengths import Extent
from rawnet_jax.poolings import POOLINGS, STATISTICS

_EPSILON = 1e-12  # of a variance, so that a constant channel is divided by something


def statistic(name: str, x: jax.Array, extent: Extent) -> jax.Array:
    """Return one of `STATISTICS` over time.

    Args:
        name: which one.
        x: float32 [B, T, C].
        extent: which frames count.

    Returns:
        float32 [B, C].
    """
    if name == "max":
        return extent.max(x)
    mean = extent.mean(x, 1)
    if name == "mean":
        return mean
    return safe_sqrt(extent.mean(jnp.square(extent.cleared(x) - mean[:, None]), 1))


class LayerStatistics(WithEncoder):
    """Statistics over time of several hidden states at once: what a probe is fitted to.

    Attributes:
        layers: k of each state h_k, from 0 (what goes into the first layer) to the last layer.
        statistics: some of `STATISTICS`.
    """

    layers: Sequence[int] = (0,)
    statistics: Sequence[str] = STATISTICS

    @nn.compact
    def __call__(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool = False
    ) -> ModelOutput:
        """Compute them.

        Returns:
            ``embedding`` float32 [B, layers * statistics * width], in this order; scores are 0.
        """
        found = self.encoded(waveform, num_samples, train=train, hidden=True)

        def pooled(state: jax.Array) -> jax.Array:
            state = state.astype(jnp.float32)
            return jnp.stack([statistic(s, state, found.extent) for s in self.statistics])

        # Of all states, for to choose some of them first would copy these.
        values = jax.vmap(pooled)(found.hidden)[jnp.array(self.layers)]  # [layers, S, B, width]
        embedding = jnp.moveaxis(values, 2, 0).reshape(len(waveform), -1)
        nothing = jnp.zeros(len(waveform))
        return ModelOutput(nothing, nothing, embedding)


class SslProbe(WithEncoder):
    """A linear classifier of one pooled hidden state.

    Attributes:
        layer: k of the hidden state h_k; 0 = what goes into the first layer.
        pooling: a name of `POOLINGS`.
    """

    layer: int = 9
    pooling: str = "mean"

    @nn.compact
    def __call__(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool = False
    ) -> ModelOutput:
        """Score clips; see `rawnet_jax.contract`.

        Raises:
            ConfigError: a field is wrong.
        """
        check_choice("pooling", self.pooling, POOLINGS)
        kept = self.encoder_config.kept_layers
        if not 0 <= self.layer <= kept:
            raise ConfigError(f"layer is {self.layer}; the encoder has layers 0 to {kept}")
        found = self.encoded(waveform, num_samples, train=train, hidden=True)
        state = found.hidden[self.layer].astype(jnp.float32)
        parts = [statistic(name, state, found.extent) for name in POOLINGS[self.pooling]]
        embedding = Standardised(name="standardised")(jnp.concatenate(parts, axis=-1))
        head = dense(embedding.shape[-1], 1, name="head")
        logit = head(embedding)[:, 0].astype(jnp.float32)
        return ModelOutput(logit, logit, embedding)


class Standardised(nn.Module):
    """Takes a fixed mean off and divides by a fixed standard deviation.

    Both are what the probe's training clips had, not parameters: training leaves them as they are.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map float32 [B, D] to the same shape."""
        mean = self.variable("batch_stats", "mean", jnp.zeros, x.shape[-1:])
        var = self.variable("batch_stats", "var", jnp.ones, x.shape[-1:])
        return (x - mean.value) * jax.lax.rsqrt(var.value + _EPSILON)
