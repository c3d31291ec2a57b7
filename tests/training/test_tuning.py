"""Options of fine-tuning at the level of a step: what is trained, how fast, by which gradient."""

import dataclasses
from functools import cache, cached_property, partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from rawnet_jax.config import Config, LoraConfig, OptimizerConfig
from rawnet_jax.config_check import checked
from rawnet_jax.errors import ConfigError
from rawnet_jax.losses import cross_entropy
from rawnet_jax.mesh import make_mesh, replicated, split_rows
from rawnet_jax.models.registry import build_model, model_config
from rawnet_jax.models.variables import variable_shapes
from rawnet_jax.training.gradients import accumulated, micro_batches, rejoined, sharpness_aware
from rawnet_jax.training.optimizer import make_optimizer
from rawnet_jax.training.state import create_state
from rawnet_jax.training.step import train_step
from rawnet_jax.training.swa import batch_statistics
from rawnet_jax.training.tuning import make_tuning
from tests.training.tiny_encoder import FIELDS, StackedDetector

SAMPLES, ROWS, RATE = 40, 16, 0.1
QUERY = ("encoder", "layers", "layer", "q_proj", "kernel")
FEATURES = ("encoder", "features", "kernel")
HEAD = ("head", "kernel")


def detector() -> nn.Module:
    return build_model(model_config("ssl_linear", **FIELDS))


def config_of(accumulate_steps: int = 1, pairs: str = "", **optimizer: Any) -> Config:
    """Return a config of plain descent, so that an update is a gradient."""
    config = Config()
    config.data.num_samples = SAMPLES
    config.data.pairs = pairs
    config.train.batch_size = ROWS
    config.train.accumulate_steps = accumulate_steps
    config.optimizer = OptimizerConfig(**{"name": "sgd", "learning_rate": RATE, **optimizer})
    return checked(config)


class Made:
    """A step of a config, and the state before it."""

    def __init__(self, config: Config, model: nn.Module, num_devices: int = 1) -> None:
        self.tuning = make_tuning(config, model)
        rule = make_optimizer(config.optimizer, lambda _: RATE, self.tuning.factors)
        samples = config.data.num_samples
        self.make_state = jax.jit(
            partial(create_state, model, rule, 0, samples, tuning=self.tuning)
        )
        self.mesh = make_mesh(jax.devices()[:num_devices])
        step = partial(
            train_step, model=model, loss=cross_entropy, optimizer=rule, tuning=self.tuning,
            class_weights=(0.3, 0.7),
        )  # fmt: skip
        self.step = jax.jit(step, in_shardings=(replicated(self.mesh), split_rows(self.mesh)))

    @cached_property
    def state(self) -> Any:
        return self.make_state()

    def after(self, num_steps: int = 1) -> tuple[Any, Any]:
        state = self.state
        for _ in range(num_steps):
            state, output, _ = self.step(state, batch())
        return jax.device_get((state, output))


@cache
def made(config_text: str = "", num_devices: int = 1, **fields: Any) -> Made:
    """Compile each step once; `config_text` is a key of `CONFIGS`."""
    return Made(config_of(**CONFIGS[config_text]), StackedDetector(**fields), num_devices)


CONFIGS: dict[str, dict[str, Any]] = {
    "": {},
    "frozen": {"frozen": ("features", "layers/layer[:2]"), "momentum": 0.5,
               "weight_decay": 0.1},
    "all": {"momentum": 0.5, "weight_decay": 0.1},
    "up to 2": {"frozen": ("encoder[:2]",)},
    "encoder": {"frozen": ("encoder",)},
    "rates": {"layer_decay": 0.5, "rate_parts": ("layer/q_proj", "encoder"),
              "rate_factors": (3.0, 2.0)},
    "parts": {"accumulate_steps": 4},
    "sam": {"sam_radius": 0.3},
    "lora": {"lora": LoraConfig(rank=2, alpha=6.0, targets=("q_proj", "output"))},
}  # fmt: skip


def batch() -> dict[str, Any]:
    """Return 16 rows; the last three are filler, so that the parts of a batch differ in weight."""
    rng = np.random.default_rng(4)
    num_samples = np.where(np.arange(ROWS) < ROWS - 3, SAMPLES, 0)
    return {
        "waveform": rng.standard_normal((ROWS, SAMPLES)).astype(np.float32),
        "num_samples": num_samples.astype(np.int32),
        "label": rng.integers(0, 2, ROWS).astype(np.int32),
        "index": np.where(num_samples > 0, np.arange(ROWS), -1),
    }


