"""Audio that was here before: the same samples, or the same recording once more.

A system that is asked with the same recording again and again, a little changed each time, is
being probed; and a recording that comes back after it was accepted is a replay. What is kept of a
recording is a keyed hash of its samples and a keyed fingerprint, for 30 days, and no audio.
"""

import hmac
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from rawnet_jax.errors import DataError
from rawnet_jax.serve.attempts import open_database, transaction
from rawnet_jax.serve.fingerprint import Fingerprint, Fingerprinter, difference
from rawnet_jax.serve.private_file import Secret

KEPT_S = 30 * 86_400.0
MOST_RECORDINGS = 50_000
NEAR = 0.20
"""Share of bits up to which two recordings are one."""

NEAR_IF_SHORT = 0.12
"""The same where they have less than `MANY_WORDS` in common: two speakers of one short phrase may
come to 0.13."""

MANY_WORDS = 80
"""Of 16 ms each, with sound in both."""

FEW_WORDS = 32
"""Over fewer, nothing is said."""

_EVERY = 4  # of its words a recording leaves every fourth in the index
_MOST_WORDS = 4_000  # that are looked up: a minute, and of longer ones the first
_WORDS_AT_ONCE = 500
_MOST_HITS = 20_000
_SHIFT_BITS = 24
_HALF = 1 << (_SHIFT_BITS - 1)
_MOST_PLACES = 64  # where recordings are compared
_TABLES = """
CREATE TABLE IF NOT EXISTS recordings (
    number INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB, time REAL, words BLOB, strong BLOB);
CREATE INDEX IF NOT EXISTS by_hash ON recordings (hash);
CREATE TABLE IF NOT EXISTS words (
    word INTEGER, number INTEGER, place INTEGER, PRIMARY KEY (word, number, place)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_number ON words (number);
"""


