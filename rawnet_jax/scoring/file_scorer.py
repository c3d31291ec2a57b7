"""Audio files to scores: windows of many files in batches of one shape, results in order.

Files are decoded ahead in threads, a batch is filled while the one before it is scored, and what
was scored is let go: memory grows neither with the length of a file nor with their number.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.loader import crop_or_pad
from rawnet_jax.scoring.file_windows import (
    End,
    Part,
    Reading,
    Recording,
    decode_ahead,
    read_parts,
)
from rawnet_jax.scoring.gate import Refusal
from rawnet_jax.scoring.seek import Window, more_telling
from rawnet_jax.scoring.windows import ScoreBatch, WindowScores

SCORE_NOT_FINITE = "the network's score is not a finite number"
"""Why a clip has no score that the gate lets pass."""

_IN_FLIGHT = 2  # batches: one that is scored, and one that waits while the next is filled


class Outcome(StrEnum):
    """What became of a file."""

    SCORED = "scored"
    CANNOT_JUDGE = "cannot judge"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, eq=False)
class FileScore:
    """What is known of one file.

    Attributes:
        path: as it was given.
        outcome: whether there is a score.
        score: higher = more bona fide; None without.
        reason: why there is none, in words; "" where there is one.
        duration_s: length; None where it was not read to its end.
        scored_s: seconds that count for the score.
        num_windows: that count for the score.
        windows: in order of time.
        refusal: of the gate, why it cannot be judged; None where it can.
        watched: what the watcher of this file had become in the end; None without.
        notes: what a listener should know of the file.
        scored_from_s: start of the first window that counts for the score.
        distance: how far the windows that the score is of are from what the network was trained on,
            their mean; None where that is not known.
        source: family of engines that it comes from if it is a fake, see
            `rawnet_jax.scoring.sources`; None where nothing is known of sources.
    """

    path: str
    outcome: Outcome
    score: float | None
    reason: str
    duration_s: float | None
    scored_s: float
    num_windows: int
    windows: WindowScores
    refusal: Refusal | None = None
    watched: Any = None
    notes: tuple[str, ...] = ()
    scored_from_s: float = 0.0
    distance: float | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """How windows become rows of a batch, and their scores one.

    Attributes:
        lengths: samples of a row, rising; a window goes into the first that holds it. Each is a
            program of its own.
        batch_size: rows of a batch.
        devices: where this is not 0, windows that do not fill one batch get a smaller one: a power
            of two of rows, rounded up to a multiple of `devices`.
        pad: how a short window is filled: "zero" or "repeat".
        bucket_samples: with "repeat", a short window is filled to the first of these that holds
            it, and with zeros from there on.
        aggregation: see `rawnet_jax.scoring.windows.aggregate`; "" = the score of the first window.
    """

    lengths: tuple[int, ...]
    batch_size: int
    pad: str = "zero"
    bucket_samples: tuple[int, ...] = ()
    aggregation: str = ""
    devices: int = 0

    def fitting(self, num_windows: int) -> int:
        """Return how many rows a batch has, where there are so many windows in all."""
        wanted = 1 << max(num_windows - 1, 0).bit_length()
        least = -(-wanted // self.devices) * self.devices if self.devices else self.batch_size
        return min(self.batch_size, least)

    def fill(self, row: np.ndarray, waveform: np.ndarray) -> int:
        """Write a window into a row; returns how much of the row is speech."""
        filled = len(waveform)
        if self.pad == "repeat":
            filled = next((n for n in self.bucket_samples if n >= filled), len(row))
            filled = min(filled, len(row))
        row[:filled] = crop_or_pad(waveform, filled, 0, self.pad)
        row[filled:] = 0
        return filled


def score_files(
    paths: Sequence[tuple[str, Recording]],
    score_batch: ScoreBatch,
    reading: Reading,
    rows: Rows,
    *,
    num_threads: int = 1,
    watcher: Callable[[], Any] | None = None,
) -> Generator[FileScore, None, None]:
    """Score recordings of any lengths.

    Args:
        paths: of each recording the name that is given back, and where it lies.
        score_batch: scores a batch.
        reading: how files become windows.
        rows: how windows become batches.
        num_threads: files that are decoded at once.
        watcher: makes an object for each file, of which ``add`` is called with every block of its
            waveform.

    Yields:
        One result per recording, in order, as soon as it and those before it are done. What is
        wrong with a recording is in its result.
    """
    watched: deque[Any] = deque()  # of the files that are being read

    def files() -> Iterator[Callable[[], Iterator[Part]]]:
        for _, path in paths:
            watched.append(None if watcher is None else watcher())
            add = None if watcher is None else watched[-1].add
            yield partial(read_parts, path, reading, add)

    batches = _Batches(score_batch, rows)
    begun: deque[_Tally] = deque()
    try:
        for (name, _), parts in zip(paths, decode_ahead(files(), num_threads), strict=True):
            tally = _Tally(name, watched.popleft())
            begun.append(tally)
            for part in parts:
                if isinstance(part, End):
                    tally.end = part
                    break
                for window in part:
                    batches.add(tally, window)
            yield from _done(begun, rows.aggregation, reading.seeks)
        batches.finish()
        yield from _done(begun, rows.aggregation, reading.seeks)
    finally:
        batches.close()


@dataclass(eq=False)
class _Tally:
    """A file of which scores are coming in."""

    path: str
    watched: Any
    windows: list[tuple[int, int]] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    counted: list[bool] = field(default_factory=list)
    more: dict[int, np.ndarray] = field(default_factory=dict)  # of windows that have any
    refusal: Refusal | None = None  # of one window
    num_missing: int = 0
    end: End | None = None

    def result(self, aggregation: str, seeks: bool) -> FileScore:
        assert self.end is not None
        samples = np.array(self.windows, np.int64).reshape(-1, 2)
        bounds = samples / SAMPLE_RATE_HZ
        scores, kept = np.array(self.scores, np.float32), np.array(self.counted, bool)
        windows = WindowScores(bounds[:, 0], bounds[:, 1], scores, kept, self._more())
        counted = kept if aggregation else _only(kept, seeks)
        refusal = self.end.refusal or (None if counted.any() else self.refusal)
        outcome, score, reason = self._outcome(windows, refusal, aggregation)
        length = self.end.num_samples
        return FileScore(
            path=self.path,
            outcome=outcome,
            score=score,
            reason=reason,
            duration_s=None if length is None else length / SAMPLE_RATE_HZ,
            scored_from_s=0.0 if score is None else float(bounds[counted, 0].min()),
            scored_s=0.0 if score is None else _num_covered(samples[counted]) / SAMPLE_RATE_HZ,
            num_windows=0 if score is None else int(counted.sum()),
            windows=windows,
            refusal=refusal,
            watched=self.watched,
            notes=self.end.notes,
            distance=_distance(windows, aggregation) if outcome == Outcome.SCORED else None,
        )

    def _more(self) -> np.ndarray:
        width = len(next(iter(self.more.values()), ()))
        found = np.full((len(self.windows), width), np.nan, np.float32)
        for number, row in self.more.items():
            found[number] = row
        return found

    def _outcome(
        self, windows: WindowScores, refusal: Refusal | None, aggregation: str
    ) -> tuple[Outcome, float | None, str]:
        assert self.end is not None
        if self.end.error is not None:
            error = self.end.error
            reason = error.reason + (f": {error.detail}" if error.detail else "")
            return Outcome.UNREADABLE, None, reason
        if refusal is not None:
            return Outcome.CANNOT_JUDGE, None, f"{refusal.reason}: {refusal.detail}"
        score = windows.aggregate(aggregation)
        if not np.isfinite(score):
            return Outcome.CANNOT_JUDGE, None, SCORE_NOT_FINITE
        return Outcome.SCORED, score, ""


def _distance(windows: WindowScores, aggregation: str) -> float | None:
    """Return how far a recording is from training; None where that is not known."""
    if windows.more.shape[1] != 1:
        return None
    return float(windows.aggregate_more(aggregation)[0])


def _only(kept: np.ndarray, seeks: bool) -> np.ndarray:
    """Return bool [K] with the one window that is the score: the first, or the first of `kept`."""
    counted = np.zeros(len(kept), bool)
    if kept.any():
        index = int(np.argmax(kept)) if seeks else 0
        counted[index] = kept[index]
    return counted


def _num_covered(bounds: np.ndarray) -> int:
    """Return how many samples windows [K, 2] cover, in order of time; shared ones count once."""
    before = np.concatenate((bounds[:1, 0], np.maximum.accumulate(bounds[:-1, 1])))
    return int(np.maximum(bounds[:, 1] - np.maximum(bounds[:, 0], before), 0).sum())


def _done(begun: deque[_Tally], aggregation: str, seeks: bool) -> Iterator[FileScore]:
    while begun and begun[0].end is not None and not begun[0].num_missing:
        yield begun.popleft().result(aggregation, seeks)


class _Batch:
    """Rows of one length, some of them filled."""

    def __init__(self, size: int, length: int) -> None:
        self.waveform = np.zeros((size, length), np.float32)
        self.num_samples = np.zeros(size, np.int32)
        self.places: list[tuple[_Tally, int]] = []

    def resize(self, size: int) -> None:
        """Take away empty rows, or add some."""
        if size == len(self.waveform):
            return
        more = max(size - len(self.waveform), 0)
        self.waveform = np.pad(self.waveform[:size], ((0, more), (0, 0)))
        self.num_samples = np.pad(self.num_samples[:size], (0, more))


class _Batches:
    """Fills batches with windows of whatever files and hands scores back to them."""

    def __init__(self, score_batch: ScoreBatch, rows: Rows) -> None:
        self._score_batch = score_batch
        self._rows = rows
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="score")
        self._flying: deque[tuple[Future[np.ndarray], list[tuple[_Tally, int]]]] = deque()
        self._open: dict[int, _Batch] = {}
        self._num_windows = 0

    def add(self, tally: _Tally, window: Window) -> None:
        """Take a window; its score comes later."""
        self._num_windows += 1
        tally.windows.append((window.start, window.start + window.num_samples))
        tally.scores.append(np.nan)
        tally.counted.append(window.refusal is None)
        tally.refusal = more_telling(tally.refusal, window.refusal)
        if window.waveform is None:
            return
        length = next(n for n in self._rows.lengths if n >= window.num_samples)
        if length not in self._open:  # a new one, since the batch before may still be read
            self._open[length] = _Batch(self._rows.fitting(self._num_windows), length)
        batch = self._open[length]
        row = len(batch.places)
        if row == len(batch.waveform):
            batch.resize(self._rows.fitting(self._num_windows))
        batch.num_samples[row] = self._rows.fill(batch.waveform[row], window.waveform)
        batch.places.append((tally, len(tally.scores) - 1))
        tally.num_missing += 1
        if row + 1 == self._rows.batch_size:
            self._send(length)

    def finish(self) -> None:
        """Score what is left: in fewer rows than others have, if nothing was scored before."""
        for length, batch in list(self._open.items()):
            batch.resize(self._rows.fitting(self._num_windows))
            self._send(length)
        while self._flying:
            self._collect()

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _send(self, length: int) -> None:
        batch = self._open.pop(length)
        future = self._pool.submit(self._score_batch, batch.waveform, batch.num_samples)
        self._flying.append((future, batch.places))
        while len(self._flying) > _IN_FLIGHT or (self._flying and self._flying[0][0].done()):
            self._collect()

    def _collect(self) -> None:
        future, places = self._flying.popleft()
        found = np.asarray(future.result())
        rows = found.reshape(len(found), -1)  # of a score alone, or with more behind it
        for (tally, number), row in zip(places, rows, strict=False):
            tally.scores[number] = float(row[0])
            if len(row) > 1:
                tally.more[number] = row[1:].copy()
            tally.num_missing -= 1
