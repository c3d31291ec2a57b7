"""Several processes are one run: the same result, each host its part, and an end when one is lost.

Each process has one CPU device, and talks to the others as hosts do.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from rawnet_jax.config_file import load_config
from rawnet_jax.mesh import replicated
from rawnet_jax.peers import EXIT_LOST
from rawnet_jax.training.loop import Trainer
from rawnet_jax.training.writer import epoch_history, read_log
from tests.conftest import REPO
from tests.environment import QUICK_TO_COMPILE

# The real command; one process kills itself when step KILL_AT is asked for.
CHILD = """
import os, sys
from rawnet_jax.cli.main import main
from rawnet_jax.training.feed import StreamFeed
real = StreamFeed.take
def counted(self, step, count):
    if step == int(os.environ["KILL_AT"]):
        os.kill(os.getpid(), 9)
    return real(self, step, count)
StreamFeed.take = counted
sys.exit(main(sys.argv[1:]))
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def run_processes(count, arguments, *, kill=None, kill_at=-1, code=CHILD):
    """Run a command on several processes; returns each one's exit status, output and errors."""
    environment = {**os.environ, "XLA_FLAGS": QUICK_TO_COMPILE, "PYTHONPATH": str(REPO)}
    address = f"localhost:{free_port()}"
    children = [
        subprocess.Popen(
            [
                *(sys.executable, "-c", code, *arguments, f"--coordinator={address}"),
                *(f"--num-processes={count}", f"--process-id={i}"),
            ],
            env=environment | {"KILL_AT": str(kill_at if i == kill else -1)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(count)
    ]
    try:
        outputs = [child.communicate(timeout=240) for child in children]
    finally:
        for child in children:
            child.kill()
    return [(child.returncode, *output) for child, output in zip(children, outputs, strict=True)]


def train(config: Path, workdir: Path, *overrides: str) -> list[str]:
    return [
        *("train", "--config", str(config), "--workdir", str(workdir), "--no-progress"),
        *("--config.train.num_epochs=2", *overrides),
    ]


def last_state(config: Path, workdir: Path, *overrides: str):
    """Every array of the last checkpoint."""
    loaded = load_config(str(config), ["--config.train.num_epochs=2", *overrides])
    trainer = Trainer(loaded, workdir, progress=False)
    template = jax.eval_shape(trainer.make_state)
    found = trainer.checkpoints.restore_latest(template, replicated(trainer.mesh))
    trainer.checkpoints.close()
    assert found is not None
    assert found[1]["loader"]["next_step"] == 12
    return [np.asarray(leaf) for leaf in jax.tree.leaves(found[0])]


def assert_same(states, others):
    for a, b in zip(states, others, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def alone(tiny_config, tmp_path_factory):
    """The state after two epochs in this process, with eight devices."""
    workdir = tmp_path_factory.mktemp("alone") / "run"
    config = load_config(str(tiny_config), ["--config.train.num_epochs=2"])
    state = jax.device_get(Trainer(config, workdir, progress=False).run())
    return workdir, jax.tree.leaves(state)


@pytest.mark.slow
@pytest.mark.parametrize("resident", ["off", "on"])
def test_training_equals_one_process(alone, tiny_config, tmp_path, resident):
    count, workdir, override = 2, tmp_path / "run", f"--config.data.resident={resident}"
    ended = run_processes(count, train(tiny_config, workdir, override))
    assert [status for status, _, _ in ended] == [0] * count, ended
    assert_same(alone[1], last_state(tiny_config, workdir))
    assert len(epoch_history(workdir)) == 2
    # Only the first process says something.
    assert [bool(re.search("epoch 2/2", out)) for _, out, _ in ended] == [True] + [False] * (
        count - 1
    )
    # Every host writes its part of a checkpoint.
    parts = (workdir / "checkpoints" / "latest" / "12" / "variables").glob("ocdbt.process_*")
    assert len(list(parts)) == count


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_process_ends_the_run_and_a_restart_goes_on(tiny_config, tmp_path, lost):
    """Two processes with divided clips; one is killed in the second epoch."""
    divided = "--config.data.divide_clips=True"
    workdir = tmp_path / "run"
    arguments = train(tiny_config, workdir, divided, "--config.train.save_every_steps=1")
    started = time.monotonic()
    killed = run_processes(2, arguments, kill=lost, kill_at=10)
    assert time.monotonic() - started < 120
    assert killed[lost][0] == -signal.SIGKILL
    status, _, errors = killed[1 - lost]
    assert status == EXIT_LOST, errors
    assert errors.count(f"process {lost} of 2 is gone, so process {1 - lost} ends too") == 1, errors
    assert "Traceback" not in errors
    assert read_log(workdir)[-1]["step"] < 12
    if lost == 1:
        return
    straight = tmp_path / "straight"
    again = run_processes(2, arguments)
    ended = run_processes(2, train(tiny_config, straight, divided))
    assert [status for status, _, _ in (*again, *ended)] == [0] * 4, (again, ended)
    assert re.search("resuming from step (8|9|10) of 12", again[0][1])
    assert epoch_figures(straight) == epoch_figures(workdir)


def epoch_figures(workdir: Path):
    events = epoch_history(workdir)
    return [{k: v for k, v in event.items() if k != "seconds"} for event in events]


@pytest.mark.slow
def test_evaluation_equals_one_process(alone, tmp_path):
    from rawnet_jax.cli.main import main

    workdir = shutil.copytree(alone[0], tmp_path / "run")
    arguments = ["evaluate", "--workdir", str(workdir), "--no-progress", "--no-bootstrap"]
    arguments += ["--config.data.divide_clips=True", "--config.eval.outlier_share=0.5"]
    assert main([*arguments, "--output", str(tmp_path / "one")]) == 0
    ended = run_processes(2, [*arguments, "--output", str(tmp_path / "two")])
    assert [status for status, _, _ in ended] == [0, 0], ended
    lines = [(tmp_path / n / "scores.txt").read_text().split("\n") for n in ("one", "two")]
    assert len(lines[0]) > 19
    for a, b in zip(*lines, strict=True):
        assert a.split()[:-1] == b.split()[:-1]
        if a:
            assert float(a.split()[-1]) == pytest.approx(float(b.split()[-1]), abs=1e-5)
    unlike = [
        json.loads((tmp_path / n / "metrics.json").read_text())["cannot_judge"]["unlike_training"]
        for n in ("one", "two")
    ]
    bounds = [found.pop("highest_distance") for found in unlike]
    assert bounds[0] == pytest.approx(bounds[1], rel=1e-3)
    assert unlike[0]["num_fitted"] == unlike[1]["num_fitted"] > 4


@pytest.mark.slow
def test_an_error_on_one_host_ends_the_others(tiny_config, tmp_path):
    """Of three, only process 1 finds its work directory in the way."""
    (tmp_path / "file").write_text("")
    arguments = train(tiny_config, tmp_path / "run", "--config.train.batch_size=6")
    wrong = tmp_path / "file" / "run"
    code = CHILD.replace(
        "sys.exit(",
        "if sys.argv[-1] == '--process-id=1':\n"
        f"    sys.argv[sys.argv.index('--workdir') + 1] = {str(wrong)!r}\n"
        "sys.exit(",
    )
    assert code != CHILD
    started = time.monotonic()
    ended = run_processes(3, arguments, code=code)
    assert time.monotonic() - started < 90
    assert [status for status, _, _ in ended] == [EXIT_LOST, 2, EXIT_LOST], ended
    assert f"error: --workdir {wrong}" in ended[1][2]
