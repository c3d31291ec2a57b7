"""The inverse short-time Fourier transform in which a generator may end, "same" padding.

F frames give F * hop samples.
"""

import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.vocoders.mel import hann

_MAX_MAGNITUDE = 100.0  # Siuzdak, Vocos: an untrained network's exponentials must not overflow


def waveform_of(log_magnitude: jax.Array, phase: jax.Array, hop: int) -> jax.Array:
    """Return the waveform of a spectrum that is given as magnitude and phase.

    Args:
        log_magnitude: float32 [B, F, size / 2 + 1], natural logarithm; magnitudes end at 100.
        phase: of the same shape, in radians.
        hop: samples per frame; the size of the transform is a multiple.

    Returns:
        float32 [B, F * hop].
    """
    magnitude = jnp.minimum(jnp.exp(log_magnitude), _MAX_MAGNITUDE)
    spectrum = jax.lax.complex(magnitude * jnp.cos(phase), magnitude * jnp.sin(phase))
    return inverse_stft(spectrum, 2 * (log_magnitude.shape[-1] - 1), hop)


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
    weight = overlapped(jnp.asarray(np.tile(window**2, (1, frames.shape[1], 1))), hop)
    edge = (size - hop) // 2
    length = frames.shape[1] * hop
    whole = overlapped(frames, hop) / jnp.maximum(weight, 1e-11)
    return whole[:, edge : edge + length]


def overlapped(frames: jax.Array, hop: int) -> jax.Array:
    """Add frames [B, F, size] up, each `hop` samples after the one before."""
    batch, count, size = frames.shape
    parts = size // hop
    pieces = frames.reshape(batch, count, parts, hop)
    rows = [jnp.pad(pieces[:, :, k], ((0, 0), (k, parts - 1 - k), (0, 0))) for k in range(parts)]
    return sum(rows[1:], rows[0]).reshape(batch, -1)
