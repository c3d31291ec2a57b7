"""Several seeds in one program are what separate runs are; each has a folder like any run."""

import json

import jax
import numpy as np
import pytest

from rawnet_jax.cli.main import main
from rawnet_jax.config_file import load_config, read_config
from rawnet_jax.data.score_file import read_scores
from rawnet_jax.errors import ConfigError, Interrupted, TrainingError
from rawnet_jax.run import Run
from rawnet_jax.scoring.outlier import range_of
from rawnet_jax.training.interrupt import StopRequest
from rawnet_jax.training.loop import Trainer
from rawnet_jax.training.writer import epoch_history

SEEDS = (4, 5, 6)


def trained(config_file, workdir, *overrides):
    config = load_config(str(config_file), ["--config.train.num_epochs=2", *overrides])
    return jax.device_get(Trainer(config, workdir, progress=False).run())


@pytest.fixture(scope="module")
def together(tiny_config, tmp_path_factory):
    """Three seeds at once, from device memory."""
    workdir = tmp_path_factory.mktemp("seeds") / "run"
    overrides = ["--config.train.num_seeds=3", "--config.train.seed=4", "--config.train.swa=True"]
    return workdir, trained(tiny_config, workdir, *overrides, "--config.data.resident=on")


def test_equal_separate_runs(together, tiny_config, tmp_path):
    workdir, state = together
    for number, seed in enumerate(SEEDS[:2]):
        alone = tmp_path / str(seed)
        wanted = trained(
            tiny_config, alone, f"--config.train.seed={seed}", "--config.train.swa=True"
        )
        found = jax.tree.map(lambda leaf, n=number: leaf[n], state)
        for a, b in zip(jax.tree.leaves(wanted), jax.tree.leaves(found), strict=True):
            np.testing.assert_allclose(a, b, atol=2e-5, rtol=1e-4)
        histories = epoch_history(alone), epoch_history(workdir / f"seed_{seed}")
        for one, other in zip(*histories, strict=True):
            assert one["dev"] == pytest.approx(other["dev"], abs=1e-4)
            assert one["train"] == pytest.approx(other["train"], abs=1e-4)
    kernels = state.params["conv_0"]["kernel"]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.01


def test_each_is_a_run_of_its_own(together):
    workdir, _ = together
    for seed in SEEDS:
        folder = workdir / f"seed_{seed}"
        config = read_config(folder)
        assert (config.train.seed, config.train.num_seeds) == (seed, 1)
        [best] = [int(path.name) for path in (folder / "checkpoints" / "best").iterdir()]
        eers = {event["step"]: event["dev"]["eer"] for event in epoch_history(folder)}
        assert eers[best] == min(eers.values())
        assert (folder / "checkpoints" / "swa").is_dir()


def test_evaluation_gives_each_the_spread_and_the_average(together, capsys):
    workdir, _ = together
    assert main(["evaluate", "--workdir", str(workdir), "--no-progress", "--no-bootstrap"]) == 0
    printed = capsys.readouterr().out
    assert "3 runs on 19 trials" in printed
    assert "pooled" in printed
    summary = json.loads((workdir / "eval" / "seeds.json").read_text())
    assert [run["seed"] for run in summary["runs"]] == list(SEEDS)
    scores = [(workdir / f"seed_{seed}" / "eval" / "scores.txt").read_text() for seed in SEEDS]
    assert len(set(scores)) == len(SEEDS)
    assert (workdir / "eval" / "scores.txt").exists()
    run = Run.open(workdir, seed="averaged")
    decision = run.decision()
    members = [workdir / f"seed_{seed}" / "eval" / "dev_scores.txt" for seed in SEEDS]
    dev = np.mean([read_scores(path).scores for path in members], axis=0)
    assert (decision.point.lowest, decision.point.highest) == range_of(dev)
    assert dev.min() <= decision.point.threshold <= dev.max()
    assert decision.calibration is not None
    assert not any("no threshold" in note for note in decision.notes)
    assert "outside the range of dev scores" in str(decision.refusal(1e6))
    assert decision.refusal(float(dev.max())) is None


def test_going_on_is_exact(together, tiny_config, tmp_path, monkeypatch):
    """Stopped after one of two epochs; this one is not trained from device memory."""
    _, state = together
    overrides = ["--config.train.num_seeds=3", "--config.train.seed=4", "--config.train.swa=True"]
    workdir = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "wanted", lambda self, step: step == 6)
        with pytest.raises(Interrupted, match="stopped at step 6 of 12"):
            trained(tiny_config, workdir, *overrides)
    again = trained(tiny_config, workdir, *overrides)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(again), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6, rtol=1e-5)


def test_one_of_several_cannot_be_trained_alone(together, tiny_config):
    workdir, _ = together
    config = load_config(str(tiny_config), ["--config.train.seed=5"])
    with pytest.raises(ConfigError, match="is one seed of the run in"):
        Trainer(config, workdir / "seed_5", progress=False)


def test_a_failed_step_names_the_seed(tiny_config, tmp_path):
    overrides = ["--config.optimizer.learning_rate=1e38", "--config.optimizer.name=sgd"]
    with pytest.raises(TrainingError, match=r"^seed \d: loss or gradient is not finite at step"):
        trained(tiny_config, tmp_path / "run", *overrides, "--config.train.num_seeds=2")
