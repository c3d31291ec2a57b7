"""Optimisers and learning-rate schedules from a config, in optax."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rawnet_jax.config import OptimizerConfig, ScheduleConfig
from rawnet_jax.errors import ConfigError

CENTER_NAMES = ("center", "centers")
"""Parameters of a model that are class centres, which some systems train by a rule of their own."""


def make_schedule(
    config: ScheduleConfig, learning_rate: float, steps_per_epoch: int, num_epochs: int
) -> optax.Schedule:
    """Return the learning rate as a function of the step (counted from 0).

    Args:
        config: shape of the schedule.
        learning_rate: its highest value; noam: the factor on it.
        steps_per_epoch: batches in an epoch.
        num_epochs: length of the run; cosine, step and exponential depend on it where their period
            is the run.
    """
    left = max(1, steps_per_epoch * num_epochs - config.warmup_steps)
    period = max(1, round(config.decay_epochs * steps_per_epoch)) if config.decay_epochs else left
    schedules = {
        "constant": lambda: optax.constant_schedule(learning_rate),
        "cosine": lambda: _cosine(config, learning_rate, left, steps_per_epoch),
        "step": lambda: optax.exponential_decay(
            learning_rate, period, config.decay_factor, staircase=True
        ),
        "exponential": lambda: optax.exponential_decay(learning_rate, period, config.decay_factor),
        "noam": lambda: _noam(config, learning_rate),
    }
    main = schedules[config.name]()
    if config.per_epoch:
        main = _by_epoch(main, steps_per_epoch)
    if not config.warmup_steps or config.name == "noam":
        return main
    warmup = optax.linear_schedule(0.0, learning_rate, config.warmup_steps)
    return optax.join_schedules([warmup, main], [config.warmup_steps])


def _by_epoch(schedule: optax.Schedule, steps_per_epoch: int) -> optax.Schedule:
    return lambda step: schedule(step // steps_per_epoch * steps_per_epoch)


def _cosine(
    config: ScheduleConfig, learning_rate: float, left: int, steps_per_epoch: int
) -> optax.Schedule:
    """Return half a cosine down; with a period, again and again.

    Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts (ICLR 2017), eq. 5;
    mirrored, as PyTorch's ``CosineAnnealingLR`` goes on behind ``T_max``.
    """
    if not config.period_epochs:
        return optax.cosine_decay_schedule(learning_rate, left, config.final_factor)
    period = max(1, round(config.period_epochs * steps_per_epoch))
    down = optax.cosine_decay_schedule(learning_rate, period, config.final_factor)
    if config.cycle == "restart":
        return lambda step: down(step % period)
    return lambda step: down(period - jnp.abs(period - step % (2 * period)))


def _noam(config: ScheduleConfig, factor: float) -> optax.Schedule:
    """Vaswani et al., Attention is all you need (2017), eq. 3; n counts from 1."""
    if config.warmup_steps < 1:
        raise ConfigError(
            "config.optimizer.schedule.warmup_steps is 0; noam needs the step of its highest rate"
        )

    def schedule(step: Any) -> jax.Array:
        n = jnp.asarray(step, jnp.float32) + 1.0
        rise = n * config.warmup_steps**-1.5
        return factor * config.noam_dim**-0.5 * jnp.minimum(jax.lax.rsqrt(n), rise)

    return schedule


def make_optimizer(
    config: OptimizerConfig, schedule: optax.Schedule, factors: Any = None
) -> optax.GradientTransformationExtraArgs:
    """Return the optimiser: clipping, then L2, then the update rule, then the learning rate.

    Args:
        config: of it.
        schedule: the rate by position.
        factors: on the rate, a tree like the parameters, each to be multiplied with an update; None
            = all are 1.

    Except for adamw, weight decay is PyTorch's ``weight_decay``: an L2 term added to the gradient
    before the moments, over all parameters (but centres that have a rule of their own).

    Its ``update`` takes ``position``, the step of the schedule: the rate is a function of that
    alone, so that time in the schedule can run faster than training.
    """
    rules = {
        "adam": lambda: optax.adam(1.0, config.beta1, config.beta2, config.epsilon),
        "amsgrad": lambda: optax.chain(
            scale_by_torch_amsgrad(config.beta1, config.beta2, config.epsilon), optax.scale(-1.0)
        ),
        "adamw": lambda: optax.adamw(
            1.0, config.beta1, config.beta2, config.epsilon, weight_decay=config.weight_decay
        ),
        "sgd": lambda: optax.sgd(1.0, config.momentum or None),
        "rmsprop": lambda: optax.rmsprop(
            1.0, config.beta2, config.epsilon, momentum=config.momentum or None
        ),
    }
    rule = rules[config.name]()
    if config.weight_decay and config.name != "adamw":
        rule = optax.chain(optax.add_decayed_weights(config.weight_decay), rule)
    if config.center_name:
        rule = _with_center_rule(rule, config)
    clip = [optax.clip_by_global_norm(config.clip_norm)] if config.clip_norm else []
    scale = [] if factors is None else [optax.stateless(partial(_scaled, factors))]
    return optax.chain(*clip, rule, *scale, _scale_by_rate(schedule))


def _scaled(factors: Any, updates: Any, params: Any = None) -> Any:
    del params
    return jax.tree.map(lambda update, factor: factor * update, updates, factors)


def _with_center_rule(
    rule: optax.GradientTransformation, config: OptimizerConfig
) -> optax.GradientTransformation:
    if not config.learning_rate:
        raise ConfigError("config.optimizer.learning_rate is 0; center_name needs more than that")
    ratio = config.center_learning_rate / config.learning_rate

    def label(path: Any, _: Any) -> str:
        name = jax.tree_util.keystr(path[-1:], simple=True)
        return "center" if name in CENTER_NAMES else "network"

    return optax.partition(
        {"network": rule, "center": optax.sgd(ratio)},
        lambda params: jax.tree_util.tree_map_with_path(label, params),
    )


def _scale_by_rate(schedule: optax.Schedule) -> optax.GradientTransformationExtraArgs:
    def update(updates: Any, state: Any, params: Any = None, *, position: Any, **_: Any) -> Any:
        del params
        rate = schedule(position)
        return jax.tree.map(lambda u: rate * u, updates), state

    return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)


class TorchAmsgradState(NamedTuple):
    """Moments of `scale_by_torch_amsgrad`; each a pytree like the parameters."""

    num_updates: jax.Array
    mu: Any
    nu: Any
    nu_max: Any


def scale_by_torch_amsgrad(
    beta1: float, beta2: float, epsilon: float
) -> optax.GradientTransformation:
    """Adam with the largest second moment so far, in PyTorch's order of operations.

    PyTorch takes the maximum of the raw second moments and corrects its bias afterwards;
    `optax.scale_by_amsgrad` corrects first, which gives other numbers.
    """

    def init(params: Any) -> TorchAmsgradState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return TorchAmsgradState(jnp.zeros((), jnp.int32), zeros, zeros, zeros)

    def update(updates: Any, state: TorchAmsgradState, params: Any = None) -> Any:
        del params
        count = state.num_updates + 1
        mu = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, state.mu, updates)
        nu = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, state.nu, updates)
        nu_max = jax.tree.map(jnp.maximum, state.nu_max, nu)
        mu_correction = 1 - beta1**count
        nu_correction = jnp.sqrt(1 - beta2**count)
        scaled = jax.tree.map(
            lambda m, v: (m / mu_correction) / (jnp.sqrt(v) / nu_correction + epsilon), mu, nu_max
        )
        return scaled, TorchAmsgradState(count, mu, nu, nu_max)

    return optax.GradientTransformation(init, update)
