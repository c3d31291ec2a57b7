"""What scores the windows of a stream, one after another."""

from typing import Any, NamedTuple, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


class Heard(NamedTuple):
    """What is known of a window.

    Attributes:
        score: higher = more bona fide; NaN where none is wanted.
        embedding: float32 [D]; None where none is wanted.
    """

    score: float
    embedding: np.ndarray | None = None


UNHEARD = Heard(float("nan"))
"""Of a window whose score is not wanted."""


class Engine(Protocol):
    """Scores windows that follow each other at a fixed distance."""

    def restart(self) -> None:
        """Begin another stream."""

    def advance(self, window: np.ndarray, wanted: bool) -> Heard:
        """Take the next window, one hop after the last one.

        Args:
            window: float32 [window].
            wanted: whether its score will be used. Those before a stream has filled a window begin
                with zeros that are not audio.

        Returns:
            The score; `UNHEARD` where it is not wanted.
        """

    def score_alone(self, window: np.ndarray, num_samples: int) -> Heard:
        """Score a window that stands at no fixed distance from the others.

        Args:
            window: float32 [window].
            num_samples: how much of it is audio.
        """


class WholeWindows:
    """Computes every window from its samples, whatever the network."""

    def __init__(self, model: nn.Module, variables: dict[str, Any], embeds: bool = False) -> None:
        """Prepare a network; it is compiled with the first window.

        Args:
            model: any of `rawnet_jax.models.registry`.
            variables: ``{"params", "batch_stats"}``.
            embeds: give embeddings beside scores.
        """
        self._variables = variables

        def score(
            variables: dict[str, Any], window: jax.Array, num_samples: jax.Array
        ) -> tuple[jax.Array, ...]:
            output: Any = model.apply(variables, window[None], num_samples[None])
            return (output.score[0], output.embedding[0]) if embeds else (output.score[0],)

        self._score = jax.jit(score)

    def restart(self) -> None:
        """See `Engine.restart`; there is nothing to forget."""

    def advance(self, window: np.ndarray, wanted: bool) -> Heard:
        """See `Engine.advance`."""
        return self.score_alone(window, len(window)) if wanted else UNHEARD

    def score_alone(self, window: np.ndarray, num_samples: int) -> Heard:
        """See `Engine.score_alone`."""
        return heard(*self._score(self._variables, jnp.asarray(window), jnp.int32(num_samples)))


def heard(score: jax.Array, embedding: jax.Array | None = None) -> Heard:
    """Return what a device found, on the host."""
    return Heard(float(score), None if embedding is None else np.asarray(embedding))