def moved(before: Any, after: Any) -> dict[Any, np.ndarray]:
    """Return by how much each parameter moved."""
    old, new = flatten_dict(jax.device_get(before.params)), flatten_dict(after.params)
    return {path: new[path] - old[path] for path in old}


def assert_equal_trees(a: Any, b: Any, atol: float = 0.0) -> None:
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, atol=atol, rtol=0)


def test_what_is_frozen_stays_and_the_rest_moves_as_without():
    """Two steps with momentum and decay, so that the second depends on the optimiser's state."""
    part = made("frozen")
    after, _ = part.after()
    change, whole = moved(part.state, after), moved(made("all").state, made("all").after()[0])
    for path, delta in change.items():
        first = 2 if "layer" in path else 0
        if "features" in path:
            assert not delta.any()
            continue
        assert not delta[:first].any()
        np.testing.assert_allclose(delta[first:], whole[path][first:], atol=1e-6)
        assert delta[first:].any() or not whole[path].any()
    moments = {leaf.shape[0] for leaf in jax.tree.leaves(after.opt_state) if leaf.ndim}
    sizes = sum(leaf.size for leaf in jax.tree.leaves(after.opt_state))
    assert part.tuning.sizes is not None
    assert sizes == part.tuning.sizes[0] < part.tuning.sizes[1]
    assert 1 in moments


def test_what_is_frozen_from_the_input_on_has_no_backward_pass():
    """Loops over layers: forward and backward; two forward and one backward; forward alone."""
    config = config_of()
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, num_samples=800))
    loops = []
    for patterns in ((), ("encoder[:2]",), ("layers/layer[:2]",), ("encoder",)):
        optimizer = dataclasses.replace(config.optimizer, frozen=patterns)
        one = Made(dataclasses.replace(config, optimizer=optimizer), detector())
        rows = {**batch(), "waveform": np.zeros((ROWS, 800), np.float32)}
        program = jax.make_jaxpr(one.step)(jax.eval_shape(one.make_state), rows)
        loops.append(str(program).count(" scan["))
    assert loops == [2, 3, 2, 1]


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (
            ("encoder/feature",),
            "'encoder/feature' names no parameter; did you mean 'encoder/features'",
        ),
        (("xyz",), "'xyz' names no parameter; the network has encoder, head"),
        (("layer[:4]",), r"'layer\[:4\]': there are 3 layers; it must be \[:1\] to \[:3\]"),
        (("head[:1]",), "no layers are stacked there"),
        (("encoder", "head"), "all parameters are frozen"),
    ],
)
def test_patterns_that_cannot_be_meant(patterns, message):
    with pytest.raises(ConfigError, match=f"config.optimizer.frozen: .*{message}"):
        make_tuning(config_of(frozen=patterns), StackedDetector())


def test_statistics_of_what_is_frozen_stay_and_are_used():
    one = made("encoder", norm=True)
    after, output = one.after()
    stats, before = after.batch_stats, jax.device_get(one.state.batch_stats)
    assert_equal_trees(stats["encoder"], before["encoder"])
    assert np.abs(stats["norm"]["mean"] - before["norm"]["mean"]).max() > 1e-4
    # The batch's own statistics would be as good for any running ones.
    other = jax.tree.map(lambda leaf: 3.0 * leaf + 1.0, one.state.batch_stats["encoder"])
    shifted = one.state.replace(batch_stats={**one.state.batch_stats, "encoder": other})
    _, moved_output, _ = one.step(shifted, batch())
    assert np.abs(moved_output.score - output.score)[:10].max() > 1e-3
    model = StackedDetector(norm=True)
    found = jax.jit(partial(batch_statistics, model=model, trained=one.tuning.trained))(
        shifted.variables, batch(), one.state.key
    )
    assert_equal_trees(found["encoder"], other)


def test_rates_by_layer_and_part():
    """Head 1, then 1/2 a layer from the top; what is below the layers as a layer below them."""
    change, plain = (moved(one.state, one.after()[0]) for one in (made("rates"), made()))
    ratio = np.array([0.125, 0.25, 0.5])
    for path, delta in change.items():
        factor: Any = 1.0
        if path[0] == "encoder":
            of_layers = ratio.reshape(-1, *[1] * (delta.ndim - 1))
            factor = (3.0 if "q_proj" in path else 2.0) * (of_layers if "layer" in path else 0.0625)
        np.testing.assert_allclose(delta, factor * plain[path], rtol=1e-5, atol=1e-7)
    assert np.abs(plain[FEATURES]).max() > 1e-4


