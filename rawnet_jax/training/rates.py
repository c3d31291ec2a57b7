"""Factors on the learning rate of parts of a network.

Layer-wise decay is that of ELECTRA (Clark et al., ICLR 2020, appendix A) and BEiT (Bao et al., ICLR
2022): the nearer to the input, the lower the rate.
"""

from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from rawnet_jax.config import OptimizerConfig
from rawnet_jax.errors import ConfigError
from rawnet_jax.training.trained import ENCODER, Path, is_stacked, matching


def rate_factors(config: OptimizerConfig, params: Any) -> Any:
    """Return a tree like the parameters of factors on the rate; None = all are 1.

    Args:
        config: its `layer_decay`, `rate_parts` and `rate_factors`.
        params: of the network, or their shapes; those of LoRA are known by the paths of their
            layers.

    Returns:
        Float32 numpy arrays to multiply with the parameters: of stacked ones [L, 1, ...], of others
        scalars.

    Raises:
        ConfigError: there is no encoder, or a part names no parameter.
    """
    if config.layer_decay == 1.0 and not config.rate_parts:
        return None
    flat = flatten_dict(params)
    factors: dict[Path, Any] = dict.fromkeys(flat, 1.0)
    found = matching(config.rate_parts, params, "config.optimizer.rate_parts")
    for part, factor in reversed(list(zip(config.rate_parts, config.rate_factors, strict=True))):
        factors |= dict.fromkeys(found[part], factor)
    if config.layer_decay != 1.0:
        decay = _layer_decay(config.layer_decay, flat)
        factors = {path: factors[path] * decay[path] for path in flat}
    return unflatten_dict({path: _of_layers(factors[path], path, flat[path]) for path in flat})


def _of_layers(factor: Any, path: Path, leaf: Any) -> np.ndarray:
    """Give a factor of a stack an entry per layer, so that it can be divided as the stack is."""
    shape = (leaf.shape[0], *[1] * (len(leaf.shape) - 1)) if is_stacked(path) else ()
    return np.broadcast_to(np.asarray(factor, np.float32), shape)


def _layer_decay(decay: float, flat: dict[Path, Any]) -> dict[Path, Any]:
    """Return decay**depth: 0 = the head, 1 = the last layer, L = the first, L + 1 = below it."""
    stacked = [path for path in flat if ENCODER in path and is_stacked(path)]
    if not stacked:
        raise ConfigError(
            f"config.optimizer.layer_decay is {decay:g}; it needs a network with an encoder"
        )
    num_layers = flat[stacked[0]].shape[0]
    depth: dict[Path, Any] = {path: (num_layers + 1) * (ENCODER in path) for path in flat}
    for path in stacked:
        layers = np.arange(num_layers, 0, -1)
        depth[path] = layers.reshape(-1, *[1] * (len(flat[path].shape) - 1))
    return {path: decay ** np.asarray(d, np.float64) for path, d in depth.items()}
