"""Vocos: ConvNeXt blocks at frame rate, then an inverse short-time Fourier transform.

Siuzdak, "Vocos: Closing the gap between time-domain and Fourier-based neural vocoders for
high-quality audio synthesis", ICLR 2024, sections 3.1 and 3.2. The transform has "same" padding, so
that F frames give F * hop samples.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.vocoders.mel import hann

_MAX_MAGNITUDE = 100.0  # as published: an untrained network's exponentials must not overflow


class Vocos(nn.Module):
    """The generator.

    Attributes:
        hop: samples per frame.
        size: samples of the synthesis window and points of the DFT; a multiple of the hop.
        width: channels.
        hidden: channels inside a block.
        num_blocks: of them.
    """

    hop: int = 256
    size: int = 1024
    width: int = 256
    hidden: int = 768
    num_blocks: int = 6

    @nn.compact
    def __call__(self, mel: jax.Array) -> jax.Array:
        """Return waveforms.

        Args:
            mel: float32 [B, F, M].

        Returns:
            float32 [B, F * hop] within ±1.
        """
        small = nn.initializers.truncated_normal(0.02)
        x = nn.Conv(self.width, (7,), kernel_init=small, name="embed")(mel)
        x = nn.LayerNorm(epsilon=1e-6, name="norm")(x)
        for number in range(self.num_blocks):
            x = _Block(self.hidden, 1 / self.num_blocks, name=f"block_{number}")(x)
        x = nn.LayerNorm(epsilon=1e-6, name="last_norm")(x)
        x = nn.Dense(self.size + 2, kernel_init=small, name="head")(x)
        log_magnitude, phase = jnp.split(x, 2, axis=-1)
        magnitude = jnp.minimum(jnp.exp(log_magnitude), _MAX_MAGNITUDE)
        spectrum = jax.lax.complex(magnitude * jnp.cos(phase), magnitude * jnp.sin(phase))
        return jnp.clip(inverse_stft(spectrum, self.size, self.hop), -1.0, 1.0)


class _Block(nn.Module):
    """A ConvNeXt block over time: depthwise convolution, then a two-layer network per frame."""

    hidden: int
    scale: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        width = x.shape[-1]
        small = nn.initializers.truncated_normal(0.02)
        y = nn.Conv(width, (7,), feature_group_count=width, kernel_init=small, name="depthwise")(x)
        y = nn.LayerNorm(epsilon=1e-6, name="norm")(y)
        y = nn.gelu(nn.Dense(self.hidden, kernel_init=small, name="wide")(y), approximate=False)
        y = nn.Dense(width, kernel_init=small, name="narrow")(y)
        return x + y * self.param("scale", nn.initializers.constant(self.scale), (width,))


def inverse_stft(spectrum: jax.Array, size: int, hop: int) -> jax.Array:
    """Return the overlap-added waveform of a spectrum, divided by the sum of squared windows.

    Args:
        spectrum: complex64 [B, F, size / 2 + 1].
        size: samples of the Hann window; a multiple of the hop.
        hop: samples per frame.

    Returns:
        float32 [B, F * hop]: (size - hop) / 2 samples are cut off either end.
    """
    window = hann(size)
    frames = jnp.fft.irfft(spectrum, size) * window
    weight = _overlapped(jnp.asarray(np.tile(window**2, (1, frames.shape[1], 1))), hop)
    edge = (size - hop) // 2
    length = frames.shape[1] * hop
    whole = _overlapped(frames, hop) / jnp.maximum(weight, 1e-11)
    return whole[:, edge : edge + length]


def _overlapped(frames: jax.Array, hop: int) -> jax.Array:
    """Add frames [B, F, size] up, each `hop` samples after the one before."""
    batch, count, size = frames.shape
    parts = size // hop
    pieces = frames.reshape(batch, count, parts, hop)
    rows = [jnp.pad(pieces[:, :, k], ((0, 0), (k, parts - 1 - k), (0, 0))) for k in range(parts)]
    return sum(rows[1:], rows[0]).reshape(batch, -1)
