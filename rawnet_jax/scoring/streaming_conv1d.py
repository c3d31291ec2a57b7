"""The Conv1D classifier over a stream, without computing what the last window computed.

Windows overlap, and so do their frames, but for those that see a window's edge: there the
convolutions pad with zeros, in the middle of what to the stream is audio. The published network
makes 500 frames of a second, of which the first two and the last two are such. So a window is put
together from

    head      frames that the left padding reaches, of this window alone
    middle    frames that no padding reaches: the same in every window, carried along
    tail      frames that the right padding reaches, of this window alone

and pooled over time as ever. Head and tail cost a hundred samples each. The middle of the next
window is this one's, less what it leaves behind, with the frames of one hop behind it; for that the
hop has to be a multiple of the samples between two frames (32). The score is that of the whole
window but for the order in which float32 sums are taken.
"""

import math
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.models.conv1d import AttentiveStatisticsPooling, Conv1DClassifier
from rawnet_jax.nn.layers import BatchNorm, max_pool_1d
from rawnet_jax.nn.lengths import Extent
from rawnet_jax.scoring.streaming_engine import UNHEARD, Heard, WholeWindows, heard

Pads = tuple[tuple[int, int], ...]
"""Zeros on the left and on the right of every convolution's input."""


@dataclass(frozen=True)
class FramePlan:
    """Which frames of a window see its edges, and the samples that each part is made of.

    Attributes:
        model: the network.
        pads: of a whole window.
        num_frames: that reach the pooling over time.
        num_head: of these, how many the left padding reaches.
        num_tail: of these, how many the right padding reaches.
        num_new: frames of the middle that a hop brings.
    """

    model: Conv1DClassifier
    pads: Pads
    num_frames: int
    num_head: int
    num_tail: int
    num_new: int

    @property
    def num_middle(self) -> int:
        """Frames of a window that no padding reaches."""
        return self.num_frames - self.num_head - self.num_tail

    @cached_property
    def head(self) -> slice:
        """Samples of a window that its head is made of."""
        return slice(0, self._end(self.num_head))

    @cached_property
    def tail(self) -> slice:
        """Samples of a window that its tail is made of."""
        return slice(self._start(self.num_frames - self.num_tail), None)

    @cached_property
    def new(self) -> slice:
        """Samples of a window that the last `num_new` frames of its middle are made of."""
        end = self.num_frames - self.num_tail
        return slice(self._start(end - self.num_new), self._end(end))

    def _start(self, frame: int) -> int:
        """Return the first sample that a frame is made of."""
        for (_, stride, pool), (left, _) in reversed(self._layers):
            frame = frame * pool * stride - left
        return frame

    def _end(self, frame: int) -> int:
        """Return the first sample that no frame before this one is made of."""
        for (width, stride, pool), (left, _) in reversed(self._layers):
            frame = (frame * pool - 1) * stride - left + width
        return frame

    @property
    def _layers(self) -> list[tuple[tuple[int, int, int], tuple[int, int]]]:
        return list(zip(_shapes(self.model), self.pads, strict=True))


