"""What a decoder in C writes to standard error itself: lines without the name of a file.

libmpg123 reports what it thinks of a stream, and libsndfile has no switch for that. Commands drop
these lines: what is wrong with a recording is said in lines of our own. In the Python interface
standard error is the caller's, and stays as it is.
"""

import contextlib
import io
import os
import re
import sys
import tempfile
import threading
from types import TracebackType

_STDERR = 2
_OF_DECODERS = re.compile(
    rb"(?:Note|Warning): |\[src/libmpg123/|error: (?:Giving up|Cannot|dequantization)|$"
)


class DecoderLines:
    """Holds back standard error while a decoder is at work, and drops what the decoder wrote.

    Several threads may be inside at once; what is not a decoder's is written when the last leaves.
    """

    def __init__(self) -> None:
        self.is_on = False
        self._lock = threading.Lock()
        self._inside = 0
        self._kept: int | None = None
        self._held: int | None = None

    def __enter__(self) -> None:
        if not self.is_on:
            return
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                with contextlib.suppress(OSError):  # there is no standard error
                    self._begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what was held back and is not a decoder's."""
        if not self.is_on:
            return
        with self._lock:
            self._inside -= 1
            if not self._inside and self._kept is not None:
                self._end()

    def _begin(self) -> None:
        if self._held is None:
            with tempfile.TemporaryFile() as file:
                self._held = os.dup(file.fileno())
        self._kept = os.dup(_STDERR)
        os.dup2(self._held, _STDERR)

    def _end(self) -> None:
        assert self._kept is not None
        assert self._held is not None
        os.dup2(self._kept, _STDERR)
        os.close(self._kept)
        self._kept = None
        size = os.lseek(self._held, 0, os.SEEK_CUR)
        if not size:
            return
        held = os.pread(self._held, size, 0)
        os.ftruncate(self._held, 0)
        os.lseek(self._held, 0, os.SEEK_SET)
        others = [line for line in held.splitlines(True) if not _OF_DECODERS.match(line)]
        with contextlib.suppress(OSError):
            os.write(_STDERR, b"".join(others))


HELD_BACK = DecoderLines()
"""Around every call that may decode MPEG."""


def drop_decoder_lines(*, own_stderr: bool = False) -> None:
    """Drop lines of decoders from now on, in this process.

    Args:
        own_stderr: let Python write to standard error by a way of its own, which is never held
            back; for a process that is a command and nothing else.
    """
    HELD_BACK.is_on = True
    if own_stderr and isinstance(sys.stderr, io.TextIOWrapper):
        with contextlib.suppress(OSError):
            file = os.fdopen(os.dup(_STDERR), "wb", 0)
            sys.stderr = io.TextIOWrapper(
                file, sys.stderr.encoding, "backslashreplace", line_buffering=True
            )
