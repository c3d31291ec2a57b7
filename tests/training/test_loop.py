"""The loop as a whole: it learns, resumes exactly, stops politely, and devices do not matter."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from rawnet_jax.checkpoint import restore_variables
from rawnet_jax.config_file import load_config, read_config, with_overrides
from rawnet_jax.data.loader import BatchSource
from rawnet_jax.data.partitions import load_scoring_cache
from rawnet_jax.errors import CheckpointError, ConfigError, TrainingError
from rawnet_jax.losses import bce
from rawnet_jax.mesh import make_mesh, replicated
from rawnet_jax.models.registry import build_model
from rawnet_jax.models.variables import variable_shapes
from rawnet_jax.run import Run
from rawnet_jax.scoring.scorer import Scorer
from rawnet_jax.training.loop import Trainer
from rawnet_jax.training.writer import epoch_history, read_log
from tests.conftest import REPO
from tests.environment import QUICK_TO_COMPILE

STEPS_PER_EPOCH = 6
NUM_STEPS = 4 * STEPS_PER_EPOCH

# Runs the real command, and sends itself a signal when the loader is asked for batch KILL_AT.
CHILD = """
import os, sys
from rawnet_jax.cli.main import main
from rawnet_jax.data.loader import BatchIterator
real = BatchIterator.__next__
def counted(self):
    if len(self._source) > 20 and self._step == int(os.environ["KILL_AT"]):
        os.kill(os.getpid(), int(os.environ["KILL_SIGNAL"]))
    return real(self)
