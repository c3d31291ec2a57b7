"""Weights of the Conv1D classifier as Keras stores them, brought into our variables."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rawnet_jax.errors import CheckpointError


def conv1d_from_keras(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Convert the seed network's Keras weights.

    Kernels have the same layout in both (width, in, out). The last layer's sign is flipped: Keras'
    sigmoid gives P(spoof), our logit is the log odds of bona fide speech.

    Args:
        arrays: ``NN:…/layer/weight`` -> float32, NN counting up through the network.

    Returns:
        Linen variables ``{"params": …, "batch_stats": …}``.

    Raises:
        CheckpointError: if a weight is missing.
    """
    by_layer: dict[str, dict[str, np.ndarray]] = {}
    for name in sorted(n for n in arrays if ":" in n):
        layer, weight = name.split("/")[-2:]
        by_layer.setdefault(layer, {})[weight] = np.asarray(arrays[name])
    convs = [w for name, w in by_layer.items() if name.startswith("conv")]
    norms = [w for name, w in by_layer.items() if name.startswith("batch_norm")]
    denses = [w for name, w in by_layer.items() if name.startswith("dense")]
    if len(convs) != len(norms) or len(denses) != 2:
        raise CheckpointError(
            f"Keras weights of {len(convs)} convolutions, {len(norms)} batch normalisations and "
            f"{len(denses)} dense layers; wanted one normalisation a convolution, and 2 dense"
        )
    params: dict[str, Any] = {}
    statistics: dict[str, Any] = {}
    for i, (conv, norm) in enumerate(zip(convs, norms, strict=True)):
        params[f"conv_{i}"] = {"kernel": conv["kernel"], "bias": conv["bias"]}
        params[f"norm_{i}"] = {"scale": norm["gamma"], "bias": norm["beta"]}
        statistics[f"norm_{i}"] = {"mean": norm["moving_mean"], "var": norm["moving_variance"]}
    hidden, head = denses
    params["hidden"] = {"kernel": hidden["kernel"], "bias": hidden["bias"]}
    params["head"] = {"kernel": -head["kernel"], "bias": -head["bias"]}
    return {"params": params, "batch_stats": statistics}
