"""Averaged parameters: the mean, BatchNorm's statistics for it, and the whole way in a run."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rawnet_jax.checkpoint import restore_variables
from rawnet_jax.config_file import load_config
from rawnet_jax.contract import ModelOutput
from rawnet_jax.mesh import make_mesh, replicated
from rawnet_jax.nn.layers import BatchNorm, InertBatchNorm
from rawnet_jax.nn.lengths import Extent
from rawnet_jax.training.loop import Trainer
from rawnet_jax.training.optimizer import make_optimizer
from rawnet_jax.training.state import create_state
from rawnet_jax.training.swa import add_to_average, batch_statistics, estimate_statistics
from rawnet_jax.training.writer import read_log


class TwoNorms(nn.Module):
    """Layers of unlike momentum, and one that does nothing."""

    @nn.compact
    def __call__(self, waveform, num_samples, *, train=False):
        x = waveform[:, :, None] * jnp.arange(1.0, 4.0)
        mask = Extent(num_samples > 0).mask(x)
        x = BatchNorm(momentum=0.5, name="ours")(x, mask, train)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.99, name="flax")(
            x + 1, mask=mask
        )
        InertBatchNorm(2, name="inert")()
        score = x.mean((1, 2))
        return ModelOutput(score, score, x[:, 0])


def batch_of(seed: int, rows: int, filler: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    num_samples = np.full(rows + filler, 5, np.int32)
    num_samples[rows:] = 0
    waveform = rng.standard_normal((rows + filler, 5)) * (1 + seed) + seed
    return {"waveform": jnp.asarray(waveform, jnp.float32), "num_samples": num_samples}


def test_mean_of_states():
    model = TwoNorms()
    state = create_state(model, make_optimizer_of_nothing(), 0, 5, swa=True)
    for value in (1.0, 2.0, 6.0):
        state = state.replace(params=jax.tree.map(lambda x, v=value: 0 * x + v, state.params))
        state = add_to_average(state)
    assert int(state.average["count"]) == 3
    for leaf in jax.tree.leaves(state.average["params"]):
        np.testing.assert_allclose(leaf, 3.0, rtol=1e-6)


def make_optimizer_of_nothing():
    from rawnet_jax.config import OptimizerConfig

    return make_optimizer(OptimizerConfig(name="sgd"), lambda _: 0.0)


def test_statistics_are_those_of_the_batches_whatever_the_momentum():
    model = TwoNorms()
    variables: Any = model.init(jax.random.key(0), jnp.zeros((1, 5)), jnp.ones((1,), jnp.int32))
    inert = variables["batch_stats"]["inert"]
    batches = [batch_of(1, 4), batch_of(2, 2, filler=2)]
    statistics_of = jax.jit(partial(batch_statistics, model=model))
    key = jax.random.key_data(jax.random.key(1))
    found = estimate_statistics(variables, batches, statistics_of, key)["batch_stats"]
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), found["inert"], inert))
    real = [np.asarray(b["waveform"])[b["num_samples"] > 0] for b in batches]
    shares = (4 / 6, 2 / 6)
    for i, factor in enumerate((1.0, 2.0, 3.0)):
        mean = sum(s * factor * x.mean() for s, x in zip(shares, real, strict=True))
        var = sum(s * factor**2 * x.var(ddof=1) for s, x in zip(shares, real, strict=True))
        np.testing.assert_allclose(found["ours"]["mean"][i], mean, rtol=1e-4)
        np.testing.assert_allclose(found["ours"]["var"][i], var, rtol=1e-4)
    # The second layer sees what the first one normalised by the batch itself, plus 1.
    np.testing.assert_allclose(found["flax"]["mean"], 1.0, atol=1e-3)
    np.testing.assert_allclose(found["flax"]["var"], 1.0, rtol=1e-2)


@pytest.fixture(scope="module")
def averaged_run(tiny_config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("swa") / "run"
    config = load_config(str(tiny_config), ["--config.train.swa=true"])
    state = Trainer(config, workdir, progress=False).run()
    return config, workdir, jax.device_get(state)


def test_a_run_averages_epochs_that_tie_or_better_dev(averaged_run):
    _, workdir, state = averaged_run
    log = read_log(workdir)
    best, wanted = 1.0, 0
    for event in (e for e in log if e["event"] == "epoch"):
        wanted += event["dev"]["eer"] <= best
        best = min(best, event["dev"]["eer"])
    assert int(state.average["count"]) == wanted > 1
    (average,) = (e for e in log if e["event"] == "average")
    assert average["epochs_averaged"] == wanted
    assert 0 <= average["dev"]["eer"] <= 0.5
    variables, step = restore_variables(workdir, "swa", state.variables, replicated(make_mesh()))
    assert step == int(state.step)
    assert jax.tree.all(
        jax.tree.map(
            lambda a, b: bool(jnp.array_equal(a, b)), variables["params"], state.average["params"]
        )
    )
    moved = jax.tree.map(
        lambda a, b: float(jnp.abs(a - b).max()), variables["batch_stats"], state.batch_stats
    )
    assert max(jax.tree.leaves(moved)) > 1e-4


def test_every_epoch_from_one_on_whatever_dev_says(tiny_config, tmp_path):
    overrides = ["train.swa=true", "train.swa_from_epoch=2", "train.num_epochs=3"]
    config = load_config(str(tiny_config), [f"--config.{one}" for one in overrides])
    state = Trainer(config, tmp_path / "run", progress=False).run()
    assert int(state.average["count"]) == 2


def test_the_average_is_made_once(averaged_run):
    config, workdir, _ = averaged_run
    before = (workdir / "log.jsonl").read_text()
    Trainer(config, workdir, progress=False).run()
    assert (workdir / "log.jsonl").read_text() == before


def test_start_from_another_run_and_stalls(averaged_run, tiny_config, tmp_path):
    """Parameters come from there; without a better dev accuracy the schedule runs twice as fast."""
    _, workdir, state = averaged_run
    settings = {
        "train.init_from": workdir,
        "optimizer.learning_rate": 0.0,
        "optimizer.schedule.stall_epochs": 2,
        "eval.spoof_threshold": 1.0,  # nothing is called spoof: the accuracy stays as it is
    }
    config = load_config(str(tiny_config), [f"--config.{k}={v}" for k, v in settings.items()])
    after = Trainer(config, tmp_path / "run", progress=False).run()
    best, _ = restore_variables(workdir, "best", state.variables, replicated(make_mesh()))
    for mine, theirs in zip(
        jax.tree.leaves(after.params), jax.tree.leaves(best["params"]), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    # Four epochs of 6 steps; it stalls after the third.
    assert (int(after.pace), int(after.position)) == (2, 3 * 6 + 2 * 6)
