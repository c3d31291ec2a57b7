"""What a clip costs as data, steps a dispatch, seeds, devices and processes grow.

    python -m benchmarks.scaling                     # some minutes
    python -m benchmarks.scaling --parts feeds seeds
    python -m benchmarks.scaling --model lfcc_resnet18 --num-samples 64000 --batch-size 8
    python -m benchmarks.scaling --tiny              # seconds; the figures mean little

Clips are noise in memory. Variants are timed in turns and a row gives the median. Devices and
processes share this machine's cores, so with them the figures show what dividing the work costs,
not what it gains.
"""

import argparse
import dataclasses
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import num_cores, processor
from rawnet_jax.config import Config, DataConfig
from rawnet_jax.data.batch_plan import BatchPlan
from rawnet_jax.data.corpus import load_partition
from rawnet_jax.data.loader import BatchSource
from rawnet_jax.data.trial import ProblemLedger, Trial
from rawnet_jax.huge_pages import restart_with_huge_pages
from rawnet_jax.labels import Label
from rawnet_jax.storage.rows import Row, member_uri, write_manifest

PARTS = ("feeds", "seeds", "data", "recordings", "devices", "processes")
SEVERAL_STEPS = 8


ONE_DEVICE = {"XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}


class NoiseCache:
    """Clips of noise in memory, all of one length."""

    owner = None

    def __init__(self, num_clips: int, length: int) -> None:
        rng = np.random.default_rng(0)
        self._noise = rng.integers(-3000, 3000, (num_clips, length), np.int16)
        self.num_samples = np.full(num_clips, length, np.int64)
        self.trials = [Trial(f"u{i}", Label(i % 2), "") for i in range(num_clips)]

    def __len__(self) -> int:
        return len(self.trials)

    def waveform(self, position: int) -> np.ndarray:
        """Return int16 [length]."""
        return self._noise[position]


@dataclasses.dataclass(frozen=True)
class Size:
    """What is trained on."""

    model: str = "conv1d"
    batch_size: int = 32
    num_samples: int = 16_000
    num_clips: int = 4_096
    steps: int = 16  # timed in a round
    rounds: int = 5

    def config(self, **train: Any) -> Config:
        """Return the experiment."""
        from rawnet_jax.config import LossConfig
        from rawnet_jax.models.registry import MODELS, model_config

        config = Config(model=model_config(self.model), loss=LossConfig(MODELS[self.model].loss))
        config.data.num_samples = self.num_samples
        config.train.batch_size = self.batch_size
        config.train.num_epochs = 1000
        for name, value in train.items():
            setattr(config.train, name, value)
        return config


class Run:
    """A training without anything but steps."""

    def __init__(self, size: Size, resident: bool, max_steps: int, num_seeds: int = 1) -> None:
        import jax

        from rawnet_jax.mesh import make_mesh
        from rawnet_jax.progress import BatchBars
        from rawnet_jax.training.feed import ResidentFeed, StreamFeed
        from rawnet_jax.training.programs import Programs

        config, mesh = size.config(num_seeds=num_seeds), make_mesh()
        cache = NoiseCache(size.num_clips, size.num_samples)
        sources = [
            BatchSource(
                cache,
                batch_size=size.batch_size,
                num_samples=size.num_samples,
                shuffle=True,
                seed=seed,
                num_epochs=1000,
                process_index=jax.process_index(),
                process_count=jax.process_count(),
            )
            for seed in range(num_seeds)
        ]
        self._feed: Any = (
            ResidentFeed(cache, sources, mesh, BatchBars(False), max_steps)
            if resident
            else StreamFeed(sources, mesh, config.data, 0, max_steps)
        )
        programs = Programs(config, mesh, sources[0].batches_per_epoch)
        self._steps = programs.steps(self._feed.batch_of)
        self._state = programs.make_state()
        self._position = 0

    def __call__(self, steps: int) -> None:
        """Take so many steps and wait for them."""
        import jax

        last: Any = None
        while steps:
            count = min(steps, self._feed.max_steps)
            rows = self._feed.take(self._position, count)
            fixed = {"corpus": self._feed.corpus, "banks": ()}
            before, (self._state, *last) = last, self._steps(self._state, fixed, rows, count)
            jax.block_until_ready(before)  # one dispatch ahead, as in training
            self._position += count
            steps -= count
        jax.block_until_ready(last)

    def close(self) -> None:
        """End the threads."""
        self._feed.close()


def in_turns(runs: Sequence[Callable[[int], None]], size: Size) -> list[float]:
    """Return the median seconds a step of each."""
    for run in runs:
        run(min(2, size.steps))
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(size.rounds):
        for run, own in zip(runs, times, strict=True):
            started = time.perf_counter()
            run(size.steps)
            own.append((time.perf_counter() - started) / size.steps)
    return [statistics.median(own) for own in times]


def feeds(size: Size) -> list[tuple[str, str]]:
    kinds = [(False, 1), (False, SEVERAL_STEPS), (True, 1), (True, SEVERAL_STEPS)]
    runs = [Run(size, *kind) for kind in kinds]
    rows = []
    for (resident, steps), seconds in zip(kinds, in_turns(runs, size), strict=True):
        where = "device memory" if resident else "host"
        rows.append((f"clips from {where}, {steps} steps a dispatch", per_clip(seconds, size)))
    for run in runs:
        run.close()
    return rows


def seeds(size: Size, counts: Sequence[int] = (1, 2, 4, 8)) -> list[tuple[str, str]]:
    runs = [Run(size, True, 1, count) for count in counts]
    times = in_turns(runs, size)
    return [
        (
            f"{count} seeds at once",
            f"{per_clip(seconds, size, count)}; {times[0] * count / seconds:.2f} x one by one",
        )
        for count, seconds in zip(counts, times, strict=True)
    ]


def data(counts: Sequence[int] = (10_000, 100_000, 1_000_000, 10_000_000)) -> list[tuple[str, str]]:
    rows = []
    for count in counts:
        lengths = np.full(count, 64_000, np.int64)
        plan = BatchPlan(
            np.zeros(count, np.int32),
            lengths,
            batch_size=32,
            num_samples=64_600,
            crop="random",
            shuffle=True,
        )
        started = time.perf_counter()
        plan.rows(0)
        drawn = time.perf_counter() - started
        started = time.perf_counter()
        for step in range(200):
            plan.rows(step % plan.batches_per_epoch)
        row = (time.perf_counter() - started) / 200
        rows.append(
            (
                f"{count:,} clips",
                f"order of an epoch {drawn:.3f} s ({1e9 * drawn / count:.0f} ns a clip), "
                f"rows of a batch {1e6 * row:.0f} us",
            )
        )
    return rows


def recordings(counts: Sequence[int] = (100_000, 1_000_000)) -> list[tuple[str, str]]:
    """Join a list of trials with a manifest of members of tar files, in a process of its own."""
    rows = []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.scaling", "--join", folder, str(count)],
                check=True,
                capture_output=True,
                text=True,
            )
        rows.append((f"{count:,} recordings", done.stdout.strip()))
    return rows


