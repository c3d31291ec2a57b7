"""Training steps of a vocoder: pure functions of arrays, jitted by their caller."""

from typing import Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax

from rawnet_jax.vocoders.discriminators import FeatureMaps
from rawnet_jax.vocoders.families import copied
from rawnet_jax.vocoders.mel import MelSetting, log_mel
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
        generator: from log-mel [B, F, M] to waveform [B, F * hop].
        discriminators: judge waveforms.
        mel: what the generator takes.
        optimizer: of either; its state is separate.
    """

    generator: nn.Module
    discriminators: nn.Module
    mel: MelSetting
    optimizer: optax.GradientTransformation

    def copied(self, params: Any, waveform: jax.Array) -> jax.Array:
        """Return the generator's copy of waveforms [B, T], T a multiple of the hop."""
        return copied(self.generator, self.mel, params, waveform)

    def judged(self, params: Any, waveform: jax.Array) -> tuple[list[jax.Array], FeatureMaps]:
        """Return the discriminators' scores and feature maps."""
        found: Any = self.discriminators.apply({"params": params}, waveform)
        return found


def first_state(parts: Parts, seed: int, num_samples: int) -> VocoderState:
    """Draw parameters.

    Args:
        parts: the networks.
        seed: of the draw.
        num_samples: length of a training segment; a multiple of the hop.
    """
    keys = jax.random.split(jax.random.key(seed))
    waveform = jnp.zeros((1, num_samples))
    generator = parts.generator.init(keys[0], log_mel(waveform, parts.mel))["params"]
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
    """Take a step on the mel distance alone: what a generator learns first, at a third of the cost.

    Args:
        state: before the step.
        waveform: float32 [B, T], T a multiple of the hop.
        parts: networks and optimiser.

    Returns:
        The state after the step, and the distance before it.
    """

    def objective(params: Any) -> jax.Array:
        return mel_distance(waveform, parts.copied(params, waveform))

    distance, grads = jax.value_and_grad(objective)(state.generator)
    return _moved(state, parts, grads), {"mel": distance}


def adversarial_step(
    state: VocoderState, waveform: jax.Array, *, parts: Parts
) -> tuple[VocoderState, dict[str, jax.Array]]:
    """Take a step of the discriminators, then one of the generator against them.

    Args are those of `spectral_step`.

    Returns:
        The state after the step; the mel distance, the generator's and the discriminators' losses
        before it.
    """
    copy = parts.copied(state.generator, waveform)

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

    def to_deceive(params: Any) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        copy = parts.copied(params, waveform)
        scores, maps = parts.judged(discriminators, copy)
        mel = mel_distance(waveform, copy)
        adversarial = deception_loss(scores) + FEATURE_WEIGHT * feature_distance(real_maps, maps)
        return adversarial + MEL_WEIGHT * mel, (mel, adversarial)

    grads, (mel, adversarial) = jax.grad(to_deceive, has_aux=True)(state.generator)
    figures = {"mel": mel, "generator": adversarial, "discriminators": d_loss}
    return _moved(state, parts, grads), figures


def _moved(state: VocoderState, parts: Parts, grads: Any) -> VocoderState:
    updates, opt = parts.optimizer.update(grads, state.generator_opt, state.generator)
    return state.replace(
        step=state.step + 1,
        generator=optax.apply_updates(state.generator, updates),
        generator_opt=opt,
    )
