"""The audit log: a line of JSON for each decision, chained by hashes, on disk before the answer.

A line holds ``seq``, its number; ``prev``, the hash of the line before; and ``hash``, the SHA-256
of the rest of the line. So a line that is changed, removed, added or moved shows. That the end is
cut off shows against the head file beside it (``FILE.head``), of which a copy elsewhere is worth
more. No line has audio, an embedding, a file name or an address.
"""

import hashlib
import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.json_text import parsed_json
from rawnet_jax.regular_file import check_regular

FIELDS = (
    *("time", "request_id", "event", "endpoint", "key_id", "subject", "challenge_id"),
    *("decision", "reason_class", "llr", "llr_sasv", "threshold", "policy"),
    *("model_digest", "calibration_digest", "code_version", "duration_s", "speech_s"),
    *("container", "codec", "rate_hz", "channels", "audio", "queue_ms", "decode_ms", "score_ms"),
    *("upstream_status", "network"),
)
"""What a line may say beside ``seq``, ``prev`` and ``hash``. ``subject`` and ``audio`` are keyed
names."""

START = "0" * 64
_MOST_LINE_BYTES = 2**16
_KEEP_HEAD_S = 1.0


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a log.

    Attributes:
        num_lines: that it has.
        hash: of the last one.
    """

    num_lines: int = 0
    hash: str = START


class AuditLog:
    """Writes the log of one service. Several threads may write."""

    def __init__(
        self,
        path: str | Path,
        *,
        sync: Callable[[int], None] = os.fsync,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open a log to append to it.

        What a power cut left of an unfinished line is cut off: its request was never answered.

        Args:
            path: made if it is not there, for its owner's eyes only.
            sync: puts a file on disk.
            clock: seconds, for when the head file is written again.

        Raises:
            ConfigError: it cannot be opened.
            DataError: it has been tampered with.
        """
        self._path, self._sync, self._lock = Path(path), sync, threading.Lock()
        try:
            if self._path.exists():
                check_regular(self._path)
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self._file = os.fdopen(handle, "ab", buffering=0)
            num_torn = self._cut_torn_line()
        except OSError as error:
            raise ConfigError(f"--audit-log {path}: cannot be used: {error.strerror}") from error
        try:
            self._head = verify_log(self._path, head_of(self._path))
        except DataError:
            self._file.close()
            raise
        self._is_broken, self._clock, self._kept_at = False, clock, -math.inf
        if num_torn:
            self.append({"event": "recovered", "reason_class": "unfinished line cut off"})

    @property
    def head(self) -> Head:
        """The end of the log; a copy of it elsewhere shows later that nothing was cut off."""
        return self._head

    def append(self, record: Mapping[str, Any]) -> Head:
        """Write a line and wait until it is on disk; once a second the head file, too.

        Args:
            record: names of `FIELDS`; None is left out.

        Raises:
            DataError: it is not on disk. After that every call fails until the service is started
                again, since nobody knows what the file holds.
            ValueError: a name is none of `FIELDS`, or a value is not plain JSON.
        """
        unknown = record.keys() - set(FIELDS)
        if unknown:
            raise ValueError(f"not for the audit log: {', '.join(sorted(unknown))}")
        said = {name: value for name, value in record.items() if value is not None}
        with self._lock:
            if self._is_broken:
                raise DataError(f"--audit-log {self._path}: a line could not be written before")
            body = said | {"seq": self._head.num_lines + 1, "prev": self._head.hash}
            digest = _hash_of(body)
            line = _text(body | {"hash": digest}) + "\n"
            try:
                self._write(line.encode())
            except OSError as error:
                self._is_broken = True
                raise DataError(
                    f"--audit-log {self._path}: cannot be written: {error.strerror}"
                ) from error
            self._head = Head(self._head.num_lines + 1, digest)
            if self._clock() - self._kept_at >= _KEEP_HEAD_S:
                self._write_head()
            return self._head

    def close(self) -> None:
        """Close the log and leave its end in the head file."""
        with self._lock:
            if not self._file.closed:
                self._file.close()
                self._write_head()

    def _write_head(self) -> None:
        record = {"num_lines": self._head.num_lines, "hash": self._head.hash}
        write_text_atomically(head_path(self._path), json.dumps(record) + "\n")
        self._kept_at = self._clock()

    def _write(self, line: bytes) -> None:
        if self._file.write(line) != len(line):
            raise OSError(28, "no space left on device")
        self._sync(self._file.fileno())

    def _cut_torn_line(self) -> int:
        """Return how many bytes stood behind the last line end."""
        size = os.fstat(self._file.fileno()).st_size
        back = min(size, _MOST_LINE_BYTES)
        end = os.pread(self._file.fileno(), back, size - back)
        num_torn = len(end) - (end.rfind(b"\n") + 1)
        if num_torn:
            os.ftruncate(self._file.fileno(), size - num_torn)
        return num_torn


