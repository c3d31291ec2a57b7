"""The training step without the loop: what it computes, and that devices do not matter."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.config import LossConfig, OptimizerConfig, ScheduleConfig
from rawnet_jax.contract import ModelOutput
from rawnet_jax.errors import ConfigError
from rawnet_jax.losses import bce, cross_entropy, make_loss, row_weights, weighted_sums
from rawnet_jax.mesh import (
    check_batch_size,
    dividing_rows,
    make_mesh,
    replicated,
    split_rows,
    to_devices,
)
from rawnet_jax.models.registry import build_model, model_config
from rawnet_jax.scoring.scorer import eval_step
from rawnet_jax.training.optimizer import make_optimizer, make_schedule
from rawnet_jax.training.state import NO_FAILURE, create_state
from rawnet_jax.training.step import train_step

SAMPLES = 800
BATCH = 16
MODEL = build_model(model_config("conv1d", channels=(4, 6), hidden_features=8))
STILL = OptimizerConfig(name="sgd")
OPTIMIZER = make_optimizer(OptimizerConfig(), lambda _: 1e-3)


def make_batch(step: int, batch_size: int = BATCH, num_filler: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([7, step])
    label = rng.integers(0, 2, batch_size).astype(np.int32)
    noise = rng.standard_normal((batch_size, SAMPLES)).astype(np.float32)
    tone = np.sin(0.3 * np.arange(SAMPLES, dtype=np.float32))
    num_samples = np.full(batch_size, SAMPLES, np.int32)
    num_samples[batch_size - num_filler :] = 0
    return {
        "waveform": 0.1 * noise + 0.2 * label[:, None] * tone,
        "num_samples": num_samples,
        "label": label,
        "index": np.where(num_samples > 0, np.arange(batch_size), -1),
    }


@cache
def jitted_step(num_devices: int):
    """Compile once per device count for all tests; returns the mesh too."""
    mesh = make_mesh(jax.devices()[:num_devices])
    step = jax.jit(
        partial(train_step, model=MODEL, loss=bce, optimizer=OPTIMIZER),
        donate_argnums=0,
        in_shardings=(replicated(mesh), split_rows(mesh)),
        out_shardings=replicated(mesh),
    )
    return mesh, step


@cache
def initial_state(seed: int):
    return jax.device_get(jax.jit(lambda: create_state(MODEL, OPTIMIZER, seed, SAMPLES))())


def steps_on(num_devices: int, num_steps: int, seed: int = 0, poison_at: int = -1):
    mesh, step = jitted_step(num_devices)
    state = jax.device_put(initial_state(seed), replicated(mesh))
    outputs = []
    for i in range(num_steps):
        batch = make_batch(i)
        if i == poison_at:
            batch["waveform"][3, 5] = np.nan
        state, output, failed = step(state, to_devices(mesh, batch))
        outputs.append((output, failed))
    return jax.device_get(state), jax.device_get(outputs)


@pytest.fixture(scope="module")
def twenty_steps():
    return steps_on(1, 20)


def test_loss_falls(twenty_steps):
    _, outputs = twenty_steps
    losses = [output.loss_sum / output.weight_sum for output, _ in outputs]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_eight_devices_equal_one(twenty_steps):
    one, eight = twenty_steps[0], steps_on(8, 20)[0]
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(eight), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5, rtol=0)
    start = initial_state(0)
    assert np.abs(one.params["conv_0"]["kernel"] - start.params["conv_0"]["kernel"]).max() > 1e-3


def test_same_seed_same_bits_other_seed_other_bits(twenty_steps):
    again, other = steps_on(1, 20)[0], steps_on(1, 20, seed=1)[0]
    for a, b in zip(jax.tree.leaves(twenty_steps[0]), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)
    kernel = twenty_steps[0].params["conv_1"]["kernel"]
    assert np.abs(kernel - other.params["conv_1"]["kernel"]).max() > 1e-3


def test_dropout_is_drawn_anew_at_each_step():
    """The same batch at two steps, with parameters that stand still, gets two sets of scores."""
    still = jax.jit(
        partial(train_step, model=MODEL, loss=bce, optimizer=make_optimizer(STILL, lambda _: 0.0))
    )
    start = jax.jit(lambda: create_state(MODEL, make_optimizer(STILL, lambda _: 0.0), 0, SAMPLES))
    state = start()
    after, first, _ = still(state, make_batch(0))
    _, second, _ = still(after, make_batch(0))
    assert np.abs(first.score - second.score).max() > 1e-4
    _, again, _ = still(state, make_batch(0))
    np.testing.assert_array_equal(first.score, again.score)


def test_not_a_number_freezes_the_last_good_state():
    good, _ = steps_on(1, 4)
    after, outputs = steps_on(1, 8, poison_at=4)
    assert [int(failed) for _, failed in outputs] == [NO_FAILURE] * 4 + [4] * 4
    assert after.failed_step == 4
    for a, b in zip(
        jax.tree.leaves(after.replace(failed_step=good.failed_step)),
        jax.tree.leaves(good),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_filler_rows_change_no_parameter():
    """A padded short batch trains as the short batch alone (dropout off: its mask has a shape)."""
    model = MODEL.clone(block_dropout=(0.0, 0.0), hidden_dropout=0.0)
    state = initial_state(0)
    padded = make_batch(0, BATCH, num_filler=5)
    padded["waveform"][-5:] = 3.0
    short = {name: rows[:-5] for name, rows in padded.items()}
    step = jax.jit(partial(train_step, model=model, loss=bce, optimizer=OPTIMIZER))
    a, _, _ = step(state, padded)
    b, _, _ = step(state, short)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, atol=2e-6)


def test_lowers_for_all_platforms():
    """Steps and scorer compile for accelerators that this machine does not have."""
    shapes = jax.eval_shape(lambda: create_state(MODEL, OPTIMIZER, 0, SAMPLES))
    batch = jax.eval_shape(lambda: jax.tree.map(jnp.asarray, make_batch(0)))
    platforms = ["cpu", "cuda", "tpu"]
    training = jax.jit(partial(train_step, model=MODEL, loss=bce, optimizer=OPTIMIZER))
    scoring = jax.jit(partial(eval_step, model=MODEL, loss=bce))
    for exported in (
        jax.export.export(training, platforms=platforms)(shapes, batch),
        jax.export.export(scoring, platforms=platforms)(shapes.variables, batch),
    ):
        assert exported.platforms == tuple(platforms)
        assert len(exported.mlir_module_serialized) > 1000


def output_with(logits) -> ModelOutput:
    return ModelOutput(score=logits, logits=jnp.asarray(logits, jnp.float32), embedding=None)


def test_bce_by_hand():
    logits = np.array([2.0, -1.0, 0.5])
    label = jnp.array([1, 1, 0])
    p_bonafide = 1 / (1 + np.exp(-logits))
    wanted = -np.log(np.where(label == 1, p_bonafide, 1 - p_bonafide))
    np.testing.assert_allclose(bce(output_with(logits), label, jnp.ones(3)), wanted, rtol=1e-6)


def test_cross_entropy_by_hand():
    logits = np.array([[2.0, -1.0], [0.5, 0.25]])
    label = jnp.array([1, 0])
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    wanted = -np.log(p[[0, 1], label])
    np.testing.assert_allclose(
        cross_entropy(output_with(logits), label, jnp.ones(2)), wanted, rtol=1e-6
    )


def test_class_weights_divide_by_their_sum_and_skip_filler_and_unlabelled():
    values = jnp.array([1.0, 2.0, 4.0, 8.0])
    weight = row_weights(jnp.array([0, 1, -1, 1]), jnp.array([5, 5, 5, 0]), (0.1, 0.9))
    sums = weighted_sums(values, weight)
    np.testing.assert_allclose(sums, (0.1 * 1 + 0.9 * 2, 1.0), rtol=1e-6)


def test_weight_decay_is_l2_in_the_gradient():
    """For sgd, PyTorch's weight_decay gives p - lr (g + wd p)."""
    rule = make_optimizer(OptimizerConfig(name="sgd", weight_decay=0.5), lambda _: 0.1)
    params, grads = jnp.array([2.0]), jnp.array([3.0])
    updates, _ = rule.update(grads, rule.init(params), params, position=0)
    np.testing.assert_allclose(params + updates, 2.0 - 0.1 * (3.0 + 0.5 * 2.0), rtol=1e-6)


