"""Loudness and sign."""

import jax
import jax.numpy as jnp

from rawnet_jax.augment.draw import Range, seeds, uniform


def gain(
    key: jax.Array,
    waveform: jax.Array,
    num_samples: jax.Array,  # noqa: ARG001
    *,
    gain_db: Range = (-12.0, 6.0),
    clip: bool = False,
) -> jax.Array:
    """Change the level.

    Args:
        key: of this clip.
        waveform: float32 [T].
        num_samples: int32 scalar.
        gain_db: drawn uniformly.
        clip: cut off what exceeds full scale, as an overdriven converter does.

    Returns:
        float32 [T].
    """
    louder = waveform * 10.0 ** (uniform(seeds(key, 1)[0], gain_db) / 20.0)
    return louder.clip(-1.0, 1.0) if clip else louder


def clipping(
    key: jax.Array,
    waveform: jax.Array,
    num_samples: jax.Array,  # noqa: ARG001
    *,
    share: Range = (0.2, 1.0),
) -> jax.Array:
    """Cut off what exceeds a share of the clip's own peak, whatever its level.

    Args:
        key: of this clip.
        waveform: float32 [T], zeros behind `num_samples`.
        num_samples: int32 scalar.
        share: drawn uniformly.

    Returns:
        float32 [T].
    """
    limit = uniform(seeds(key, 1)[0], share) * jnp.abs(waveform).max()
    return waveform.clip(-limit, limit)


def polarity(
    key: jax.Array,  # noqa: ARG001
    waveform: jax.Array,
    num_samples: jax.Array,  # noqa: ARG001
) -> jax.Array:
    """Turn the sign round, as a microphone with swapped wires does.

    Args:
        key: of this clip; nothing is drawn.
        waveform: float32 [T].
        num_samples: int32 scalar.

    Returns:
        float32 [T].
    """
    return -waveform
