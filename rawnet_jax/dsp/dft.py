"""Power spectra as products with a matrix: that exports to every runtime, where an FFT does not."""

import jax
import jax.numpy as jnp
import numpy as np

# Powers go into logarithms: TF32 or bfloat16 would show in every feature.
EXACT = jax.lax.Precision.HIGHEST


def windowed_waves(window: np.ndarray, size: int, bins: np.ndarray) -> np.ndarray:
    """Return what `power` takes: cosines, then sines, each times a window.

    Args:
        window: float64 [N].
        size: points of the DFT, N at least.
        bins: which of its bins, int [K].

    Returns:
        float32 [N, 2 K], designed in float64.
    """
    phase = 2 * np.pi * (np.outer(np.arange(len(window)), bins) / size)
    basis = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
    return (window[:, None] * basis).astype(np.float32)


def power(frames: jax.Array, waves: np.ndarray) -> jax.Array:
    """Return the power of frames [..., N] in the bins of `windowed_waves`, float32 [..., K]."""
    real, imaginary = jnp.split(jnp.dot(frames, waves, precision=EXACT), 2, axis=-1)
    return jnp.square(real) + jnp.square(imaginary)