BatchIterator.__next__ = counted
sys.exit(main(sys.argv[1:]))
"""


def child_environment(**more: object) -> dict[str, str]:
    """One device a process, and the checkout on the path."""
    environment = {**os.environ, "XLA_FLAGS": QUICK_TO_COMPILE, "PYTHONPATH": str(REPO)}
    return environment | {k: str(v) for k, v in more.items()}


def train_arguments(config: Path, workdir: Path, *overrides: str) -> list[str]:
    return [
        "train",
        *("--config", str(config)),
        *("--workdir", str(workdir)),
        "--no-progress",
        *overrides,
    ]


def final_state(workdir: Path, step: int = NUM_STEPS) -> list[np.ndarray]:
    """Every array of the last checkpoint: parameters, statistics, moments, key."""
    config = read_config(workdir)
    trainer = Trainer(config, workdir, progress=False)
    template = jax.eval_shape(trainer.make_state)
    found = trainer.checkpoints.restore_latest(template, replicated(trainer.mesh))
    trainer.checkpoints.close()
    assert found is not None
    assert int(found[0].step) == step
    return [np.asarray(leaf) for leaf in jax.tree.leaves(found[0])]


def run_child(code: str, arguments: list[str], **environment: object):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=child_environment(**environment),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def straight(tiny_config, tmp_path_factory) -> Path:
    """Four epochs on one device, in a process of its own, without a stop."""
    workdir = tmp_path_factory.mktemp("straight") / "run"
    done = run_child(
        CHILD, train_arguments(tiny_config, workdir), KILL_AT=-1, KILL_SIGNAL=signal.SIGKILL
    )
    assert done.returncode == 0, done.stderr
    return workdir


def test_log_and_checkpoints(straight):
    history = epoch_history(straight)
    assert [event["epoch"] for event in history] == [1, 2, 3, 4]
    for event in history:
        assert set(event["train"]) == {"loss", "accuracy", "precision", "recall", "auc", "eer"}
        assert set(event["dev"]) == set(event["train"])
    assert history[-1]["train"]["loss"] < history[0]["train"]["loss"]
    assert any(straight.glob("tensorboard/events*"))
    best = min(history, key=lambda event: event["dev"]["eer"])["dev"]["eer"]
    saved = [int(path.name) for path in (straight / "checkpoints" / "best").iterdir()]
    assert [e["dev"]["eer"] for e in history if e["step"] in saved] == [best]


@pytest.mark.slow
def test_kill_in_mid_epoch_and_restart_is_exact(straight, tiny_config, tmp_path):
    """2 epochs, then SIGKILL in the third, then the same command: the same bits, the same log."""
    workdir = tmp_path / "run"
    # Saving continues in the background, but waits for the save before it: when step 16 is being
    # saved, step 15, in the middle of the third epoch, is on disk.
    arguments = train_arguments(tiny_config, workdir, "--config.train.save_every_steps=1")
    kill_at = 2 * STEPS_PER_EPOCH + 4
    killed = run_child(CHILD, arguments, KILL_AT=kill_at, KILL_SIGNAL=signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    assert read_log(workdir)[-1]["step"] < NUM_STEPS
    again = run_child(CHILD, arguments, KILL_AT=-1, KILL_SIGNAL=signal.SIGKILL)
    assert again.returncode == 0, again.stderr
    assert re.search(f"resuming from step (15|16) of {NUM_STEPS}", again.stdout)
    for a, b in zip(final_state(straight), final_state(workdir), strict=True):
        np.testing.assert_array_equal(a, b)

    def figures(events):
        return [{k: v for k, v in event.items() if k != "seconds"} for event in events]

    assert figures(epoch_history(workdir)) == figures(epoch_history(straight))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_saves_and_restart_is_exact(straight, tiny_config, tmp_path, number):
    workdir = tmp_path / "run"
    arguments = train_arguments(tiny_config, workdir)
    stopped = run_child(CHILD, arguments, KILL_AT=9, KILL_SIGNAL=int(number))
    assert stopped.returncode == 128 + number
    assert stopped.stderr.strip() == (
        f"stopped at step 10 of {NUM_STEPS}; the same command resumes from there"
    )
    assert Trainer(load_config(str(tiny_config)), workdir, progress=False).run().step == NUM_STEPS
    # This process has eight devices, so the last steps differ by rounding.
    for a, b in zip(final_state(straight), final_state(workdir), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5, rtol=0)


def test_scores_do_not_depend_on_batches_or_devices(straight):
    config = read_config(straight)
    cache = load_scoring_cache(config.data, "eval", progress=False)
    eight_devices = Run.load(config, straight, "best").score(cache, progress=False)
    larger = with_overrides(config, ["--config.eval.batch_size=16"])
    larger_batch = Run.load(larger, straight, "best").score(cache, progress=False)
    model = build_model(config.model)
    shapes = variable_shapes(model, 800)
    with_loss = []
    for devices, batch_size in ((jax.devices()[:1], 3), (jax.devices(), 16)):
        mesh = make_mesh(devices)
        variables, _ = restore_variables(straight, "best", shapes, replicated(mesh))
        source = BatchSource(cache, batch_size=batch_size, num_samples=800)
        batches = map(source.__getitem__, range(len(source)))
        with_loss += Scorer(model, mesh, bce).score(variables, batches, len(cache))
    one_device = with_loss[0]
    assert np.ptp(one_device.score) > 1e-3
    assert with_loss[1].loss == pytest.approx(one_device.loss, abs=1e-6)
    for other in (eight_devices, larger_batch, with_loss[1]):
        np.testing.assert_allclose(other.score, one_device.score, atol=1e-5, rtol=0)


def test_not_a_number_names_the_batch_and_keeps_the_last_good_state(tiny_config, tmp_path):
    overrides = ["--config.optimizer.learning_rate=1e38", "--config.train.num_epochs=2"]
    config = load_config(str(tiny_config), [*overrides, "--config.optimizer.name=sgd"])
    with pytest.raises(TrainingError, match=r"not finite at step \d+ \(epoch 1, batch \d+ of clip"):
        Trainer(config, tmp_path / "run", progress=False).run()
    [step] = [int(path.name) for path in (tmp_path / "run" / "checkpoints" / "latest").iterdir()]
    assert all(np.isfinite(leaf).all() for leaf in final_state(tmp_path / "run", step))


def test_other_settings_are_refused(straight, tiny_config):
    other = load_config(str(tiny_config), ["--config.optimizer.learning_rate=0.5"])
    with pytest.raises(ConfigError, match=r"learning_rate was 0\.001 and is 0\.5; use another"):
        Trainer(other, straight, progress=False)


def test_another_list_of_clips_is_refused(straight, tiny_config, tiny_corpus, tmp_path):
    shorter = tiny_corpus / "shorter.txt"
    shorter.write_text((tiny_corpus / "train.txt").read_text().split("\n", 2)[2])
    config = load_config(str(tiny_config))
    workdir = tmp_path / "run"
    subprocess.run(["cp", "-r", str(straight), str(workdir)], check=True)
    saved = json.loads((workdir / "config.json").read_text())
    saved["data"]["train_protocol"] = "shorter.txt"
    (workdir / "config.json").write_text(json.dumps(saved))
    config = read_config(workdir)
    with pytest.raises(CheckpointError, match="another list of clips"):
        Trainer(config, workdir, progress=False).run()
    shorter.unlink()


def test_more_epochs_may_be_asked_for(straight, tiny_config, tmp_path):
    workdir = tmp_path / "run"
    subprocess.run(["cp", "-r", str(straight), str(workdir)], check=True)
    config = load_config(str(tiny_config), ["--config.train.num_epochs=5"])
    Trainer(config, workdir, progress=False).run()
    assert [event["epoch"] for event in epoch_history(workdir)] == [1, 2, 3, 4, 5]


def test_no_epoch_before_the_wanted_ones_is_the_best(tiny_config, tmp_path, monkeypatch):
    eers, real = iter((0.1, 0.3)), Trainer._score_dev
    monkeypatch.setattr(
        Trainer, "_score_dev", lambda *args: [one | {"eer": next(eers)} for one in real(*args)]
    )
    settings = ["--config.train.num_epochs=2", "--config.train.best_from_epoch=9"]
    Trainer(load_config(str(tiny_config), settings), tmp_path / "run", progress=False).run()
    saved = [int(path.name) for path in (tmp_path / "run" / "checkpoints" / "best").iterdir()]
    assert saved == [NUM_STEPS // 2]