def test_clipping_bounds_the_update():
    rule = make_optimizer(OptimizerConfig(name="sgd", clip_norm=1.0), lambda _: 1.0)
    params, grads = jnp.zeros(2), jnp.array([30.0, 40.0])
    updates, _ = rule.update(grads, rule.init(params), params, position=0)
    np.testing.assert_allclose(updates, [-0.6, -0.8], rtol=1e-6)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (ScheduleConfig("constant"), {0: 1.0, 99: 1.0}),
        (ScheduleConfig("cosine", final_factor=0.1), {0: 1.0, 50: 0.55, 100: 0.1}),
        (ScheduleConfig("step", decay_epochs=2), {19: 1.0, 20: 0.5, 40: 0.25}),
        (ScheduleConfig("exponential", decay_epochs=2), {10: 0.5**0.5, 20: 0.5}),
        (ScheduleConfig("constant", warmup_steps=10), {0: 0.0, 5: 0.5, 10: 1.0}),
        # AntiDeepfake: warm-up, then down to a hundredth over what is left of the run.
        (
            ScheduleConfig("exponential", warmup_steps=20, decay_factor=0.01, decay_epochs=0),
            {10: 0.5, 20: 1.0, 60: 0.1, 100: 0.01},
        ),
        # Nes2Net on CtrSVDD: PyTorch's CosineAnnealingLR, once an epoch.
        (
            ScheduleConfig("cosine", final_factor=0.1, period_epochs=2, per_epoch=True),
            {0: 1.0, 9: 1.0, 10: 0.55, 19: 0.55, 20: 0.1, 30: 0.55, 40: 1.0, 60: 0.1},
        ),
        (
            ScheduleConfig("cosine", final_factor=0.1, period_epochs=2, cycle="restart"),
            {0: 1.0, 10: 0.55, 19: 0.1 + 0.9 * 0.5 * (1 + np.cos(0.95 * np.pi)), 20: 1.0, 30: 0.55},
        ),
    ],
)
def test_schedules(schedule, expected):
    rate = make_schedule(schedule, 1.0, steps_per_epoch=10, num_epochs=10)
    for step, value in expected.items():
        assert float(rate(step)) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("name", ["adam", "amsgrad", "adamw", "sgd", "rmsprop"])
def test_every_optimizer_descends(name):
    rule = make_optimizer(OptimizerConfig(name=name, momentum=0.5), lambda _: 0.05)
    x = np.array([3.0], np.float32)
    state = rule.init(x)
    update = jax.jit(lambda x, state: rule.update(2 * x, state, x, position=0))
    for _ in range(30):
        updates, state = update(x, state)
        x = x + np.asarray(updates)
    assert abs(float(x[0])) < 2.5


def test_batch_size_must_divide():
    with pytest.raises(ConfigError, match="30, which does not divide over 8 devices; use 24 or 32"):
        check_batch_size(make_mesh(), 30, "config.train.batch_size")


@pytest.mark.parametrize(("asked", "used"), [(30, 24), (8, 8), (3, 8), (64, 64)])
def test_a_batch_to_score_is_rounded_by_itself(asked, used):
    assert dividing_rows(make_mesh(), asked) == used


def test_unknown_loss_is_refused():
    with pytest.raises(ConfigError, match="must be one of bce"):
        make_loss(LossConfig(name="hinge"))
