"""The process that decodes a recording: started, read within limits, and ended.

It is a plain child that runs `rawnet_jax.data.media_worker`. What it sends comes from code that
read a stranger's file, so nothing of it is trusted: messages are bounded, and JSON or samples.
"""

import contextlib
import json
import os
import select
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rawnet_jax.errors import AudioError

FAILED = "decoding failed"
"""`AudioError.reason` where the process ends, hangs or breaks a limit."""

WAIT_S = 25.0
"""The process must send something within so many seconds, while it is waited for."""

_RUN = "from rawnet_jax.data.media_worker import main; main()"
_ABOVE_PACKAGE = str(Path(__file__).resolve().parents[2])
_MOST_BYTES = 2**18  # of a message
_PIPE_BYTES = 2**20
_MOST_LETTERS = 400  # of what is wrong
_REASONS = ("not audio", "empty", "truncated", "damaged", "mixed parts", "too long", FAILED)
_KEPT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "HOME", "TMPDIR")


class MediaProcess:
    """A process that decodes one recording, from its start to its end.

    Attributes:
        name: what errors call the recording.
        pid: of the process.
    """

    def __init__(
        self,
        descriptor: int,
        name: object,
        demuxer: str,
        most_s: float,
        stop: int | None = None,
    ) -> None:
        """Start it.

        Args:
            descriptor: of the recording, at its beginning; it may be closed then.
            name: what errors call it.
            demuxer: FFmpeg's.
            most_s: seconds of audio.
            stop: of the file; None = all of it.
        """
        self.name = name
        self._most_s = most_s
        # An editable install may be found by a hook, which the process does not have.
        path = os.pathsep.join([*(entry or os.getcwd() for entry in sys.path), _ABOVE_PACKAGE])
        words = (descriptor, demuxer, most_s, -1 if stop is None else stop)
        environment = {key: os.environ[key] for key in _KEPT if key in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-P", "-c", _RUN, *map(str, words)],
            stdin=subprocess.PIPE,  # nothing is written: the process ends when it closes
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(descriptor,),
            env=environment | {"PYTHONPATH": path},
            bufsize=0,
            process_group=0,  # Ctrl-C goes to the parent alone, which ends this
        )
        self.pid = self._process.pid
        assert self._process.stdout is not None
        self._pipe = self._process.stdout.fileno()
        with contextlib.suppress(ImportError, AttributeError, OSError):
            import fcntl

            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def receive(self) -> tuple[bytes, bytes]:
        """Return the next message: its letter and its content.

        Raises:
            AudioError: the process refuses the recording, has ended, or takes too long.
        """
        head = self._read(5)
        (size,) = struct.unpack("<I", head[1:])
        if size > _MOST_BYTES:
            raise AudioError(self.name, FAILED, "the decoder broke its protocol")
        content = self._read(size)
        if head[:1] == b"E":
            reason, detail = _texts(json_of(content, self.name))
            raise AudioError(self.name, reason, detail)
        return head[:1], content

    def _read(self, num_bytes: int) -> bytes:
        pieces, missing = [], num_bytes
        until_s = time.monotonic() + WAIT_S
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        while missing:
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not poll.poll(left_s * 1000):
                raise AudioError(self.name, FAILED, f"the decoder sent nothing for {WAIT_S:g} s")
            piece = os.read(self._pipe, missing)
            if not piece:
                raise AudioError(self.name, FAILED, self._why_it_ended())
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def _why_it_ended(self) -> str:
        try:
            status = self._process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            return "the decoder closed its output"
        if status == -signal.SIGXCPU:
            return f"the decoder took too much time for {self._most_s:g} s of audio"
        if status < 0:
            return f"the decoder was ended by {_signal_name(-status)}"
        return f"the decoder ended with status {status}"

    def close(self) -> None:
        """End the process, wherever it is."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def json_of(content: bytes, name: object) -> Any:
    """Return what a message says.

    Raises:
        AudioError: it is not JSON.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise AudioError(name, FAILED, "the decoder broke its protocol") from None


def printable(text: object) -> str:
    """Return what the process says as one line of bounded length."""
    letters = str(text)[:_MOST_LETTERS]
    return "".join(letter if letter.isprintable() else "?" for letter in letters)


def _texts(value: Any) -> tuple[str, str]:
    if isinstance(value, list) and len(value) == 2 and value[0] in _REASONS:
        return str(value[0]), printable(value[1])
    return FAILED, "the decoder broke its protocol"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
