"""One stream: samples in, windows and a running verdict out, whatever the socket speaks.

The event loop takes bytes and never computes: a worker hands what has come to a thread as soon as a
window is complete. At most two seconds wait unscored; then nothing more is read from the client.
"""

import asyncio
import hashlib
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.pcm import PcmFormat, decoded
from rawnet_jax.jobs.stream import window_record
from rawnet_jax.scoring.verdict import CANNOT_JUDGE, DecisionRule, verdict_record
from rawnet_jax.scoring.windows import aggregate
from rawnet_jax.serve.rounding import DIGITS
from rawnet_jax.serve.service import Service
from rawnet_jax.serve.stream_messages import Ended

if TYPE_CHECKING:  # imports JAX
    from rawnet_jax.scoring.streaming import StreamingScorer, TimedScore

UNSCORED_S = 2.0
"""Of audio that may wait."""

KEPT_S = 60.0
"""Of audio that is kept, while the stream lasts, to tell whether it was here before."""

_MOST_KEPT_HZ = 48_000  # of audio at a higher rate, less than a minute is kept
_OFTEN_S = 0.25  # hand over what has come at least for every so many seconds of audio
_MOST_PEAK = 1e3  # full scale = 1; beyond it the bytes are not samples of that encoding
_BEHIND_S = 1.0
_WARN_EVERY_S = 5.0
NOT_ENOUGH = "nothing could be judged"

Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(eq=False)
class Running:
    """The verdict on all windows so far.

    Attributes:
        decision: reads scores.
        aggregation: of the scores of windows.
    """

    decision: DecisionRule
    aggregation: str
    num_windows: int = 0
    end_s: float = 0.0
    scores: list[float] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)
    reason: str | None = None
    reason_class: str | None = None

    def add(self, one: "TimedScore") -> None:
        """Count a window."""
        self.num_windows += 1
        self.end_s = one.time_s
        if math.isfinite(one.score):
            self.scores.append(one.score)
            if one.distance is not None:
                self.distances.append(one.distance)
        elif one.refusal is not None:
            self.reason = f"{one.refusal.reason}: {one.refusal.detail}"
            self.reason_class = one.refusal.reason.value

    @property
    def score(self) -> float | None:
        """Of all windows that can be judged; None where none can."""
        if not self.scores:
            return None
        return round(aggregate(np.array(self.scores), self.aggregation or "mean"), DIGITS) + 0.0

    @property
    def record(self) -> dict[str, Any]:
        """Return verdict, score, llr, p_spoof and reason."""
        score = self.score
        distance = float(np.mean(self.distances)) if self.distances else None
        said = verdict_record(score, self.decision, distance)
        if score is None:
            return said | {"reason": self.reason or NOT_ENOUGH}
        return said | {"reason": self.decision.refusal(score, distance)}

    @property
    def class_of_reason(self) -> str | None:
        """Return what a gate is told of the reason."""
        if self.record["verdict"] != CANNOT_JUDGE:
            return None
        return (self.reason_class or NOT_ENOUGH) if not self.scores else "unlike training"


