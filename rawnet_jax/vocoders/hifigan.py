"""HiFi-GAN: transposed convolutions up to the waveform, residual blocks of several widths between.

With an inverse STFT in place of the last upsamplings it is iSTFTNet.

Kong, Kim, Bae, "HiFi-GAN: Generative Adversarial Networks for Efficient and High Fidelity Speech
Synthesis", NeurIPS 2020; V1 to V3 are the columns of its table 5. Two things differ here: kernels
carry no weight normalisation, and the rates multiply to the hop at 16 kHz.

Kaneko, Tanaka, Kameoka, Seki, "iSTFTNet: Fast and Lightweight Mel-Spectrogram Vocoder Incorporating
Inverse Short-Time Fourier Transform", ICASSP 2022, section 3: exp gives magnitudes, a sine phases.
The sine is times pi here, so that all phases are in reach.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.vocoders.inverse_stft import waveform_of
from rawnet_jax.vocoders.layers import conv, upsampled

SLOPE = 0.1  # of leaky ReLU in the network; the last one has Flax's default .01, as published


class HifiGan(nn.Module):
    """The generator.

    Attributes:
        channels: after the first convolution; halved at each upsampling.
        rates: of the upsamplings; their product, and the transform's hop, make the hop.
        kernels: of the residual blocks that are averaged.
        dilations: of the convolutions of each of them.
        is_paired: whether a plain convolution follows each dilated one: V1 and V2 have it, V3 not.
        transform: size and hop of an inverse STFT that ends it, whose hop is a factor of the
            network's; () = none.
    """

    channels: int = 128
    rates: Sequence[int] = (8, 8, 2, 2)
    kernels: Sequence[int] = (3, 7, 11)
    dilations: Sequence[Sequence[int]] = ((1, 3, 5),) * 3
    is_paired: bool = True
    transform: Sequence[int] = ()

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
            x = nn.leaky_relu(x, SLOPE)
            x = upsampled(width, rate, name=f"up_{number}")(x)
            blocks = [
                _Block(width, kernel, dilations, self.is_paired, name=f"block_{number}_{k}")(x)
                for k, (kernel, dilations) in enumerate(
                    zip(self.kernels, self.dilations, strict=True)
                )
            ]
            x = sum(blocks[1:], blocks[0]) / len(blocks)
        if not self.transform:
            x = conv(1, 7, name="last")(nn.leaky_relu(x))
            return jnp.tanh(x[..., 0])
        size, hop = self.transform
        x = conv(size + 2, 7, name="spectrum")(nn.leaky_relu(x))
        log_magnitude, turn = jnp.split(x, 2, axis=-1)
        return jnp.clip(waveform_of(log_magnitude, jnp.pi * jnp.sin(turn), hop), -1.0, 1.0)


class _Block(nn.Module):
    """Residual convolutions of one width at several dilations."""

    width: int
    kernel: int
    dilations: Sequence[int]
    is_paired: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for number, dilation in enumerate(self.dilations):
            y = nn.leaky_relu(x, SLOPE)
            y = conv(self.width, self.kernel, dilation, name=f"dilated_{number}")(y)
            if self.is_paired:
                y = conv(self.width, self.kernel, name=f"plain_{number}")(nn.leaky_relu(y, SLOPE))
            x = x + y
        return x
