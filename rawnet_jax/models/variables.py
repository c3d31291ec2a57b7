"""A network's variables: their initial values and their shapes."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.errors import ConfigError


def init_variables(model: nn.Module, key: jax.Array, num_samples: int) -> dict[str, Any]:
    """Draw a model's initial ``params`` and ``batch_stats`` (empty for a model without).

    Raises:
        ConfigError: if the model's fields do not fit together or to the clip length.
    """
    example = jnp.zeros((1, num_samples), jnp.float32)
    try:
        variables = model.init(key, example, jnp.full((1,), num_samples, jnp.int32))
    except (ValueError, TypeError, ZeroDivisionError, IndexError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(
            f"config.model.fields do not make a {type(model).__name__} for clips of "
            f"{num_samples} samples: {reason}"
        ) from error
    return {"params": variables["params"], "batch_stats": variables.get("batch_stats", {})}


def variable_shapes(model: nn.Module, num_samples: int) -> dict[str, Any]:
    """Return the shapes and dtypes of a model's variables; nothing is computed.

    Raises:
        ConfigError: as `init_variables`.
    """
    shapes: dict[str, Any] = jax.eval_shape(
        lambda: init_variables(model, jax.random.key(0), num_samples)
    )
    return shapes
