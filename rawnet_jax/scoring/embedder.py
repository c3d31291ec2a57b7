"""Scores of a batch with the embeddings that they come from."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from rawnet_jax.mesh import replicated, split_rows


class Embedder:
    """Gives scores and embeddings in one program.

    Args:
        model: the network.
        mesh: the devices.
        variables: ``{"params", "batch_stats"}``.
    """

    def __init__(self, model: nn.Module, mesh: Mesh, variables: dict[str, Any]) -> None:
        self._variables = variables
        rows, whole = split_rows(mesh), replicated(mesh)
        self._embedded = partial(embedded, model)
        self._compiled = jax.jit(
            self._embedded, in_shardings=(whole, rows, rows), out_shardings=whole
        )

    def __call__(self, waveform: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        """Return float32 [B, 1 + D]: score and embedding, NaN in rows that hold nothing.

        Args:
            waveform: float32 [B, T].
            num_samples: int32 [B], 0 in rows that hold nothing.
        """
        found = np.array(self._compiled(self._variables, waveform, num_samples))
        found[num_samples == 0] = np.nan
        return found

    def width(self, num_samples: int) -> int:
        """Return D, for rows of so many samples; nothing is computed."""
        row = jax.ShapeDtypeStruct((1, num_samples), np.float32)
        found = jax.eval_shape(
            self._embedded, self._variables, row, jax.ShapeDtypeStruct((1,), np.int32)
        )
        return int(found.shape[1]) - 1


def embedded(
    model: nn.Module, variables: dict[str, Any], waveform: jax.Array, num_samples: jax.Array
) -> jax.Array:
    """Return float32 [B, 1 + D], the score of each row and its embedding behind it."""
    output: Any = model.apply(variables, waveform, num_samples, train=False)
    return jnp.concatenate([output.score[:, None], output.embedding], axis=1)
