"""Streams of real time through the service: how long after a window's end its score is there.

    python -m benchmarks.serve_streams                       # 20 streams of Conv1D, 30 s
    python -m benchmarks.serve_streams --streams 40 --seconds 60
    python -m benchmarks.serve_streams --workdir runs/x --hop 0.5

Clients send 16-bit PCM at 16 kHz in pieces of 20 ms, each when it would have been spoken, over
loopback. The delay of a window is counted from the moment when the piece with its last sample was
sent to the moment when its message was read. Without --workdir the network is the Conv1D classifier
as published (a window of a second) with random weights, which cost what trained ones cost.

Clients and service share the cores; a machine that others use at the same time makes delays longer.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from benchmarks.machine import num_cores, processor

RATE = 16_000
PIECE = 320
_START_S = 300.0


@dataclass
class Found:
    """What one client saw."""

    delays_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)  # of the client's own sending
    verdict: str = ""
    code: int | None = None
    warnings: int = 0


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workdir", type=Path, help="a run or preset (default: random Conv1D)")
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--hop", type=float, default=0.5, help="between windows, in seconds")
    return parser.parse_args(arguments)


def write_random_conv1d(folder: Path) -> Path:
    """Write a run of the published Conv1D classifier that was never trained."""
    import jax

    from rawnet_jax.checkpoint import save_variables
    from rawnet_jax.config import Config
    from rawnet_jax.config_file import save_config
    from rawnet_jax.models.registry import build_model, model_config
    from rawnet_jax.models.variables import init_variables

    config = Config(name="conv1d")
    config.model = model_config("conv1d")
    config.data.num_samples = RATE
    config.gate.speech = "off"
    folder.mkdir(parents=True)
    save_config(config, folder)
    variables = init_variables(build_model(config.model), jax.random.key(0), RATE)
    save_variables(folder, "best", 1, variables, {"dev_eer": 0.5})
    return folder


def start(workdir: Path, options: argparse.Namespace) -> tuple[subprocess.Popen[str], str]:
    """Start the service in a process of its own; returns it and its URL when it is ready."""
    words = ["serve", "--workdir", str(workdir), "--port", "0", "--max-streams"]
    words += [str(options.streams), "--max-streams-per-key", str(options.streams)]
    words += ["--stream-hop", str(options.hop), "--max-stream", str(options.seconds + 60)]
    process = subprocess.Popen(
        [sys.executable, "-m", "rawnet_jax", *words], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    url = next(line for line in process.stderr if " listens on " in line).split()[-1]
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        if httpx.get(f"{url}/readyz").status_code == 200:
            return process, url
        time.sleep(0.1)
    process.kill()
    raise SystemExit("the service was not ready in time")


async def client(url: str, number: int, options: argparse.Namespace) -> Found:
    """Send one stream in real time and note when windows come back."""
    rng = np.random.default_rng(number)
    data = (2_000 * rng.standard_normal(RATE)).astype("<i2").tobytes()
    found, sent = Found(), [0.0]
    await asyncio.sleep(rng.uniform(0, 1))  # streams do not begin together
    async with connect(url.replace("http", "ws") + "/v1/stream", proxy=None) as socket:
        await socket.send(json.dumps({"type": "start", "encoding": "s16le", "rate": RATE}))
        reading = asyncio.create_task(read(socket, found, sent))
        begin = time.perf_counter()
        for count in range(round(options.seconds * RATE / PIECE)):
            due = begin + (count + 1) * PIECE / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            now = time.perf_counter()
            found.late_ms.append(1e3 * (now - due))
            sent.append(now)
            place = 2 * PIECE * count % (2 * RATE)
            await socket.send(data[place : place + 2 * PIECE])
        await socket.send('{"type": "stop"}')
        await reading
        found.code = socket.close_code
    return found


async def read(socket: object, found: Found, sent: list[float]) -> None:
    try:
        async for text in socket:  # type: ignore[attr-defined]
            now, message = time.perf_counter(), json.loads(text)
            if message["type"] == "window":
                piece = int(np.ceil(round(message["end_s"] * RATE) / PIECE))
                found.delays_ms.append(1e3 * (now - sent[min(piece, len(sent) - 1)]))
            found.warnings += message["type"] == "warning"
            found.verdict = message.get("verdict", found.verdict)
    except ConnectionClosed:
        pass


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def all_clients(url: str, options: argparse.Namespace) -> list[Found]:
    return await asyncio.gather(*(client(url, k, options) for k in range(options.streams)))


def report(found: list[Found], options: argparse.Namespace, busy: float) -> str:
    delays = np.concatenate([one.delays_ms for one in found])
    late = np.concatenate([one.late_ms for one in found])
    quantiles = (50, 90, 99, 100)
    rows = [
        f"{processor()}, {num_cores()} cores, load {os.getloadavg()[0]:.1f}",
        f"{options.streams} streams, {options.seconds:g} s, a window every {options.hop:g} s",
        "delay ms, p50 p90 p99 max: "
        + " ".join(f"{np.percentile(delays, q):.1f}" for q in quantiles),
        "the clients' own lateness: "
        + " ".join(f"{np.percentile(late, q):.1f}" for q in quantiles),
        f"windows {len(delays)}, warnings {sum(one.warnings for one in found)}",
        f"close codes {dict(Counter(one.code for one in found))}",
        f"the service took {busy:.2f} cores",
    ]
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parsed(arguments)
    with tempfile.TemporaryDirectory() as folder:
        workdir = options.workdir or write_random_conv1d(Path(folder) / "run")
        process, url = start(workdir, options)
        try:
            began, before = time.perf_counter(), cpu_s(process.pid)
            found = asyncio.run(all_clients(url, options))
            busy = (cpu_s(process.pid) - before) / (time.perf_counter() - began)
        finally:
            process.terminate()
            process.communicate(timeout=60)
    print(report(found, options, busy))


if __name__ == "__main__":
    main()
