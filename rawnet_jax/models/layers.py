"""Building blocks that several networks share. All are channels-last: [B, T, C]."""

import functools

import jax
import jax.numpy as jnp

from rawnet_jax.contract import is_real


def max_pool_1d(x: jax.Array, size: int) -> jax.Array:
    """Max-pool over time with stride = window and no padding (an odd rest is dropped).

    Written as a maximum of strided slices because the gradient of XLA's reduce-window
    (select-and-scatter) is several times slower on a CPU.

    Args:
        x: [B, T, C].
        size: frames pooled into one; 1 = no pooling.

    Returns:
        [B, T // size, C].
    """
    length = x.shape[1] // size * size
    return functools.reduce(jnp.maximum, [x[:, i:length:size] for i in range(size)])


def row_mask(num_samples: jax.Array, ndim: int) -> jax.Array:
    """Mask of the rows that are clips, shaped to broadcast against an activation.

    Args:
        num_samples: int32 [B], 0 = filler row.
        ndim: rank of the activation.

    Returns:
        bool [B, 1, …, 1].
    """
    return is_real(num_samples).reshape((-1,) + (1,) * (ndim - 1))
