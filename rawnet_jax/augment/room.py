"""Rooms, devices and lines: convolution with recorded impulse responses."""

import jax
import jax.numpy as jnp
import scipy.fft

from rawnet_jax.augment.bank import ResponseBank
from rawnet_jax.augment.clip import energy, own_samples, ratio
from rawnet_jax.augment.draw import Range, integer_below, seeds, uniform


def rir(
    key: jax.Array,
    waveform: jax.Array,
    num_samples: jax.Array,
    bank: ResponseBank,
    *,
    wet: Range = (1.0, 1.0),
) -> jax.Array:
    """Convolve with an impulse response; speech stays where it was in time, and as loud.

    Args:
        key: of this clip.
        waveform: float32 [T], zeros behind `num_samples`.
        num_samples: int32 scalar; what rings on behind is cut off.
        bank: responses to draw from, uniformly.
        wet: share of the response, drawn uniformly; the rest is the dry clip: 0 = as it was.

    Returns:
        float32 [T] of the same energy.
    """
    which_seed, wet_seed = seeds(key, 2)
    taps = jnp.asarray(bank.taps)[integer_below(which_seed, len(bank.taps))]
    share = uniform(wet_seed, wet)
    taps = (share * taps).at[0].add(1.0 - share)
    reverberant = own_samples(convolved(waveform, taps), num_samples)
    return reverberant * jnp.sqrt(ratio(energy(waveform), energy(reverberant)))


def convolved(waveform: jax.Array, taps: jax.Array) -> jax.Array:
    """Convolve by Fourier transform and keep the first T samples.

    Args:
        waveform: float32 [T].
        taps: float32 [K].

    Returns:
        float32 [T].
    """
    num_samples = len(waveform)
    length = scipy.fft.next_fast_len(num_samples + len(taps) - 1, real=True)
    product = jnp.fft.rfft(waveform, length) * jnp.fft.rfft(taps, length)
    return jnp.fft.irfft(product, length)[:num_samples]
