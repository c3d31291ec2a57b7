"""Encoders of the wav2vec 2.0 kind: wav2vec 2.0, XLS-R, MMS, HuBERT and WavLM.

    samples [B, T] at 16 kHz, normalised or not
    7 convolutions, stride 320                    [B, frames, 512]
    LayerNorm - Dense                             [B, frames, width]
    + convolution over 128 frames = positions     [B, frames, width], the state h_0
    layers of attention and feed-forward          [B, frames, width] each, h_1 to h_L

A frame is 25 ms, and one begins every 20 ms: 64,600 samples make 201. Sources: the papers in
`rawnet_jax.encoders.catalog`. Padding behind a clip changes none of its frames; the published code
lets it into the statistics of the base models' first convolution, here only the clip is counted.
"""

import flax.linen as nn
import jax

from rawnet_jax.encoders.config import Wav2Vec2Config
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


class Wav2Vec2Network(nn.Module):
    """The encoder, in the type of its parameters.

    Attributes:
        config: its sizes.
    """

    config: Wav2Vec2Config

    @nn.compact
    def __call__(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool, hidden: bool
    ) -> tuple[jax.Array, Extent, jax.Array | None]:
        """Return what `rawnet_jax.encoders.encoder.EncoderOutput` holds."""
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
        return norm(last) if config.norm_first else last, extent, states


def scaled_gradient(x: jax.Array, factor: float) -> jax.Array:
    """Return x; its gradient is multiplied by a factor."""
    if factor == 1.0:
        return x
    fixed = jax.lax.stop_gradient(x)
    return fixed + factor * (x - fixed)  # to the bit: what is added is 0
