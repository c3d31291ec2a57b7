"""Loudness and sign."""

import jax

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