@pytest.mark.parametrize("num_devices", [1, 2])
def test_parts_of_a_batch_give_the_gradient_of_all_of_it(num_devices):
    """The parts differ in weight: labels, and filler rows."""
    whole, parts = made(), made("parts", num_devices=num_devices)
    wanted, output = whole.after()
    after, in_parts = parts.after()
    assert_equal_trees(after.params, wanted.params, atol=1e-6)
    np.testing.assert_allclose(in_parts.score, output.score, atol=1e-5)
    np.testing.assert_allclose(in_parts.loss_sum, output.loss_sum, rtol=1e-5)
    np.testing.assert_allclose(in_parts.weight_sum, output.weight_sum, rtol=1e-6)
    np.testing.assert_array_equal(in_parts.index, output.index)
    assert moved(whole.state, wanted)[HEAD].any()


def test_a_part_of_filler_moves_no_statistic():
    """Of 16 rows in 4 parts, with three clips, one part has none."""
    one = made("parts", norm=True)
    rows = batch()
    rows["num_samples"] = np.where(np.arange(ROWS) < 3, SAMPLES, 0).astype(np.int32)
    after, _, _ = one.step(one.state, rows)
    # Each part has one clip, of which the variance is 0: .9 of it is left at each of three.
    np.testing.assert_allclose(after.batch_stats["norm"]["var"], 0.9**3, rtol=1e-5)
    assert not np.isnan(after.params["head"]["kernel"]).any()


@pytest.mark.parametrize("unit", [1, 2])
def test_rows_are_dealt_out_and_come_back(unit):
    rows = np.arange(12)
    parts = micro_batches({"rows": jnp.asarray(rows)}, 3, unit)["rows"]
    assert parts.shape == (3, 4)
    np.testing.assert_array_equal(np.sort(parts, axis=None), rows)
    if unit == 2:
        np.testing.assert_array_equal(parts[1], [2, 3, 8, 9])
    np.testing.assert_array_equal(rejoined(parts, unit), rows)


@pytest.mark.parametrize("adaptive", [False, True])
def test_sharpness_aware_gradient_by_hand(adaptive):
    """Of (a w^4 / 4, b v^2 / 2): the gradient at w + e, v + f."""
    a, b, w, v, radius = 2.0, 3.0, 0.5, -0.7, 0.2

    def gradient(params, batch, batch_stats, key):
        del batch, batch_stats, key
        return {"w": a * params["w"] ** 3, "v": b * params["v"]}, params["w"]

    uphill: Any = sharpness_aware(gradient, radius, adaptive=adaptive)
    found, seen = uphill({"w": jnp.float32(w), "v": jnp.float32(v)}, None, None, None)
    size = np.abs([w, v]) + 0.01 if adaptive else np.ones(2)
    slope = np.array([a * w**3, b * v])
    e = radius * size**2 * slope / np.linalg.norm(size * slope)
    np.testing.assert_allclose(found["w"], a * (w + e[0]) ** 3, rtol=1e-5)
    np.testing.assert_allclose(found["v"], b * (v + e[1]), rtol=1e-5)
    assert seen == np.float32(w)


def test_sharpness_aware_step_sees_the_batch_where_it_is():
    """Scores and statistics are those of the plain step."""
    plain, sam = made(norm=True), made("sam", norm=True)
    (wanted, output), (after, seen) = plain.after(), sam.after()
    np.testing.assert_array_equal(seen.score, output.score)
    assert_equal_trees(after.batch_stats, wanted.batch_stats)
    assert np.abs(moved(wanted, after)[HEAD]).max() > 1e-4


def test_sharpness_aware_gradient_in_parts():
    """Uphill goes the gradient of the whole batch, of which each part has a share."""
    x = np.arange(1.0, 9.0, dtype=np.float32)

    def gradient(params, batch, batch_stats, key):
        del key
        grad = jax.grad(lambda w: jnp.sum(batch["x"] * w**3) / len(x))(params)
        sums = (batch["x"].sum(), jnp.float32(1.0))
        return grad, (batch["x"], sums, batch_stats + 1)

    in_parts: Any = sharpness_aware(accumulated(gradient, 4, 1), 0.5, adaptive=False)
    batch = {"x": jnp.asarray(x), "num_samples": jnp.ones(8, jnp.int32)}
    found, (score, sums, stats) = in_parts(jnp.float32(2.0), batch, 0, jax.random.key(0))
    np.testing.assert_allclose(found, 3 * x.mean() * 2.5**2, rtol=1e-6)
    np.testing.assert_array_equal(score, x)
    assert float(sums[0]) == x.sum()
    assert int(stats) == 4


