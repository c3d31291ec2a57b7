"""Low-rank adaptation: matrices that are trained are kept whole and changed by a product of two.

Hu et al., LoRA: low-rank adaptation of large language models (ICLR 2022), eq. 3. A kernel W [in,
out] is W + (alpha / rank) A B with A [in, rank] and B [rank, out]; W is frozen. B is 0 at first, so
that a run starts from the network as it was. The sum is computed on the way into the network, so no
layer knows of it; and what is saved to score is the sum.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from rawnet_jax.config import LoraConfig
from rawnet_jax.errors import ConfigError
from rawnet_jax.nn.layers import uniform_within
from rawnet_jax.training.trained import ENCODER, Path, is_stacked, matching

_FIELD = "config.optimizer.lora.targets"


@dataclass(frozen=True)
class Lora:
    """What is adapted, and how.

    Attributes:
        layers: paths of the dense layers, without ``kernel``.
        rank: of the product.
        scale: factor on it, alpha / rank.
        dropout: share of the rows of A that are left out of a step.
    """

    layers: tuple[Path, ...]
    rank: int
    scale: float
    dropout: float

    def init(self, params: Any, key: jax.Array) -> Any:
        """Draw A as PyTorch draws a layer's weights, U(±1/√in), and set B to 0.

        Args:
            params: of the network.
            key: to draw from.

        Returns:
            A tree with ``a`` [..., in, rank] and ``b`` [..., rank, out], float32, at the path of
            each layer.
        """
        flat, kernels = {}, flatten_dict(params)
        for number, path in enumerate(self.layers):
            *layers, fan_in, out = kernels[(*path, "kernel")].shape
            start = uniform_within(fan_in**-0.5)
            own = jax.random.fold_in(key, number)
            flat[(*path, "a")] = start(own, (*layers, fan_in, self.rank), jnp.float32)
            flat[(*path, "b")] = jnp.zeros((*layers, self.rank, out), jnp.float32)
        return unflatten_dict(flat)

    def dropped(self, lora: Any, key: jax.Array) -> Any:
        """Return the tree of `init` with rows of A set to 0, the others grown to make up for it.

        A row is what the product takes from one input of the layer. So an input is left out for the
        whole batch; published code leaves it out value by value, for which it must not merge.
        """
        if not self.dropout:
            return lora
        flat = flatten_dict(lora)
        for number, path in enumerate(self.layers):
            a = flat[(*path, "a")]
            keep = 1.0 - self.dropout
            kept = jax.random.bernoulli(jax.random.fold_in(key, number), keep, (*a.shape[:-1], 1))
            flat[(*path, "a")] = jnp.where(kept, a / keep, 0.0)
        return unflatten_dict(flat)


def merged(params: Any, lora: Any, scale: float) -> Any:
    """Return the parameters with the products in their kernels.

    Args:
        params: of the network; axes before the last two (layers, seeds) are as in `lora`.
        lora: of `Lora.init`; empty = the parameters as they are.
        scale: of the products.
    """
    if not lora:
        return params
    flat, factors = flatten_dict(params), flatten_dict(lora)
    for *layer, name in factors:
        if name == "a":
            a, b = factors[(*layer, "a")], factors[(*layer, "b")]
            flat[(*layer, "kernel")] = flat[(*layer, "kernel")] + scale * jnp.matmul(a, b)
    return unflatten_dict(flat)


def kernels_under(params: Any, lora: Any) -> Any:
    """Return the kernels that are adapted, without the products, as a tree of their own."""
    flat = flatten_dict(params)
    paths = [(*path[:-1], "kernel") for path in flatten_dict(lora) if path[-1] == "a"]
    return unflatten_dict({path: flat[path] for path in paths})


def with_kernels(params: Any, kernels: Any) -> Any:
    """Put back what `kernels_under` returned."""
    return unflatten_dict({**flatten_dict(params), **flatten_dict(kernels)})


def make_lora(config: LoraConfig, params: Any) -> Lora | None:
    """Return what a config adapts; None = nothing.

    Args:
        config: of it.
        params: of the network, or their shapes.

    Raises:
        ConfigError: the network has no encoder, or a target names no dense layer of it.
    """
    if not config.rank:
        return None
    if ENCODER not in params:
        raise ConfigError(
            f"config.optimizer.lora.rank is {config.rank}; it needs a network with an encoder"
        )
    encoder = {ENCODER: params[ENCODER]}
    found = matching(config.targets, encoder, _FIELD)
    flat = flatten_dict(encoder)
    layers: list[Path] = []
    for target, paths in found.items():
        dense = [path[:-1] for path in paths if _is_dense(path, flat[path].ndim)]
        if not dense:
            raise ConfigError(f"{_FIELD}: {target!r} names no dense layer; {_dense_names(flat)}")
        layers += dense
    unique = tuple(dict.fromkeys(layers))
    return Lora(unique, config.rank, config.alpha / config.rank, config.dropout)


def _is_dense(path: Path, ndim: int) -> bool:
    return path[-1] == "kernel" and ndim == 2 + is_stacked(path)


def _dense_names(flat: Any) -> str:
    names: Iterable[str] = {p[-2] for p, leaf in flat.items() if _is_dense(p, leaf.ndim)}
    return f"the encoder has {', '.join(sorted(names))}"
