"""A near-perfect pseudo-quadrature mirror filter bank of few bands.

Lin and Vaidyanathan, "A Kaiser window approach for the design of prototype filters of cosine
modulated filterbanks", IEEE Signal Processing Letters 5(6), 1998. Analysis and synthesis have the
same filters, so a bank is a lapped transform: `bank` holds its rows.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.vocoders.inverse_stft import overlapped

_TAPS_PER_BAND = 16
_BETA = 8.5  # of the Kaiser window
# Cutoff of the prototype times the number of bands, in half sample rates: the value at which 4
# bands give noise back best, 65 dB below it.
_CUTOFF = 0.565028


@functools.cache
def bank(num_bands: int) -> np.ndarray:
    """Return the filters, float32 [num_bands, 16 * num_bands], lowest band first.

    Frames of a waveform, `num_bands` samples apart, times these rows are its bands; the same rows,
    weighted by the bands and overlap-added, are the waveform.
    """
    size = _TAPS_PER_BAND * num_bands
    time = np.arange(size) - (size - 1) / 2
    cutoff = _CUTOFF / num_bands
    prototype = cutoff * np.sinc(cutoff * time) * np.kaiser(size, _BETA)
    prototype /= prototype.sum()
    number = np.arange(num_bands)[:, None]
    phase = (2 * number + 1) * np.pi / (2 * num_bands) * time + (-1.0) ** number * np.pi / 4
    return (2 * np.sqrt(num_bands) * prototype * np.cos(phase)).astype(np.float32)


def joined(bands: jax.Array) -> jax.Array:
    """Return the waveform of its bands.

    Args:
        bands: float32 [B, F, num_bands], lowest first; a sine of any frequency has the amplitude in
            its band that it has in the waveform.

    Returns:
        float32 [B, F * num_bands].
    """
    num_bands = bands.shape[-1]
    filters = np.sqrt(num_bands) * bank(num_bands)
    whole = overlapped(jnp.dot(bands, filters), num_bands)
    edge = (filters.shape[1] - num_bands) // 2
    return whole[:, edge : edge + bands.shape[1] * num_bands]
