"""Failed attempts, per subject and per source: waiting after five, no more after fifty.

Kassis and Hengartner (2023) got past detector and speaker check together in up to 99 % of cases
within six tries, hence five. An attempt counts when it begins, so that many at once gain nothing;
what comes out of it corrects the count.
"""

import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from rawnet_jax.errors import ConfigError, DataError

FREE_FAILURES = 5.0
LOCK_FAILURES = 50.0
WAIT_S = 30.0
CANNOT_JUDGE_WEIGHT = 0.5
SOURCE_FORGETS_S = 600.0
_MOST_ROWS = 200_000


class Outcome(Enum):
    """What came of an attempt."""

    PASSED = "passed"
    FAILED = "failed"
    CANNOT_JUDGE = "cannot_judge"
    VOID = "void"  # the service's own fault: as if it had not been


class State(Enum):
    """Whether an attempt may begin."""

    OPEN = "open"
    WAIT = "wait"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a subject or a source stands.

    Attributes:
        state: whether it may try now.
        retry_after_s: when it may; 0 where it may now, infinite where it is locked.
    """

    state: State
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One that has begun; give it back to `Attempts.end`.

    Attributes:
        names: ("subject" or "source", keyed name) of each that it counts for.
    """

    names: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Row:
    count: float
    last: float


