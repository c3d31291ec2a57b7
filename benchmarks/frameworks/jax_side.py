"""Our side: the steps that `train` and `evaluate` run, without data or checkpoints."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.frameworks.side import (
    EPSILON,
    LEARNING_RATE,
    Opened,
    Outputs,
    Side,
    Task,
    Weights,
)
from rawnet_jax.config import LossConfig, OptimizerConfig
from rawnet_jax.contract import Batch
from rawnet_jax.interop.encoder_weights import state_from_encoder
from rawnet_jax.interop.model_weights import variables_from_published
from rawnet_jax.interop.torch_weights import variables_to_torch
from rawnet_jax.losses import batch_loss, make_loss
from rawnet_jax.models.registry import MODELS, build_model, default_fields, model_config
from rawnet_jax.models.torch_names import TorchNames
from rawnet_jax.models.with_encoder import WithEncoder
from rawnet_jax.scoring.scorer import eval_step
from rawnet_jax.training.optimizer import make_optimizer
from rawnet_jax.training.state import create_state
from rawnet_jax.training.step import train_step

# Until BatchNorm's running statistics are so near to the batch's that scores differ between clips.
_STEPS_BEFORE_EXPORT = 8


class JaxSide(Side):
    """One jitted training step and one jitted scoring step, of a model of the registry."""

    def versions(self) -> str:
        device = jax.devices()[0]
        return f"JAX {jax.__version__} on {device.platform} ({device.device_kind})"

    def build(self, task: Task, weights: Weights | None) -> None:
        self._task, spec = task, MODELS[task.model]
        self._loss = make_loss(LossConfig(name=spec.loss))
        self._names = spec.torch_names or TorchNames()
        model = self._model = build_model(model_config(task.model))
        optimizer = make_optimizer(OptimizerConfig(epsilon=EPSILON), lambda _: LEARNING_RATE)
        self._state = jax.jit(partial(create_state, model, optimizer, 0, task.num_samples))()
        if weights is not None:
            found = self._with(weights)
            self._state = self._state.replace(**jax.tree.map(jnp.array, found))
        steps = partial(train_step, model=model, loss=self._loss, optimizer=optimizer)
        self._train = jax.jit(steps, donate_argnums=0)
        self._score = jax.jit(partial(eval_step, model=model, loss=self._loss))
        self._batch: Any = task.batch()
        self._clip: Any = {name: array[:1] for name, array in self._batch.items()}
        self._pending: Any = None

    def open(self, task: Task, weights: Weights | None) -> Opened:
        opened = super().open(task, weights)
        for _ in range(_STEPS_BEFORE_EXPORT):
            self._run(self.train)
        return opened

    def train(self) -> None:
        self._state, report, _ = self._train(self._state, self._batch)
        self._pending = (self._state, report)

    def score(self) -> None:
        self._pending = self._score(self._state.variables, self._batch).score

    def score_one(self) -> np.ndarray:
        return np.asarray(self._score(self._state.variables, self._clip).score)

    def wait(self) -> None:
        jax.block_until_ready(self._pending)

    def weights(self) -> Weights:
        """Return the weights as they are now, for the other sides."""
        variables = jax.device_get(self._state.variables)
        model = self._model
        if not isinstance(model, WithEncoder):
            return variables_to_torch(variables, self._names)
        encoder = {part: entries.pop("encoder", {}) for part, entries in variables.items()}
        state = state_from_encoder(encoder, model.encoder_config)
        return {f"encoder.{name}": array for name, array in state.items()} | variables_to_torch(
            variables, self._names
        )

    def _with(self, weights: Weights) -> Any:
        variables = self._state.variables
        return variables_from_published(weights, self._model, self._names, variables).variables

    def outputs(self, weights: Weights) -> Outputs:
        found = self._with(weights)
        model = build_model(model_config(self._task.model, **without_noise(self._task.model)))

        def objective(params: Any, statistics: Any, batch: Batch) -> jax.Array:
            variables = {"params": params, "batch_stats": statistics}
            clips = batch["waveform"], batch["num_samples"]
            output, _ = model.apply(variables, *clips, train=True, mutable=["batch_stats"])
            total, count = batch_loss(self._loss, output, batch, (1.0, 1.0))
            return total / count

        step = jax.jit(jax.value_and_grad(objective))
        loss, gradient = step(found["params"], found["batch_stats"], self._batch)
        scores = self._score(found, self._batch).score
        return Outputs(np.asarray(scores), float(loss), float(optax.tree.norm(gradient)))


def without_noise(model: str) -> dict[str, Any]:
    """Return the fields that switch a model's dropout and noise off."""
    fields = {n: v for n, v in default_fields(model).items() if "dropout" in n or "noise" in n}
    return {n: (0.0,) * len(v) if isinstance(v, tuple) else 0.0 for n, v in fields.items()}
