"""What the service costs, and what it does when more comes than it can score; on loopback.

    python -m benchmarks.serve                              # the default preset; 2 minutes
    python -m benchmarks.serve --workdir runs/x --seconds 60
    python -m benchmarks.serve --tiny                       # a model that does nothing; seconds

Three measurements, each of a service in a process of its own, which is sent one recording of
--audio-s seconds (16 kHz, 16-bit WAV) again and again:

- overhead: one client, one request after the other, to a model that does nothing: from the first
  byte sent to the last byte received, so HTTP, decoding in a process, the queue and the input gate;
- capacity: --clients clients, each with one request at a time, for --seconds;
- overload: requests at --overload times that rate for --seconds, whether or not answers come;
  memory is that of the service and of its processes that decode, which share pages and so are
  counted too high.

Client and service share the cores; a machine that others use at the same time makes all worse.
"""

import argparse
import asyncio
import contextlib
import io
import os
import platform
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import soundfile

from benchmarks.machine import num_cores, processor
from rawnet_jax.config import GateConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.detector import Detector, load
from rawnet_jax.scoring.recordings import Recipe
from rawnet_jax.scoring.verdict import DecisionRule, OperatingPoint

STUB = "nothing"
_START_S = 300.0


class Nothing:
    """A model that gives every window the same score, at once; see `ScoringModel`."""

    name = STUB
    fingerprint = "0" * 64
    num_devices = 1
    recipe = Recipe(window=64_000, hop=64_000, gate=GateConfig(speech="off"))

    def score_batch(self, waveform: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        return np.where(num_samples > 0, 1.0 + 0 * waveform[:, 0], np.nan).astype(np.float32)

    def decision(self, *, prior: float = 0.5, threshold: float | None = None) -> DecisionRule:
        return DecisionRule(OperatingPoint(threshold or 0.0, "none"), None, prior)


@dataclass
class Sent:
    """What became of a number of requests.

    Attributes:
        seconds: how long it took in all.
        latency_ms: of answers with a score.
        statuses: answers by status; 0 = no answer.
        memory_mb: of the service and its processes, over time.
    """

    seconds: float
    latency_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    memory_mb: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.latency_ms) / self.seconds

    def at(self, share: float) -> float:
        ordered = sorted(self.latency_ms) or [float("nan")]
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def recording(seconds: float) -> bytes:
    """Return buzzing syllables in faint noise as a WAV file."""
    rng, time_s = (
        np.random.default_rng(0),
        np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ,
    )
    tones = sum(np.sin(2 * np.pi * 110 * k * time_s) / k for k in range(1, 20))
    wave = 0.1 * tones * np.clip(np.sin(8 * np.pi * time_s), 0, 1)
    file = io.BytesIO()
    soundfile.write(
        file, wave + 0.01 * rng.standard_normal(len(time_s)), SAMPLE_RATE_HZ, format="WAV"
    )
    return file.getvalue()


class Serving:
    """A service in a process of its own."""

    def __init__(self, workdir: str) -> None:
        words = [sys.executable, "-m", "benchmarks.serve", "--child", workdir]
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        said = ""
        while not (found := re.search(r"listens on (\S+)", said)):
            line = self.process.stderr.readline()
            if not line:
                raise SystemExit(f"the service did not start: {said}")
            said += line
        self.url = found[1]
        self.host, self.port = httpx.URL(self.url).host, httpx.URL(self.url).port or 80
        self._reader = threading.Thread(target=self.process.stderr.read, daemon=True)
        self._reader.start()
        until_s = time.monotonic() + _START_S
        while httpx.get(f"{self.url}/readyz").status_code != 200:
            if time.monotonic() > until_s or self.process.poll() is not None:
                raise SystemExit("the service did not become ready")
            time.sleep(0.2)

    def memory_mb(self) -> float:
        """Return the resident memory of the service and its processes."""
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,rss="], capture_output=True, text=True
        )
        rows = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
        ours = self.process.pid
        return sum(rss for pid, parent, rss in rows if ours in (pid, parent)) * 1024 / 1e6

    def __enter__(self) -> "Serving":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()


def one_by_one(serving: Serving, content: bytes, count: int) -> Sent:
    """Send one request after the other."""
    found, begin_s = Sent(0.0), time.monotonic()
    with httpx.Client(timeout=60) as client:
        for _ in range(count):
            sent_s = time.perf_counter()
            answer = client.post(f"{serving.url}/v1/score", content=content)
            _add(found, answer.status_code, time.perf_counter() - sent_s)
    found.seconds = time.monotonic() - begin_s
    return found


def _add(found: Sent, status: int, seconds: float) -> None:
    found.statuses[status] += 1
    if status == 200:
        found.latency_ms.append(1000 * seconds)


