"""Holes in time and in frequency, so that no single cue is relied upon."""

import jax
import jax.numpy as jnp

from rawnet_jax.augment.clip import own_samples
from rawnet_jax.augment.draw import Range, seeds, uniform
from rawnet_jax.augment.fir import MAX_HALF_WIDTH, NYQUIST_HZ, band_stop, filtered
from rawnet_jax.contract import SAMPLE_RATE_HZ


def time_shift(
    key: jax.Array,
    waveform: jax.Array,
    num_samples: jax.Array,
    *,
    shift_s: Range = (-0.5, 0.5),
    wrap: bool = True,
) -> jax.Array:
    """Move a clip in time.

    Args:
        key: of this clip.
        waveform: float32 [T], zeros behind `num_samples`.
        num_samples: int32 scalar; stays as it is.
        shift_s: to the right, drawn uniformly.
        wrap: what leaves at one end comes in at the other; else zeros come in.

    Returns:
        float32 [T].
    """
    shift = jnp.rint(uniform(seeds(key, 1)[0], shift_s) * SAMPLE_RATE_HZ).astype(jnp.int32)
    if wrap:
        source = jnp.arange(len(waveform)) - shift % jnp.maximum(num_samples, 1)
        source = jnp.where(source < 0, source + num_samples, source)
        return own_samples(waveform.at[source].get(mode="clip"), num_samples)
    source = jnp.arange(len(waveform)) - shift
    moved = jnp.where(source < 0, 0.0, waveform.at[source].get(mode="clip"))
    return own_samples(moved, num_samples)


def time_mask(
    key: jax.Array,
    waveform: jax.Array,
    num_samples: jax.Array,
    *,
    num_masks: int = 2,
    duration_s: Range = (0.0, 0.1),
) -> jax.Array:
    """Silence stretches of a clip.

    Args:
        key: of this clip.
        waveform: float32 [T], zeros behind `num_samples`.
        num_samples: int32 scalar.
        num_masks: stretches, which may overlap.
        duration_s: of each, drawn uniformly; at most the clip's own length.

    Returns:
        float32 [T].
    """
    duration_seed, start_seed = seeds(key, 2)
    drawn = uniform(duration_seed, duration_s, (num_masks,)) * SAMPLE_RATE_HZ
    duration = jnp.minimum(jnp.rint(drawn).astype(jnp.int32), num_samples)
    room = (num_samples - duration + 1) * uniform(start_seed, (0.0, 1.0), (num_masks,))
    start = jnp.floor(room).astype(jnp.int32)
    position = jnp.arange(len(waveform))
    for i in range(num_masks):
        masked = (position >= start[i]) & (position < start[i] + duration[i])
        waveform = jnp.where(masked, 0.0, waveform)
    return waveform


def frequency_mask(
    key: jax.Array,
    waveform: jax.Array,
    num_samples: jax.Array,
    *,
    num_masks: int = 1,
    width_hz: Range = (0.0, 1000.0),
) -> jax.Array:
    """Remove bands, by more than 50 dB from 50 Hz (times `num_masks`) inside their edges.

    The filters of all bands together have 513 taps.

    Args:
        key: of this clip.
        waveform: float32 [T], zeros behind `num_samples`.
        num_samples: int32 scalar.
        num_masks: bands, which may overlap; at least 1.
        width_hz: of each, between the points of -6 dB, drawn uniformly.

    Returns:
        float32 [T].
    """
    width_seed, low_seed = seeds(key, 2)
    width = jnp.minimum(uniform(width_seed, width_hz, (num_masks,)), NYQUIST_HZ)
    low = uniform(low_seed, (0.0, 1.0), (num_masks,)) * (NYQUIST_HZ - width)
    num_taps = 2 * (MAX_HALF_WIDTH // num_masks) + 1
    passed = jnp.prod(band_stop(low, low + width, num_taps), axis=0)
    return own_samples(filtered(waveform[None], passed[None]), num_samples)
