"""One training step: a pure function of arrays, jitted by its caller.

It holds for any number of devices and hosts: under `jax.jit` with a batch that is split over the
mesh, sums and BatchNorm statistics are those of the global batch.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from rawnet_jax.contract import Batch, StepOutput
from rawnet_jax.losses import Loss, batch_loss
from rawnet_jax.training.state import NO_FAILURE, TrainState


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    model: nn.Module,
    loss: Loss,
    optimizer: optax.GradientTransformationExtraArgs,
    class_weights: tuple[float, ...] = (1.0, 1.0),
) -> tuple[TrainState, StepOutput, jax.Array]:
    """Take one optimiser step on one batch.

    Args:
        state: before the step.
        batch: one global batch.
        model: the network.
        loss: a row of `rawnet_jax.losses.LOSSES`.
        optimizer: the one that made ``state.opt_state``.
        class_weights: (spoof, bonafide).

    Returns:
        The state after the step, unchanged if the loss or a gradient was not finite; the figures of
        the batch as the parameters before the step saw it (dropout on); and a copy of
        ``failed_step`` that outlives the donated state.
    """
    dropout_key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)

    def objective(params: Any) -> tuple[jax.Array, Any]:
        output, updates = model.apply(
            {"params": params, "batch_stats": state.batch_stats},
            batch["waveform"],
            batch["num_samples"],
            train=True,
            rngs={"dropout": dropout_key},
            mutable=["batch_stats"],
        )
        sums = batch_loss(loss, output, batch, class_weights)
        mean = sums[0] / jnp.maximum(sums[1], jnp.finfo(jnp.float32).tiny)
        return mean, (output.score, sums, updates.get("batch_stats", {}))

    grads, (score, sums, batch_stats) = jax.grad(objective, has_aux=True)(state.params)
    finite = jnp.isfinite(sums[0]) & jnp.isfinite(optax.tree.norm(grads))
    good = finite & (state.failed_step == NO_FAILURE)
    updates, opt_state = optimizer.update(
        grads, state.opt_state, state.params, position=state.position
    )
    after = state.replace(
        step=state.step + 1,
        position=state.position + state.pace,
        params=optax.apply_updates(state.params, updates),
        batch_stats=batch_stats,
        opt_state=opt_state,
    )
    after = jax.tree.map(lambda new, old: jnp.where(good, new, old), after, state)
    failed = jnp.where(finite, state.failed_step, jnp.maximum(state.failed_step, state.step))
    after = after.replace(failed_step=failed)
    loss_sum, weight_sum = sums
    report = StepOutput(loss_sum, weight_sum, score, batch["label"], batch["index"])
    return after, report, failed
