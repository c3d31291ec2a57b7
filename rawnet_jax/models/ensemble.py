"""Several trained networks of one kind as one: their scores and logits are averaged.

Contract: that of the members; ``embedding [B, N * D]`` holds theirs side by side, so a score that
is a weighted sum of the embedding stays one. Lakshminarayanan, Pritzel, Blundell, "Simple and
scalable predictive uncertainty estimation using deep ensembles", NeurIPS 2017 (here scores are
averaged, not probabilities).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rawnet_jax.contract import ModelOutput


class Ensemble(nn.Module):
    """The networks.

    Attributes:
        module: class of each.
        count: number of them.
        fields: what its constructor takes.
    """

    module: type[nn.Module]
    count: int
    fields: Mapping[str, Any]

    @nn.compact
    def __call__(
        self, waveform: jax.Array, num_samples: jax.Array, *, train: bool = False
    ) -> ModelOutput:
        """Score clips: waveform float32 [B, T], num_samples int32 [B]."""
        networks = [self.module(**self.fields, name=_name(i)) for i in range(self.count)]
        found: list[ModelOutput] = [one(waveform, num_samples, train=train) for one in networks]
        score, logits = (
            sum(parts[1:], parts[0]) / self.count
            for parts in ([one.score for one in found], [one.logits for one in found])
        )
        embeddings = jnp.concatenate([one.embedding for one in found], axis=-1)
        return ModelOutput(score, logits, embeddings)


def merged(members: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the variables of an ensemble.

    Args:
        members: ``{"params", "batch_stats"}`` of each network.
    """
    return {
        kind: {_name(i): one[kind] for i, one in enumerate(members) if one[kind]}
        for kind in members[0]
    }


def members_of(params: Mapping[str, Any], count: int) -> list[Any]:
    """Return the parameters of each of `count` networks; of one, they are the network's own."""
    return [params] if count == 1 else [params[_name(i)] for i in range(count)]


def _name(number: int) -> str:
    return f"member_{number}"
