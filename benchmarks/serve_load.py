"""Requests to a service, and what became of them; see `benchmarks.serve`."""

import asyncio
import io
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import soundfile

from rawnet_jax.contract import SAMPLE_RATE_HZ

_LONGEST_S = 60.0  # that an answer is waited for


@dataclass(frozen=True)
class Target:
    """Where requests go, and what they are.

    Attributes:
        host: address.
        port: of it.
        request: every byte of one request.
    """

    host: str
    port: int
    request: bytes


@dataclass
class Sent:
    """What became of a number of requests.

    Attributes:
        seconds: how long it took in all.
        latency_ms: of answers with a score.
        statuses: answers by status; 0 = no answer.
        unanswered: why there was no answer, and when.
        memory_mb: of the service and its processes, over time.
    """

    seconds: float
    latency_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    unanswered: list[str] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.latency_ms) / self.seconds

    @property
    def refused(self) -> str:
        """Return answers without a score, by status."""
        parts = (
            f"{n} × {s or f'no answer ({self.unanswered[-1]})'}"
            for s, n in sorted(self.statuses.items())
            if s != 200
        )
        return ", ".join(parts) or "0"

    @property
    def memory(self) -> str:
        """Return the medians of the first and the last third, and the largest."""
        if not self.memory_mb:
            return "-"
        third = max(len(self.memory_mb) // 3, 1)
        parts = (self.memory_mb[:third], self.memory_mb[-third:])
        medians = " → ".join(f"{statistics.median(part):.0f}" for part in parts)
        return f"{medians}, {max(self.memory_mb):.0f}"

    def at(self, share: float) -> float:
        ordered = sorted(self.latency_ms) or [float("nan")]
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]

    def add(self, status: int, seconds: float) -> None:
        """Count an answer that took so long."""
        self.statuses[status] += 1
        if status == 200:
            self.latency_ms.append(1000 * seconds)


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


async def _one(target: Target, found: Sent) -> None:
    """Send one request on a connection of its own: httpx takes too long to send many at once."""
    sent_s, status, connected_s = time.perf_counter(), 0, float("nan")
    try:
        async with asyncio.timeout(_LONGEST_S):
            reader, writer = await asyncio.open_connection(target.host, target.port)
            connected_s = time.perf_counter() - sent_s
            try:
                writer.write(target.request)
                status = int((await reader.read()).split()[1])
            finally:
                writer.close()
                await writer.wait_closed()
    except (OSError, ValueError, IndexError) as error:
        if not status:
            took_s = time.perf_counter() - sent_s
            found.unanswered.append(
                f"{type(error).__name__} after {took_s:.1f} s, connected after {connected_s:.1f} s"
            )
    found.add(status, time.perf_counter() - sent_s)


async def one_by_one(target: Target, count: int) -> Sent:
    """Send one request after the other."""
    found, begin_s = Sent(0.0), time.monotonic()
    for _ in range(count):
        await _one(target, found)
    found.seconds = time.monotonic() - begin_s
    return found


async def closed_loop(target: Target, clients: int, seconds: float) -> Sent:
    """Have clients send, each its next request when the last is answered."""
    found, begin_s = Sent(seconds), time.monotonic()

    async def ask() -> None:
        while time.monotonic() - begin_s < seconds:
            await _one(target, found)

    await asyncio.gather(*(ask() for _ in range(clients)))
    found.seconds = time.monotonic() - begin_s
    return found


async def open_loop(
    target: Target,
    rate: float,
    seconds: float,
    memory_mb: Callable[[], float],
    tell: Callable[[str], object],
) -> Sent:
    """Send at a rate, whether or not answers come.

    Args:
        target: where to, and what.
        rate: requests a second.
        seconds: for how long.
        memory_mb: measures the service.
        tell: gets a line each time that memory is measured.
    """
    found, begin_s = Sent(seconds), time.monotonic()
    tasks: set[asyncio.Task[None]] = set()
    sampled_s, number = -1.0, 0
    while (now_s := time.monotonic() - begin_s) < seconds:
        if now_s - sampled_s > max(seconds / 20, 0.2):
            found.memory_mb.append(await asyncio.to_thread(memory_mb))
            tell(
                f"{now_s:.0f} s: {len(found.latency_ms)} scored, refused {found.refused}, "
                f"{found.memory_mb[-1]:.0f} MB\n"
            )
            sampled_s = now_s
        while number < (time.monotonic() - begin_s) * rate:
            task = asyncio.create_task(_one(target, found))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
        await asyncio.sleep(0.005)
    if tasks:
        await asyncio.wait(tasks)
    found.seconds = time.monotonic() - begin_s
    found.memory_mb.append(memory_mb())
    return found
