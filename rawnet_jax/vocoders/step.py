"""Training steps of a vocoder: pure functions of arrays, jitted by their caller."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax

from rawnet_jax.vocoders.discriminators import FeatureMaps
from rawnet_jax.vocoders.network import Network
from rawnet_jax.vocoders.objective import (
    FEATURE_WEIGHT,
    MEL_WEIGHT,
    deception_loss,
    discriminator_loss,
    feature_distance,
    mel_distance,
)


class VocoderState(flax.struct.PyTreeNode):
    """What training moves.

    Attributes:
        step: int32, steps taken.
        generator: parameters.
        generator_opt: its optimiser's state.
        discriminators: parameters.
        discriminators_opt: their optimiser's state.
    """

    step: jax.Array
    generator: Any
    generator_opt: Any
    discriminators: Any
    discriminators_opt: Any


class Parts(NamedTuple):
    """What a step is made of.

    Attributes:
        generator: makes the copies.
        discriminators: judge waveforms; None where the objective has none.
        optimizer: of either; its state is separate.
        seed: of parameters, and of what the objective draws.
    """

    generator: Network
    discriminators: nn.Module | None
    optimizer: optax.GradientTransformation
    seed: int = 0

    def judged(self, params: Any, waveform: jax.Array) -> tuple[list[jax.Array], FeatureMaps]:
        """Return the discriminators' scores and feature maps."""
        assert self.discriminators is not None
        found: Any = self.discriminators.apply({"params": params}, waveform)
        return found


Step = Callable[..., tuple[VocoderState, dict[str, jax.Array]]]
"""From state, waveforms float32 [B, T] and keyword `parts` to the next state and what is logged."""


class Objective(NamedTuple):
    """How a family learns.

    Attributes:
        first: the step at first.
        then: the step after so many; the same one where nothing changes.
        is_adversarial: whether there are discriminators.
    """

    first: Step
    then: Step
    is_adversarial: bool


def first_state(parts: Parts, num_samples: int) -> VocoderState:
    """Draw parameters.

    Args:
        parts: the networks.
        num_samples: length of a training segment; a multiple of the hop.
    """
    keys = jax.random.split(jax.random.key(parts.seed))
    waveform = jnp.zeros((1, num_samples))
    generator = parts.generator.init(keys[0], waveform)
    discriminators = {}
    if parts.discriminators is not None:
        discriminators = parts.discriminators.init(keys[1], waveform)["params"]
    return VocoderState(
        step=jnp.zeros((), jnp.int32),
        generator=generator,
        generator_opt=parts.optimizer.init(generator),
        discriminators=discriminators,
        discriminators_opt=parts.optimizer.init(discriminators),
    )


def spectral_step(
    state: VocoderState, waveform: jax.Array, *, parts: Parts
) -> tuple[VocoderState, dict[str, jax.Array]]:
    """Take a step without discriminators: what a generator learns first, at a third of the cost.

    Args:
        state: before the step.
        waveform: float32 [B, T], T a multiple of the hop.
        parts: networks and optimiser.

    Returns:
        The state after the step; the mel distance and the generator's own losses before it.
    """

    def objective(params: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
        total, terms, _ = _copy_terms(params, waveform, parts)
        return total, terms

    grads, figures = jax.grad(objective, has_aux=True)(state.generator)
    return _moved(state, parts, grads), figures


def adversarial_step(
    state: VocoderState, waveform: jax.Array, *, parts: Parts
) -> tuple[VocoderState, dict[str, jax.Array]]:
    """Take a step of the discriminators, then one of the generator against them.

    Args are those of `spectral_step`.

    Returns:
        The state after the step; before it the terms of `spectral_step`, and the losses of
        generator and discriminators against each other.
    """
    copy = parts.generator.copied(state.generator, waveform)

    def to_tell_apart(params: Any) -> jax.Array:
        # One pass over both halves: small convolutions cost a CPU more per call than per row.
        scores, _ = parts.judged(params, jnp.concatenate([waveform, copy]))
        halves = [jnp.split(score, 2) for score in scores]
        return discriminator_loss([real for real, _ in halves], [fake for _, fake in halves])

    d_loss, grads = jax.value_and_grad(to_tell_apart)(state.discriminators)
    updates, opt = parts.optimizer.update(grads, state.discriminators_opt, state.discriminators)
    discriminators = optax.apply_updates(state.discriminators, updates)
    state = state.replace(discriminators=discriminators, discriminators_opt=opt)
    real_maps = parts.judged(discriminators, waveform)[1]

    def to_deceive(params: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
        total, terms, copy = _copy_terms(params, waveform, parts)
        scores, maps = parts.judged(discriminators, copy)
        adversarial = deception_loss(scores) + FEATURE_WEIGHT * feature_distance(real_maps, maps)
        return adversarial + MEL_WEIGHT * total, {**terms, "generator": adversarial}

    grads, figures = jax.grad(to_deceive, has_aux=True)(state.generator)
    return _moved(state, parts, grads), {**figures, "discriminators": d_loss}


def _copy_terms(
    params: Any, waveform: jax.Array, parts: Parts
) -> tuple[jax.Array, dict[str, jax.Array], jax.Array]:
    """Return the sum of mel distance and the generator's own losses, both by name, and copies."""
    copy, own = parts.generator.copied_and_losses(params, waveform)
    terms = {"mel": mel_distance(waveform, copy), **own}
    return jnp.sum(jnp.stack([*terms.values()])), terms, copy


def regression_step(
    state: VocoderState, waveform: jax.Array, *, parts: Parts
) -> tuple[VocoderState, dict[str, jax.Array]]:
    """Take a step on the loss that the generator itself brings.

    Args are those of `spectral_step`.

    Returns:
        The state after the step, and the loss before it.
    """
    key = jax.random.fold_in(jax.random.key(parts.seed), state.step)
    loss, grads = jax.value_and_grad(parts.generator.loss)(state.generator, waveform, key)
    return _moved(state, parts, grads), {"loss": loss}


def _moved(state: VocoderState, parts: Parts, grads: Any) -> VocoderState:
    updates, opt = parts.optimizer.update(grads, state.generator_opt, state.generator)
    return state.replace(
        step=state.step + 1,
        generator=optax.apply_updates(state.generator, updates),
        generator_opt=opt,
    )


ADVERSARIAL = Objective(spectral_step, adversarial_step, is_adversarial=True)
REGRESSION = Objective(regression_step, regression_step, is_adversarial=False)
