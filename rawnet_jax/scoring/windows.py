"""Long recordings: a score for every window, and one for the whole.

Audio comes in blocks of any size and is let go as soon as its windows are scored, so memory does
not grow with the length of a recording. All batches have one shape, so there is one compilation.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from rawnet_jax.errors import ConfigError, MetricError

ScoreBatch = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From waveform float32 [B, window] and num_samples int32 [B], 0 in rows without a window, to
scores [B]; or to [B, 1 + D], where D more numbers are known of a row: its distance from what the
network was trained on, see `rawnet_jax.scoring.outlier`, or its embedding."""

TRIMMED_SHARE = 0.2
"""Of the windows, at either end, that a trimmed mean leaves out: a mean of the middle 60 %."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowScores:
    """What the windows of one recording got, in order of time.

    Attributes:
        start_s: float64 [K], where a window begins.
        end_s: float64 [K], where it ends; within the recording.
        score: float32 [K], higher = more bona fide; NaN where a window has none.
        counted: bool [K], whether the gate lets it count.
        more: float32 [K, D], what else is known of a window, NaN where nothing; D = 0 as a rule.
    """

    start_s: np.ndarray
    end_s: np.ndarray
    score: np.ndarray
    counted: np.ndarray
    more: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def __len__(self) -> int:
        return len(self.score)

    def aggregate(self, aggregation: str) -> float:
        """Return the score of the recording from the windows that can be judged.

        Raises:
            MetricError: there is none.
            ConfigError: see `aggregate`.
        """
        return aggregate(self.score[self.counted], aggregation)

    def aggregate_more(self, aggregation: str) -> np.ndarray:
        """Return float64 [D], the mean of `more` over the windows that `aggregate` goes by."""
        deciding = deciding_windows(self.score[self.counted], aggregation)
        return self.more[self.counted][deciding].mean(axis=0, dtype=np.float64)

    @property
    def distance(self) -> np.ndarray:
        """Return float32 [K], how far each window is from training; NaN where it is not known."""
        return self.more[:, 0] if self.more.shape[1] == 1 else np.full(len(self), np.nan)


def hop_samples(window: int, hop: float) -> int:
    """Return samples from the start of one window to the next.

    Args:
        window: length in samples.
        hop: in windows; above 0 and at most 1, so that nothing falls between two windows.

    Raises:
        ConfigError: it is not.
    """
    if not 0 < hop <= 1:
        raise ConfigError(f"config.eval.window_hop is {hop:g}; it must be above 0 and at most 1")
    return max(1, round(hop * window))


def aggregate(scores: np.ndarray, aggregation: str) -> float:
    """Make one score of those of a recording's windows.

    Args:
        scores: [K], higher = more bona fide.
        aggregation: "mean"; "max_spoof", the most spoofed window (a second of synthetic speech in
            an hour counts, and so does the worst mistake); or "trimmed", the mean without the
            `TRIMMED_SHARE` highest and as many lowest (below 5 windows: the mean); "" = the first.

    Raises:
        MetricError: there is no score.
        ConfigError: `aggregation` is none of these.
    """
    scores = np.asarray(scores, np.float64)
    return float(scores[deciding_windows(scores, aggregation)].mean())


def deciding_windows(scores: np.ndarray, aggregation: str) -> np.ndarray:
    """Return int64 [M], the windows whose mean is the score of a recording; see `aggregate`.

    Raises:
        MetricError: there is no score.
        ConfigError: `aggregation` is none of those.
    """
    if not len(scores):
        raise MetricError("no window can be judged, so there is no score for the whole")
    if not aggregation:
        return np.zeros(1, np.int64)
    if aggregation == "max_spoof":
        return np.argmin(scores, keepdims=True)
    if aggregation == "trimmed":
        cut = int(TRIMMED_SHARE * len(scores))
        return np.argsort(scores)[cut : len(scores) - cut]
    if aggregation == "mean":
        return np.arange(len(scores))
    raise ConfigError(f"aggregate is {aggregation!r}; it must be one of mean, max_spoof, trimmed")


class WindowCutter:
    """Cuts a recording into windows while it is read.

    Iterating over it gives (first sample, float32 [window]), every `hop` samples; the last one ends
    with the recording, so that it is full and nothing is left out. A short recording's only one is
    as long as that, an empty one has none.
    """

    def __init__(self, blocks: Iterable[np.ndarray], window: int, hop: int) -> None:
        self._blocks = blocks
        self._window = window
        self._hop = hop
        self._next = 0

    def begin_at(self, start: int) -> None:
        """Let the next window begin within the last one that came, and others at hops from there.

        Args:
            start: a sample of the recording.
        """
        self._next = start

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        kept = np.zeros(0, np.float32)  # from sample `first` on: what later windows need
        first = end_of_last = 0
        for block in self._blocks:
            kept = np.concatenate((kept, block))
            while self._next + self._window <= first + len(kept):
                start = self._next
                end_of_last = start + self._window
                self._next = start + self._hop
                yield start, kept[start - first : end_of_last - first]
            # The last window may reach back by a whole window from the end.
            let_go = max(0, min(self._next - first, len(kept) - self._window))
            kept, first = kept[let_go:].copy(), first + let_go
        end = first + len(kept)
        if end and not end_of_last:  # shorter than a window
            yield 0, kept
        elif end_of_last < end:
            yield end - self._window, kept[-self._window :]
