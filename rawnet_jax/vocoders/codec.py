"""A neural codec: strided convolutions, residual vector quantisation, transposed convolutions.

Zeghidour et al., "SoundStream: An End-to-End Neural Audio Codec", TASLP 2022, and Defossez et al.,
"High Fidelity Neural Audio Compression" (EnCodec), 2022; smaller here, with the dilated stacks of
MelGAN. The codebooks are those of Kumar et al., "High-Fidelity Audio Compression with Improved
RVQGAN", NeurIPS 2023, section 3.1 and appendix A: few dimensions and unit length, which
keeps all entries in use without moving averages, and learned by gradient.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.vocoders.layers import conv, upsampled
from rawnet_jax.vocoders.melgan import DilatedStack
from rawnet_jax.vocoders.network import LOSSES

_SLOPE = 0.2  # of leaky ReLU
_COMMITMENT = 0.25  # over the loss of the codebooks, and
_WEIGHT = 1 / 15  # that of both over the mel distance: RVQGAN, section 3.4


class Codec(nn.Module):
    """The generator.

    Attributes:
        channels: at the full rate; doubled at each downsampling.
        rates: of the upsamplings; the downsamplings are these in reverse order.
        dilations: of the convolutions of each stack.
        latent: values per frame that are quantised.
        num_codebooks: one after the other.
        num_entries: of each; the bit rate is num_codebooks * log2(num_entries) per frame.
        code: values of an entry.
    """

    channels: int = 16
    rates: Sequence[int] = (8, 4, 4, 2)
    dilations: Sequence[int] = (1, 3, 9)
    latent: int = 128
    num_codebooks: int = 8
    num_entries: int = 1024
    code: int = 8

    @nn.compact
    def __call__(self, waveform: jax.Array) -> jax.Array:
        """Return copies of waveforms.

        Args:
            waveform: float32 [B, T], T a multiple of the hop.

        Returns:
            float32 [B, T] within ±1.
        """
        x = conv(self.channels, 7, name="first")(waveform[..., None])
        width = self.channels
        for number, rate in enumerate(reversed(self.rates)):
            x = DilatedStack(self.dilations, name=f"in_stack_{number}")(x)
            width *= 2
            x = nn.leaky_relu(x, _SLOPE)
            x = conv(width, 2 * rate, stride=rate, name=f"down_{number}")(x)
        x = conv(self.latent, 3, name="narrow")(nn.leaky_relu(x, _SLOPE))
        x = Quantiser(self.num_codebooks, self.num_entries, self.code, name="quantiser")(x)
        x = conv(width, 7, name="wide")(x)
        for number, rate in enumerate(self.rates):
            width //= 2
            x = upsampled(width, rate, name=f"up_{number}")(nn.leaky_relu(x, _SLOPE))
            x = DilatedStack(self.dilations, name=f"stack_{number}")(x)
        return jnp.tanh(conv(1, 7, name="last")(nn.leaky_relu(x, _SLOPE))[..., 0])


class Quantiser(nn.Module):
    """Residual vector quantisation: each codebook takes what is left by those before.

    It sows its loss: how far codes are from their entries, and entries from their codes.

    Attributes:
        num_codebooks: one after the other.
        num_entries: of each.
        code: values of an entry.
    """

    num_codebooks: int
    num_entries: int
    code: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the sum of entries that stands for [B, F, C], of the same shape."""
        rest, whole, loss = x, jnp.zeros_like(x), jnp.zeros(())
        for number in range(self.num_codebooks):
            codes = conv(self.code, 1, name=f"project_{number}")(rest)
            entries = self.param(
                f"codebook_{number}", nn.initializers.normal(1.0), (self.num_entries, self.code)
            )
            nearest = entries[closest(codes, entries)]
            loss += jnp.mean(jnp.square(jax.lax.stop_gradient(codes) - nearest))
            loss += _COMMITMENT * jnp.mean(jnp.square(codes - jax.lax.stop_gradient(nearest)))
            # Straight through: the gradient of the entry is that of the code.
            passed = codes + jax.lax.stop_gradient(nearest - codes)
            found = conv(x.shape[-1], 1, name=f"expand_{number}")(passed)
            rest, whole = rest - found, whole + found
        self.sow(LOSSES, "quantiser", _WEIGHT * loss)
        return whole


def closest(codes: jax.Array, entries: jax.Array) -> jax.Array:
    """Return the entry of each code that points most nearly where it does.

    Args:
        codes: float32 [..., D].
        entries: float32 [N, D].

    Returns:
        int32 [...].
    """
    directions = entries / jnp.maximum(jnp.linalg.norm(entries, axis=1, keepdims=True), 1e-6)
    return jnp.argmax(jnp.dot(codes, directions.T), axis=-1)
