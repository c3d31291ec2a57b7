"""Dropout whose mask costs little: on a CPU JAX's own generator takes longer than a convolution.

The mask is a hash of each value's position and of a key, made again in the backward pass, where it
joins with what surrounds it: no mask is ever in memory. The hash is two rounds of a 32-bit mixer
(multiply and shift, constants of Wellons' "lowbias32"), whose bias is far below what a network can
notice; it is not for anything that must be unpredictable.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp


class Dropout(nn.Module):
    """As `nn.Dropout`: in training, values are 0 with a probability, the others grow by as much.

    Attributes:
        rate: probability of a 0, in [0, 1).
    """

    rate: float

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Drop values of x in training; else return it."""
        if not train or self.rate == 0.0:
            return x
        key = jax.random.bits(self.make_rng("dropout"), (2,), jnp.uint32)
        return dropped(x, key, self.rate)


def dropped(x: jax.Array, key: jax.Array, rate: float) -> jax.Array:
    """Set values to 0 with probability rate and divide the others by 1 - rate.

    Args:
        x: of any shape, of fewer than 2³² values.
        key: uint32 [2].
        rate: in [0, 1).
    """
    bits = _mixed(_mixed(_positions(x.shape) ^ key[0]) + key[1])
    keep = bits >= jnp.uint32(round(rate * 2**32))
    return jnp.where(keep, x / (1.0 - rate), jnp.zeros((), x.dtype))


def _positions(shape: tuple[int, ...]) -> jax.Array:
    """Return each value's index in memory, uint32, without an array of them."""
    position = jnp.zeros(shape, jnp.uint32)
    for axis, size in enumerate(shape):
        position = position * jnp.uint32(size) + jax.lax.broadcasted_iota(jnp.uint32, shape, axis)
    return position


def _mixed(bits: jax.Array) -> jax.Array:
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x7FEB352D)
    bits = (bits ^ (bits >> 15)) * jnp.uint32(0x846CA68B)
    return bits ^ (bits >> 16)