class Attempts:
    """Counts of failures.

    A subject's count goes back to 0 when it passes. A source's does not, or an attacker would pass
    as himself in between; it loses one failure in ten minutes instead. A locked subject stays so
    until `unlock`.
    """

    def __init__(
        self, path: str | Path | None = None, *, wall_clock: Callable[[], float] = time.time
    ) -> None:
        """Begin with what a file holds.

        Args:
            path: SQLite database, made if it is not there; None = counts end with the process.
            wall_clock: Unix time.

        Raises:
            DataError: the file cannot be opened or is none of ours.
        """
        self._wall_clock, self._lock = wall_clock, threading.Lock()
        self._path = path
        try:
            self._db = open_database(path)
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS attempts (kind TEXT, name TEXT, count REAL, last REAL, "
                "PRIMARY KEY (kind, name)) WITHOUT ROWID"
            )
            self._db.execute("CREATE INDEX IF NOT EXISTS by_age ON attempts (last)")
        except sqlite3.Error as error:
            raise DataError(f"--attempts {path}: cannot be used: {error}") from error

    def begin(self, subject: str | None, source: str | None) -> tuple[Standing, Attempt | None]:
        """Count an attempt, if it may be made.

        Args:
            subject: keyed name of who claims to speak; None = nobody is named.
            source: keyed name of where it comes from; None = not known.

        Returns:
            The worse standing of the two; and the attempt, None where it must not be made.

        Raises:
            DataError: the counts cannot be kept, so nobody may try.
        """
        given = (("subject", subject), ("source", source))
        names = tuple((kind, name) for kind, name in given if name is not None)
        now = self._wall_clock()
        with self._lock, self._kept():
            rows = [self._row(kind, name, now) for kind, name in names]
            worst = max(
                (_standing(row, now) for row in rows),
                key=lambda one: one.retry_after_s,
                default=Standing(State.OPEN),
            )
            if worst.state is not State.OPEN:
                return worst, None
            for (kind, name), row in zip(names, rows, strict=True):
                self._put(kind, name, row.count + 1, now)
            self._make_room()
            return worst, Attempt(names)

    def end(self, attempt: Attempt, outcome: Outcome) -> None:
        """Correct the count by what came of an attempt.

        Raises:
            DataError: the counts cannot be kept.
        """
        less = {
            Outcome.FAILED: 0.0,
            Outcome.CANNOT_JUDGE: 1 - CANNOT_JUDGE_WEIGHT,
            Outcome.VOID: 1.0,
            Outcome.PASSED: 1.0,
        }[outcome]
        now = self._wall_clock()
        with self._lock, self._kept():
            for kind, name in attempt.names:
                row = self._row(kind, name, now)
                is_cleared = kind == "subject" and outcome is Outcome.PASSED
                count = 0.0 if is_cleared else max(0.0, row.count - less)
                self._put(kind, name, count, row.last)

    def unlock(self, subject: str) -> bool:
        """Forget a subject's failures; returns whether there were any.

        Raises:
            DataError: the counts cannot be kept.
        """
        with self._lock, self._kept():
            found = self._db.execute(
                "DELETE FROM attempts WHERE kind = 'subject' AND name = ?", (subject,)
            )
            return found.rowcount > 0

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _kept(self) -> "_Transaction":
        return _Transaction(self._db, self._path)

    def _row(self, kind: str, name: str, now: float) -> _Row:
        found = self._db.execute(
            "SELECT count, last FROM attempts WHERE kind = ? AND name = ?", (kind, name)
        ).fetchone()
        if found is None:
            return _Row(0.0, 0.0)
        row = _Row(*found)
        row.last = min(row.last, now)  # a clock that was set back must not lock anybody out
        if kind == "source":
            row.count = max(0.0, row.count - (now - row.last) / SOURCE_FORGETS_S)
        return row

    def _put(self, kind: str, name: str, count: float, last: float) -> None:
        if count <= 0:
            self._db.execute("DELETE FROM attempts WHERE kind = ? AND name = ?", (kind, name))
            return
        self._db.execute(
            "INSERT INTO attempts VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "count = excluded.count, last = excluded.last",
            (kind, name, count, last),
        )

    def _make_room(self) -> None:
        """Forget the oldest that wait for nothing; whoever must wait or is locked stays."""
        total = self._db.execute("SELECT COUNT(*) FROM attempts").fetchone()[0]
        if total <= _MOST_ROWS:
            return
        self._db.execute(
            "DELETE FROM attempts WHERE (kind, name) IN (SELECT kind, name FROM attempts "
            "WHERE count < ? ORDER BY last LIMIT ?)",
            (FREE_FAILURES, total - _MOST_ROWS * 9 // 10),
        )


def _standing(row: _Row, now: float) -> Standing:
    if row.count >= LOCK_FAILURES:
        return Standing(State.LOCKED, float("inf"))
    wait_s = row.last + WAIT_S - now
    if row.count >= FREE_FAILURES and wait_s > 0:
        return Standing(State.WAIT, wait_s)
    return Standing(State.OPEN)


class _Transaction:
    """All or nothing; what SQLite complains of is a `DataError`."""

    def __init__(self, db: sqlite3.Connection, path: object) -> None:
        self._db, self._path = db, path

    def __enter__(self) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise DataError(f"{self._path or 'memory'}: cannot be used: {error}") from error

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            self._db.execute("COMMIT" if kind is None else "ROLLBACK")
        except sqlite3.Error as failed:
            raise DataError(f"{self._path or 'memory'}: cannot be written: {failed}") from failed
        if isinstance(error, sqlite3.Error):
            raise DataError(f"{self._path or 'memory'}: cannot be used: {error}") from error


transaction = _Transaction


def open_database(path: str | Path | None) -> sqlite3.Connection:
    """Open a SQLite database for one process, in autocommit mode; None = in memory.

    Only its owner can read a file that is made here. What was written outlives a killed process;
    after a power cut the last moments may be missing.

    Raises:
        sqlite3.Error: it cannot be opened.
        ConfigError: others may change the file.
    """
    if path is not None:
        _make_private(Path(path))
    db = sqlite3.connect(
        ":memory:" if path is None else str(path), isolation_level=None, check_same_thread=False
    )
    if path is not None:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA secure_delete = ON")
    return db


def _make_private(path: Path) -> None:
    try:
        if not path.exists():
            path.touch(mode=0o600)
        elif path.stat().st_mode & 0o022:
            raise ConfigError(f"{path}: others may change it: chmod 600 {path}")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be used: {error.strerror}") from error