class Likeness(Enum):
    """How a recording is known."""

    NEW = "new"
    EXACT = "exact"
    NEAR = "near"


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a recording.

    Attributes:
        likeness: to one that was here before.
        number: of its entry, for `Replayed.forget`.
        difference: 0 = the same, up to `NEAR` = the same recording.
    """

    likeness: Likeness
    number: int
    difference: float = 0.5

    @property
    def is_replayed(self) -> bool:
        """Whether it was here before."""
        return self.likeness is not Likeness.NEW


class Replayed:
    """Recordings of the last 30 days. Several threads may ask."""

    def __init__(
        self,
        secret: Secret,
        path: str | Path | None = None,
        *,
        kept_s: float = KEPT_S,
        most: int = MOST_RECORDINGS,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin with what a file holds.

        Args:
            secret: of the service; with a file, the same one each time.
            path: SQLite database, made if it is not there; None = in memory.
            kept_s: for how long a recording is known.
            most: recordings that are known; the oldest make room.
            wall_clock: Unix time.

        Raises:
            DataError: the file cannot be opened or is none of ours.
            ConfigError: others may change it.
        """
        self._hash_key = secret.key("samples")
        self._fingerprinter = Fingerprinter(secret.key("fingerprint"))
        self._kept_s, self._most, self._wall_clock = kept_s, most, wall_clock
        self._path, self._lock = path, threading.Lock()
        try:
            self._db = open_database(path)
            self._db.executescript(_TABLES)
        except sqlite3.Error as error:
            raise DataError(f"--replayed {path}: cannot be used: {error}") from error

    def check(self, waveform: np.ndarray) -> Seen:
        """Look whether a recording was here before, and remember it.

        Args:
            waveform: float32 [n] at 16 kHz, as it is scored. Takes 10 ms or so for 3 s.

        Raises:
            DataError: the file cannot be read or written.
        """
        samples = np.clip(np.nan_to_num(waveform) * 32_768, -32_768, 32_767).astype("<i2")
        hashed = hmac.digest(self._hash_key, samples.tobytes(), "sha256")
        found = self._fingerprinter(waveform)
        with self._lock, transaction(self._db, self._path):
            self._forget_old()
            seen = self._known(hashed, found)
            number = self._remember(hashed, found)
        return Seen(seen.likeness, number, seen.difference)

    def forget(self, seen: Seen) -> None:
        """Take a recording out again, whose request failed by no fault of its sender.

        Raises:
            DataError: the file cannot be written.
        """
        with self._lock, transaction(self._db, self._path):
            self._drop([seen.number])

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __len__(self) -> int:
        return int(self._db.execute("SELECT COUNT(*) FROM recordings").fetchone()[0])

    def _known(self, hashed: bytes, found: Fingerprint) -> Seen:
        row = self._db.execute("SELECT number FROM recordings WHERE hash = ?", (hashed,)).fetchone()
        if row is not None:
            return Seen(Likeness.EXACT, 0, 0.0)
        near = (self._compared(found, *place) for place in self._places(found))
        least = min(near, default=0.5 / NEAR)
        return Seen(Likeness.NEAR if least <= 1 else Likeness.NEW, 0, least * NEAR)

    def _places(self, found: Fingerprint) -> list[tuple[int, int]]:
        """Return (number, shift) where words agree: the likeliest first."""
        words, places = _asked(found)
        parts = []
        for start in range(0, len(words), _WORDS_AT_ONCE):
            part = words[start : start + _WORDS_AT_ONCE]
            rows = self._db.execute(
                f"SELECT word, number, place FROM words WHERE word IN ({','.join('?' * len(part))})"
                f" LIMIT {_MOST_HITS}",
                part.tolist(),
            ).fetchall()
            parts.append(np.array(rows, np.int64).reshape(-1, 3))
        if not parts:
            return []
        word, number, there = np.concatenate(parts).T
        # A word of the recording may stand at several places of it: each makes a shift.
        begin, end = (np.searchsorted(words, word, side) for side in ("left", "right"))
        times = end - begin
        nth = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
        shift = np.repeat(there, times) - places[np.repeat(begin, times) + nth]
        keys, counts = np.unique(
            (np.repeat(number, times) << _SHIFT_BITS) + shift + _HALF, return_counts=True
        )
        likeliest = keys[np.argsort(counts, kind="stable")[::-1][:_MOST_PLACES]]
        return [(int(k >> _SHIFT_BITS), int(k % (2 * _HALF)) - _HALF) for k in likeliest]

    def _compared(self, found: Fingerprint, number: int, shift: int) -> float:
        """Return how different two are at a place; up to 1, they are one recording."""
        row = self._db.execute(
            "SELECT words, strong FROM recordings WHERE number = ?", (number,)
        ).fetchone()
        words = np.frombuffer(row[0], "<u4").astype(np.uint32)
        strong = np.unpackbits(np.frombuffer(row[1], np.uint8), count=len(words)).astype(bool)
        other = Fingerprint(words, strong, np.zeros((len(words), 3), np.uint32))
        return min(_relative(*difference(found, other, shift + more)) for more in (-1, 0, 1))

    def _remember(self, hashed: bytes, found: Fingerprint) -> int:
        words = found.words.astype("<u4").tobytes()
        added = self._db.execute(
            "INSERT INTO recordings (hash, time, words, strong) VALUES (?, ?, ?, ?)",
            (hashed, self._wall_clock(), words, np.packbits(found.strong).tobytes()),
        )
        number = added.lastrowid or 0
        places = np.flatnonzero(found.strong)[::_EVERY]
        self._db.executemany(
            "INSERT INTO words VALUES (?, ?, ?)",
            [(int(found.words[place]), number, int(place)) for place in places],
        )
        return number

    def _forget_old(self) -> None:
        oldest = self._wall_clock() - self._kept_s
        rows = self._db.execute(
            "SELECT number FROM recordings WHERE time < ? OR number <= "
            "(SELECT MAX(number) FROM recordings) - ? LIMIT 100",
            (oldest, self._most - 1),
        ).fetchall()
        self._drop([row[0] for row in rows])

    def _drop(self, numbers: list[int]) -> None:
        for number in numbers:
            self._db.execute("DELETE FROM words WHERE number = ?", (number,))
            self._db.execute("DELETE FROM recordings WHERE number = ?", (number,))


def _relative(share: float, num_words: int) -> float:
    """Return a difference as a share of what one recording may have."""
    if num_words < FEW_WORDS:
        return 0.5 / NEAR
    return share / (NEAR if num_words >= MANY_WORDS else NEAR_IF_SHORT)


def _asked(found: Fingerprint) -> tuple[np.ndarray, np.ndarray]:
    """Return words to look up, rising, also with weak bits turned over, and their places."""
    places = np.flatnonzero(found.strong)[:_MOST_WORDS]
    words = found.words[places]
    weakest = found.weakest[places]
    forms = [words]
    for turned in range(1, 8):
        mask = np.zeros(len(words), np.uint32)
        for bit in range(3):
            if turned >> bit & 1:
                mask |= weakest[:, bit]
        forms.append(words ^ mask)
    asked, where = np.concatenate(forms), np.tile(places, len(forms))
    order = np.argsort(asked, kind="stable")
    return asked[order].astype(np.int64), where[order]
