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
from rawnet_jax.nn.batch_norm import selu
from rawnet_jax.nn.layers import BatchNorm
from rawnet_jax.nn.lengths import Extent, clips_alone


class WithEncoder(nn.Module):
    """A detector with an encoder in front.

    Attributes:
        encoder: fields of `EncoderConfig`, as `encoder_fields` of a published one gives them.
        variable_length: padding is not a part of a clip: neither encoder nor head sees it. Without
            it a row counts as clip to its end, as in the published systems that repeat short clips
            up to 64,600 samples.
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
        self,
        waveform: jax.Array,
        num_samples: jax.Array,
        *,
        train: bool,
        hidden: bool = False,
        frames: int = 1,
    ) -> EncoderOutput:
        """Run the encoder; called once, from the detector's compact method.

        Args:
            waveform: float32 [B, T] at 16 kHz.
            num_samples: int32 [B], 0 = filler row.
            train: whether values are dropped.
            hidden: whether all hidden states are wanted.
            frames: that the head needs. With `variable_length` a shorter clip is followed by zeros,
                which then count, up to there.

        Returns:
            Its states; the extent has every frame of a row unless `variable_length` is set.

        Raises:
            ValueError: if T is too short for these frames without `variable_length`.
        """
        shortest, length = self.encoder_config.samples_of(frames), waveform.shape[1]
        if self.variable_length:
            count = num_samples
            if frames > 1:
                waveform, _ = clips_alone(waveform, num_samples, shortest)
                count = jnp.maximum(num_samples, shortest)
                count = jnp.where(is_real(num_samples), count, 0)
        elif length < shortest:
            raise ValueError(f"the network needs at least {shortest} samples")
        else:
            count = jnp.where(is_real(num_samples), length, 0)
        encoder = SpeechEncoder(self.encoder_config, name="encoder")
        found = encoder(waveform, count, train=train, hidden=hidden)
        if not self.variable_length:
            found = found._replace(extent=Extent(found.extent.real))
        return found


def image_norm(x: jax.Array, extent: Extent, train: bool) -> jax.Array:
    """Normalise frames as an image of one channel, ``BatchNorm2d(1)`` in PyTorch, and take SELU.

    Called from a compact method; the module is ``first_bn``, as in the published networks.

    Args:
        x: [B, T, C].
        extent: how much of it is clip.
        train: normalise by the batch's statistics.

    Returns:
        [B, T, C].
    """
    image = x.swapaxes(1, 2)[..., None]
    image = BatchNorm(activation=selu, name="first_bn")(image, extent.mask(image), train)
    return image[..., 0].swapaxes(1, 2)


def states_of(found: EncoderOutput) -> jax.Array:
    """Return the hidden states as S3PRL has them: h_0 to h_{L-1}, then the last one normalised.

    Detectors that mix all states were trained on these; `EncoderOutput.hidden` has h_L as it is.

    Args:
        found: what `WithEncoder.encoded` gave for ``hidden=True``.

    Returns:
        [L + 1, B, T, width].
    """
    return jnp.concatenate([found.hidden[:-1], found.last[None]])


def mixed(states: jax.Array, weight: jax.Array) -> jax.Array:
    """Return the sum of hidden states by weights, [B, T, C].

    Args:
        states: [L, B, T, C].
        weight: [L, B], or [L, 1] for the same in every clip.
    """
    return (states * weight[:, :, None, None].astype(states.dtype)).sum(0)