def plan_frames(model: Conv1DClassifier, window: int, hop: int) -> FramePlan | None:
    """Lay out a window; None where its frames cannot be carried along.

    Args:
        model: the network.
        window: length of a window in samples.
        hop: from one to the next in samples.
    """
    distance = math.prod(model.strides) * math.prod(model.pool_sizes)
    if hop % distance:
        return None
    pads, length, head, tail = [], window, 0, 0
    for width, stride, pool in _shapes(model):
        left, right = _padding(model, length, width, stride)
        num_frames = (left + length + right - width) // stride + 1
        # The first frame that begins behind the head, the first that ends in the tail.
        head = -(-(head + left) // stride)
        tail = num_frames - ((length - tail - width + left) // stride + 1)
        length = num_frames // pool
        head, tail = -(-head // pool), length - (num_frames - tail) // pool
        pads.append((left, right))
    middle = length - head - tail
    if middle < 1:
        return None
    return FramePlan(model, tuple(pads), length, head, tail, min(hop // distance, middle))


def _shapes(model: Conv1DClassifier) -> list[tuple[int, int, int]]:
    """Return width, stride and pooling of each block."""
    return list(zip(model.kernel_sizes, model.strides, model.pool_sizes, strict=True))


def _padding(model: Conv1DClassifier, length: int, width: int, stride: int) -> tuple[int, int]:
    """Return what the network pads an input of that length with, left and right."""
    num_frames = jnp.full(1, length) if model.variable_length else None
    extent = Extent(jnp.ones(1, bool), num_frames)
    padding = extent.padding(jnp.zeros((1, length, 1)), (width,), (stride,))
    if isinstance(padding, str):
        padding = jax.lax.padtype_to_pads((length,), (width,), (stride,), padding)
    return padding[0]


class CarriedConv1D:
    """Scores windows of a Conv1D classifier from the frames of the windows before.

    What is carried is float32 [num_middle, C]; a window costs the frames of one hop, of a head and
    of a tail, and the pooling over all.
    """

    def __init__(self, plan: FramePlan, variables: dict[str, Any], embeds: bool = False) -> None:
        """Prepare a network; it is compiled with the first window.

        Args:
            plan: of its windows.
            variables: ``{"params", "batch_stats"}``.
            embeds: give embeddings beside scores.
        """
        self._plan = plan
        self._variables = variables
        self._whole = WholeWindows(plan.model, variables, embeds)
        self._step = jax.jit(partial(_score_next, plan, embeds), donate_argnums=1)
        self.restart()

    def restart(self) -> None:
        """See `Engine.restart`."""
        # On the device of the weights, as all later ones: or the second window compiles again.
        leaf = jax.tree_util.tree_leaves(self._variables)[0]
        shape = (self._plan.num_middle, self._plan.model.channels[-1])
        self._middle = jax.device_put(np.zeros(shape, np.float32), getattr(leaf, "sharding", None))

    def advance(self, window: np.ndarray, wanted: bool) -> Heard:
        """See `Engine.advance`."""
        self._middle, *found = self._step(self._variables, self._middle, window)
        return heard(*found) if wanted else UNHEARD

    def score_alone(self, window: np.ndarray, num_samples: int) -> Heard:
        """See `Engine.score_alone`."""
        return self._whole.score_alone(window, num_samples)


def _score_next(
    plan: FramePlan,
    embeds: bool,
    variables: dict[str, Any],
    middle: jax.Array,
    window: jax.Array,
) -> tuple[jax.Array, ...]:
    """Return the frames to carry on, the score of a window and, if asked for, its embedding."""
    none = (0,) * len(plan.pads)
    left, right = zip(*plan.pads, strict=True)
    frames = partial(_frames, plan.model, variables)
    new = frames(window[plan.new], tuple(zip(none, none, strict=True)))
    middle = jnp.concatenate([middle, new])[plan.num_new :]
    parts = [middle]
    if plan.num_head:
        parts.insert(0, frames(window[plan.head], tuple(zip(left, none, strict=True))))
    if plan.num_tail:
        parts.append(frames(window[plan.tail], tuple(zip(none, right, strict=True))))
    score, embedding = _score(plan.model, variables["params"], jnp.concatenate(parts))
    return (middle, score, embedding) if embeds else (middle, score)


def _frames(
    model: Conv1DClassifier, variables: dict[str, Any], samples: jax.Array, pads: Pads
) -> jax.Array:
    """Return what reaches the pooling over time of samples [n]: [T, C]."""
    params, statistics = variables["params"], variables["batch_stats"]
    batch_norm = BatchNorm(model.bn_epsilon, model.bn_momentum, unbiased=False)
    real = jnp.ones((1, 1, 1), bool)
    x = samples[None, :, None]
    for i, ((width, stride, pool), pad) in enumerate(zip(_shapes(model), pads, strict=True)):
        conv = nn.Conv(model.channels[i], (width,), (stride,), padding=[pad])
        x = nn.relu(_apply(conv, {"params": params[f"conv_{i}"]}, x))
        norm = {"params": params[f"norm_{i}"], "batch_stats": statistics[f"norm_{i}"]}
        x = max_pool_1d(_apply(batch_norm, norm, x, real, False), pool)
    return x[0]


def _score(
    model: Conv1DClassifier, params: dict[str, Any], frames: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return the score of all frames [T, C] of a window, and its embedding [D]."""
    x, extent = frames[None], Extent(jnp.ones(1, bool))
    if model.pooling == "mean":
        x = extent.mean(x, 1)
    elif model.pooling == "max":
        x = extent.max(x)
    else:
        attention = AttentiveStatisticsPooling(model.attention_features)
        x = _apply(attention, {"params": params["attention"]}, x, extent)
    x = nn.relu(_apply(nn.Dense(model.hidden_features), {"params": params["hidden"]}, x))
    return _apply(nn.Dense(1), {"params": params["head"]}, x)[0, 0], x[0]


def _apply(module: nn.Module, variables: dict[str, Any], *inputs: Any) -> jax.Array:
    output: Any = module.apply(variables, *inputs)
    return output
