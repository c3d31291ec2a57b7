"""A process that decodes recordings, as seen from the service: started, asked, ended.

What it sends comes from code that read a stranger's file, so nothing of it is trusted: answers are
bounded, and are JSON and samples.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.config import AudioConfig, GateConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.media_process import printable
from rawnet_jax.errors import AudioError
from rawnet_jax.scoring.decoded import Decoded
from rawnet_jax.scoring.gate import Reason, Refusal
from rawnet_jax.serve.decode_worker import FAILED, HEAD, LIFE

SOUND, MEDIA = "sound", "media"
"""The two kinds of process, see `rawnet_jax.serve.decode_worker`."""

NAME = "recording"
"""What errors call any recording."""

_RUN = "import sys; sys.path[:] = {path!r}; from rawnet_jax.serve.decode_worker import main; main()"
_ABOVE_PACKAGE = str(Path(__file__).resolve().parents[2])
_MOST_TEXT = 2**18
_MOST_NOTES = 16
_START_S = 60.0  # imports on a busy machine
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_OF_MEDIA = ("PATH", "HOME", "TMPDIR")  # what `MediaProcess` passes on
_PIPE_BYTES = 2**20


class WorkerDied(Exception):
    """The process ended, hung or broke its protocol; it is of no use any more."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process may take.

    Attributes:
        memory_bytes: of address space.
        cpu_s: seconds of CPU time for a recording.
        wall_s: seconds for a recording, from sending it to the last sample.
        max_bytes: of a recording.
    """

    memory_bytes: int = 2**30
    cpu_s: int = 10
    wall_s: float = 15.0
    max_bytes: int = 10 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Decoding:
    """What came of decoding one recording.

    Attributes:
        decoded: samples, or why there are none.
        seen: ``container``, ``codec``, ``rate_hz`` and ``channels``, as far as decoding came.
        is_audio: whether its first bytes are those of a kind of file that is read.
    """

    decoded: Decoded
    seen: dict[str, Any] = field(default_factory=dict)
    is_audio: bool = True


class DecodeProcess:
    """One process, which takes recordings one after the other.

    Attributes:
        pid: of the process.
        num_done: recordings that it has decoded.
        is_worn: whether it has used half of the CPU time that it may use in its life.
        is_sealed: whether the filter of system calls holds.
    """

    def __init__(self, kind: str, limits: Limits) -> None:
        """Start it and wait until it is ready.

        Raises:
            WorkerDied: it does not start.
        """
        self.num_done = 0
        self.is_worn = False
        self._limits = limits
        path = [*(entry or os.getcwd() for entry in sys.path), _ABOVE_PACKAGE]
        kept = (*_KEPT, *_OF_MEDIA) if kind == MEDIA else _KEPT
        words = (kind, limits.memory_bytes, limits.cpu_s, limits.max_bytes + 2**16)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _RUN.format(path=path), *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_ONE_THREAD | {key: os.environ[key] for key in kept if key in os.environ},
            bufsize=0,
            process_group=0,  # Ctrl-C goes to the service alone, which ends this
        )
        self.pid = self._process.pid
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        for descriptor in (self._in, self._out):
            os.set_blocking(descriptor, False)
            with contextlib.suppress(ImportError, AttributeError, OSError):
                import fcntl

                fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            said, _ = self._receive(time.monotonic() + _START_S, 0)
        except WorkerDied:
            self.close()
            raise
        self.is_sealed = bool(said.get("sealed"))

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def decode(
        self, content: bytes, audio: AudioConfig, gate: GateConfig, channel: int | None
    ) -> Decoding:
        """Decode one recording.

        Args:
            content: the bytes of the file.
            audio: bounds on what is decoded.
            gate: bounds on what is judged.
            channel: see `rawnet_jax.scoring.decoded.decode`.

        Raises:
            WorkerDied: the process ended, hung or broke its protocol; close it.
        """
        until_s = time.monotonic() + self._limits.wall_s
        request = {"audio": asdict(audio), "gate": asdict(gate), "channel": channel}
        text = json.dumps(request).encode()
        self._send(HEAD.pack(len(text), len(content)) + text, until_s)
        self._send(content, until_s)
        most_samples = int((audio.max_duration_s + 1) * SAMPLE_RATE_HZ)
        said, samples = self._receive(until_s, 4 * most_samples)
        self.num_done += 1
        try:
            self.is_worn = 2 * float(said["cpu_s"]) > LIFE * self._limits.cpu_s
            return _decoding(said, samples)
        except (KeyError, TypeError, ValueError):
            raise WorkerDied("the decoder broke its protocol") from None

    def kill(self) -> None:
        """End the process, wherever it is; from any thread."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the process and close its pipes, which nobody may be using."""
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _send(self, content: bytes, until_s: float) -> None:
        data = memoryview(content)
        poll = select.poll()
        poll.register(self._in, select.POLLOUT)
        while data:
            self._wait(poll, until_s)
            try:
                data = data[os.write(self._in, data) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise WorkerDied(self._why_it_ended()) from None

    def _receive(self, until_s: float, most_bytes: int) -> tuple[dict[str, Any], bytearray]:
        num_text, num_bytes = HEAD.unpack(self._read(HEAD.size, until_s))
        if num_text > _MOST_TEXT or num_bytes > most_bytes:
            raise WorkerDied("the decoder broke its protocol")
        text, content = self._read(num_text, until_s), self._read(num_bytes, until_s)
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise WorkerDied("the decoder broke its protocol")
        return said, content

    def _read(self, num_bytes: int, until_s: float) -> bytearray:
        found = bytearray(num_bytes)
        view, poll = memoryview(found), select.poll()
        poll.register(self._out, select.POLLIN)
        while view:
            self._wait(poll, until_s)
            try:
                count = os.readv(self._out, [view[: 2**20]])
            except BlockingIOError:
                continue
            if not count:
                raise WorkerDied(self._why_it_ended())
            view = view[count:]
        return found

    def _wait(self, poll: select.poll, until_s: float) -> None:
        left_s = until_s - time.monotonic()
        if left_s <= 0 or not poll.poll(left_s * 1000):
            raise WorkerDied(f"the decoder took more than {self._limits.wall_s:g} s")

    def _why_it_ended(self) -> str:
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "the decoder closed its output"
        if status in (-signal.SIGPROF, -signal.SIGXCPU):
            return f"the decoder took more than {self._limits.cpu_s} s of CPU time"
        return f"the decoder ended with status {status}"


def _decoding(said: dict[str, Any], samples: bytearray) -> Decoding:
    """Read an answer; what is not as it must be is a `TypeError`, `KeyError` or `ValueError`."""
    waveform = np.frombuffer(samples, "<f4").astype(np.float32, copy=False)
    refusal, error = None, None
    if said["refusal"] is not None:
        reason, value, limit, detail = said["refusal"]
        refusal = Refusal(Reason(reason), float(value), float(limit), printable(detail))
    if said["error"] is not None:
        reason, detail = map(printable, said["error"])
        error = AudioError(NAME, reason, detail)
    notes = tuple(map(printable, list(said["notes"])[:_MOST_NOTES]))
    seen: dict[str, Any] = {}
    if said["seen"]:
        seen = {key: printable(said["seen"][key]) for key in ("container", "codec")}
        seen |= {key: int(said["seen"][key]) for key in ("rate_hz", "channels")}
    return Decoding(Decoded(waveform, refusal, error, notes), seen, said["is_audio"] is True)


def failed(detail: str) -> Decoding:
    """Return what a recording gets whose process died."""
    return Decoding(Decoded(np.zeros(0, np.float32), error=AudioError(NAME, FAILED, detail)))
