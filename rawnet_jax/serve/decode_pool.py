"""Processes that decode: kept ready, recycled, replaced when they die."""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from rawnet_jax.config import AudioConfig, GateConfig
from rawnet_jax.data.file_kinds import NEEDS_MEDIA
from rawnet_jax.data.media_file import is_installed
from rawnet_jax.serve.decode_process import (
    MEDIA,
    SOUND,
    DecodeProcess,
    Decoding,
    Limits,
    WorkerDied,
    failed,
)
from rawnet_jax.serve.settings import Settings


class Expired(Exception):
    """A recording waited too long for its turn."""


class DecodePool:
    """Decodes recordings in processes; what kills one costs its own recording alone.

    Attributes:
        num_died: processes that ended, hung or broke a limit, so far.
        on_died: is called for each of them, from a thread.
        is_sealed: whether all processes so far were behind the filter of system calls.
    """

    def __init__(self, settings: Settings, audio: AudioConfig, gate: GateConfig) -> None:
        """Prepare; `start` starts the processes.

        Args:
            settings: limits.
            audio: bounds on what is decoded, which those of the settings narrow.
            gate: bounds on what is judged.
        """
        self.num_died = 0
        self.on_died: Callable[[], None] = lambda: None
        self.is_sealed = True
        self._settings = settings
        self._audio = _narrowed(audio, settings)
        self._gate = gate
        self._limits = Limits(
            settings.decode_memory_bytes,
            settings.decode_cpu_s,
            settings.decode_s,
            settings.max_body_bytes,
        )
        self._lock = threading.Lock()
        self._idle: dict[str, deque[DecodeProcess]] = {SOUND: deque(), MEDIA: deque()}
        self._busy: dict[str, set[DecodeProcess]] = {SOUND: set(), MEDIA: set()}
        self._is_closed = False
        self._has_media = is_installed()
        self._threads = ThreadPoolExecutor(settings.decode_workers, thread_name_prefix="decode")

    def start(self) -> None:
        """Start all processes and wait until they are ready.

        Raises:
            WorkerDied: one does not start.
        """
        kinds = [SOUND] * self._settings.decode_workers + [MEDIA] * self._has_media
        for future in [self._threads.submit(self._refill, kind) for kind in kinds]:
            future.result()

    @property
    def num_idle(self) -> int:
        """Processes that wait for a recording."""
        with self._lock:
            return sum(process.is_alive for process in self._idle[SOUND])

    @property
    def is_alive(self) -> bool:
        """Whether there is a process that decodes or could."""
        with self._lock:
            return any(one.is_alive for one in (*self._busy[SOUND], *self._idle[SOUND]))

    @property
    def pids(self) -> list[int]:
        """Of all processes of the kind that reads most recordings."""
        with self._lock:
            return [process.pid for process in (*self._busy[SOUND], *self._idle[SOUND])]

    def decode(
        self, content: bytes, channel: int | None, max_s: float, until_s: float
    ) -> "Future[tuple[Decoding, float]]":
        """Decode one recording.

        Args:
            content: the bytes of the file.
            channel: see `rawnet_jax.scoring.decoded.decode`.
            max_s: longer recordings are refused.
            until_s: when it must have its turn, of `time.monotonic`.

        Returns:
            What came of it, and the seconds that it took. It raises `Expired`.
        """
        return self._threads.submit(self._decode, content, channel, max_s, until_s)

    def _decode(
        self, content: bytes, channel: int | None, max_s: float, until_s: float
    ) -> tuple[Decoding, float]:
        begin_s = time.monotonic()
        if begin_s > until_s:
            raise Expired
        audio = replace(self._audio, max_duration_s=min(max_s, self._audio.max_duration_s))
        found = self._decode_with(SOUND, content, audio, channel)
        error = found.decoded.error
        if self._has_media and error is not None and error.reason == NEEDS_MEDIA:
            found = self._decode_with(MEDIA, content, audio, channel)
        return found, time.monotonic() - begin_s

    def _decode_with(
        self, kind: str, content: bytes, audio: AudioConfig, channel: int | None
    ) -> Decoding:
        try:
            process = self._taken(kind)
        except WorkerDied as error:
            return failed(str(error))
        try:
            found = process.decode(content, audio, self._gate, channel)
        except WorkerDied as error:
            with self._lock:
                self.num_died += 1
            self.on_died()
            self._given_back(kind, process, is_usable=False)
            return failed(str(error))
        except BaseException:
            self._given_back(kind, process, is_usable=False)
            raise
        self._given_back(kind, process, is_usable=True)
        return found

    def _taken(self, kind: str) -> DecodeProcess:
        """Return a process that is this thread's until it is given back."""
        while True:
            with self._lock:
                process = self._idle[kind].popleft() if self._idle[kind] else None
                if process is not None:
                    self._busy[kind].add(process)
            if process is None:
                process = DecodeProcess(kind, self._limits)
                with self._lock:
                    self._busy[kind].add(process)
            if process.is_alive:
                return process
            self._given_back(kind, process, is_usable=False)

    def _given_back(self, kind: str, process: DecodeProcess, *, is_usable: bool) -> None:
        is_spent = process.is_worn or process.num_done >= self._settings.decode_files
        with self._lock:
            self._busy[kind].discard(process)
            is_kept = is_usable and not is_spent and not self._is_closed
            if is_kept:
                self._idle[kind].append(process)
        if not is_kept:
            process.close()
            if not self._is_closed:
                self._threads.submit(self._refill, kind)

    def _refill(self, kind: str) -> None:
        """Start a process, unless another thread has done it for a recording meanwhile."""
        most = self._settings.decode_workers if kind == SOUND else 1
        with self._lock:
            if self._is_closed or len(self._idle[kind]) + len(self._busy[kind]) >= most:
                return
        process = DecodeProcess(kind, self._limits)
        with self._lock:
            if kind == SOUND:
                self.is_sealed &= process.is_sealed
            if not self._is_closed:
                self._idle[kind].append(process)
                return
        process.close()

    def close(self) -> None:
        """End all processes; recordings that are being decoded fail."""
        with self._lock:
            self._is_closed = True
            idle = [*self._idle[SOUND], *self._idle[MEDIA]]
            busy = [*self._busy[SOUND], *self._busy[MEDIA]]
        for process in busy:
            process.kill()  # whoever waits for it notices and closes it
        for process in idle:
            process.close()
        self._threads.shutdown(wait=True, cancel_futures=True)


def _narrowed(audio: AudioConfig, settings: Settings) -> AudioConfig:
    """Return bounds that both have: of the run, and of the service."""
    return replace(
        audio,
        max_duration_s=settings.max_audio_s,
        min_sample_rate_hz=max(audio.min_sample_rate_hz, settings.min_rate_hz),
        max_sample_rate_hz=min(audio.max_sample_rate_hz, settings.max_rate_hz),
        max_channels=min(audio.max_channels, settings.max_channels),
    )
