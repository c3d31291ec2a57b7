"""Vocos: ConvNeXt blocks at frame rate, then an inverse short-time Fourier transform.

Siuzdak, "Vocos: Closing the gap between time-domain and Fourier-based neural vocoders for
high-quality audio synthesis", ICLR 2024, sections 3.1 and 3.2. The transform has "same" padding, so
that F frames give F * hop samples.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.vocoders.inverse_stft import waveform_of
from rawnet_jax.vocoders.layers import ConvNextBlock


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
            x = ConvNextBlock(self.hidden, 1 / self.num_blocks, name=f"block_{number}")(x)
        x = nn.LayerNorm(epsilon=1e-6, name="last_norm")(x)
        x = nn.Dense(self.size + 2, kernel_init=small, name="head")(x)
        log_magnitude, phase = jnp.split(x, 2, axis=-1)
        return jnp.clip(waveform_of(log_magnitude, phase, self.hop), -1.0, 1.0)
