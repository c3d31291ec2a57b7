"""Damaged files of a run, and places that cannot be written, end in one line."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from orbax.checkpoint._src import asyncio_utils

from rawnet_jax.checkpoint import explained
from rawnet_jax.cli.main import main
from rawnet_jax.errors import CheckpointError
from rawnet_jax.training.workdir import held
from rawnet_jax.training.writer import RunLog, read_log
from tests.conftest import REPO
from tests.small_run import STEP, write_run

DEEP = "[" * 100_000
BEST = f"checkpoints/best/{STEP}"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    noise = 0.1 * np.random.default_rng(0).standard_normal(6400)
    soundfile.write(folder / "a.wav", noise, 16_000)
    write_run(folder / "run", num_samples=3200)
    return folder


def changed(name, **fields):
    def damage(run):
        path = run / name
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return damage


def text(name, content):
    return lambda run: (run / name).write_text(content)


def emptied(run):
    shutil.rmtree(run / BEST)
    (run / BEST).mkdir()


DAMAGES = {
    "config nested": (text("config.json", DEEP), r"config\.json: damaged: .*nested too deeply"),
    "config dotted": (changed("config.json", **{"a.b": 1}), r"config\.json: .*'a\.b'"),
    "threshold nested": (text("threshold.json", DEEP), r"threshold\.json: damaged"),
    "threshold true": (changed("threshold.json", threshold=True), r"threshold\.json: damaged"),
    "threshold huge": (changed("threshold.json", threshold=10**400), r"threshold\.json: damaged"),
    "calibration nested": (text("calibration.json", DEEP), r"calibration\.json: damaged"),
    "empty step": (emptied, rf"{BEST}: "),
    "a step of 5,000 digits": (None, r"checkpoint '9+': it must be best, latest, swa or a step"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_one_line(pristine, tmp_path, capfd, name):
    damage, named = DAMAGES[name]
    run = shutil.copytree(pristine / "run", tmp_path / "run")
    more = ["--checkpoint=" + "9" * 5000] if damage is None else []
    if damage is not None:
        damage(run)
    capfd.readouterr()
    status = main(["score", f"--workdir={run}", str(pristine / "a.wav"), "--no-progress", *more])
    lines = capfd.readouterr().err.splitlines()
    assert (status, len(lines)) == (2, 1), lines
    assert re.search(named, lines[0]), lines
    assert len(lines[0]) < 700


@pytest.mark.parametrize("line", [b"\xff\xfe", b"null", b"{}", DEEP.encode(), b'{"step": "x"}'])
def test_a_damaged_line_of_the_log(tmp_path, line):
    (tmp_path / "log.jsonl").write_bytes(line + b'\n{"event": "step", "step": 1}\n')
    with pytest.raises(CheckpointError, match=r"log\.jsonl:1: damaged line .*; delete the line$"):
        read_log(tmp_path)


@pytest.mark.parametrize("record", ['{"path": [], "verdict": "spoof"}', DEEP, "null"])
def test_a_damaged_line_of_an_output(pristine, tmp_path, capsys, record):
    arguments = ["score", f"--workdir={pristine / 'run'}", str(pristine / "a.wav")]
    output = tmp_path / "o.jsonl"
    assert main([*arguments, f"--output={output}", "--no-progress"]) == 0
    output.write_text(record + "\n")
    capsys.readouterr()
    assert main([*arguments, f"--output={output}", "--no-progress"]) == 2
    assert "o.jsonl:1: no result of scoring" in capsys.readouterr().err.splitlines()[-1]


def test_a_damaged_config_above_a_seed(tiny_config, tmp_path, capsys):
    (tmp_path / "config.json").write_text(DEEP)
    arguments = ["train", f"--config={tiny_config}", f"--workdir={tmp_path / 'seed_1'}"]
    assert main([*arguments, "--no-progress"]) == 2
    assert "config.json: damaged" in capsys.readouterr().err


def test_a_config_file_of_an_impossible_name(tmp_path, capsys):
    assert main(["train", f"--config={'x' * 300}", f"--workdir={tmp_path / 'run'}"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith("it must be a file")


def test_a_config_file_that_refers_to_itself(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text("import runpy\nrunpy.run_path(__file__)\n")
    assert main(["train", f"--config={path}", f"--workdir={tmp_path / 'run'}"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith("refers to itself without an end")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_standard_output_that_is_full(tiny_config):
    command = [sys.executable, "-m", "rawnet_jax", "train", f"--config={tiny_config}"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*command, "--print-config"],
            env={**os.environ, "PYTHONPATH": str(REPO)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "error: standard output: No space left on device\n"


def test_a_full_disk_below_checkpoints(tmp_path):
    for error in (
        OSError(errno.ENOSPC, "No space left on device"),
        ValueError("RESOURCE_EXHAUSTED: Error writing x: No space left on device [os_error"),
    ):
        with (
            pytest.raises(CheckpointError, match=r"latest: No space left on device$"),
            explained(tmp_path / "latest"),
        ):
            raise error


SAVE = """
import resource, sys
from pathlib import Path
import numpy as np
from rawnet_jax.checkpoint import save_variables
from rawnet_jax.errors import CheckpointError

resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
rng = np.random.default_rng(0)
arrays = {f"a{i}": rng.standard_normal(50_000) for i in range(40)}
for number in range(3):
    try:
        save_variables(Path(sys.argv[1], str(number)), "best", 0, {"params": arrays}, {})
    except CheckpointError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of a process here")
def test_arrays_that_do_not_fit_end_in_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SAVE, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == 3, lines
    for number, line in enumerate(lines):
        assert re.match(rf".*{number}/checkpoints/best: .*File too large", line), line
        assert len(line) < 700


def test_a_loop_of_orbax_takes_late_reports():
    loop = asyncio_utils.asyncio.new_event_loop()
    seen: list[int] = []
    loop.call_soon_threadsafe(seen.append, 1)
    loop.call_soon_threadsafe(loop.stop)
    loop.run_forever()
    loop.close()
    assert seen == [1]
    assert loop.call_soon_threadsafe(seen.append, 2) is None
    assert seen == [1]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_log_that_does_not_fit(tmp_path):
    log = RunLog(tmp_path, 0, True)
    log._file.close()
    log._file = os.fdopen(os.open("/dev/full", os.O_WRONLY), "w")
    with pytest.raises(CheckpointError, match=r"log\.jsonl: cannot be written: No space left"):
        log.write("step", 1, {"loss": 1.0})
    log.close()


def test_a_work_directory_that_cannot_be_locked(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(Exception, match="must be a folder that can be written"), held(tmp_path):
        pass


def test_names_that_are_no_text(pristine, tmp_path):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "rawnet_jax", *arguments],
            env={**os.environ, "PYTHONPATH": str(REPO), "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=False,
        )

    name = os.fsdecode(b"r\xe9n")
    shutil.copytree(pristine / "run", tmp_path / name)
    done = run("score", f"--workdir={tmp_path / name}", str(pristine / "a.wav"))
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"the path of a run must be UTF-8" in done.stderr
    scores = tmp_path / f"{name}.txt"
    scores.write_text("a bonafide 1\nb spoof 0\nc bonafide 2\nd spoof -1\n")
    done = run("evaluate", "--scores", str(scores), "--output", str(tmp_path / f"o{name}"))
    assert done.returncode == 0, done.stderr
    assert b"r\\udce9n" in done.stdout
    page = (tmp_path / f"o{name}" / "report.html").read_bytes().decode("utf-8")
    assert "r\\udce9n" in page


@pytest.mark.parametrize("said", ["RESOURCE_EXHAUSTED: x", "Out of memory allocating 43 bytes."])
def test_memory_that_jax_does_not_get(monkeypatch, capsys, said):
    def fail(*_):
        raise RuntimeError(f"INTERNAL: {said}")

    monkeypatch.setattr("rawnet_jax.cli.main._run", fail)
    assert main(["train"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: out of memory: INTERNAL: {said}; use a smaller network")


def test_an_impossible_hop_and_window(pristine, capsys):
    where = [f"--workdir={pristine / 'run'}", str(pristine / "a.wav")]
    assert main(["stream", *where, "--hop=1e308"]) == 2
    assert "must be above 0 and at most a window" in capsys.readouterr().err
    assert main(["explain", *where, "--window=1e308"]) == 2
    assert "or a time in s" in capsys.readouterr().err