def head_path(path: Path) -> Path:
    """Return where the end of a log is kept."""
    return path.with_name(path.name + ".head")


def head_of(path: Path) -> Head | None:
    """Return the end of a log as its head file has it; None where there is no such file.

    Raises:
        DataError: the file is damaged.
    """
    where = head_path(path)
    return read_head(where) if where.exists() else None


def read_head(path: Path) -> Head:
    """Read a head file.

    Raises:
        DataError: it cannot be read or is damaged.
    """
    try:
        record = parsed_json(path.read_text("utf-8"))
        found = Head(record["num_lines"], record["hash"])
        if type(found.num_lines) is not int or found.num_lines < 0 or type(found.hash) is not str:
            raise ValueError("num_lines must be a whole number, hash a string")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: damaged: {error!r}; it must be the head of an audit log"
        ) from error
    return found


def verify_log(path: Path, head: Head | None = None) -> Head:
    """Check every line of a log.

    Args:
        path: of the log.
        head: its end as it was once; it must be in the log. None = that the end was cut off cannot
            be seen.

    Returns:
        The end of the log.

    Raises:
        DataError: it cannot be read or something was changed; the message says where and what.
    """
    found = Head()
    known = head is None or head == Head()
    for number, line in _lines(path):
        body = _body(path, number, line)
        digest = body.pop("hash")
        if _hash_of(body) != digest:
            raise DataError(f"{path}: line {number}: changed: it does not fit its hash")
        if body.get("prev") != found.hash or body.get("seq") != number:
            raise DataError(
                f"{path}: line {number}: does not follow the one before: lines were removed, added "
                "or moved"
            )
        found = Head(number, digest)
        if head is not None and number == head.num_lines:
            if digest != head.hash:
                raise DataError(f"{path}: line {number}: is not the one that the head file has")
            known = True
    if not known and head is not None:
        raise DataError(
            f"{path}: ends after line {found.num_lines}: cut off: the head file has "
            f"{head.num_lines} lines"
        )
    return found


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        check_regular(path)
        with open(path, "rb") as file:
            number = 0
            while line := file.readline(_MOST_LINE_BYTES + 1):
                number += 1
                if not line.endswith(b"\n"):
                    raise DataError(f"{path}: line {number}: changed: it is not a whole line")
                yield number, line
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _body(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        body = parsed_json(line.decode("utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: line {number}: changed: it is not JSON") from error
    if not isinstance(body, dict) or not isinstance(body.get("hash"), str):
        raise DataError(f"{path}: line {number}: changed: it has no hash")
    # What reads alike must be alike: no second form of a line, such as one with a key twice.
    try:
        is_own_form = (_text(body) + "\n").encode() == line
    except ValueError:
        is_own_form = False
    if not is_own_form:
        raise DataError(f"{path}: line {number}: changed: it is not in the form of the log")
    return body


def _hash_of(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(_text(body).encode()).hexdigest()


def _text(body: Mapping[str, Any]) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)


def rounded(value: float | None, digits: int = 4) -> float | None:
    """Return a number for the log; None for what is not a finite number."""
    return None if value is None or not math.isfinite(value) else round(value, digits)
