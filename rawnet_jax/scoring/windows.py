"""Long recordings: a score for every window, and one for the whole.

Audio comes in blocks of any size and is let go as soon as its windows are scored, so memory does
not grow with the length of a recording. All batches have one shape, so there is one compilation.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from rawnet_jax.config import GateConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.loader import crop_or_pad
from rawnet_jax.errors import ConfigError, MetricError
from rawnet_jax.scoring.gate import judge_input

ScoreBatch = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From waveform float32 [B, window] and num_samples int32 [B], 0 in rows without a window, to
scores [B]."""

TRIMMED_SHARE = 0.2
"""Of the windows, at either end, that a trimmed mean leaves out: a mean of the middle 60 %."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowScores:
    """What the windows of one recording got, in order of time.

    Attributes:
        start_s: float64 [K], where a window begins.
        end_s: float64 [K], where it ends; within the recording.
        score: float32 [K], higher = more bona fide; NaN where a window cannot be judged.
    """

    start_s: np.ndarray
    end_s: np.ndarray
    score: np.ndarray

    def __len__(self) -> int:
        return len(self.score)

    @property
    def judged(self) -> np.ndarray:
        """Return bool [K], whether a window has a score."""
        return ~np.isnan(self.score)

    @property
    def num_skipped(self) -> int:
        """Number of windows that cannot be judged, such as silent ones."""
        return int(np.count_nonzero(~self.judged))

    def aggregate(self, how: str) -> float:
        """Return the score of the recording from the windows that can be judged.

        Raises:
            MetricError: there is none.
            ConfigError: see `aggregate`.
        """
        return aggregate(self.score[self.judged], how)


def aggregate(scores: np.ndarray, how: str) -> float:
    """Make one score of those of a recording's windows.

    Args:
        scores: [K], higher = more bona fide.
        how: "mean"; "max_spoof", the most spoofed window (a second of synthetic speech in an hour
            counts, and so does the worst mistake); or "trimmed", the mean without the
            `TRIMMED_SHARE` highest and as many lowest (below 5 windows: the mean).

    Raises:
        MetricError: there is no score.
        ConfigError: `how` is none of these.
    """
    scores = np.asarray(scores, np.float64)
    if not len(scores):
        raise MetricError("no window can be judged, so there is no score for the whole")
    if how == "max_spoof":
        return float(scores.min())
    if how == "trimmed":
        cut = int(TRIMMED_SHARE * len(scores))
        return float(np.sort(scores)[cut : len(scores) - cut].mean())
    if how == "mean":
        return float(scores.mean())
    raise ConfigError(f"aggregate is {how!r}; it must be one of mean, max_spoof, trimmed")


def score_windows(
    blocks: Iterable[np.ndarray],
    score_batch: ScoreBatch,
    *,
    window: int,
    hop: int,
    batch_size: int,
    pad: str = "zero",
    gate: GateConfig | None = None,
) -> WindowScores:
    """Score a recording window by window while it is read.

    Windows start every `hop` samples; the last one ends with the recording, see
    `rawnet_jax.data.window_plan.window_starts`. A recording shorter than a window is in one that is
    filled up.

    Args:
        blocks: float32 [n] each at 16 kHz, any lengths; for example
            `rawnet_jax.data.audio.waveform_blocks`.
        score_batch: scores a batch.
        window: length of a window in samples.
        hop: from one to the next in samples, 1 to `window`.
        batch_size: B of every batch; the last one is filled with rows of zeros.
        pad: how a recording shorter than a window is filled: "zero" or "repeat".
        gate: windows that it refuses are not scored; None = score all.

    Raises:
        ConfigError: a size makes no sense.
        AudioError: as `blocks` raises.
    """
    if not 1 <= hop <= window or batch_size < 1:
        raise ConfigError(
            f"window {window}, hop {hop}, batch_size {batch_size}: sizes of at least 1 and a hop "
            "of at most a window were wanted"
        )
    batcher = _Batcher(score_batch, window, batch_size, pad)
    starts: list[int] = []
    ends: list[int] = []
    for start, waveform in cut_windows(blocks, window, hop):
        judged = gate is None or judge_input(waveform, gate) is None
        batcher.add(waveform if judged else None)
        starts.append(start)
        ends.append(start + len(waveform))
    scores = batcher.finish()
    return WindowScores(np.array(starts) / SAMPLE_RATE_HZ, np.array(ends) / SAMPLE_RATE_HZ, scores)


class _Batcher:
    """Collects windows into batches of one shape and their scores in order."""

    def __init__(self, score_batch: ScoreBatch, window: int, batch_size: int, pad: str) -> None:
        self._score_batch = score_batch
        self._pad = pad
        self._waveform = np.zeros((batch_size, window), np.float32)
        self._num_samples = np.zeros(batch_size, np.int32)
        self._rows: list[int] = []  # of the scores that the batch's rows will give
        self._scores: list[float] = []

    def add(self, waveform: np.ndarray | None) -> None:
        self._scores.append(np.nan)
        if waveform is None:
            return
        row, window = len(self._rows), self._waveform.shape[1]
        self._waveform[row] = crop_or_pad(waveform, window, 0, self._pad)
        self._num_samples[row] = window if self._pad == "repeat" else len(waveform)
        self._rows.append(len(self._scores) - 1)
        if len(self._rows) == len(self._waveform):
            self._flush()

    def finish(self) -> np.ndarray:
        if self._rows:
            self._waveform[len(self._rows) :] = 0
            self._num_samples[len(self._rows) :] = 0
            self._flush()
        return np.array(self._scores, np.float32)

    def _flush(self) -> None:
        # Copies, since a device may still read the last batch when the next one is filled.
        found = self._score_batch(self._waveform.copy(), self._num_samples.copy())
        for row, score in zip(self._rows, np.asarray(found).tolist(), strict=False):
            self._scores[row] = score
        self._rows = []


def cut_windows(
    blocks: Iterable[np.ndarray], window: int, hop: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Cut a recording into windows while it is read.

    Yields:
        (first sample, float32 [window]), as `rawnet_jax.data.window_plan.window_starts` has them; a
        short recording's only one is as long as that, an empty one has none.
    """
    kept = np.zeros(0, np.float32)  # from sample `first` on: what later windows need
    first = start = 0
    for block in blocks:
        kept = np.concatenate((kept, block))
        while start + window <= first + len(kept):
            yield start, kept[start - first : start - first + window]
            start += hop
        # The last window may reach back by a whole window from the end.
        let_go = max(0, min(start - first, len(kept) - window))
        kept, first = kept[let_go:].copy(), first + let_go
    end = first + len(kept)
    if start == 0 and end:  # shorter than a window
        yield 0, kept
    elif end and start - hop + window < end:
        yield end - window, kept[-window:]