def join(folder: Path, count: int) -> None:
    """Write a list and a manifest, join them, and print seconds and memory."""
    names = [f"T_{number:08d}" for number in range(count)]
    lines = [f"{name}.flac,{('spoof', 'bonafide')[n % 2]},eval" for n, name in enumerate(names)]
    (folder / "manifest.csv").write_text("\n".join(["path,label,partition", *lines]))
    members = (
        Row(
            member_uri(f"s3://b/{n // 1000:05d}.tar", 512 * n, 60_000, f"flac/{name}.flac"),
            60_000,
            "e",
        )
        for n, name in enumerate(names)
    )
    write_manifest(folder / "all.jsonl", members)
    config = DataConfig("manifest", str(folder), recordings=str(folder / "all.jsonl"))
    started = time.perf_counter()
    clips = load_partition(config, "eval", ProblemLedger(config.problems))
    seconds = time.perf_counter() - started
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(clips) == count
    print(f"joined in {seconds:.2f} s, {most / 2**20:.2f} GiB in all")


def devices(size: Size, counts: Sequence[int] = (1, 2, 4, 8)) -> list[tuple[str, str]]:
    rows = []
    for count in counts:
        flags = f"--xla_force_host_platform_device_count={count}"
        [seconds] = children(size, 1, {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"})
        rows.append((f"{count} virtual devices", per_clip(seconds, size)))
    return rows


def processes(size: Size, counts: Sequence[int] = (1, 2, 4)) -> list[tuple[str, str]]:
    return [
        (
            f"{count} processes",
            per_clip(children(size, count, ONE_DEVICE)[0], size),
        )
        for count in counts
    ]


def children(size: Size, count: int, environment: dict[str, str]) -> list[float]:
    """Run the step loop in other processes; returns each one's seconds a step."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    started = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "benchmarks.scaling",
                "--child",
                json.dumps([dataclasses.asdict(size), address, count, i]),
            ],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(count)
    ]
    outputs = [child.communicate()[0] for child in started]
    if any(child.returncode for child in started):
        sys.exit("error: a child failed; its own output tells why")
    return [float(output.split()[-1]) for output in outputs]


def child(description: str) -> None:
    fields, address, count, index = json.loads(description)
    if count > 1:
        from rawnet_jax.mesh import start_distributed

        start_distributed(address, count, index)
    size = Size(**fields)
    run = Run(size, False, 1)
    print(in_turns([run], size)[0])
    run.close()


def per_clip(seconds: float, size: Size, num_seeds: int = 1) -> str:
    clips = size.batch_size * num_seeds
    return f"{1e3 * seconds:.2f} ms a step, {1e3 * seconds / clips:.3f} ms a clip"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    parser.add_argument("--model", default=Size.model, help="a row of the registry")
    parser.add_argument("--batch-size", type=int, default=Size.batch_size)
    parser.add_argument("--num-samples", type=int, default=Size.num_samples)
    parser.add_argument("--num-clips", type=int, default=Size.num_clips, help="in memory")
    parser.add_argument("--steps", type=int, default=Size.steps, help="in a round")
    parser.add_argument("--rounds", type=int, default=Size.rounds)
    parser.add_argument("--tiny", action="store_true", help="smallest sizes")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--join", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child)
        return 0
    if args.join:
        join(Path(args.join[0]), int(args.join[1]))
        return 0
    names = [field.name for field in dataclasses.fields(Size)]
    size = Size(**{name: getattr(args, name) for name in names})
    if args.tiny:
        size = Size(batch_size=8, num_samples=800, num_clips=64, steps=4, rounds=1)
    report(args.parts, size, args.tiny)
    return 0


def report(parts: Sequence[str], size: Size, tiny: bool) -> dict[str, list[tuple[str, str]]]:
    """Measure and print; returns the rows of each part."""
    import jax

    print(f"{processor()}, {num_cores()} cores; JAX {jax.__version__}; {size}\n")
    measure: dict[str, Callable[[], list[tuple[str, str]]]] = {
        "feeds": lambda: feeds(size),
        "seeds": lambda: seeds(size, (1, 2) if tiny else (1, 2, 4, 8)),
        "data": lambda: data((10_000,) if tiny else (10_000, 100_000, 1_000_000, 10_000_000)),
        "recordings": lambda: recordings((1_000,) if tiny else (100_000, 1_000_000)),
        "devices": lambda: devices(size, (2,) if tiny else (1, 2, 4, 8)),
        "processes": lambda: processes(size, (2,) if tiny else (1, 2, 4)),
    }
    found = {}
    for part in parts:
        found[part] = measure[part]()
        print(f"| {part} | |\n|---|---|")
        for name, value in found[part]:
            print(f"| {name} | {value} |")
        print(flush=True)
    return found


if __name__ == "__main__":
    restart_with_huge_pages()  # as our commands do
    sys.exit(main())
