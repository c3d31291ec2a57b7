"""Encoders of the wav2vec 2.0 kind: wav2vec 2.0, XLS-R, MMS, HuBERT and WavLM.

    samples [B, T] at 16 kHz, normalised or not
    7 convolutions, stride 320                    [B, frames, 512]
    LayerNorm - Dense                             [B, frames, width]
    + convolution over 128 frames = positions     [B, frames, width], the state h_0
    layers of attention and feed-forward          [B, frames, width] each, h_1 to h_L

A frame is 25 ms, and one begins every 20 ms: 64,600 samples make 201. Sources: the papers in
`rawnet_jax.encoders.catalog`. Padding behind a clip changes none of its frames; the published code
lets it into the statistics of the base models' first convolution, here only the clip is counted.

Inside a detector::

    class Detector(nn.Module):
        encoder: EncoderConfig = encoder_config("xlsr_300m", first_layers=9)

        @nn.compact
        def __call__(self, waveform, num_samples, *, train=False):
            found = SpeechEncoder(self.encoder, name="encoder")(waveform, num_samples, train=train)
            embedding = found.extent.mean(found.last, 1)  # [B, width], of the clip's frames alone
            ...
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.encoders.config import EncoderConfig
from rawnet_jax.encoders.features import (
    ConvFeatures,
    PositionEmbedding,
    Projection,
    layer_norm,
    normalised_input,
)
from rawnet_jax.encoders.transformer import Layers
from rawnet_jax.nn.dropout import Dropout
from rawnet_jax.nn.lengths import Extent, clips_alone


class EncoderOutput(NamedTuple):
    """What an encoder returns.

    Attributes:
        last: [B, frames, width], the last hidden state; behind LayerNorm where the layers have it
            first (`EncoderConfig.norm_first`), so that it is normalised in every encoder.
        extent: which frames are clip; of the others the values mean nothing.
        hidden: [kept_layers + 1, B, frames, width], the states h_0 to h_L, without that LayerNorm;
            None unless asked for.
    """

    last: Any
    extent: Extent
    hidden: Any = None


class SpeechEncoder(nn.Module):
    """The encoder.

    Attributes:
        config: its sizes, and how it is run.
    """

    config: EncoderConfig

    @nn.compact
    def __call__(
        self,
        waveform: jax.Array,
        num_samples: jax.Array,
        *,
        train: bool = False,
        hidden: bool = False,
    ) -> EncoderOutput:
        """Encode clips.

        Args:
            waveform: float32 [B, T] at 16 kHz, full scale = 1.
            num_samples: int32 [B], how much of a row is the clip; 0 = filler row. A clip of less
                than 25 ms is followed by zeros up to there.
            train: whether values are dropped; draws come from the stream "dropout".
            hidden: whether all hidden states are wanted.

        Returns:
            In `EncoderConfig.dtype`, or in the type of the parameters.
        """
        inner: Any = _Network
        if self.config.dtype and not self.is_initializing():
            inner = nn.map_variables(_Network, "params", self._cast)
        network = inner(self.config, name="network")
        return network(waveform, num_samples, train=train, hidden=hidden)

    def _cast(self, params: Mapping[str, Any]) -> Any:
        """Return parameters in the type that is computed in; layers go by it."""
        return jax.tree.map(lambda x: x.astype(self.config.dtype), params)


class _Network(nn.Module):
    """The encoder, in the type of its parameters."""

    config: EncoderConfig

    @nn.compact
    def __call__(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool, hidden: bool
    ) -> EncoderOutput:
        config = self.config
        waveform = normalised_input(waveform, num_samples, config.input_norm)
        waveform, extent = clips_alone(waveform, num_samples, config.shortest)
        x, extent = ConvFeatures(config, name="feature_extractor")(waveform, extent)
        x = scaled_gradient(x, config.conv_gradient)
        x = extent.cleared(Projection(config, name="feature_projection")(x, train))
        x = x + PositionEmbedding(config, name="position")(x, extent, train)
        norm = layer_norm("norm")
        if not config.norm_first:
            x = norm(x)
        x = Dropout(config.dropout)(x, train)
        keys = extent.frames(x)[..., 0]
        last, states = Layers(config, name="layers")(x, keys, train=train, hidden=hidden)
        return EncoderOutput(norm(last) if config.norm_first else last, extent, states)


def scaled_gradient(x: jax.Array, factor: float) -> jax.Array:
    """Return x; its gradient is multiplied by a factor."""
    if factor == 1.0:
        return x
    fixed = jax.lax.stop_gradient(x)
    return fixed + factor * (x - fixed)  # to the bit: what is added is 0


def encoder_shapes(config: EncoderConfig) -> dict[str, Any]:
    """Return the shapes and dtypes of an encoder's variables; nothing is computed.

    Returns:
        ``{"params", "batch_stats"}``, the latter empty but for `position_batch_norm`.
    """
    samples = jax.ShapeDtypeStruct((1, config.shortest), jnp.float32)
    count = jax.ShapeDtypeStruct((1,), jnp.int32)
    shapes = jax.eval_shape(SpeechEncoder(config).init, jax.random.key(0), samples, count)
    return {"params": shapes["params"], "batch_stats": shapes.get("batch_stats", {})}
