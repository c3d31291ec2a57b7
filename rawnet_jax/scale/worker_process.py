"""A worker process as seen by whoever runs it: started, asked, ended."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rawnet_jax.errors import DataError
from rawnet_jax.scale.ledger import Task, to_json

COMMAND = (sys.executable, "-m", "rawnet_jax.scale.worker")
_ABOVE_PACKAGE = str(Path(__file__).resolve().parents[2])
_READ_BYTES = 2**16
_KEPT_BYTES = 4_000  # of what a worker said on standard error


class WorkerDied(Exception):
    """The process ended, or took too long.

    Attributes:
        is_late: it took too long, and was ended.
    """

    def __init__(self, message: str, *, is_late: bool = False) -> None:
        super().__init__(message)
        self.is_late = is_late


class WorkerProcess:
    """One process, with its model open.

    Attributes:
        ready: what it said when its model was open.
        pid: of the process.
    """

    def __init__(
        self, job: Mapping[str, Any], folder: Path, command: Sequence[str] = COMMAND
    ) -> None:
        """Start it and wait until its model is open.

        Args:
            job: what it is to do, see `rawnet_jax.scale.worker.Worker`.
            folder: for what it says on standard error.
            command: of the process.

        Raises:
            WorkerDied: it ended before.
            DataError: run or output are at fault.
        """
        self._log = open(folder / f"worker_{time.monotonic_ns()}.log", "w+b")  # noqa: SIM115
        path = [_ABOVE_PACKAGE, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            bufsize=0,
            process_group=0,  # Ctrl-C goes to the parent alone, which ends this
        )
        self.pid = self._process.pid
        assert self._process.stdout is not None
        self._out = self._process.stdout.fileno()
        self._buffer = b""
        try:
            self._send(job)
            self.ready = next(self._messages(None))
            if "error" in self.ready:
                raise DataError(str(self.ready["error"]))
        except BaseException:
            self.close()
            raise

    def score(
        self, task: Task, on_files: Callable[[int], Any], timeout_s: float | None = None
    ) -> dict[str, Any]:
        """Have a task done.

        Args:
            task: which one.
            on_files: is told how many files were done since.
            timeout_s: seconds that it may take; None = any.

        Returns:
            See `rawnet_jax.scale.shard.score_shard`.

        Raises:
            WorkerDied: the process ended, or took too long; close it.
            DataError: the output cannot be written, or the manifest is at fault.
        """
        self._send(to_json(task))
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        for message in self._messages(until_s):
            if "error" in message:
                raise DataError(str(message["error"]))
            if "done" in message:
                return dict(message["done"])
            on_files(message["tick"])
        raise AssertionError

    def kill(self) -> None:
        """End the process and what it started; from any thread."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the process and close its pipes, which nobody may be using."""
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
        except OSError:
            raise WorkerDied(self._why()) from None

    def _messages(self, until_s: float | None) -> Iterator[dict[str, Any]]:
        poll = select.poll()
        poll.register(self._out, select.POLLIN)
        while True:
            line, end, rest = self._buffer.partition(b"\n")
            if end:
                self._buffer = rest
                yield json.loads(line)
                continue
            left_s = None if until_s is None else until_s - time.monotonic()
            if left_s is not None and (left_s <= 0 or not poll.poll(left_s * 1000)):
                self.kill()
                raise WorkerDied("took too long", is_late=True)
            piece = os.read(self._out, _READ_BYTES)
            if not piece:
                raise WorkerDied(self._why())
            self._buffer += piece

    def _why(self) -> str:
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "closed its output"
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - _KEPT_BYTES))
        said = self._log.read().decode(errors="replace").strip().splitlines()
        if status < 0:
            return f"was ended by signal {-status}"
        return f"ended with status {status}" + (f": {said[-1]}" if said else "")
