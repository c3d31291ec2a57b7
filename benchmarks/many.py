"""``score-many`` beside ``score``: overhead, memory of a worker, planning, and many workers.

    python -m benchmarks.many --workdir runs/x --clips DIR --files 20000 --output many.json

Clips are slices of recordings in DIR, or noise without it. Parts: overhead, planning,
simulation. Workers that are killed: many_kills.py.
"""

import argparse
import contextlib
import heapq
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

import rawnet_jax
from benchmarks.machine import num_cores, processor


def write_clips(folder: Path, source: Path | None, count: int, seconds: float) -> None:
    """Write slices as WAV; a folder holds 1,000."""
    rng = np.random.default_rng(0)
    pool = [0.1 * rng.standard_normal(160_000).astype(np.float32)]
    if source is not None:
        paths = sorted(p for p in source.rglob("*") if p.suffix in (".flac", ".wav", ".ogg"))
        found = [soundfile.read(p, dtype="float32", always_2d=True) for p in paths[:200]]
        pool = [w[:, 0] for w, rate in found if rate == 16_000 and len(w) > 16_000 * seconds]
        if not pool:
            raise SystemExit(f"{source}: no recording at 16 kHz of more than {seconds} s")
    length = int(16_000 * seconds)
    for number in range(count):
        waveform = pool[number % len(pool)]
        start = int(rng.integers(0, len(waveform) - length))
        path = folder / f"{number // 1000:03d}" / f"{number:06d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, waveform[start : start + length], 16_000)


