"""What a new run begins with: drawn parameters, those of another run, a published encoder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh

from rawnet_jax.checkpoint_names import BEST
from rawnet_jax.config import Config
from rawnet_jax.digest import digest_of
from rawnet_jax.encoders.config import EncoderConfig
from rawnet_jax.encoders.encoder import SpeechEncoder
from rawnet_jax.errors import CheckpointError, ConfigError
from rawnet_jax.interop.encoder_files import read_encoder_weights
from rawnet_jax.mesh import replicated, to_every_device
from rawnet_jax.models.registry import build_model
from rawnet_jax.models.variables import variable_shapes
from rawnet_jax.presets.variables import stored_variables
from rawnet_jax.terminal import show
from rawnet_jax.training.member import of_seed, with_seed
from rawnet_jax.training.state import TrainState
from rawnet_jax.training.trained import ENCODER
from rawnet_jax.variable_check import check_shapes

_FIELD = "config.train.encoder_weights"


@dataclass(frozen=True)
class Origin:
    """A published encoder that a run starts from.

    Attributes:
        path: where it was read.
        variables: ``{"params", "batch_stats"}`` of the encoder, numpy.
        digest: SHA-256 of these arrays, in hexadecimal.
    """

    path: str
    variables: dict[str, Any]
    digest: str

    @property
    def record(self) -> dict[str, Any]:
        """What the log says of it."""
        return {"path": self.path, "sha256": self.digest}


def trainable_model(config: Config) -> nn.Module:
    """Return the network that a config trains.

    Raises:
        ConfigError: it is an ensemble, which is made of trained runs.
    """
    if config.model.members > 1:
        raise ConfigError(
            f"config.model.members is {config.model.members}; training takes 1: train each, then "
            "`ensemble`"
        )
    return build_model(config.model)


def read_origin(config: Config, model: nn.Module) -> Origin | None:
    """Read the encoder that a config names; None = it names none.

    Raises:
        ConfigError: it is not there, the network has no encoder, or the config names another run to
            start from as well.
        CheckpointError: it cannot be read, or is not the network's encoder.
    """
    source = config.train.encoder_weights
    if not source:
        return None
    if config.train.init_from:
        raise ConfigError(f"{_FIELD} and init_from are both set; a run starts from one of them")
    shapes = variable_shapes(model, config.data.num_samples)
    wanted = _encoder_config(model, config.data.num_samples)
    if wanted is None:
        raise ConfigError(f"{_FIELD} is {source}; the network {config.model.name} has no encoder")
    if not Path(source).exists():
        raise ConfigError(f"{_FIELD} is {source}; there is no such file or folder")
    try:
        variables = read_encoder_weights(source, wanted).variables
        template = {name: part.get(ENCODER, {}) for name, part in shapes.items()}
        check_shapes(variables, template, source)
    except CheckpointError as error:
        raise CheckpointError(f"{_FIELD}: {error}") from None
    return Origin(source, variables, digest_of(variables))


def _encoder_config(model: nn.Module, num_samples: int) -> EncoderConfig | None:
    """Return the config of the network's sub-module `ENCODER`."""
    found: list[EncoderConfig] = []

    def note(method: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        module = context.module
        if isinstance(module, SpeechEncoder) and module.path == (ENCODER,):
            found.append(module.config)
        return method(*args, **kwargs)

    with nn.intercept_methods(note):
        variable_shapes(model, num_samples)
    return found[0] if found else None


def first_state(
    config: Config, state: TrainState, mesh: Mesh, origin: Origin | None, say: bool
) -> TrainState:
    """Return a run's state before its first step.

    Args:
        config: of the run.
        state: with all parameters drawn.
        mesh: the devices.
        origin: of `read_origin`.
        say: whether to report what it starts from.

    Raises:
        CheckpointError: the run that the config names cannot be read.
    """
    if origin:
        if say:
            show(f"starting from the encoder in {origin.path}")
        return _with_encoder(state, mesh, origin.variables, config.train.num_seeds)
    if config.train.init_from:
        return _with_variables_of(Path(config.train.init_from), state, mesh, config, say)
    return state


def _with_variables_of(
    source: Path, state: TrainState, mesh: Mesh, config: Config, say: bool
) -> TrainState:
    drawn, num_seeds = _drawn(state), config.train.num_seeds
    one = of_seed(drawn, 0, num_seeds)
    variables, step = stored_variables(source, BEST, one, replicated(mesh))
    if say:
        show(f"starting from the parameters of {source}, step {step}")
    for number in range(num_seeds):
        drawn = with_seed(drawn, number, num_seeds, variables)
    return state.replace(**drawn)


def _with_encoder(
    state: TrainState, mesh: Mesh, variables: dict[str, Any], num_seeds: int
) -> TrainState:
    if num_seeds > 1:
        variables = jax.tree.map(
            lambda leaf: np.broadcast_to(leaf, (num_seeds, *leaf.shape)), variables
        )
    placed = to_every_device(mesh, variables)
    after = {
        name: {**whole, ENCODER: placed[name]} if ENCODER in whole else whole
        for name, whole in _drawn(state).items()
    }
    return state.replace(**after)


def _drawn(state: TrainState) -> dict[str, Any]:
    """Return the network's variables without LoRA's products."""
    return {"params": state.params, "batch_stats": state.batch_stats}
