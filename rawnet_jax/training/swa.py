"""Stochastic weight averaging: one model out of the good epochs of a run.

Izmailov et al., Averaging weights leads to wider optima and better generalization (UAI 2018), as
AASIST uses it: the parameters of every epoch whose dev EER is no worse than the best before it
enter a running mean; at the end of the run BatchNorm's statistics are estimated again for the mean,
by passing over the training clips once. With ``config.train.swa_from_epoch`` every epoch from that
one on enters it, much as Cha et al., SWAD: Domain generalization by seeking flat minima (NeurIPS
2021), average every step: where dev differs from the data to come, its EER is a poor guide.
"""

from collections.abc import Callable, Iterable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.contract import Batch
from rawnet_jax.training.state import TrainState
from rawnet_jax.training.step import Augment, augmented
from rawnet_jax.training.trained import Trained


def add_to_average(state: TrainState) -> TrainState:
    """Return the state with its parameters taken into the running mean."""
    count = state.average["count"] + 1
    mean = jax.tree.map(
        lambda average, new: average + (new - average) / count,
        state.average["params"],
        state.variables["params"],
    )
    return state.replace(average={"count": count, "params": mean})


def batch_statistics(
    variables: dict[str, Any],
    batch: Batch,
    key: jax.Array,
    banks: Any = (),
    *,
    model: nn.Module,
    augment: Augment | None = None,
    trained: Trained | None = None,
) -> Any:
    """Return BatchNorm's statistics of one batch alone, whatever the layers' momentum.

    A layer moves its running value to ``m · old + (1 - m) · batch``. Starting once from 0 and once
    from 1 gives m, and so the batch's value; where m is 1 (a layer that is not used) the running
    value stays.

    Args:
        variables: ``{"params", "batch_stats"}``.
        batch: one global batch.
        key: uint32 key data; dropout and augmentation are on, as they are in training.
        banks: recordings that `augment` draws from.
        model: the network.
        augment: see `rawnet_jax.training.step.train_step`.
        trained: which parameters were; statistics of the others stay. None = all.

    Returns:
        A tree like ``variables["batch_stats"]``.
    """
    drawn = jax.random.wrap_key_data(key)
    batch = augmented(batch, banks, drawn, augment)

    def moved(start: Callable[[jax.Array], jax.Array]) -> Any:
        with (trained or Trained()).as_it_is():
            _, updates = model.apply(
                {**variables, "batch_stats": jax.tree.map(start, variables["batch_stats"])},
                batch["waveform"],
                batch["num_samples"],
                train=True,
                rngs={"dropout": drawn},
                mutable=["batch_stats"],
            )
        return updates.get("batch_stats", {})

    def of_batch(from_zero: jax.Array, from_one: jax.Array, running: jax.Array) -> jax.Array:
        share = 1.0 - (from_one - from_zero)
        used = share > 1e-6
        return jnp.where(used, from_zero / jnp.where(used, share, 1.0), running)

    return jax.tree.map(
        of_batch, moved(jnp.zeros_like), moved(jnp.ones_like), variables["batch_stats"]
    )


def estimate_statistics(
    variables: dict[str, Any],
    batches: Iterable[Batch],
    statistics_of: Callable[[dict[str, Any], Batch, jax.Array, Any], Any],
    key: jax.Array,
    banks: Any = (),
) -> dict[str, Any]:
    """Return the variables with BatchNorm statistics that are a mean over batches.

    Each batch counts by its number of clips, as in PyTorch's ``swa_utils``' first form
    (torchcontrib ``bn_update``).

    Args:
        variables: ``{"params", "batch_stats"}``.
        batches: global batches on the devices.
        statistics_of: `batch_statistics`, jitted.
        key: uint32 key data; batch n draws from ``fold_in(key, n)``.
        banks: recordings that augmentation draws from.
    """
    total, mean = 0, variables["batch_stats"]
    for number, batch in enumerate(batches):
        step_key = jax.random.fold_in(jax.random.wrap_key_data(key), number)
        found = statistics_of(variables, batch, jax.random.key_data(step_key), banks)
        count = int(jnp.sum(batch["num_samples"] > 0))
        total += count
        share = count / total
        mean = jax.tree.map(lambda old, new, s=share: old + s * (new - old), mean, found)
    return {**variables, "batch_stats": mean}
