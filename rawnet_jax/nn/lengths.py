"""How much of an activation is clip, from layer to layer: what `variable_length` relies on.

Every activation of every network is ``[B, …, T, C]``: time is the second axis from the end. A row
holds a clip's frames first and padding behind them. Published networks take the padding for signal;
with ``variable_length`` a network carries an `Extent` along, and what is not clip reaches nothing:

    convolution           `Extent.cleared` before it: beyond the clip are the zeros of its padding
    ... with a stride     `Extent.strided`, after the padding of `Extent.padding`
    max-pooling           `Extent.pooled`: a window counts where all of it is clip, as for a clip
                          alone, whose odd rest is dropped
    statistics, means     over `Extent.mask`, `Extent.mean`
    softmax, maximum      `Extent.softmax`, `Extent.max`

A clip shorter than a network can take is followed by zeros, which then count as signal, up to that
length (`clips_alone`), alone and in a batch alike. So at least one frame counts in every row at
every layer, in a filler row too, and nothing divides by zero.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.contract import is_real

Padding = str | list[tuple[int, int]]


class Extent(NamedTuple):
    """How much of an activation is clip. Without ``num_frames`` all of it is, as published.

    Attributes:
        real: bool [B], False = filler row.
        num_frames: int32 [B], at least 1: frames that count, from the first on; None = all.
        others: entries behind all frames that always count (nodes that are not frames).
    """

    real: jax.Array
    num_frames: jax.Array | None = None
    others: int = 0

    def frames(self, x: jax.Array) -> jax.Array:
        """Return which frames of x count, of a filler row too.

        Returns:
            bool [B, 1, …, T, 1], to broadcast against x; T is 1 if all count.
        """
        if self.num_frames is None:
            return jnp.ones((1,) * x.ndim, bool)
        total = x.shape[-2]
        position = jnp.arange(total)
        counts = (position < self.num_frames[:, None]) | (position >= total - self.others)
        return counts.reshape(-1, *(1,) * (x.ndim - 3), total, 1)

    def mask(self, x: jax.Array) -> jax.Array:
        """Return what of x may enter a statistic of the batch: as `frames`, no filler row."""
        rows = self.real.reshape(-1, *(1,) * (x.ndim - 1))
        return rows if self.num_frames is None else rows & self.frames(x)

    def cleared(self, x: jax.Array) -> jax.Array:
        """Return x with zeros in the frames that do not count."""
        if self.num_frames is None:
            return x
        return jnp.where(self.frames(x), x, jnp.zeros((), x.dtype))

    def mean(self, x: jax.Array, axis: int | tuple[int, ...], *, keepdims: bool = False) -> Any:
        """Return the mean over axes of x, of which time is one."""
        if self.num_frames is None:
            return x.mean(axis=axis, keepdims=keepdims)
        frames = jnp.broadcast_to(self.frames(x), (x.shape[0], *x.shape[1:-1], 1))
        count = frames.sum(axis=axis, keepdims=keepdims)
        # In float32, for bfloat16 cannot count.
        total = self.cleared(x).sum(axis=axis, keepdims=keepdims, dtype=jnp.float32)
        return (total / count).astype(x.dtype)

    def max(self, x: jax.Array) -> jax.Array:
        """Return the maximum over time."""
        return self.lowered(x).max(axis=-2)

    def lowered(self, x: jax.Array) -> jax.Array:
        """Return x with -inf in the frames that do not count: none of them is among the largest."""
        if self.num_frames is None:
            return x
        return jnp.where(self.frames(x), x, -jnp.inf)

    def last(self, x: jax.Array) -> jax.Array:
        """Return the last frame of [B, T, C] that counts."""
        if self.num_frames is None:
            return x[:, -1]
        return jnp.take_along_axis(x, self.num_frames[:, None, None] - 1, axis=1)[:, 0]

    def softmax(self, x: jax.Array, axis: int = -2) -> jax.Array:
        """Return the softmax over time; frames that do not count weigh nothing.

        Args:
            x: [B, …, T, C], or with time as another axis.
            axis: which one.
        """
        if self.num_frames is None:
            return nn.softmax(x, axis=axis)
        counts = self.frames(jnp.swapaxes(x, axis, -2))
        return nn.softmax(jnp.where(jnp.swapaxes(counts, axis, -2), x, -jnp.inf), axis=axis)

    def padding(self, x: jax.Array, kernel_size: Sequence[int], strides: Sequence[int]) -> Padding:
        """Return the padding of a convolution that is published with "SAME".

        SAME splits what T and the stride need between left and right, so that where a window begins
        depends on T. Here it is on the left what it would be for a T that the stride divides.

        Args:
            x: [B, …, T, C].
            kernel_size: one width per dimension, time last.
            strides: one step per dimension, time last.
        """
        if self.num_frames is None:
            return "SAME"
        pads = jax.lax.padtype_to_pads(x.shape[1:-1], kernel_size, strides, "SAME")
        total, width, stride = x.shape[-2], kernel_size[-1], strides[-1]
        left = max(width - stride, 0) // 2
        last = (-(-total // stride) - 1) * stride - left  # where the last window begins
        return [*pads[:-1], (left, max(last + width - total, 0))]

    def strided(self, stride: int) -> "Extent":
        """Return the extent after a convolution that begins a window at every stride-th frame."""
        return self._of(lambda num: (num + stride - 1) // stride)

    def pooled(self, size: int) -> "Extent":
        """Return the extent after max-pooling with stride = window that drops an odd rest."""
        return self._of(lambda num: num // size)

    def shortened(self, num_frames: int) -> "Extent":
        """Return the extent after an operation without padding that takes so many frames."""
        return self._of(lambda num: num - num_frames)

    def followed_by(self, others: int) -> "Extent":
        """Return the extent of the frames with so many other entries behind them."""
        return self._replace(others=others)

    def selected(self, num_kept: Sequence[int]) -> "Extent":
        """Return the extent after of N frames the first ``num_kept[N]`` were kept."""
        return self._of(lambda num: jnp.asarray(num_kept, jnp.int32)[num])

    def _of(self, after: Any) -> "Extent":
        if self.num_frames is None:
            return self
        return self._replace(num_frames=jnp.maximum(after(self.num_frames), 1))


def clips_alone(
    waveform: jax.Array, num_samples: jax.Array, shortest: int = 1
) -> tuple[jax.Array, Extent]:
    """Begin a network with ``variable_length``: silence what is not clip.

    Args:
        waveform: float32 [B, T].
        num_samples: int32 [B], 0 = filler row.
        shortest: samples that the network needs; shorter clips and filler rows count as so long.

    Returns:
        The waveform, of at least ``shortest`` samples, zero beyond each clip's own; its extent.
    """
    inside = jnp.arange(waveform.shape[1]) < num_samples[:, None]
    waveform = jnp.where(inside, waveform, jnp.zeros((), waveform.dtype))
    waveform = jnp.pad(waveform, ((0, 0), (0, max(shortest - waveform.shape[1], 0))))
    num_frames = jnp.clip(num_samples, shortest, waveform.shape[1])
    return waveform, Extent(is_real(num_samples), num_frames)
