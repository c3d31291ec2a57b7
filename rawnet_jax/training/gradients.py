"""Gradients of a step: of the batch at once or in parts, where the parameters are or uphill.

Gradient accumulation divides a batch into micro-batches, so that the memory of one holds the step
of all. Sharpness-aware minimisation (SAM) takes the gradient at the worst place nearby: Foret et
al., Sharpness-aware minimization for efficiently improving generalization (ICLR 2021), eq. 2 and 3;
adaptive (ASAM): Kwon et al. (ICML 2021), eq. 5.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from rawnet_jax.contract import Batch, is_real

Gradient = Callable[[Any, Batch, Any, jax.Array], tuple[Any, Any]]
"""(parameters, batch, batch_stats, key) -> (gradients, (scores [B], sums, batch_stats after))."""

_LEAST_WEIGHT = 0.01
"""What ASAM adds to the size of a parameter, so that one of 0 moves too."""


def micro_batches(batch: Any, count: int, unit: int) -> Any:
    """Divide the rows of a batch.

    Rows are dealt out in turn, so that each device has its share of every part, and a short last
    batch is spread over them.

    Args:
        batch: arrays [B, ...].
        count: how many parts.
        unit: rows that stay together: 2 = pairs.

    Returns:
        Arrays [count, B / count, ...].
    """

    def deal(rows: jax.Array) -> jax.Array:
        shape = rows.shape[1:]
        dealt = jnp.moveaxis(rows.reshape(-1, count, unit, *shape), 1, 0)
        return dealt.reshape(count, -1, *shape)

    return jax.tree.map(deal, batch)


def rejoined(rows: jax.Array, unit: int) -> jax.Array:
    """Put rows [count, B / count] of `micro_batches` back in order, [B]."""
    count = rows.shape[0]
    return jnp.moveaxis(rows.reshape(count, -1, unit), 0, 1).reshape(-1)


def accumulated(gradient: Gradient, count: int, unit: int) -> Gradient:
    """Return a gradient that goes over a batch in parts, one after the other.

    It is the sum over the parts, so `gradient` must divide by the weight of the whole batch. Each
    part draws from a key of its own. BatchNorm normalises by a part's statistics, and its running
    ones move with every part that has a clip in it.

    Args:
        gradient: of one part.
        count: how many parts.
        unit: rows that stay together.
    """

    def sum_over(params: Any, batch: Batch, batch_stats: Any, key: jax.Array) -> tuple[Any, Any]:
        def add(carry: Any, part: Any) -> Any:
            (total, stats), (number, rows) = carry, part
            own = jax.random.fold_in(key, number)
            grads, (score, sums, moved) = gradient(params, rows, stats, own)
            real = is_real(rows["num_samples"]).any()
            stats = jax.tree.map(lambda new, old: jnp.where(real, new, old), moved, stats)
            return (jax.tree.map(jnp.add, total, grads), stats), (score, sums)

        start = (jax.tree.map(jnp.zeros_like, params), batch_stats)
        parts = (jnp.arange(count), micro_batches(batch, count, unit))
        (grads, stats), (score, sums) = jax.lax.scan(add, start, parts)
        return grads, (rejoined(score, unit), tuple(s.sum() for s in sums), stats)

    return sum_over


def sharpness_aware(gradient: Gradient, radius: float, *, adaptive: bool) -> Gradient:
    """Return the gradient uphill; scores, sums and statistics are of where the parameters are.

    Both gradients draw the same dropout.

    Args:
        gradient: of a place.
        radius: how far uphill, in the Euclidean norm of all parameters; adaptive: of each
            parameter's change divided by its size.
        adaptive: ASAM.
    """

    def uphill(params: Any, batch: Batch, batch_stats: Any, key: jax.Array) -> tuple[Any, Any]:
        grads, seen = gradient(params, batch, batch_stats, key)
        size = jax.tree.map(lambda w: jnp.abs(w) + _LEAST_WEIGHT if adaptive else 1.0, params)
        scaled = jax.tree.map(jnp.multiply, grads, size)
        step = radius / jnp.maximum(optax.tree.norm(scaled), jnp.finfo(jnp.float32).tiny)
        there = jax.tree.map(lambda w, s, g: w + step * s * g, params, size, scaled)
        return gradient(there, batch, batch_stats, key)[0], seen

    return uphill
