"""A generator, and the one way from a waveform to its copy."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

LOSSES = "losses"
"""Collection into which a module sows what it wants to learn besides, as shares of mel distance."""


class Network(NamedTuple):
    """A generator with what it takes. Waveforms are float32 [B, T], T a multiple of the hop.

    Attributes:
        module: the generator, without parameters.
        takes: from waveforms to the module's input: their spectrogram, or themselves.
    """

    module: nn.Module
    takes: Callable[[jax.Array], jax.Array]

    def init(self, key: jax.Array, waveform: jax.Array) -> Any:
        """Draw parameters."""
        return self.module.init(key, self.takes(waveform))["params"]

    def copied(self, params: Any, waveform: jax.Array) -> jax.Array:
        """Return copies, float32 [B, T] within ±1."""
        return jnp.asarray(self.module.apply({"params": params}, self.takes(waveform)))

    def copied_and_losses(
        self, params: Any, waveform: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return copies, and what the module sows into `LOSSES` by name."""
        variables = {"params": params}
        copy, sown = self.module.apply(variables, self.takes(waveform), mutable=[LOSSES])
        leaves = jax.tree_util.tree_leaves_with_path(sown)
        # A path ends in the name and the place in the tuple of what was sown under it.
        return copy, {path[-2].key: leaf for path, leaf in leaves}

    def loss(self, params: Any, waveform: jax.Array, key: jax.Array) -> jax.Array:
        """Return the loss of a module that brings its own, float32 []; the key is its chance."""
        taken = self.takes(waveform)
        return jnp.asarray(self.module.apply({"params": params}, taken, key, method="loss"))
