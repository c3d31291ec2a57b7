"""MelGAN: transposed convolutions up to the waveform, a stack of dilated convolutions after each.

Kumar, Kumar, de Boissiere et al., "MelGAN: Generative Adversarial Networks for Conditional Waveform
Synthesis", NeurIPS 2019, section 2.1 and appendix A. With several bands it is multi-band MelGAN:
Yang, Yang, Liu et al., "Multi-band MelGAN: Faster Waveform Generation for High-Quality
Text-to-Speech", SLT 2021: a fraction of the upsampling, deeper stacks, then a bank of filters.
Three things differ here: kernels carry no weight normalisation, edges are zeros rather than
reflected, and the rates multiply to the hop at 16 kHz.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.vocoders.filter_bank import joined
from rawnet_jax.vocoders.layers import conv, upsampled

_SLOPE = 0.2  # of leaky ReLU


class MelGan(nn.Module):
    """The generator.

    Attributes:
        channels: after the first convolution; halved at each upsampling.
        rates: of the upsamplings; their product times the bands makes the hop.
        dilations: of the convolutions of each stack.
        num_bands: that the last layer gives; a bank of filters joins them.
    """

    channels: int = 512
    rates: Sequence[int] = (8, 8, 2, 2)
    dilations: Sequence[int] = (1, 3, 9)
    num_bands: int = 1

    @nn.compact
    def __call__(self, mel: jax.Array) -> jax.Array:
        """Return waveforms.

        Args:
            mel: float32 [B, F, M].

        Returns:
            float32 [B, F * hop] within ±1.
        """
        x = conv(self.channels, 7, name="first")(mel)
        for number, rate in enumerate(self.rates):
            width = self.channels // 2 ** (number + 1)
            x = upsampled(width, rate, name=f"up_{number}")(nn.leaky_relu(x, _SLOPE))
            x = DilatedStack(self.dilations, name=f"stack_{number}")(x)
        x = jnp.tanh(conv(self.num_bands, 7, name="last")(nn.leaky_relu(x, _SLOPE)))
        return jnp.clip(joined(x), -1.0, 1.0) if self.num_bands > 1 else x[..., 0]


class DilatedStack(nn.Module):
    """Residual units that see further from one to the next: [B, T, C] in, the same out.

    Attributes:
        dilations: of the units' convolutions of 3 taps.
    """

    dilations: Sequence[int]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return what the units make of [B, T, C]."""
        width = x.shape[-1]
        for number, dilation in enumerate(self.dilations):
            y = conv(width, 3, dilation, name=f"dilated_{number}")(nn.leaky_relu(x, _SLOPE))
            y = conv(width, 1, name=f"plain_{number}")(nn.leaky_relu(y, _SLOPE))
            x = conv(width, 1, name=f"shortcut_{number}")(x) + y
        return x
