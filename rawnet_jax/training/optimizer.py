"""Optimisers and learning-rate schedules from a config, in optax."""

import optax

from rawnet_jax.config import OptimizerConfig, ScheduleConfig


def make_schedule(
    config: ScheduleConfig, learning_rate: float, steps_per_epoch: int, num_epochs: int
) -> optax.Schedule:
    """Return the learning rate as a function of the step (counted from 0).

    Args:
        config: shape of the schedule.
        learning_rate: its highest value.
        steps_per_epoch: batches in an epoch.
        num_epochs: length of the run; only the cosine depends on it.
    """
    period = max(1, round(config.decay_epochs * steps_per_epoch))
    total = steps_per_epoch * num_epochs
    schedules = {
        "constant": lambda: optax.constant_schedule(learning_rate),
        "cosine": lambda: optax.cosine_decay_schedule(
            learning_rate, max(1, total - config.warmup_steps), config.final_factor
        ),
        "step": lambda: optax.exponential_decay(
            learning_rate, period, config.decay_factor, staircase=True
        ),
        "exponential": lambda: optax.exponential_decay(learning_rate, period, config.decay_factor),
    }
    main = schedules[config.name]()
    if not config.warmup_steps:
        return main
    warmup = optax.linear_schedule(0.0, learning_rate, config.warmup_steps)
    return optax.join_schedules([warmup, main], [config.warmup_steps])


def make_optimizer(
    config: OptimizerConfig, schedule: optax.Schedule
) -> optax.GradientTransformation:
    """Return the optimiser: clipping, then L2, then the update rule.

    Except for adamw, weight decay is PyTorch's ``weight_decay``: an L2 term added to the gradient
    before the moments, over all parameters.
    """
    rules = {
        "adam": lambda: optax.adam(schedule, config.beta1, config.beta2, config.epsilon),
        "adamw": lambda: optax.adamw(
            schedule, config.beta1, config.beta2, config.epsilon, weight_decay=config.weight_decay
        ),
        "sgd": lambda: optax.sgd(schedule, config.momentum or None),
        "rmsprop": lambda: optax.rmsprop(
            schedule, config.beta2, config.epsilon, momentum=config.momentum or None
        ),
    }
    parts = [rules[config.name]()]
    if config.weight_decay and config.name != "adamw":
        parts.insert(0, optax.add_decayed_weights(config.weight_decay))
    if config.clip_norm:
        parts.insert(0, optax.clip_by_global_norm(config.clip_norm))
    return optax.chain(*parts)
