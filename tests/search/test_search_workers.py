"""The processes of a search, and the command from end to end."""

import shlex
import sys

import pytest

from rawnet_jax.cli.main import main
from rawnet_jax.config import Config
from rawnet_jax.config_file import load_config, read_config
from rawnet_jax.errors import Interrupted, TrainingError
from rawnet_jax.search.study import TrialRun
from rawnet_jax.search.worker import MAX_KILLED, Workers

pytest.importorskip("optuna", reason="the extra `search` is not installed")

DIES_ONCE = """
import os, pathlib, signal, sys
mark = pathlib.Path(sys.argv[1])
if not mark.exists():
    mark.touch()
    os.kill(os.getpid(), signal.SIGKILL)
print("done")
"""


def program(text, *arguments):
    return [sys.executable, "-S", "-c", text, *arguments]


def test_a_killed_worker_is_replaced(tmp_path):
    looks = []
    with Workers(program(DIES_ONCE, str(tmp_path / "mark")), tmp_path, 1) as workers:
        workers.wait(lambda: looks.append(1))
    [log] = (tmp_path / "workers").iterdir()
    assert log.read_text() == "done\n"
    assert len(looks) >= 2


def test_a_worker_that_is_always_killed_ends_the_search(tmp_path, monkeypatch):
    monkeypatch.setattr("rawnet_jax.search.worker._POLL_S", 0.01)
    kills_itself = "import os; os.kill(os.getpid(), 9)"
    with (
        pytest.raises(TrainingError, match=f"{MAX_KILLED + 1} workers were killed.*SIGKILL"),
        Workers(program(kills_itself), tmp_path, 1) as workers,
    ):
        workers.wait(lambda: None)


def test_what_a_worker_says_last_is_told(tmp_path):
    fails = "import sys; print('error: no such device', file=sys.stderr); sys.exit(2)"
    with (
        pytest.raises(TrainingError, match="a worker stopped: no such device"),
        Workers(program(fails), tmp_path, 2) as workers,
    ):
        workers.wait(lambda: None)


def test_workers_end_with_the_command(tmp_path):
    waits = "import time; print('here', flush=True); time.sleep(600)"

    def stop():
        if any(log.read_text() for log in (tmp_path / "workers").iterdir()):
            raise Interrupted("stop", 15)

    with (
        pytest.raises(Interrupted),
        Workers(program(waits), tmp_path, 1) as workers,
    ):
        workers.wait(stop)
    assert all(process.returncode is not None for process in workers.processes)


@pytest.mark.parametrize(
    ("ends", "left"),
    [(None, ["best"]), (RuntimeError("NaN"), None), (Interrupted("stop", 15), ["best", "latest"])],
)
def test_only_what_is_needed_stays_on_disk(tmp_path, monkeypatch, ends, left):
    from rawnet_jax.search import objective

    class Trainer:
        def __init__(self, *_):
            for name in ("best", "latest"):
                (tmp_path / "checkpoints" / name).mkdir(parents=True)

        def run(self):
            if ends:
                raise ends

        def lowest_dev_eer(self):
            return 0.25

    monkeypatch.setattr(objective, "ReportingTrainer", Trainer)
    run = TrialRun(Config(), tmp_path, lambda *_: None)
    if ends:
        with pytest.raises(type(ends)):
            objective.train_trial(run)
    else:
        assert objective.train_trial(run) == 0.25
    folder = tmp_path / "checkpoints"
    assert (sorted(path.name for path in folder.iterdir()) if left else folder.exists()) == (
        left or False
    )


@pytest.mark.slow
def test_search_from_end_to_end(tiny_config, tmp_path, capsys):
    folder = tmp_path / "study"
    arguments = ["search", "--config", str(tiny_config), "--study", str(folder)]
    arguments += ["--num-trials", "9", "--no-progress", "--config.train.num_epochs=1"]
    # The second of the two has a layer more than it has kernel sizes.
    arguments += ["--search", "config.model.fields.channels=(3,4)|(3,4,5)"]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "trial 0: dev eer" in told
    assert "trial 1: failed: config.model.fields" in told
    assert "2 trials: 1 complete, 1 failed" in told
    assert (folder / "history.png").exists()
    assert len((folder / "trials.csv").read_text().splitlines()) == 3
    workdir = folder / "trials" / "0000"
    assert f"python evaluate.py --workdir {workdir}" in told
    assert [path.name for path in (workdir / "checkpoints").iterdir()] == ["best"]
    [command] = [line for line in told.splitlines() if line.startswith("train again:")]
    words = shlex.split(command.partition("train.py")[2])
    again = load_config(words[1], words[4:])
    assert again == read_config(workdir)

    assert main(arguments) == 0, "nothing is left to do, and the results are told again"
    told = capsys.readouterr().out
    assert "trial 0: dev eer" not in told
    assert "2 trials: 1 complete, 1 failed" in told