class LiveStream:
    """Takes the bytes of one stream and tells what was found.

    Attributes:
        running: the verdict so far.
        num_samples: frames that came.
        digest: SHA-256 of the bytes that came.
    """

    def __init__(
        self, service: Service, form: PcmFormat, send: Send, *, is_gate: bool, keeps: bool
    ) -> None:
        """Begin a stream.

        Args:
            service: the service.
            form: of the bytes.
            send: is told of windows and verdicts.
            is_gate: tell of verdicts alone, and not more often than once a second.
            keeps: keep the beginning of the audio for `waveform`.
        """
        recipe = service.detector.model.recipe
        self.running = Running(service.detector.decision, recipe.aggregation)
        self.num_samples, self.digest = 0, hashlib.sha256()
        self._service, self._form, self._send = service, form, send
        self._is_gate, self._keeps = is_gate, keeps
        self._scorer: StreamingScorer = service.streams.scorer(form.sample_rate_hz)
        self._waiting: list[np.ndarray] = []
        self._num_waiting, self._since_s = 0, 0.0
        self._kept: list[np.ndarray] = []
        self._changed = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_over = False
        self._last_said_s = self._last_warned_s = -math.inf
        self._worker = asyncio.create_task(self._work())

    @property
    def window_s(self) -> float:
        """Length of a window in seconds."""
        return self._scorer.window / SAMPLE_RATE_HZ

    @property
    def hop_s(self) -> float:
        """From one window to the next in seconds."""
        return self._scorer.hop / SAMPLE_RATE_HZ

    @property
    def duration_s(self) -> float:
        """Seconds of audio that came."""
        return self.num_samples / self._form.sample_rate_hz

    def feed(self, data: bytes) -> None:
        """Take bytes.

        Raises:
            Ended: they are not whole samples, no samples of this encoding, or longer than a stream
                may be.
        """
        if len(data) % self._form.frame_bytes:
            raise Ended(1008, f"a message must have multiples of {self._form.frame_bytes} bytes")
        if not data:
            return
        samples = decoded(data, self._form)
        if np.abs(samples).max(initial=0.0, where=np.isfinite(samples)) > _MOST_PEAK:
            raise Ended(1008, f"too loud: is it {self._form.encoding}?")
        most = int(self._service.settings.max_stream_s * self._form.sample_rate_hz)
        left = most - self.num_samples
        self._take(samples[:left], data[: left * self._form.frame_bytes])
        if len(samples) > left:
            said = f"longer than {self._service.settings.max_stream_s:g} s"
            raise Ended(4009, said, is_judged=True)

    async def room(self) -> None:
        """Wait until more may be read from the client.

        Raises:
            Exception: scoring failed.
        """
        if self._has_room.is_set() and not self._worker.done():
            return
        waiting = asyncio.create_task(self._has_room.wait())
        try:
            await asyncio.wait({waiting, self._worker}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._worker.done():
            self._worker.result()

    async def finish(self) -> None:
        """Score what is left.

        Raises:
            Exception: scoring failed.
        """
        self._is_over = True
        self._call()
        await self._worker
        await self._tell(await self._service.streams.compute(self._scorer.finish))

    async def abandon(self) -> None:
        """End without scoring what is left."""
        self._worker.cancel()
        await asyncio.wait({self._worker})
        if not self._worker.cancelled():
            self._worker.exception()

    def waveform(self) -> np.ndarray:
        """Return the first minute at 16 kHz, float32 [n]; takes a while."""
        if not self._kept:
            return np.zeros(0, np.float32)
        mono = np.nan_to_num(np.concatenate(self._kept).astype(np.float32), posinf=0.0, neginf=0.0)
        found: np.ndarray = soxr.resample(mono, self._form.sample_rate_hz, SAMPLE_RATE_HZ)
        return found

    def _take(self, samples: np.ndarray, data: bytes) -> None:
        self.digest.update(data)
        rate = self._form.sample_rate_hz
        if self._keeps and self.num_samples < KEPT_S * min(rate, _MOST_KEPT_HZ):
            self._kept.append(samples.mean(axis=1).astype(np.float16))
        self._waiting.append(samples)
        self._num_waiting += len(samples)
        self.num_samples += len(samples)
        if self._num_waiting > UNSCORED_S * rate:
            self._has_room.clear()
        if self._is_due:
            self._call()

    def _call(self) -> None:
        """Tell the worker that there is something to do."""
        if not self._changed.is_set():
            self._since_s = time.monotonic()
            self._changed.set()

    @property
    def _is_due(self) -> bool:
        """Whether a window may be complete, or enough has come."""
        end_s = self.window_s + self.running.num_windows * self.hop_s
        rate = self._form.sample_rate_hz
        return self._num_waiting >= _OFTEN_S * rate or self.num_samples >= end_s * rate

    async def _work(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            samples, since_s = self._taken(), self._since_s
            if len(samples):
                found = await self._service.streams.compute(partial(self._scorer.push, samples))
                await self._tell(found)
                await self._warn(time.monotonic() - since_s)
            if self._is_over and not self._waiting:
                return
            if self._waiting and (self._is_due or self._is_over):
                self._call()

    def _taken(self) -> np.ndarray:
        samples = np.concatenate(self._waiting) if self._waiting else np.zeros((0, 1), np.float32)
        self._waiting.clear()
        self._num_waiting = 0
        self._has_room.set()
        return samples

    async def _tell(self, found: "list[TimedScore]") -> None:
        from rawnet_jax.scoring.streaming import TimedScore

        for raw in found:
            one = TimedScore(raw.time_s, round(raw.score, DIGITS) + 0.0, raw.refusal, raw.distance)
            self.running.add(one)
            if not self._is_gate:
                record = window_record(one, self.window_s, self.running.decision)
                await self._send({"type": "window"} | record)
        if found and (not self._is_gate or self.running.end_s - self._last_said_s >= 1):
            self._last_said_s = self.running.end_s
            await self._send({"type": "verdict"} | self.said())

    def said(self) -> dict[str, Any]:
        """Return what the client may know of the verdict so far."""
        record = self.running.record
        if self._is_gate:
            said = {"verdict": record["verdict"], "reason": self.running.class_of_reason}
        else:
            said = dict(record)
        return said | {"scored_s": self.running.end_s}

    async def _warn(self, lag_s: float) -> None:
        now = time.monotonic()
        if lag_s > _BEHIND_S and now - self._last_warned_s > _WARN_EVERY_S:
            self._last_warned_s = now
            said = {"code": "falling_behind", "lag_s": round(lag_s, 2)}
            await self._send({"type": "warning"} | said)