class Watched(threading.Thread):
    """Notes, twice a second, CPU seconds of all processes below this one, and memory of workers."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.cpu_s: dict[int, float] = {}
        self.mib: dict[int, list[float]] = {}
        self.stop = threading.Event()

    def run(self) -> None:
        import psutil

        here = psutil.Process()
        while not self.stop.wait(0.5):
            for process in here.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    times = process.cpu_times()
                    self.cpu_s[process.pid] = times.user + times.system
                    words = " ".join(process.cmdline())
                    if "rawnet_jax.scale.worker" in words or words.startswith("ray::_Actor"):
                        size = process.memory_info().rss / 2**20
                        self.mib.setdefault(process.pid, []).append(size)


def timed(words: list[str]) -> dict[str, Any]:
    """Run a command of ours; returns seconds, CPU seconds and memory (MiB) of each worker."""
    watched, begin = Watched(), time.monotonic()
    watched.start()
    done = subprocess.run([sys.executable, "-m", "rawnet_jax", *words], check=False)
    watched.stop.set()
    watched.join()
    assert done.returncode in (0, 1, 3), done.returncode
    memory = [
        {"begin": sizes[0], "half": sizes[len(sizes) // 2], "end": sizes[-1], "most": max(sizes)}
        for sizes in watched.mib.values()
    ]
    seconds = time.monotonic() - begin
    return {"s": seconds, "cpu_s": sum(watched.cpu_s.values()), "worker_mib": memory}


def overhead(args: argparse.Namespace, folder: Path) -> dict:
    """Score the same files with ``score`` and with each runner, in turn."""
    write_clips(folder / "clips", args.clips, args.files, args.seconds)
    manifest = str(folder / "m.jsonl")
    listing = timed(["manifest", str(folder / "clips"), "--output", manifest, "--no-progress"])
    common = ["--workdir", str(args.workdir), "--num-workers", str(args.num_workers)]
    common.append("--no-progress")
    plain = ["score", *common, str(folder / "clips"), "--output"]
    many = ["score-many", *common, "--manifest", manifest, "--workers", str(args.workers)]
    rounds: list[dict[str, Any]] = []
    for number in range(args.rounds):
        took: dict[str, Any] = {"score": timed([*plain, f"{folder}/s{number}.jsonl"])}
        for runner in args.runners:
            to = f"{folder}/{runner}{number}"
            took[runner] = timed([*many, "--runner", runner, "--output", to])
        rounds.append(took)
    scored = (folder / "s0.jsonl").read_text().splitlines()
    found: dict[str, Any] = {"files": args.files, "listing": listing, "rounds": rounds}
    for runner in args.runners:
        output = folder / f"{runner}0"
        lines = {
            json.loads(line)["path"]: line
            for part in output.glob("part-*.jsonl")
            for line in part.read_text().splitlines()
        }
        tallies = [json.loads(path.read_text()) for path in (output / "done").glob("part-*.json")]
        found[runner] = {
            "second_start": timed([*many, "--runner", runner, "--output", str(output)]),
            "same_lines": sum(lines[json.loads(line)["path"]] == line for line in scored),
            "lines": len(scored),
            "shard_s": sorted(round(tally["work_s"], 3) for tally in tallies),
        }
    return found


def planning(count: int, folder: Path) -> dict:
    """Plan a made manifest in a process of its own; its memory is that of nothing else."""
    found = {}
    for form in ("jsonl", "parquet"):
        path = folder / f"large.{form}"
        write = (
            "import sys; from pathlib import Path; from rawnet_jax.storage.rows import *; "
            f"n={count}; rows=(Row('s3://bucket/calls/%03d/%09d.flac' % (i % 997, i), "
            "60_000 + i % 90_001, '%032x' % (i * 2654435761)) for i in range(n)); "
            f"write_manifest(Path({str(path)!r}), rows)"
        )
        subprocess.run([sys.executable, "-c", write], check=True)
        plan = (
            "import time, resource, json; from pathlib import Path; "
            "from rawnet_jax.scale.plan import *; b=time.monotonic(); "
            f"p=plan_shards(Path({str(path)!r}), 256_000_000, 1000); d=time.monotonic(); "
            f"manifest_digest(Path({str(path)!r})); e=time.monotonic(); "
            "print(json.dumps({'rows': p.rows, 'shards': len(p.shards), 'plan_s': d-b, "
            "'digest_s': e-d, "
            "'peak_mib': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024}))"
        )
        done = subprocess.run([sys.executable, "-c", plan], check=True, capture_output=True)
        found[form] = json.loads(done.stdout) | {"bytes": path.stat().st_size}
        path.unlink()
    return found


def simulated(
    num_workers: int,
    num_shards: int,
    shard_s: list[float],
    commit_s: float,
    mtbf_h: float,
    start_s: float,
) -> dict:
    """Return how long a job takes on workers that start, take shards and are lost.

    Args:
        num_workers: at once; one that is lost is started again.
        num_shards: of the job.
        shard_s: service times to draw from.
        commit_s: seconds that the runner is busy with a shard, one after the other.
        mtbf_h: mean hours between two losses of one worker.
        start_s: until a worker is ready.
    """
    rng = random.Random(0)
    losses, runner_free, busy = 0, 0.0, 0.0
    waiting, left = num_shards, num_shards
    events = [(start_s * rng.uniform(0.8, 1.2), worker, "free") for worker in range(num_workers)]
    heapq.heapify(events)
    while left:
        now, worker, what = heapq.heappop(events)
        if what == "lost":  # its shard is done again, by whoever is free then
            losses, waiting = losses + 1, waiting + 1
            heapq.heappush(events, (now + start_s, worker, "free"))
            continue
        if what == "done":
            left -= 1
            runner_free = now = max(runner_free, now) + commit_s
        if not waiting:
            continue
        waiting -= 1
        service, life = rng.choice(shard_s), rng.expovariate(1 / (mtbf_h * 3600))
        if life < service:
            heapq.heappush(events, (now + life, worker, "lost"))
            continue
        busy += service
        heapq.heappush(events, (now + service, worker, "done"))
    hours = runner_free / 3600
    return {
        "workers": num_workers,
        "hours": hours,
        "busy": busy / runner_free / num_workers,
        "losses": losses,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=Path)
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--num-workers", type=int, default=1, help="decoding threads of each")
    parser.add_argument("--runners", nargs="+", choices=("local", "ray"), default=["local"])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--shard-s", type=float, nargs="+", help="service times to simulate with")
    parser.add_argument("--commit-s", type=float, default=0.0006)
    parser.add_argument("--start-s", type=float, default=7.0)
    parser.add_argument("--mtbf-hours", type=float, default=1.0)
    parser.add_argument("--parts", nargs="+", default=["overhead", "planning", "simulation"])
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    found: dict = {
        "machine": processor(),
        "cores": num_cores(),
        "rawnet_jax": rawnet_jax.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }
    with tempfile.TemporaryDirectory() as name:
        if "overhead" in args.parts:
            found["overhead"] = overhead(args, Path(name))
        if "planning" in args.parts:
            found["planning"] = planning(args.rows, Path(name))
    if "simulation" in args.parts:
        times = args.shard_s or found["overhead"][args.runners[0]]["shard_s"]
        found["simulation"] = [
            simulated(n, -(-args.rows // 1000), times, args.commit_s, args.mtbf_hours, args.start_s)
            for n in (1, 3, 10, 30, 100, 300, 1000)
        ]
    args.output.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
