"""``score-many`` under kill -9: workers, runners and nodes of Ray, at random, with a real model.

    python -m benchmarks.many_kills --workdir general_1 --manifest all.jsonl --runner ray --kills 20
        --expected plain.jsonl --output kills.json

--expected is what ``score --format jsonl`` wrote of the same files. At the end every file must have
its line of there, and no shard that was done before a kill may have been written again.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

import rawnet_jax
from benchmarks.machine import num_cores, processor

_WAIT_S = 600


class Job:
    """A job that is started again whenever its runner is gone."""

    def __init__(self, words: list[str], log: Path) -> None:
        self._words, self._log = words, log
        self.starts = 0
        self.start()

    def start(self) -> None:
        self.starts += 1
        with open(self._log, "ab") as log:
            self.process = subprocess.Popen(self._words, stdout=log, stderr=log)

    def workers(self, word: str) -> list[psutil.Process]:
        """Return processes of this machine whose command holds a word."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            if word in " ".join(process.info["cmdline"] or ()):
                found.append(process)
        return found


class Nodes:
    """A Ray cluster of one head without a core and some nodes, all on this machine."""

    def __init__(self, count: int, port: int, folder: Path) -> None:
        self._ray = [sys.executable, "-m", "ray.scripts.scripts"]
        self.address = f"127.0.0.1:{port}"
        # It listens on the loopback address alone, so that it needs no token.
        os.environ.update(RAY_AUTH_MODE="disabled", RAY_USAGE_STATS_ENABLED="0")
        self._run(
            "--head",
            f"--port={port}",
            "--num-cpus=0",
            "--include-dashboard=false",
            f"--temp-dir={folder}",
        )
        self.pids = [self._added() for _ in range(count)]

    def _run(self, *words: str) -> None:
        command = [*self._ray, "start", "--node-ip-address=127.0.0.1"]
        subprocess.run([*command, *words], check=True, capture_output=True)

    def _added(self) -> int:
        """Start a node; returns the process that stands for it."""
        before = self._raylets()
        self._run(f"--address={self.address}", "--num-cpus=1")
        return (self._raylets() - before).pop()

    @staticmethod
    def _raylets() -> set[int]:
        return {one.pid for one in psutil.process_iter(["name"]) if one.info["name"] == "raylet"}

    def lose(self, rng: random.Random) -> None:
        """Kill a node with all that runs on it, and start another."""
        pid = self.pids.pop(rng.randrange(len(self.pids)))
        for process in [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]:
            kill(process)
        self.pids.append(self._added())

    def close(self) -> None:
        subprocess.run([*self._ray, "stop", "--force"], check=False, capture_output=True)


def kill(process: psutil.Process) -> None:
    """Kill a process that may be gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()


def done(output: Path) -> dict[str, int]:
    """Return the parts of shards that are done, and when each was written."""
    names = [path.stem for path in (output / "done").glob("part-*.json")]
    found = {}
    for name in names:
        part = output / f"{name}.jsonl"
        if part.exists():
            found[name] = part.stat().st_mtime_ns
    return found


def kill_one(job: Job, nodes: Nodes | None, rng: random.Random) -> str:
    """Kill something; returns what."""
    word = "rawnet_jax.scale.worker" if nodes is None else "ray::_Actor"
    kinds = ["worker", "worker", "runner"] + ([] if nodes is None else ["node", "node"])
    kind = rng.choice(kinds)
    workers = job.workers(word)
    if kind == "worker" and workers:
        kill(rng.choice(workers))
    elif kind == "node" and nodes is not None:
        nodes.lose(rng)
    else:
        kind = "runner"
        os.kill(job.process.pid, signal.SIGKILL)
    return kind


def lines_of(paths: list[Path]) -> list[str]:
    return [line for path in paths for line in path.read_text().splitlines()]


def killed_job(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run the job, kill some of it again and again, and compare what came of it."""
    rng, output = random.Random(args.seed), folder / "out"
    nodes = Nodes(args.workers, args.port, folder / "ray") if args.runner == "ray" else None
    words = [
        *(sys.executable, "-m", "rawnet_jax", "score-many", "--workdir", args.workdir),
        *("--manifest", str(args.manifest), "--output", str(output), "--no-progress"),
        *("--workers", str(args.workers), "--num-workers=1", "--runner", args.runner),
        *("--shard-files", str(args.shard_files)),
        *([] if nodes is None else ["--address", nodes.address]),
    ]
    job, killed, kept = Job(words, folder / "log"), Counter[str](), dict[str, int]()
    begin_s = time.monotonic()
    try:
        while sum(killed.values()) < args.kills:
            time.sleep(rng.uniform(*args.pause_s))
            if job.process.poll() is not None:
                break
            if not (output / "job.json").exists():
                continue
            kept |= done(output)
            killed[kill_one(job, nodes, rng)] += 1
            if job.process.poll() is None:
                time.sleep(0.5)
            if job.process.poll() == -signal.SIGKILL:
                job.start()
        status = job.process.wait(_WAIT_S)
    finally:
        job.process.kill()
        if nodes is not None:
            nodes.close()
    shutil.copy(folder / "log", args.output.with_suffix(".log"))
    found = lines_of(sorted([*output.glob("part-*.jsonl"), *output.glob("retry-*.jsonl")]))
    expected, now = Counter(lines_of([args.expected])), done(output)
    return {
        "status": status,
        "kills": dict(killed),
        "starts": job.starts,
        "seconds": time.monotonic() - begin_s,
        "shards": len(now),
        "done_before_a_kill": len(kept),
        "written_again": sum(now.get(name) != when for name, when in kept.items()),
        "lines": len(found),
        "missing": sum((expected - Counter(found)).values()),
        "others": sum((Counter(found) - expected).values()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", required=True, help="run or preset")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--expected", type=Path, required=True)
    parser.add_argument("--runner", choices=("local", "ray"), default="local")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--pause-s", type=float, nargs=2, default=(2.0, 8.0))
    parser.add_argument("--shard-files", type=int, default=100)
    parser.add_argument("--port", type=int, default=6399, help="of Ray's head, on 127.0.0.1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = killed_job(args, Path(name))
    found |= {
        "runner": args.runner,
        "machine": processor(),
        "cores": num_cores(),
        "rawnet_jax": rawnet_jax.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }
    args.output.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
