"""Short linear-phase filters with band edges that are drawn on the device.

A filter is symmetric, so half of its taps describe it and its response is real:
h(0) + 2 sum_n h(n) cos(w n), one product with a constant matrix. It is applied in blocks by Fourier
transform, without delay.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ

NYQUIST_HZ = SAMPLE_RATE_HZ / 2
BLOCK_LENGTH = 4096
NUM_BINS = BLOCK_LENGTH // 2 + 1
MAX_HALF_WIDTH = 256
"""The longest filter has twice as many taps, and one."""

HOP = BLOCK_LENGTH - 2 * MAX_HALF_WIDTH
"""Samples from one block to the next."""

# Band edges and gains are given to a fraction of a decibel: TF32 or bfloat16 would show.
_EXACT = jax.lax.Precision.HIGHEST


def ideal_low_pass(cutoff_hz: jax.Array, half_width: int) -> jax.Array:
    """Return half the taps of an ideal low-pass filter before a window is put on it.

    Args:
        cutoff_hz: float32 [...].
        half_width: W.

    Returns:
        float32 [..., W + 1], from the middle tap outwards.
    """
    cutoff = jnp.asarray(cutoff_hz)[..., None] / NYQUIST_HZ
    return cutoff * jnp.sinc(cutoff * jnp.arange(half_width + 1))


def ideal_band_stop(low_hz: jax.Array, high_hz: jax.Array, half_width: int) -> jax.Array:
    """Return half the taps of an ideal band-stop filter, as `ideal_low_pass`."""
    stopped = ideal_low_pass(high_hz, half_width) - ideal_low_pass(low_hz, half_width)
    return (jnp.arange(half_width + 1) == 0) - stopped


def hamming(num_taps: jax.Array | int, half_width: int) -> jax.Array:
    """Return half of a symmetric Hamming window, from the middle outwards.

    Args:
        num_taps: odd, int32 [...], at most 2 W + 1.
        half_width: W.

    Returns:
        float32 [..., W + 1], zeros outside the window.
    """
    n = jnp.arange(half_width + 1)
    last = jnp.asarray(num_taps)[..., None] - 1
    window = 0.54 + 0.46 * jnp.cos(2 * jnp.pi * n / jnp.maximum(last, 1))
    return jnp.where(2 * n <= last, window, 0.0)


def response(half_taps: jax.Array, oversampling: int = 1) -> jax.Array:
    """Return the response of symmetric filters at the bins of a block.

    Args:
        half_taps: float32 [..., W + 1], from the middle tap outwards.
        oversampling: the taps are for so many times 16 kHz; bins still end at 8 kHz.

    Returns:
        float32 [..., NUM_BINS], 0 to 8 kHz, real since the filters are without delay.
    """
    cosines = _cosines(half_taps.shape[-1], BLOCK_LENGTH * oversampling)
    return jnp.matmul(half_taps, cosines, precision=_EXACT)


def low_pass(cutoff_hz: jax.Array | float, num_taps: int, oversampling: int = 1) -> jax.Array:
    """Design a low-pass filter (Hamming window); half the sample rate passes all, 0 Hz nothing.

    Args:
        cutoff_hz: where the response is one half, float32 [...].
        num_taps: odd.
        oversampling: the filter is for so many times 16 kHz.

    Returns:
        Response, float32 [..., NUM_BINS].
    """
    half_width = num_taps // 2
    ideal = ideal_low_pass(jnp.asarray(cutoff_hz) / oversampling, half_width)
    return response(ideal * hamming(num_taps, half_width), oversampling)


def band_stop(low_hz: jax.Array, high_hz: jax.Array, num_taps: int) -> jax.Array:
    """Design a band-stop filter (Hamming window); equal edges stop nothing.

    Args:
        low_hz: lower edge, float32 [...].
        high_hz: upper edge, float32 [...].
        num_taps: odd.

    Returns:
        Response, float32 [..., NUM_BINS].
    """
    half_width = num_taps // 2
    return response(ideal_band_stop(low_hz, high_hz, half_width) * hamming(num_taps, half_width))


def filtered(waveforms: jax.Array, responses: jax.Array, advance: int = 0) -> jax.Array:
    """Filter some waveforms, each with its own filter, and add them up.

    Args:
        waveforms: float32 [P, T].
        responses: real, float32 [P, NUM_BINS], of at most 2 MAX_HALF_WIDTH + 1 taps, less 2
            `advance`.
        advance: samples by which the output comes early.

    Returns:
        float32 [T].
    """
    blocks = jnp.fft.irfft(block_spectra(waveforms, responses), BLOCK_LENGTH)
    start = MAX_HALF_WIDTH + advance
    return blocks[:, start : start + HOP].reshape(-1)[: waveforms.shape[-1]]


def block_spectra(waveforms: jax.Array, responses: jax.Array) -> jax.Array:
    """Cut waveforms into overlapping blocks, filter each by its spectrum, add up the waveforms.

    Args:
        waveforms: float32 [P, T].
        responses: real, float32 [P, NUM_BINS].

    Returns:
        complex64 [N, NUM_BINS]. Of each of the N blocks, HOP samples from MAX_HALF_WIDTH on are
        the clip's; what wraps round falls on the others.
    """
    num_waveforms, num_samples = waveforms.shape
    num_blocks = -(-num_samples // HOP)
    behind = (num_blocks + 1) * HOP - MAX_HALF_WIDTH - num_samples
    padded = jnp.pad(waveforms, ((0, 0), (MAX_HALF_WIDTH, behind)))
    shape = (num_waveforms, num_blocks, HOP)
    own, following = padded[:, :-HOP].reshape(shape), padded[:, HOP:].reshape(shape)
    blocks = jnp.concatenate([own, following[:, :, : BLOCK_LENGTH - HOP]], axis=-1)
    return jnp.sum(jnp.fft.rfft(blocks) * responses[:, None, :], axis=0)


@functools.cache
def _cosines(num_half_taps: int, period: int) -> np.ndarray:
    n, k = np.arange(num_half_taps), np.arange(NUM_BINS)
    weights = np.where(n == 0, 1.0, 2.0)[:, None]
    return (weights * np.cos(2 * np.pi / period * (np.outer(n, k) % period))).astype(np.float32)
