"""One thread that scores: it takes what waits, and goes the one way from audio to score."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.cache_build import usable_cores
from rawnet_jax.errors import CheckpointError
from rawnet_jax.scoring.decoded import Decoded
from rawnet_jax.scoring.file_scorer import FileScore
from rawnet_jax.scoring.model import ScoringModel
from rawnet_jax.scoring.recordings import score_recordings
from rawnet_jax.scoring.sources import way_of
from rawnet_jax.scoring.verdict import DecisionRule
from rawnet_jax.serve.decode_pool import Expired
from rawnet_jax.serve.rounding import STEP, may_turn, rounded
from rawnet_jax.serve.settings import Settings

_LOOK_UP_S = 0.5  # how often an idle thread looks whether a self-test is due


class Full(Exception):
    """The queue takes no more."""


class Scored(NamedTuple):
    """What became of one recording.

    Attributes:
        found: its scores, rounded.
        queue_s: seconds that it waited.
        score_s: seconds that its batch took.
    """

    found: FileScore
    queue_s: float
    score_s: float


@dataclass(eq=False)
class _Item:
    name: str
    decoded: Decoded
    all_windows: bool
    until_s: float
    future: "Future[Scored]" = field(default_factory=Future)
    since_s: float = field(default_factory=time.monotonic)

    @property
    def audio_s(self) -> float:
        return len(self.decoded.waveform) / SAMPLE_RATE_HZ


class Engine:
    """Scores recordings of any number of clients in small batches, in the order they came.

    Attributes:
        golden: the score of the self-test's signal, of a batch of its own; NaN before `start`.
    """

    def __init__(
        self,
        model: ScoringModel,
        decision: DecisionRule,
        settings: Settings,
        num_coming: Callable[[], int] | None = None,
    ) -> None:
        """Prepare; `start` compiles and begins.

        Args:
            model: the network.
            decision: reads its scores.
            settings: limits.
            num_coming: tells how many recordings wait here or will soon; with no other on its way,
                a batch does not wait. None = it always does.

        Raises:
            DataError: the model's rule on sources is damaged.
        """
        self._num_coming = num_coming or (lambda: settings.batch)
        self.golden = float("nan")
        self._model = model
        self._score_batch, self._traced = way_of(model)
        self._decision = decision
        self._settings = settings
        devices = model.num_devices
        size = -(-settings.batch // devices) * devices
        self._recipe = replace(model.recipe, batch_size=size)
        self._waiting: deque[_Item] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._failure = ""
        self._tested_s = 0.0
        self._thread = threading.Thread(target=self._run, name="score", daemon=True)

    def start(self) -> None:
        """Compile every shape of a batch, test them, and begin to score.

        Raises:
            CheckpointError: the network does not give one finite score, the same in every shape.
        """
        self.golden = self._golden_in(self.shapes[0])
        for rows in self.shapes:
            self._check(self._golden_in(rows))
        signal = Decoded(golden_signal(self._recipe.window))
        items = [_Item("self-test", signal, True, math.inf) for _ in range(self._settings.batch)]
        self._scores(items)  # loads what looks for speech
        self._tested_s = time.monotonic()
        self._thread.start()

    @property
    def shapes(self) -> list[int]:
        """Rows of every batch that is ever scored."""
        size = self._recipe.batch_size
        rows = replace(self._recipe.rows(size), devices=self._model.num_devices)
        return sorted({rows.fitting(count) for count in range(1, size + 1)})

    @property
    def depth(self) -> int:
        """Recordings that wait."""
        return len(self._waiting)

    @property
    def failure(self) -> str:
        """Why nothing can be scored, in words; "" where it can."""
        if self._thread.ident is not None and not self._thread.is_alive() and not self._is_closed:
            return "the scoring thread ended"
        return self._failure

    def submit(
        self, name: str, decoded: Decoded, *, all_windows: bool, until_s: float
    ) -> "Future[Scored]":
        """Put a recording into the queue.

        Args:
            name: of the recording.
            decoded: its samples.
            all_windows: see `score_recordings`.
            until_s: when scoring must have begun, of `time.monotonic`; else it raises `Expired`.

        Raises:
            Full: there is no room.
        """
        item = _Item(name, decoded, all_windows, until_s)
        with self._changed:
            audio_s = sum((one.audio_s for one in self._waiting), item.audio_s)
            is_full = bool(self._waiting) and audio_s > self._settings.queue_audio_s
            if is_full or len(self._waiting) >= self._settings.queue or self._is_closed:
                raise Full
            self._waiting.append(item)
            self._changed.notify()
        return item.future

    def close(self) -> None:
        """End the thread when it has scored what it took; what still waits raises `Full`."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()
        for item in self._waiting:
            if item.future.set_running_or_notify_cancel():
                item.future.set_exception(Full())

    def _run(self) -> None:
        while True:
            items = self._taken()
            if items is None:
                return
            if items:
                self._score(items)
            if time.monotonic() - self._tested_s >= self._settings.self_test_s:
                self._test()

    def _taken(self) -> list[_Item] | None:
        """Wait for recordings and return those of the next batch; None = there is no next one."""
        with self._changed:
            if not self._waiting and not self._is_closed:
                self._changed.wait(min(_LOOK_UP_S, self._settings.self_test_s))
            if self._is_closed:
                return None
            if not self._waiting:
                return []
            until_s = self._waiting[0].since_s + self._settings.batch_wait_s
            while self._waits_for_more():
                left_s = until_s - time.monotonic()
                if left_s <= 0 or not self._changed.wait(left_s):
                    break
            return self._batch()

    def _waits_for_more(self) -> bool:
        most = min(self._settings.batch, self._num_coming())
        return len(self._waiting) < most and not self._is_closed

    def _batch(self) -> list[_Item]:
        """Take the oldest waiting item and those that can share its batch."""
        first = self._waiting.popleft()
        items, audio_s = [first], first.audio_s
        while self._waiting and len(items) < self._settings.batch:
            following = self._waiting[0]
            audio_s += following.audio_s
            is_alike = following.all_windows == first.all_windows
            if not is_alike or audio_s > self._settings.batch_audio_s:
                break
            items.append(self._waiting.popleft())
        return items

    def _score(self, items: Sequence[_Item]) -> None:
        begin_s = time.monotonic()
        due = []
        for item in items:
            if not item.future.set_running_or_notify_cancel():
                continue
            if begin_s > item.until_s:
                item.future.set_exception(Expired())
            else:
                due.append(item)
        if not due:
            return
        try:
            found = self._scores(due)
        except Exception as error:
            found = [self._scored_alone(item) if len(due) > 1 else error for item in due]
        end_s = time.monotonic()
        for item, one in zip(due, found, strict=True):
            if isinstance(one, Exception):
                item.future.set_exception(one)
            else:
                item.future.set_result(Scored(one, begin_s - item.since_s, end_s - begin_s))

    def _scores(self, items: Sequence[_Item]) -> list[FileScore | Exception]:
        results = score_recordings(
            [(item.name, item.decoded) for item in items],
            self._score_batch,
            self._recipe,
            all_windows=items[0].all_windows,
            num_threads=min(len(items), usable_cores()),
            num_devices=self._model.num_devices,
        )
        found: list[FileScore | Exception] = []
        for item, one in zip(items, map(self._traced, results), strict=True):
            if len(items) > 1 and may_turn(one, self._decision):
                found.append(self._scored_alone(item))
            else:
                found.append(rounded(one))
        return found

    def _scored_alone(self, item: _Item) -> FileScore | Exception:
        try:
            return self._scores([item])[0]
        except Exception as error:
            return error

    def _test(self) -> None:
        try:
            self._check(self._golden_in(self.shapes[0]))
            self._failure = ""
        except Exception as error:
            self._failure = f"the self-test failed: {error}"
        self._tested_s = time.monotonic()

    def _golden_in(self, rows: int) -> float:
        """Return the score of the self-test's signal, computed in the last of so many rows."""
        window = self._recipe.window
        waveform = np.zeros((rows, window), np.float32)
        waveform[:] = golden_signal(window)
        found = self._score_batch(waveform, np.full(rows, window, np.int32))
        return float(np.asarray(found).reshape(rows, -1)[-1, 0])

    def _check(self, score: float) -> None:
        # A score that is not a number is not near anything.
        if not abs(score - self.golden) <= STEP * max(1.0, abs(self.golden)):
            raise CheckpointError(
                f"{self._model.name}: the self-test gave {score:.6g}; it must be "
                f"{self.golden:.6g}, within {STEP:g}"
            )


def golden_signal(num_samples: int) -> np.ndarray:
    """Return the self-test's signal, float32 [num_samples]: harmonics that come and go."""
    time_s = np.arange(num_samples) / SAMPLE_RATE_HZ
    tones = sum(np.sin(2 * np.pi * 120 * k * time_s) / k for k in range(1, 25))
    signal: np.ndarray = 0.1 * tones * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time_s))
    return signal.astype(np.float32)
