"""Losses: each takes what a model returned and says how wrong every row is.

A loss is a pure function ``(output: ModelOutput, label int32 [B]) -> float32 [B]``. Weighting the
classes and leaving out filler rows is the same for all and happens once, in `weighted_sums`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from rawnet_jax.contract import ModelOutput, is_real
from rawnet_jax.errors import ConfigError
from rawnet_jax.labels import Label

Loss = Callable[[ModelOutput, jax.Array], jax.Array]


def bce(output: ModelOutput, label: jax.Array) -> jax.Array:
    """Binary cross-entropy on one logit a row.

    Args:
        output: its ``logits`` [B] are the log odds of bona fide speech.
        label: int32 [B].

    Returns:
        float32 [B], in nats.
    """
    target = (label == Label.BONAFIDE).astype(jnp.float32)
    return optax.sigmoid_binary_cross_entropy(output.logits, target)


def cross_entropy(output: ModelOutput, label: jax.Array) -> jax.Array:
    """Softmax cross-entropy on ``[spoof, bonafide]`` logits.

    Args:
        output: its ``logits`` are [B, 2].
        label: int32 [B].

    Returns:
        float32 [B], in nats.
    """
    return optax.softmax_cross_entropy_with_integer_labels(output.logits, jnp.maximum(label, 0))


LOSSES: dict[str, Loss] = {"bce": bce, "cross_entropy": cross_entropy}


def loss_named(name: str) -> Loss:
    """Return the loss of that name.

    Raises:
        ConfigError: if there is none.
    """
    if name not in LOSSES:
        raise ConfigError(f"config.loss.name is {name!r}; it must be one of {', '.join(LOSSES)}")
    return LOSSES[name]


def weighted_sums(
    values: jax.Array, label: jax.Array, num_samples: jax.Array, class_weights: tuple[float, ...]
) -> tuple[jax.Array, jax.Array]:
    """Sum a loss over the rows that count.

    Their quotient is the weighted mean as PyTorch's ``CrossEntropyLoss(weight=…)`` defines it:
    divided by the sum of the weights, not by the number of rows.

    Args:
        values: float32 [B].
        label: int32 [B]; rows of unknown label (-1) do not count.
        num_samples: int32 [B]; filler rows (0) do not count.
        class_weights: (spoof, bonafide).

    Returns:
        ``(sum of weighted values, sum of weights)``, float32 scalars.
    """
    weight = jnp.asarray(class_weights, jnp.float32)[jnp.maximum(label, 0)]
    weight = jnp.where(is_real(num_samples) & (label >= 0), weight, 0.0)
    return jnp.sum(weight * values), jnp.sum(weight)
