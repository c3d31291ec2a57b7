"""Whisper's encoder.

    samples [B, T] at 16 kHz, at most 30 s
    log-mel spectrogram                           [B, 2 frames, mel bands]
    2 convolutions, the second of stride 2        [B, frames, width]
    + sinusoids = positions                       [B, frames, width], the state h_0
    layers of attention and feed-forward          [B, frames, width] each, h_1 to h_L

A frame begins every 20 ms: 64,600 samples make 202. Radford et al., "Robust speech recognition via
large-scale weak supervision", 2022, section 2.2. Whisper was trained on clips that silence brings
to 30 s, which `WhisperConfig.pad_to_s` does too; without it, a clip takes the time that it needs,
and its frames do not depend on what else is in the batch. In the published code the positions are
fixed. Here they are parameters that start as the same sinusoids, since files exist in which they
were trained.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.dsp.whisper_mel import whisper_mel
from rawnet_jax.encoders.config import WHISPER_SHORTEST, WHISPER_STRIDE, WhisperConfig
from rawnet_jax.encoders.features import gelu, layer_norm
from rawnet_jax.encoders.transformer import Layers
from rawnet_jax.errors import ConfigError
from rawnet_jax.nn.dropout import Dropout
from rawnet_jax.nn.layers import conv
from rawnet_jax.nn.lengths import Extent, clips_alone

_LONGEST_PERIOD = 10_000.0


class WhisperNetwork(nn.Module):
    """The encoder, in the type of its parameters.

    Attributes:
        config: its sizes.
    """

    config: WhisperConfig

    @nn.compact
    def __call__(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool, hidden: bool
    ) -> tuple[jax.Array, Extent, jax.Array | None]:
        """Return what `rawnet_jax.encoders.encoder.EncoderOutput` holds.

        Raises:
            ConfigError: a row is longer than there are positions for.
        """
        config = self.config
        _, own = clips_alone(waveform, num_samples, WHISPER_SHORTEST)
        waveform, heard = clips_alone(waveform, num_samples, config.shortest)
        _check_length(config, waveform.shape[1])
        x, heard = self._front(waveform, heard)
        table = self.param("positions", sinusoids, (config.positions, config.width))
        x = x + table[: x.shape[1]].astype(x.dtype)
        x = Dropout(config.dropout)(x, train)
        keys = heard.frames(x)[..., 0]
        last, states = Layers(config, name="layers")(x, keys, train=train, hidden=hidden)
        return layer_norm("norm")(last), _frames_of(own), states

    def _front(self, waveform: jax.Array, extent: Extent) -> tuple[jax.Array, Extent]:
        """Map samples [B, T] to [B, frames, width]."""
        config = self.config
        assert extent.num_frames is not None  # as `clips_alone` makes it
        mel, _ = whisper_mel(waveform, extent.num_frames, config.mel_bands)
        first = conv(config.mel_bands, config.width, (3,), padding=((1, 1),), name="conv1")
        second = conv(config.width, config.width, (3,), strides=2, padding=((1, 1),), name="conv2")
        x = extent.pooled(WHISPER_STRIDE // 2).cleared(gelu(first(mel)))
        return gelu(second(x)), _frames_of(extent)


def _frames_of(samples: Extent) -> Extent:
    return samples.pooled(WHISPER_STRIDE // 2).strided(2)


def _check_length(config: WhisperConfig, num_samples: int) -> None:
    if config.num_frames(num_samples) > config.positions:
        raise ConfigError(
            f"a clip has {num_samples / SAMPLE_RATE_HZ:g} s; Whisper has positions for "
            f"{config.longest_s:g} s, so longer clips must be cut into windows"
        )


def sinusoids(_: object, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
    """Return Whisper's positions [frames, width]: sines, then cosines, of falling frequency."""
    frames, width = shape
    frequency = _LONGEST_PERIOD ** -(np.arange(width // 2) / (width // 2 - 1))
    phase = np.arange(frames)[:, None] * frequency
    return jnp.asarray(np.concatenate([np.sin(phase), np.cos(phase)], axis=1), dtype)
