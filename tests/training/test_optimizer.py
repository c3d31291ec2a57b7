"""Update rules and schedules against their equations, written out slowly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.config import OptimizerConfig, ScheduleConfig
from rawnet_jax.errors import ConfigError
from rawnet_jax.training.dev_history import DevHistory
from rawnet_jax.training.optimizer import make_optimizer, make_schedule

GRADS = np.random.default_rng(3).standard_normal((12, 4)) * np.array([1, 1e-3, 30, 1])
GRADS[6:] *= 0.05  # so that a maximum over the past differs from the present


def torch_adam(start, *, amsgrad, lr=0.1, beta1=0.9, beta2=0.98, epsilon=1e-9, decay=0.01):
    """Adam as torch.optim.Adam documents it, one number at a time, float64."""
    p, m, v, v_max = start.copy(), *np.zeros((3, len(start)))
    for t, g in enumerate(GRADS, start=1):
        g = g + decay * p
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        v_max = np.maximum(v_max, v)
        second = (v_max if amsgrad else v) / (1 - beta2**t)
        p = p - lr * (m / (1 - beta1**t)) / (np.sqrt(second) + epsilon)
    return p


@pytest.mark.parametrize("name", ["adam", "amsgrad"])
def test_adam_with_coupled_l2_is_torchs(name):
    config = OptimizerConfig(name=name, beta2=0.98, epsilon=1e-9, weight_decay=0.01)
    rule = make_optimizer(config, lambda _: 0.1)
    start = np.array([1.0, -2.0, 0.5, 3.0])
    params = jnp.asarray(start, jnp.float32)
    state = rule.init(params)
    for position, g in enumerate(GRADS):
        updates, state = rule.update(jnp.asarray(g, jnp.float32), state, params, position=position)
        params = params + updates
    wanted = torch_adam(start, amsgrad=name == "amsgrad")
    np.testing.assert_allclose(params, wanted, rtol=2e-5)
    assert np.abs(torch_adam(start, amsgrad=name != "amsgrad") - wanted).max() > 5e-3


def test_centers_have_a_rule_of_their_own():
    """Plain descent without decay at its own rate, on the same schedule."""
    config = OptimizerConfig(
        learning_rate=0.1, weight_decay=0.5, center_name="sgd", center_learning_rate=0.03
    )
    rate = make_schedule(ScheduleConfig("step", decay_epochs=1), 0.1, 1, 10)
    rule = make_optimizer(config, rate)
    params = {"net": {"kernel": jnp.array([2.0]), "center": jnp.array([4.0])}}
    grads = {"net": {"kernel": jnp.array([1.0]), "center": jnp.array([10.0])}}
    updates, _ = rule.update(grads, rule.init(params), params, position=1)
    np.testing.assert_allclose(updates["net"]["center"], [-0.03 * 0.5 * 10.0], rtol=1e-6)
    np.testing.assert_allclose(updates["net"]["kernel"], [-0.1 * 0.5], rtol=1e-5)


def test_a_center_rule_needs_a_rate_to_compare_with():
    config = OptimizerConfig(learning_rate=0.0, center_name="sgd")
    with pytest.raises(ConfigError, match="learning_rate is 0; center_name needs more"):
        make_optimizer(config, lambda _: 0.0)


def test_noam_rises_and_falls():
    schedule = ScheduleConfig("noam", noam_dim=64, warmup_steps=1000)
    rate = make_schedule(schedule, 1.0, steps_per_epoch=10, num_epochs=10)
    assert float(rate(999)) == pytest.approx(64**-0.5 * 1000**-0.5, rel=1e-5)
    assert float(rate(0)) == pytest.approx(64**-0.5 * 1000**-1.5, rel=1e-5)
    assert float(rate(3999)) == pytest.approx(64**-0.5 * 4000**-0.5, rel=1e-5)
    assert float(rate(998)) < float(rate(999)) > float(rate(1000))
    with pytest.raises(ConfigError, match="noam needs the step of its highest rate"):
        make_schedule(ScheduleConfig("noam"), 1.0, 10, 10)


def test_cosine_of_aasist():
    """Per step from 1e-4 to 5e-6, Jung et al."""
    rate = make_schedule(ScheduleConfig("cosine", final_factor=0.05), 1e-4, 7, 100)
    for step in (0, 123, 700):
        wanted = 5e-6 + (1e-4 - 5e-6) * 0.5 * (1 + np.cos(np.pi * step / 700))
        assert float(rate(step)) == pytest.approx(wanted, rel=1e-4)


def test_rate_is_a_function_of_the_position_alone():
    rule = make_optimizer(OptimizerConfig(name="sgd"), lambda position: 0.1 * position)
    params = jnp.array([0.0])
    state = rule.init(params)
    for position in (5, 2):
        updates, state = rule.update(jnp.array([1.0]), state, params, position=position)
        np.testing.assert_allclose(updates, [-0.1 * position], rtol=1e-6)


def test_stalls_are_counted_as_published():
    """EABN's train.py: four epochs without a better accuracy, and then four more."""
    history = DevHistory()
    accuracies = [0.5, 0.6, 0.6, 0.6, 0.55, 0.6, 0.6, 0.6, 0.6, 0.6, 0.7, 0.7]
    found = [history.stalls(accuracy, 4) for accuracy in accuracies]
    assert [i for i, stalled in enumerate(found) if stalled] == [5, 9]
    assert not any(DevHistory().stalls(0.5, 0) for _ in range(9))


def test_history_survives_a_checkpoint():
    history = DevHistory()
    assert history.ties_best_eer(0.2)
    assert not history.ties_best_eer(0.3)
    history.stalls(0.9, 3)
    history.stalls(0.8, 3)
    again = DevHistory.load(history.dump())
    assert again == history
    assert again.ties_best_eer(0.2)
    assert [again.stalls(0.8, 3) for _ in range(2)] == [False, True]


def test_every_parameter_path_of_a_center_is_found():
    config = OptimizerConfig(center_name="sgd", center_learning_rate=1.0, learning_rate=1.0)
    rule = make_optimizer(config, lambda _: 1.0)
    params = {"centers": jnp.ones((2, 3)), "center_of_mass": jnp.ones(2)}
    updates, _ = rule.update(
        jax.tree.map(lambda x: 7 * x, params), rule.init(params), params, position=0
    )
    np.testing.assert_allclose(updates["centers"], -7.0)
    np.testing.assert_allclose(updates["center_of_mass"], -1.0, rtol=1e-5)
