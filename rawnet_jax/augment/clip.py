"""What every effect needs to know of a clip: which samples are its own, and its level."""

import jax
import jax.numpy as jnp


def own_samples(waveform: jax.Array, num_samples: jax.Array) -> jax.Array:
    """Return a waveform [T] with zeros behind its first `num_samples` samples."""
    return jnp.where(jnp.arange(waveform.shape[-1]) < num_samples, waveform, 0.0)


def energy(waveform: jax.Array) -> jax.Array:
    """Return the sum of squares over time, float32; zeros behind a clip add nothing."""
    return jnp.sum(waveform * waveform, axis=-1)


def ratio(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """Divide; 0 where the denominator is 0, as for a silent clip."""
    return jnp.where(denominator > 0, numerator / jnp.where(denominator > 0, denominator, 1), 0.0)


def mixed_at_snr(waveform: jax.Array, noise: jax.Array, snr_db: jax.Array) -> jax.Array:
    """Add noise at a signal-to-noise ratio by energy.

    Args:
        waveform: float32 [T], zeros behind the clip.
        noise: float32 [T] of any level, zeros behind the clip.
        snr_db: float32 scalar; infinity adds nothing.

    Returns:
        float32 [T]. A silent clip and silent noise stay as they are.
    """
    gain = jnp.sqrt(ratio(energy(waveform), energy(noise))) * 10.0 ** (-snr_db / 20.0)
    return waveform + gain * noise
