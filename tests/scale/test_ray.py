"""``score-many --runner ray``: actors that score, actors that decode, and what a lost one costs."""

import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile

from rawnet_jax.cli.main import main
from tests.conftest import REPO
from tests.scale.test_score_many import results, write_clips
from tests.small_run import write_run

ray = pytest.importorskip("ray", reason="extra ray is not installed")
psutil = pytest.importorskip("psutil", reason="comes with ray")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A run, a manifest of clips, and what ``score`` says of them, by path."""
    folder = tmp_path_factory.mktemp("ray")
    workdir = write_run(folder / "run", num_samples=800)
    write_clips(folder / "clips", 60)
    (folder / "clips" / "text.wav").write_text("no audio")
    soundfile.write(folder / "clips" / "stereo.flac", np.full((900, 2), 0.1), 16_000)
    manifest, plain = folder / "all.jsonl", folder / "plain.jsonl"
    assert main(["manifest", str(folder / "clips"), f"--output={manifest}"]) == 0
    assert main(["score", f"--workdir={workdir}", f"{folder / 'clips'}", f"--output={plain}"]) == 1
    lines = map(json.loads, plain.read_text().splitlines())
    return workdir, manifest, {record["path"]: record for record in lines}


def score_many(workdir, manifest, output, *more):
    """Run the command in a process of its own; returns exit status and standard error."""
    words = ["score-many", f"--workdir={workdir}", f"--manifest={manifest}", f"--output={output}"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "rawnet_jax", *words, "--runner=ray", "--shard-files=7"),
            *("--no-progress", *more),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=REPO,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("decoders", [0, 2])
def test_scores_are_those_of_score(scored, tmp_path, decoders):
    workdir, manifest, plain = scored
    more = ("--workers=1", f"--decoders={decoders}")
    status, said = score_many(workdir, manifest, tmp_path / "out", *more)
    assert status == 1, said
    assert results(tmp_path / "out") == plain


def _kill_actors(stop, killed):
    """Kill a process of an actor now and then, whichever it is."""
    while not stop.wait(0.3):
        for process in psutil.process_iter(["name", "cmdline"]):
            words = " ".join(process.info["cmdline"] or ())
            if words.startswith(("ray::_Actor.score", "ray::Decoder")) and len(killed) < 4:
                os.kill(process.pid, signal.SIGKILL)
                killed.append(words)
                break


def test_lost_actors_cost_their_running_shards_alone(scored, tmp_path):
    workdir, manifest, plain = scored
    stop, killed = threading.Event(), list[str]()
    killer = threading.Thread(target=_kill_actors, args=(stop, killed))
    killer.start()
    try:
        more = ("--workers=1", "--decoders=1")
        status, said = score_many(workdir, manifest, tmp_path / "out", *more)
    finally:
        stop.set()
        killer.join()
    assert status == 1, said
    assert killed
    assert results(tmp_path / "out") == plain
    assert said.count("an actor was lost") == sum("_Actor" in words for words in killed)
