"""The models by name: one row each. Only this module imports the families."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import flax.linen as nn
from ml_collections import ConfigDict

from rawnet_jax.config import ModelConfig, unknown_field
from rawnet_jax.errors import ConfigError
from rawnet_jax.models.conv1d import Conv1DClassifier


@dataclass(frozen=True)
class ModelSpec:
    """One row of the registry.

    Attributes:
        module: the Linen class.
        num_values: parameters and running statistics of the published network, checked by a test.
        num_samples: input length of the published network, in samples at 16 kHz.
        source: where the network was published.
        variant: constructor fields that make this row differ from the class's defaults.
    """

    module: type[nn.Module]
    num_values: int
    num_samples: int
    source: str
    variant: Mapping[str, Any] = field(default_factory=dict)


MODELS: dict[str, ModelSpec] = {
    "conv1d": ModelSpec(
        Conv1DClassifier,
        num_values=13_409,
        num_samples=16_000,
        source="github.com/b423016/Audio_spoof-model, Momenta.ipynb (Keras)",
    ),
}


def spec_of(name: str) -> ModelSpec:
    """Return the row of that name.

    Raises:
        ConfigError: if there is none.
    """
    if name not in MODELS:
        raise ConfigError(f"config.model.name is {name!r}; it must be one of {', '.join(MODELS)}")
    return MODELS[name]


def default_fields(name: str) -> dict[str, Any]:
    """Return every constructor field of a model with its default, for configs and overrides."""
    spec = spec_of(name)
    names = [n for n in spec.module.__dataclass_fields__ if n not in ("parent", "name")]
    defaults = {n: spec.module.__dataclass_fields__[n].default for n in names}
    return {**defaults, **spec.variant}


def model_config(name: str, **fields: Any) -> ModelConfig:
    """Return the config section of a model, all fields spelt out.

    Args:
        name: a row of `MODELS`.
        **fields: constructor fields that differ from the row's.

    Raises:
        ConfigError: for an unknown model or field.
    """
    known = default_fields(name)
    for given in fields:
        if given not in known:
            raise ConfigError(f"model {name}: {unknown_field(given, known)}")
    return ModelConfig(name=name, fields=ConfigDict({**known, **fields}))


def build_model(config: ModelConfig) -> nn.Module:
    """Construct the network that a config names.

    Raises:
        ConfigError: for an unknown model or field.
    """
    complete = model_config(config.name, **config.fields.to_dict())
    return spec_of(config.name).module(**complete.fields.to_dict())
