"""Everything that a training step reads and writes."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct

from rawnet_jax.models.variables import init_variables
from rawnet_jax.training.lora import merged
from rawnet_jax.training.tuning import Tuning

NO_FAILURE = -1


class TrainState(struct.PyTreeNode):
    """State of a run. It is what a checkpoint holds.

    Attributes:
        step: int32, batches trained on.
        params: float32 pytree, of the whole network.
        batch_stats: running statistics of BatchNorm; empty for a model without.
        opt_state: of the optax optimiser, of what is trained.
        position: int32, the step of the learning-rate schedule.
        pace: int32, by how much a training step moves it; 1 unless stalls made it run faster.
        average: what `rawnet_jax.training.swa` averages, with its count; empty without.
        key: uint32 key data; step n's randomness is ``fold_in(key, n)``.
        failed_step: int32, the step whose loss or gradient was not finite, -1 = none. From there on
            steps change nothing, so that the state stays the last good one however late the host
            looks.
        lora: LoRA's matrices; empty without.
        lora_scale: factor on their products.
    """

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: Any
    position: jax.Array
    pace: jax.Array
    average: Any
    key: jax.Array
    failed_step: jax.Array
    lora: Any = struct.field(default_factory=dict)
    lora_scale: float = struct.field(pytree_node=False, default=1.0)

    @property
    def variables(self) -> dict[str, Any]:
        """The collections that the model's ``apply`` takes, LoRA's products in the kernels."""
        params = merged(self.params, self.lora, self.lora_scale)
        return {"params": params, "batch_stats": self.batch_stats}


def empty_average(params: Any) -> dict[str, Any]:
    """Return the average of no parameters yet."""
    return {"count": jnp.zeros((), jnp.int32), "params": jax.tree.map(jnp.zeros_like, params)}


def create_state(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    seed: int,
    num_samples: int,
    *,
    swa: bool = False,
    tuning: Tuning | None = None,
) -> TrainState:
    """Draw initial parameters.

    Args:
        model: the network.
        optimizer: its optimiser.
        seed: of the parameters and of all later randomness.
        num_samples: clip length that the shapes are made for.
        swa: whether the state has room for averaged parameters.
        tuning: what is trained; None = everything.

    Raises:
        ConfigError: if the model's fields do not fit together or to the clip length.
    """
    init_key, step_key = jax.random.split(jax.random.key(seed))
    variables = init_variables(model, init_key, num_samples)
    tuning = tuning or Tuning()
    lora = tuning.init_lora(variables["params"], jax.random.fold_in(init_key, 1))
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=variables["params"],
        batch_stats=variables["batch_stats"],
        opt_state=optimizer.init(tuning.part(variables["params"], lora)),
        position=jnp.zeros((), jnp.int32),
        pace=jnp.ones((), jnp.int32),
        average=empty_average(variables["params"]) if swa else {},
        key=jax.random.key_data(step_key),
        failed_step=jnp.full((), NO_FAILURE, jnp.int32),
        lora=lora,
        lora_scale=tuning.lora_scale,
    )
