"""Training steps: pure functions of arrays, jitted by their caller.

They hold for any number of devices and hosts: under `jax.jit` with a batch that is split over the
mesh, sums and BatchNorm statistics are those of the global batch.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from rawnet_jax.contract import Batch, StepOutput
from rawnet_jax.losses import Loss, batch_loss, row_weights
from rawnet_jax.training.state import NO_FAILURE, TrainState
from rawnet_jax.training.tuning import Tuning

Augment = Callable[[Any, jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
"""(banks, key, waveform [B, T], num_samples [B]) -> (waveform [B, T], num_samples [B])."""

Steps = Callable[[TrainState, Batch, Any], tuple[TrainState, StepOutput, jax.Array]]
"""A `train_step` of which only state, batch and banks are open, for one model or several."""


def train_step(
    state: TrainState,
    batch: Batch,
    banks: Any = (),
    *,
    model: nn.Module,
    loss: Loss,
    optimizer: optax.GradientTransformationExtraArgs,
    class_weights: tuple[float, ...] = (1.0, 1.0),
    augment: Augment | None = None,
    compute_dtype: Any = jnp.float32,
    tuning: Tuning | None = None,
) -> tuple[TrainState, StepOutput, jax.Array]:
    """Take one optimiser step on one batch.

    Args:
        state: before the step.
        batch: one global batch.
        banks: recordings that `augment` draws from.
        model: the network.
        loss: a row of `rawnet_jax.losses.LOSSES`.
        optimizer: the one that made ``state.opt_state``.
        class_weights: (spoof, bonafide).
        augment: what happens to the clips before the model sees them; None = nothing.
        compute_dtype: what the model computes in. Parameters, their gradients, the optimiser and
            BatchNorm's statistics stay float32.
        tuning: what is trained, and how the gradient is taken; None = everything, and plainly.

    Returns:
        The state after the step, unchanged if the loss or a gradient was not finite; the numbers of
        the batch as the parameters before the step saw it (dropout on); and a copy of
        ``failed_step`` that outlives the donated state.
    """
    tuning = tuning or Tuning()
    key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
    batch = augmented(batch, banks, key, augment)
    in_parts = tuning.accumulate_steps > 1
    whole = (
        row_weights(batch["label"], batch["num_samples"], class_weights).sum() if in_parts else None
    )

    def objective(trained: Any, rows: Batch, batch_stats: Any, key: jax.Array) -> Any:
        params = tuning.seen(state.params, trained, key)
        # Layers compute in the type of their kernels; see `rawnet_jax.nn.layers`.
        cast = jax.tree.map(lambda leaf: leaf.astype(compute_dtype), params)
        with tuning.trained.as_it_is():
            output, updates = model.apply(
                {"params": cast, "batch_stats": batch_stats},
                rows["waveform"],
                rows["num_samples"],
                train=True,
                rngs={"dropout": key},
                mutable=["batch_stats"],
            )
        sums = batch_loss(loss, output, rows, class_weights)
        # A part of a batch counts by its share of it.
        weight = sums[1] if whole is None else whole
        mean = sums[0] / jnp.maximum(weight, jnp.finfo(jnp.float32).tiny)
        return mean, (output.score, sums, updates.get("batch_stats", {}))

    trained = tuning.part(state.params, state.lora)
    gradient = tuning.gradient(jax.grad(objective, has_aux=True))
    grads, (score, sums, batch_stats) = gradient(trained, batch, state.batch_stats, key)
    finite = jnp.isfinite(sums[0]) & jnp.isfinite(optax.tree.norm(grads))
    good = finite & (state.failed_step == NO_FAILURE)
    updates, opt_state = optimizer.update(grads, state.opt_state, trained, position=state.position)
    after = state.replace(step=state.step + 1, position=state.position + state.pace)
    params, lora = tuning.whole(state.params, optax.apply_updates(trained, updates))
    after = after.replace(params=params, lora=lora, batch_stats=batch_stats, opt_state=opt_state)
    after = jax.tree.map(lambda new, old: jnp.where(good, new, old), after, state)
    failed = jnp.where(finite, state.failed_step, jnp.maximum(state.failed_step, state.step))
    after = after.replace(failed_step=failed)
    loss_sum, weight_sum = sums
    report = StepOutput(loss_sum, weight_sum, score, batch["label"], batch["index"])
    return after, report, failed


def augmented(batch: Batch, banks: Any, key: jax.Array, augment: Augment | None) -> Batch:
    """Return the batch as the model is to see it."""
    if augment is None:
        return batch
    # Another branch than dropout's, which is the step's key itself.
    branch = jax.random.fold_in(key, 1)
    waveform, num_samples = augment(banks, branch, batch["waveform"], batch["num_samples"])
    return {**batch, "waveform": waveform, "num_samples": num_samples}


def train_steps(
    state: TrainState,
    fixed: dict[str, Any],
    rows: Any,
    count: jax.Array,
    *,
    step: Steps,
    batch_of: Callable[[Any, Any], Batch],
) -> tuple[TrainState, StepOutput, jax.Array]:
    """Take several steps in one program, without the host between them.

    Args:
        state: before the first.
        fixed: what all steps read: ``corpus`` (of `batch_of`) and ``banks`` (of augmentation).
        rows: what each step's batch is made of; every leaf has K steps on its first axis.
        count: int32, steps to take, 1 to K. It is not a part of the program's shape, so that one
            program ends at any step.
        step: `train_step`, or several models' at once.
        batch_of: makes a batch of ``fixed["corpus"]`` and one step's rows.

    Returns:
        As `train_step`, with numbers and failures of each step on a first axis of K; those from
        `count` on are zeros.
    """

    def one(state: TrainState, number: Any) -> Any:
        row = jax.tree.map(lambda leaf: leaf[number], rows)
        return step(state, batch_of(fixed["corpus"], row), fixed["banks"])

    [max_steps] = {leaf.shape[0] for leaf in jax.tree.leaves(rows)}
    if max_steps == 1:  # no loop, which a CPU runs a little slower
        state, *reports = one(state, 0)
        return (state, *jax.tree.map(lambda leaf: leaf[None], reports))

    def body(number: jax.Array, carry: Any) -> Any:
        state, before = carry
        state, *reports = one(state, number)
        return state, jax.tree.map(lambda all_, new: all_.at[number].set(new), before, reports)

    shapes = jax.eval_shape(one, state, 0)[1:]
    empty = jax.tree.map(lambda leaf: jnp.zeros((max_steps, *leaf.shape), leaf.dtype), shapes)
    state, (report, failed) = jax.lax.fori_loop(0, count, body, (state, list(empty)))
    return state, report, failed