async def _one(serving: Serving, content: bytes, found: Sent) -> None:
    """Send one request on a connection of its own: httpx takes too long to send many at once."""
    sent_s, status = time.perf_counter(), 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        reader, writer = await asyncio.open_connection(serving.host, serving.port)
        head = f"POST /v1/score HTTP/1.1\r\nHost: {serving.host}\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        status = int((await reader.read()).split()[1])
        writer.close()
        await writer.wait_closed()
    _add(found, status, time.perf_counter() - sent_s)


async def closed_loop(serving: Serving, content: bytes, clients: int, seconds: float) -> Sent:
    """Have clients send, each its next request when the last is answered."""
    found, begin_s = Sent(seconds), time.monotonic()

    async def ask() -> None:
        while time.monotonic() - begin_s < seconds:
            await _one(serving, content, found)

    await asyncio.gather(*(ask() for _ in range(clients)))
    found.seconds = time.monotonic() - begin_s
    return found


async def open_loop(serving: Serving, content: bytes, rate: float, seconds: float) -> Sent:
    """Send at a rate, whether or not answers come."""
    found, begin_s = Sent(seconds), time.monotonic()
    tasks: set[asyncio.Task[None]] = set()
    sampled_s, number = -1.0, 0
    while (now_s := time.monotonic() - begin_s) < seconds:
        if now_s - sampled_s > max(seconds / 20, 0.2):
            found.memory_mb.append(await asyncio.to_thread(serving.memory_mb))
            sampled_s = now_s
        while number < (time.monotonic() - begin_s) * rate:
            task = asyncio.create_task(_one(serving, content, found))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
        await asyncio.sleep(0.005)
    if tasks:
        await asyncio.wait(tasks)
    found.seconds = time.monotonic() - begin_s
    found.memory_mb.append(serving.memory_mb())
    return found


def row(name: str, found: Sent) -> str:
    """Return a row of the table."""
    refused = ", ".join(f"{n} × {s}" for s, n in sorted(found.statuses.items()) if s != 200) or "0"
    memory = "-"
    if found.memory_mb:
        third = max(len(found.memory_mb) // 3, 1)
        parts = (found.memory_mb[:third], found.memory_mb[-third:])
        memory = " → ".join(f"{statistics.median(part):.0f}" for part in parts)
    cells = (f"{found.at(share):.1f}" for share in (0.5, 0.95, 1.0))
    return f"| {name} | {' | '.join(cells)} | {found.rate:.1f} | {refused} | {memory} |"


HEADER = (
    "| | ms, median | 95 % | largest | scored a second | refused | memory, MB |\n"
    "|---|---|---|---|---|---|---|"
)


def child(workdir: str) -> int:
    """Serve until terminated."""
    from rawnet_jax.serve.server import Listening, run
    from rawnet_jax.serve.service import Service

    model: Any = Nothing()
    detector = Detector(model, model.decision()) if workdir == STUB else load(workdir or None)
    run(Service(detector), Listening(port=0), lambda url: _tell(f"listens on {url}\n"))
    return 0


def _tell(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _versions() -> str:
    from importlib.metadata import version

    names = ("fastapi", "uvicorn", "jax", "numpy")
    said = ", ".join(f"{name} {version(name)}" for name in names)
    load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return (
        f"{processor()}, {num_cores()} cores, load average {load_average:.1f}, Python "
        f"{platform.python_version()}, {said}"
    )


def measure(args: argparse.Namespace) -> list[str]:
    """Return the rows of the table."""
    content, rows = recording(args.audio_s), []
    with Serving(STUB) as serving:
        one_by_one(serving, content, 20)
        rows.append(row("overhead, no model", one_by_one(serving, content, args.requests)))
    with Serving(args.workdir) as serving:
        rows.append(row("one client", one_by_one(serving, content, max(args.requests // 4, 5))))
        at = asyncio.run(closed_loop(serving, content, args.clients, args.seconds))
        rows.append(row(f"{args.clients} clients", at))
        rate = args.overload * at.rate
        over = asyncio.run(open_loop(serving, content, rate, args.seconds))
        rows.append(row(f"overload, {rate:.0f} a second", over))
        after = one_by_one(serving, content, 5)
        rows.append(row("one client, after it", after))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", default="", help="run, preset or .onnx file")
    parser.add_argument("--audio-s", type=float, default=3.0, help="length of the recording")
    parser.add_argument("--requests", type=int, default=300, help="for the overhead")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30.0, help="of capacity, and of overload")
    parser.add_argument("--overload", type=float, default=2.0, help="times the capacity")
    parser.add_argument("--tiny", action="store_true", help="no model, two seconds")
    parser.add_argument("--child", metavar="WORKDIR", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child is not None:
        return child(args.child)
    if args.tiny:
        args.workdir, args.requests, args.seconds, args.audio_s = STUB, 40, 1.0, 1.0
    _tell(f"{_versions()}\n")
    print(HEADER)
    for line in measure(args):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
