"""Clips that are at hand, such as those of a cache, to one score each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from rawnet_jax.data.divided_cache import ALONE, Share
from rawnet_jax.data.loader import WaveformSource
from rawnet_jax.scoring.file_scorer import FileScore, score_files
from rawnet_jax.scoring.gate import Reason
from rawnet_jax.scoring.recordings import Recipe
from rawnet_jax.scoring.speech import OFF
from rawnet_jax.scoring.windows import ScoreBatch

_REASONS = tuple(Reason)
_NUM_COLUMNS = 7  # of what `_numbers` returns, before `more`


class Refused(NamedTuple):
    """A clip that cannot be judged: why, what was measured, and the bound that it is beyond."""

    position: int
    reason: Reason
    value: float
    limit: float


@dataclass(frozen=True, slots=True, eq=False)
class ClipScores:
    """Scores of a list of clips, and what the gate refused.

    Attributes:
        score: float32 [N] in the order of the list, higher = more bona fide.
        refused: clips that cannot be judged, in order; they have a score nevertheless.
        num_windows: windows over all clips.
        num_windows_skipped: windows that do not count, of clips of which others do.
        more: float64 [N, D], what else is known of a clip: the mean over the windows that its score
            is of; see `ScoreBatch`.
        more_of_first: float64 [N, D], the same of its first window that counts.
    """

    score: np.ndarray
    refused: tuple[Refused, ...]
    num_windows: int
    num_windows_skipped: int
    more: np.ndarray
    more_of_first: np.ndarray


def score_clips(
    clips: WaveformSource,
    score_batch: ScoreBatch,
    recipe: Recipe,
    *,
    batch_size: int,
    num_threads: int = 1,
    share: Share = ALONE,
    num_more: int = 0,
    tick: Callable[[], object] = lambda: None,
) -> ClipScores:
    """Score every clip of a list once; each process scores its share, and all get all scores.

    Args:
        clips: as they are stored; they are cut or filled here.
        score_batch: the network, on the devices of this process.
        recipe: windows, padding, gate, aggregation.
        batch_size: of this process.
        num_threads: that read clips.
        share: of this process.
        num_more: D, the numbers that `score_batch` gives of a row beside its score.
        tick: called once per clip.
    """
    owner = clips.owner
    mine = [
        position
        for position in range(len(clips))
        if share.index == (position % share.count if owner is None else owner[position])
    ]
    found = clip_windows(
        clips, mine, score_batch, recipe, batch_size=batch_size, num_threads=num_threads
    )
    numbers = np.zeros((len(mine), _NUM_COLUMNS + 2 * num_more))
    for row, position, one in zip(numbers, mine, found, strict=True):
        row[:] = _numbers(position, one, recipe.aggregation)
        tick()
    return _together(share.gather(numbers.view(np.int64)))


def clip_windows(
    clips: WaveformSource,
    positions: Sequence[int],
    score_batch: ScoreBatch,
    recipe: Recipe,
    *,
    batch_size: int,
    num_threads: int = 1,
) -> Iterator[FileScore]:
    """Score the windows of clips, in order.

    Args:
        clips: as they are stored; they are cut or filled here.
        positions: which of them.
        score_batch: the network.
        recipe: windows, padding, gate.
        batch_size: of this process.
        num_threads: that read clips.

    Yields:
        One result per clip. Of a clip that the gate refuses all windows count.
    """
    # Speech is looked for only where its absence has a consequence: it takes time.
    gate = recipe.gate if recipe.gate.action == "refuse" else replace(recipe.gate, speech=OFF)
    reading = recipe.reading(keeps_refused=True, gate=gate, seeks=False)
    rows = recipe.rows(batch_size, recipe.bucket_samples)
    recordings = [(str(position), partial(clips.waveform, position)) for position in positions]
    for one in score_files(recordings, score_batch, reading, rows, num_threads=num_threads):
        if one.refusal is None:
            yield one
        else:  # then nothing counts, and the score is that of everything
            everything = np.ones(len(one.windows), bool)
            yield replace(one, windows=replace(one.windows, counted=everything))


def _numbers(position: int, found: FileScore, aggregation: str) -> tuple[float, ...]:
    """Return position, score, windows, windows that do not count, reason (from 1), value and limit
    of a refusal, then `more` and `more_of_first`.
    """
    windows, refusal = found.windows, found.refusal
    if refusal is not None:
        of_refusal = (1 + _REASONS.index(refusal.reason), refusal.value, refusal.limit)
    else:
        of_refusal = (0, 0.0, 0.0)
    score = windows.aggregate(aggregation)
    skipped = int(np.count_nonzero(~windows.counted))
    more = (*windows.aggregate_more(aggregation), *windows.aggregate_more(""))
    return position, score, len(windows), skipped, *of_refusal, *more


def _together(tables: Sequence[np.ndarray]) -> ClipScores:
    """Put the clips of all processes into the order of the list."""
    table = np.concatenate([part.view(np.float64) for part in tables])
    table = table[np.argsort(table[:, 0])]
    more, more_of_first = np.split(table[:, _NUM_COLUMNS:], 2, axis=1)
    return ClipScores(
        score=table[:, 1].astype(np.float32),
        refused=tuple(
            Refused(int(row[0]), _REASONS[int(row[4]) - 1], float(row[5]), float(row[6]))
            for row in table[table[:, 4] > 0]
        ),
        num_windows=int(table[:, 2].sum()),
        num_windows_skipped=int(table[:, 3].sum()),
        more=more,
        more_of_first=more_of_first,
    )
