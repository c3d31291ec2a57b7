"""What detectors with a self-supervised encoder share: the encoder, as one field of their config.

A detector is a head on an encoder (`rawnet_jax.encoders`): its class derives from `WithEncoder`,
its fields are the numbers of its head, and its variables have the encoder's under ``encoder``.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.core import FrozenDict

from rawnet_jax.contract import is_real
from rawnet_jax.encoders.catalog import encoder_from_fields
from rawnet_jax.encoders.config import EncoderConfig
from rawnet_jax.encoders.encoder import EncoderOutput, SpeechEncoder
from rawnet_jax.nn.lengths import Extent


class WithEncoder(nn.Module):
    """A detector with an encoder in front.

    Attributes:
        encoder: fields of `EncoderConfig`, as `encoder_fields` of a published one gives them.
        variable_length: padding is no part of a clip: neither encoder nor head sees it. Without it
            a row counts as clip to its end, as in the published systems that repeat short clips up
            to 64,600 samples.
    """

    encoder: Mapping[str, Any] = FrozenDict()
    variable_length: bool = False

    def __post_init__(self) -> None:
        """Make the fields immutable: a module is compared, and is a key of compiled programs."""
        self.encoder = FrozenDict(self.encoder)
        super().__post_init__()

    @property
    def encoder_config(self) -> EncoderConfig:
        """The encoder's sizes.

        Raises:
            ConfigError: if `encoder` has a field that is wrong.
        """
        return encoder_from_fields(self.encoder)

    def encoded(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool, hidden: bool = False
    ) -> EncoderOutput:
        """Run the encoder; called once, from the detector's compact method.

        Args:
            waveform: float32 [B, T] at 16 kHz.
            num_samples: int32 [B], 0 = filler row.
            train: whether values are dropped.
            hidden: whether all hidden states are wanted.

        Returns:
            Its states; the extent has every frame of a row unless `variable_length` is set.
        """
        count = num_samples
        if not self.variable_length:
            count = jnp.where(is_real(num_samples), waveform.shape[1], 0)
        encoder = SpeechEncoder(self.encoder_config, name="encoder")
        found = encoder(waveform, count, train=train, hidden=hidden)
        if not self.variable_length:
            found = found._replace(extent=Extent(found.extent.real))
        return found
