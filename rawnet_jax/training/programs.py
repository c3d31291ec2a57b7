"""The jitted functions of a run; each is compiled at its first call."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from rawnet_jax.config import Config
from rawnet_jax.contract import Batch
from rawnet_jax.losses import make_loss
from rawnet_jax.mesh import replicated, split_rows
from rawnet_jax.models.registry import build_model
from rawnet_jax.scoring.scorer import Scorer
from rawnet_jax.training.optimizer import make_optimizer, make_schedule
from rawnet_jax.training.state import TrainState, create_state
from rawnet_jax.training.step import Augment, Steps, train_step, train_steps
from rawnet_jax.training.swa import batch_statistics
from rawnet_jax.training.tuning import Tuning


class Programs:
    """What the loop calls.

    With several seeds, the state has them on the first axis of every leaf, and so have the rows of
    a batch and what comes out.

    Args:
        config: the experiment.
        mesh: the devices.
        batches_per_epoch: for the schedule.
        augment: see `train_step`.
        tuning: see `train_step`.

    Attributes:
        schedule: learning rate by position.
        make_state: () -> `TrainState`.
        statistics_of: `batch_statistics` of one seed.
        scorer: of all seeds.
    """

    def __init__(
        self,
        config: Config,
        mesh: Mesh,
        batches_per_epoch: int,
        augment: Augment | None = None,
        tuning: Tuning | None = None,
    ) -> None:
        self._mesh = mesh
        model, loss = build_model(config.model), make_loss(config.loss)
        tuning = tuning or Tuning()
        num_seeds = config.train.num_seeds
        self.schedule = make_schedule(
            config.optimizer.schedule,
            config.optimizer.learning_rate,
            batches_per_epoch,
            config.train.num_epochs,
        )
        optimizer = make_optimizer(config.optimizer, self.schedule, tuning.factors)

        def state_of(seed: Any) -> TrainState:
            num_samples, swa = config.data.num_samples, config.train.swa
            return create_state(model, optimizer, seed, num_samples, swa=swa, tuning=tuning)

        def states() -> TrainState:
            seed = config.train.seed
            if num_seeds == 1:
                return state_of(seed)
            return jax.vmap(state_of)(seed + jnp.arange(num_seeds))

        self.make_state = jax.jit(states, out_shardings=replicated(mesh))
        step: Steps = partial(
            train_step,
            model=model,
            loss=loss,
            optimizer=optimizer,
            class_weights=config.loss.class_weights,
            augment=augment,
            compute_dtype=jnp.dtype(config.train.compute_dtype),
            tuning=tuning,
        )
        self._step = step if num_seeds == 1 else jax.vmap(step, in_axes=(0, 0, None))
        self.statistics_of = jax.jit(
            partial(batch_statistics, model=model, augment=augment, trained=tuning.trained),
            in_shardings=(replicated(mesh), split_rows(mesh), replicated(mesh), replicated(mesh)),
            out_shardings=replicated(mesh),
        )
        self.scorer = Scorer(model, mesh, loss, config.loss.class_weights, num_seeds)

    def steps(self, batch_of: Callable[[Any, Any], Batch]) -> Callable[..., Any]:
        """Return the jitted `train_steps` for one way of making batches."""
        return jax.jit(
            partial(train_steps, step=self._step, batch_of=batch_of),
            donate_argnums=0,
            out_shardings=replicated(self._mesh),
        )
