"""Speech encoders: one call for all of them, whichever network the config is of.

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

from rawnet_jax.encoders.config import EncoderConfig, Wav2Vec2Config, WhisperConfig
from rawnet_jax.encoders.wav2vec2 import Wav2Vec2Network
from rawnet_jax.encoders.whisper import WhisperNetwork
from rawnet_jax.nn.lengths import Extent

_NETWORKS: dict[type[EncoderConfig], type[nn.Module]] = {
    Wav2Vec2Config: Wav2Vec2Network,
    WhisperConfig: WhisperNetwork,
}


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
                than `EncoderConfig.shortest` is followed by zeros up to there.
            train: whether values are dropped; draws come from the stream "dropout".
            hidden: whether all hidden states are wanted.

        Returns:
            In `EncoderConfig.dtype`, or in the type of the parameters.

        Raises:
            ConfigError: Whisper, and a row is longer than there are positions for.
        """
        inner: Any = _NETWORKS[type(self.config)]
        if self.config.dtype and not self.is_initializing():
            inner = nn.map_variables(inner, "params", self._cast)
        network = inner(self.config, name="network")
        return EncoderOutput(*network(waveform, num_samples, train=train, hidden=hidden))

    def _cast(self, params: Mapping[str, Any]) -> Any:
        """Return parameters in the type that is computed in; layers go by it."""
        return jax.tree.map(lambda x: x.astype(self.config.dtype), params)


def encoder_shapes(config: EncoderConfig) -> dict[str, Any]:
    """Return the shapes and dtypes of an encoder's variables; nothing is computed.

    Returns:
        ``{"params", "batch_stats"}``, the latter empty but for `position_batch_norm`.
    """
    samples = jax.ShapeDtypeStruct((1, config.shortest), jnp.float32)
    count = jax.ShapeDtypeStruct((1,), jnp.int32)
    shapes = jax.eval_shape(SpeechEncoder(config).init, jax.random.key(0), samples, count)
    return {"params": shapes["params"], "batch_stats": shapes.get("batch_stats", {})}