def test_several_seeds_have_matrices_of_their_own():
    one = made("lora")
    states = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf + 1]), one.state)
    merged = flatten_dict(states.variables["params"])
    lora, params = flatten_dict(states.lora), flatten_dict(states.params)
    a, b = (lora[(*QUERY[:-1], name)] for name in "ab")
    wanted = params[QUERY] + 3.0 * np.einsum("slir,slro->slio", a, b)
    np.testing.assert_allclose(merged[QUERY], wanted, atol=1e-4)
    step = jax.vmap(one.step, in_axes=(0, 0))
    rows = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), batch())
    after, _, _ = jax.eval_shape(step, states, rows)
    shapes = jax.eval_shape(lambda state: state.variables, after)
    assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(jnp.shape, states.variables)


def test_lora_trains_two_small_matrices_and_the_head():
    one = made("lora")
    start = one.state.variables["params"]
    assert_equal_trees(start, jax.jit(made().make_state)().params)
    after, _ = one.after(2)
    change = moved(one.state, after)
    assert not any(delta.any() for path, delta in change.items() if path[0] == "encoder")
    assert change[HEAD].any()
    low_rank = flatten_dict(after.variables["params"])
    flat, before = flatten_dict(after.lora), flatten_dict(one.state.params)
    for name in ("q_proj", "output"):
        path = ("encoder", "layers", "layer", name)
        a, b = flat[(*path, "a")], flat[(*path, "b")]
        assert a.shape[1:] == (8, 2)
        delta = low_rank[(*path, "kernel")] - before[(*path, "kernel")]
        np.testing.assert_allclose(delta, 3.0 * np.einsum("lir,lro->lio", a, b), atol=1e-6)
        assert np.abs(delta).max() > 1e-4
        assert (np.linalg.matrix_rank(delta, tol=1e-5) <= 2).all()
    assert_equal_trees(low_rank[FEATURES], before[FEATURES])
    trained = 2 * 3 * (8 * 2 + 2 * 8) + 8 * 2 + 2
    assert one.tuning.sizes == (trained, sum(leaf.size for leaf in before.values()))


def test_lora_drops_inputs_of_a_layer():
    lora = make_tuning(config_of(lora=LoraConfig(rank=2, dropout=0.5)), detector()).lora
    assert lora is not None
    assert [path[-1] for path in lora.layers] == ["q_proj", "v_proj"]
    params = variable_shapes(detector(), 800)["params"]
    drawn = lora.init(jax.tree.map(lambda s: np.zeros(s.shape), params), jax.random.key(0))
    before, after = flatten_dict(drawn), flatten_dict(lora.dropped(drawn, jax.random.key(1)))
    for path, a in before.items():
        if path[-1] == "b":
            assert not a.any()
            continue
        kept = np.asarray(after[path] != 0)
        assert (kept.all(-1) | ~kept.any(-1)).all()
        assert 0 < kept.mean() < 1
        np.testing.assert_allclose(after[path], np.where(kept, 2.0 * a, 0.0))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (("q_prj",), "'q_prj' names no parameter; did you mean 'q_proj'"),
        (
            ("bias",),
            "'bias' names no dense layer; the encoder has features, output, q_",
        ),
    ],
)
def test_lora_targets_that_cannot_be_meant(targets, message):
    config = config_of(lora=LoraConfig(rank=2, targets=targets))
    with pytest.raises(ConfigError, match=f"config.optimizer.lora.targets: {message}"):
        make_tuning(config, StackedDetector())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"accumulate_steps": 3},
            "accumulate_steps is 3; config.train.batch_size, 16, must divide",
        ),
        ({"accumulate_steps": 16, "pairs": "source"}, "into 16 parts of whole pairs"),
        ({"rate_parts": ("head",)}, "as many numbers of at least 0 as there are .*rate_parts, 1"),
        ({"layer_decay": 1.5}, "layer_decay is 1.5; it must be at most 1"),
        ({"lora": LoraConfig(rank=1, targets=())}, "it must name a layer"),
        ({"lora": LoraConfig(rank=1, dropout=1.0)}, "lora.dropout is 1.0; it must be below 1"),
    ],
)
def test_settings_that_do_not_fit_together(change, message):
    with pytest.raises(ConfigError, match=message):
        config_of(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer_decay": 0.5}, "layer_decay is 0.5; it needs a network with an encoder"),
        ({"lora": LoraConfig(rank=4)}, "lora.rank is 4; it needs a network with an encoder"),
    ],
)
def test_options_that_need_an_encoder(change, message):
    config = config_of(**change)
    with pytest.raises(ConfigError, match=message):
        make_tuning(config, build_model(model_config("conv1d", channels=(2, 2), hidden_features=2)))
