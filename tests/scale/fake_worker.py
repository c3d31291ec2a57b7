"""A worker without JAX, whose network is a mean; and a runner of such workers.

Files whose name holds ``killer`` end the process that opens them; those with ``slow`` take long.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

import rawnet_jax.data.audio as audio
from rawnet_jax.config import GateConfig
from rawnet_jax.metrics.calibration import AffineCalibration
from rawnet_jax.scale.local_runner import LocalRunner
from rawnet_jax.scale.worker import Worker, main
from rawnet_jax.scoring.recordings import Recipe
from rawnet_jax.scoring.verdict import DecisionRule, OperatingPoint

COMMAND = (sys.executable, "-m", "tests.scale.fake_worker")
LOG = "FAKE_WORKER_LOG"
PAUSE = "FAKE_WORKER_PAUSE"


class FakeModel:
    name = "fake"
    fingerprint = "f" * 64
    num_devices = 1
    recipe = Recipe(800, 800, gate=GateConfig(enabled=False), batch_size=8)

    def score_batch(self, waveform, num_samples):
        time.sleep(float(os.environ.get(PAUSE, "0")))
        return np.asarray(waveform.mean(axis=1) * 100, np.float32)

    def decision(self, *, prior=0.5, threshold=None):
        point = OperatingPoint(0.0 if threshold is None else threshold, "given")
        return DecisionRule(point, AffineCalibration(2.0, 0.5, 0.5, 100, 100), prior)


def options(manifest, output, **more):
    from rawnet_jax.jobs.score_many import ScoreManyOptions

    fields = {
        "workdir": Path("x"),
        "checkpoint": "best",
        "overrides": (),
        "channel": None,
        "p_spoof": 0.5,
        "threshold": None,
        "speech": None,
        "seed": None,
        "aggregate": None,
        "max_duration": 60.0,
        "manifest": Path(manifest),
        "output": str(output),
        "format": "jsonl",
        "runner": "local",
        "address": None,
        "workers": 2,
        "decoders": 0,
        "num_workers": 1,
        "concurrency": 4,
        "shard_mb": 100.0,
        "shard_files": 4,
        "shard_timeout": None,
        "share": "0/1",
        "price_per_hour": None,
        "textfile": None,
        "progress": False,
    }
    return ScoreManyOptions(**{**fields, **more})


def fake_runner(chosen, store):
    return LocalRunner(
        chosen.job,
        store,
        num_workers=chosen.workers,
        timeout_s=chosen.shard_timeout,
        command=COMMAND,
    )


def run(manifest, output, **more):
    from rawnet_jax.jobs.score_many import score_many

    return score_many(options(manifest, output, **more), fake_runner)


def _watch_files():
    check = audio._check_file

    def checked(path):
        if "killer" in str(path):
            os.kill(os.getpid(), signal.SIGKILL)
        if "slow" in str(path):
            time.sleep(60)
        check(path)

    audio._check_file = checked


def _log_tasks(path):
    score = Worker.score

    def logged(self, task, *more):
        with open(path, "a") as file:
            file.write(f"{task.name} {os.getpid()}\n")
        return score(self, task, *more)

    Worker.score = logged  # type: ignore[method-assign]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(run(*sys.argv[1:3], **json.loads(sys.argv[3])))
    _watch_files()
    if LOG in os.environ:
        _log_tasks(os.environ[LOG])
    main(lambda job: FakeModel())
