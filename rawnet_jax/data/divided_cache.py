"""Clips divided among processes: each decodes and reads its own, all know the whole list.

For corpora that no single host has room for. Clip n of the list belongs to process
``n % num_processes``; positions are those of the undivided list, so scores and labels are in the
same order however many processes there are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rawnet_jax.config import DataConfig
from rawnet_jax.data.cache import Cache, open_or_build
from rawnet_jax.data.trial import Clip, ProblemLedger, Trial
from rawnet_jax.errors import DataError


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of the clips this process reads.

    Attributes:
        index: of this process.
        count: of processes.
        gather: takes this process's int64 [n, c] and returns the array of each process.
    """

    index: int
    count: int
    gather: Callable[[np.ndarray], list[np.ndarray]]


ALONE = Share(0, 1, lambda table: [table])
"""Of a process that is the only one."""


class DividedCache:
    """Like a `Cache` of all usable clips, of which this process can read its own.

    Attributes:
        trials: all, in the order of the list.
        num_samples: int64 [len], length of each waveform at 16 kHz.
        owner: int64 [len], the process that can read a clip.
        skipped_reasons: of this process's clips.
    """

    def __init__(self, clips: Sequence[Clip], own: Cache, share: Share) -> None:
        """Exchange with the other processes which clips can be used."""
        numbers = own.clip_numbers * share.count + share.index
        parts = share.gather(np.stack([numbers, own.num_samples], axis=1))
        table = np.concatenate(parts)
        table = table[np.argsort(table[:, 0])]
        self.trials: list[Trial] = [clips[number].trial for number in table[:, 0].tolist()]
        self.num_samples = table[:, 1]
        self.owner = table[:, 0] % share.count
        self.skipped_reasons = own.skipped_reasons
        self._own = own
        self._share = share
        self._local = np.cumsum(self.owner == share.index) - 1

    def __len__(self) -> int:
        return len(self.trials)

    def waveform(self, position: int) -> np.ndarray:
        """Return int16 [num_samples[position]] of one of this process's own clips."""
        if self.owner[position] != self._share.index:
            raise IndexError(f"clip {position} belongs to process {self.owner[position]}")
        return self._own.waveform(int(self._local[position]))


def open_divided(
    clips: Sequence[Clip],
    config: DataConfig,
    ledger: ProblemLedger,
    share: Share,
    *,
    progress: bool,
) -> DividedCache:
    """Open, or decode, this process's clips and learn of the others'.

    Args:
        clips: all of them, the same list in every process.
        config: see `open_or_build`.
        ledger: takes the problems of this process's clips.
        share: of this process.
        progress: whether to show a progress bar while decoding.

    Raises:
        DataError: see `open_or_build`; or there are fewer clips than processes.
    """
    if len(clips) < share.count:
        raise DataError(
            f"config.data.divide_clips: {len(clips)} clips cannot be divided among {share.count} "
            "processes"
        )
    own = open_or_build(clips[share.index :: share.count], config, ledger, progress=progress)
    return DividedCache(clips, own, share)
