"""The service without HTTP: what every route works with."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from rawnet_jax.detector import Detector
from rawnet_jax.errors import AudioError, RawnetError
from rawnet_jax.scoring.decoded import Decoded
from rawnet_jax.scoring.verdict import Record, record_of
from rawnet_jax.serve.admission import Admission
from rawnet_jax.serve.calls import Calls
from rawnet_jax.serve.decode_pool import DecodePool, Expired
from rawnet_jax.serve.decode_process import Decoding, WorkerDied
from rawnet_jax.serve.engine import Engine, Full, Scored
from rawnet_jax.serve.gate import Gate
from rawnet_jax.serve.job_store import JobStore
from rawnet_jax.serve.meters import Meters
from rawnet_jax.serve.problems import Problem
from rawnet_jax.serve.settings import Settings
from rawnet_jax.serve.stream_scorers import Streams

_FULL_SHARE = 0.9  # of the queue, from which on the service is not ready
_RETRY_S = 1.0
_START_RETRY_S = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A recording that was decoded and scored.

    Attributes:
        record: as ``score --format jsonl`` has it, scores rounded.
        scored: what the engine gave.
        decoded: the samples.
        seen: container, codec, rate and channels of the file.
        timing_ms: milliseconds in the queue, in decoding and in scoring.
    """

    record: Record
    scored: Scored
    decoded: Decoded
    seen: dict[str, Any]
    timing_ms: dict[str, float]


class Service:
    """A detector with all that makes a service of it.

    Attributes:
        detector: the detector.
        settings: limits.
        engine: scores.
        pool: decodes.
        meters: counts.
        admission: bounds what is in the service.
        jobs: recordings that are judged later.
        shows_metrics: whether ``/metrics`` is among its routes.
        gate: keys, limits, attempts, audit log and the like.
        streams: those that are open.
        calls: verdicts on telephone calls.
    """

    def __init__(
        self,
        detector: Detector,
        settings: Settings | None = None,
        *,
        shows_metrics: bool = True,
        gate: Gate | None = None,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            detector: see `rawnet_jax.load`.
            settings: limits; None = the defaults.
            shows_metrics: whether ``/metrics`` is among its routes.
            gate: None = one without keys.
        """
        self.detector = detector
        self.settings = settings or Settings()
        model = detector.model
        self.pool = DecodePool(self.settings, model.recipe.audio, model.recipe.gate)
        self.meters = Meters()
        self.pool.on_died = self.meters.died.inc
        self.meters.ready.set_function(lambda: float(not self.not_ready))
        self.admission = Admission(self.settings, self.meters)
        self.engine = Engine(
            model, detector.decision, self.settings, lambda: self.admission.num_working
        )
        self.jobs = JobStore(self.settings.max_jobs, self.settings.job_life_s)
        self.shows_metrics = shows_metrics
        self.gate = gate or Gate()
        self.streams = Streams(detector, self.settings)
        self.calls = Calls()
        self._is_started = False
        self._is_draining = False

    async def start(self) -> None:
        """Start the processes, compile and test the network; until then nothing is judged.

        Raises:
            RawnetError: the processes or the network are at fault.
        """
        try:
            await asyncio.gather(
                asyncio.to_thread(self.engine.start), asyncio.to_thread(self.pool.start)
            )
            await asyncio.to_thread(self.streams.start)
        except WorkerDied as error:
            raise RawnetError(f"a process that decodes does not start: {error}") from None
        self._is_started = True

    def drain(self) -> None:
        """Take no more requests; those that run go on."""
        self._is_draining = True
        self.jobs.close()

    async def stop(self) -> None:
        """End threads and processes."""
        self.drain()
        await asyncio.to_thread(self.engine.close)
        await asyncio.to_thread(self.pool.close)
        self.streams.close()
        await self.gate.close()

    @property
    def not_ready(self) -> str:
        """Why the service is not ready, in words; "" where it is."""
        if self._is_draining:
            return "it is ending"
        if not self._is_started:
            return "it is starting"
        if self.engine.failure:
            return self.engine.failure
        if not self.pool.is_alive:
            return "no process that decodes is alive"
        if self.admission.num_working >= _FULL_SHARE * self.settings.queue:
            return "its queue is full"
        return ""

    def check_accepts(self) -> None:
        """Check that recordings are judged at all; a full queue is another matter.

        Raises:
            Problem: they are not.
        """
        if self._is_draining or not self._is_started or self.engine.failure:
            raise Problem("not-ready", self.not_ready, retry_after_s=_START_RETRY_S)

    async def judge(
        self,
        content: bytes,
        *,
        name: str = "-",
        channel: int | None = None,
        windows: bool = False,
        max_s: float | None = None,
        wait_s: float | None = None,
    ) -> Judged:
        """Decode and score one recording. Who calls this counts it by `admission`.

        Args:
            content: the bytes of the file.
            name: the record's ``path``.
            channel: take this one, 1 = the first; None = the average of all.
            windows: with the time line.
            max_s: longer recordings are refused; None = as the settings say.
            wait_s: it may wait so long in all; None = as the settings say.

        Raises:
            Problem: it cannot be decoded, or there is no room for it.
        """
        begin_s = time.monotonic()
        until_s = begin_s + (self.settings.queue_wait_s if wait_s is None else wait_s)
        most_s = self.settings.max_audio_s if max_s is None else max_s
        try:
            work = self.pool.decode(content, channel, most_s, until_s)
            decoding, decode_s = await asyncio.wrap_future(work)
            waited_s = time.monotonic() - begin_s - decode_s
            self._check(decoding, most_s)
            scored = await asyncio.wrap_future(
                self.engine.submit(
                    name, decoding.decoded, all_windows=windows, until_s=until_s + decode_s
                )
            )
        except (Expired, Full):
            raise Problem("overloaded", "it waited too long", retry_after_s=_RETRY_S) from None
        waited_s += scored.queue_s
        self.meters.decoded.observe(decode_s)
        self.meters.waited.observe(waited_s)
        self.meters.scored.observe(scored.score_s)
        record = record_of(scored.found, self.detector.decision, time_line=windows)
        self.meters.verdicts.labels(record["verdict"]).inc()
        parts = {"queue": waited_s, "decode": decode_s, "score": scored.score_s}
        timing_ms = {part: round(1000 * seconds, 2) for part, seconds in parts.items()}
        return Judged(record, scored, decoding.decoded, decoding.seen, timing_ms)

    def _check(self, decoding: Decoding, most_s: float) -> None:
        """Refuse what was not decoded to its end, but for what the gate gives a name to."""
        error = decoding.decoded.error
        if error is None:
            return
        if error.reason == "not finite" and self.detector.model.recipe.gate.enabled:
            return
        raise _refused(error, most_s, is_audio=decoding.is_audio)


_KINDS: dict[str, str] = {
    "not audio": "not-audio",
    "not audio this install can read": "not-audio",
    "too long": "too-long",
    "too many channels": "out-of-bounds",
    "sample rate out of bounds": "out-of-bounds",
    "too loud": "out-of-bounds",
}
"""Of `AudioError.reason`; all others are undecodable."""


def _refused(error: AudioError, most_s: float, *, is_audio: bool) -> Problem:
    detail = f"{error.reason}: {error.detail}" if error.detail else error.reason
    if error.reason == "too long":
        detail = f"more than {most_s:g} s"
    kind = _KINDS.get(error.reason, "undecodable")
    if error.reason == "not audio" and is_audio:  # a broken file of a kind that is read
        kind = "undecodable"
    return Problem(kind, detail, reason=error.reason)
