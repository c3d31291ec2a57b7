"""Terms that several losses are made of."""

import jax
import jax.numpy as jnp


def log_probability(logits: jax.Array, label: jax.Array) -> jax.Array:
    """Return the log softmax of the true class, [...] for logits [..., 2]."""
    chosen = jnp.maximum(label, 0)[..., None]
    return jnp.take_along_axis(jax.nn.log_softmax(logits), chosen, axis=-1)[..., 0]


def focal_term(logits: jax.Array, label: jax.Array, gamma: float) -> jax.Array:
    """Return (1 - p)^gamma · (-log p) of the true class, [...] for logits [..., 2]."""
    log_p = log_probability(logits, label)
    # 1 - p of two classes is the other one's p: no cancellation, and a finite gradient at p = 1.
    log_other = log_probability(logits, 1 - jnp.maximum(label, 0))
    return -jnp.exp(gamma * log_other) * log_p


def euclidean(difference: jax.Array) -> jax.Array:
    """Euclidean norm over the last axis, with gradient 0 at 0."""
    squared = jnp.sum(jnp.square(difference), axis=-1)
    positive = squared > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)
