"""Equal shares of an epoch for classes, attacks and speakers, whatever the corpus has of them.

Nothing is drawn with replacement: the clips of a part are taken round and round in one order, which
the seed gives. In an epoch each of them comes floor or ceil of (places / clips) times, and over all
epochs together too.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import ConfigError
from rawnet_jax.labels import Label

_ORDER_STREAM = 1  # apart from the generators of epochs, which have two numbers


def group_numbers(trials: Sequence[Trial], names: Sequence[str]) -> np.ndarray:
    """Number the values of classes, attacks or speakers.

    Bona fide clips are one group among the attacks, and so are spoof clips of no named attack;
    clips of no named speaker are one group among the speakers.

    Args:
        trials: of N clips.
        names: "class", "attack" or "speaker" each.

    Returns:
        int64 [N, len(names)]; equal numbers in a column are one group.

    Raises:
        ConfigError: if no clip has what a name asks for.
    """
    columns = []
    for name in names:
        values = [_value(trial, name) for trial in trials]
        if all(value.startswith("no ") for value in values):
            raise ConfigError(f"config.data.balance names {name!r}, which no train clip has")
        columns.append(np.unique(values, return_inverse=True)[1])
    return np.stack(columns, axis=1).astype(np.int64)


def _value(trial: Trial, name: str) -> str:
    if name == "speaker":
        return "no speaker" if trial.speaker_id is None else f"speaker {trial.speaker_id}"
    label = "no label" if trial.label is None else trial.label.name
    if name == "class":
        return label
    if trial.attack_id is None or trial.label is Label.BONAFIDE:
        return f"no attack, {label}"
    return f"attack {trial.attack_id}"


class _Cell(NamedTuple):
    clips: np.ndarray  # of one group, owner and bucket
    places: int  # in an epoch


class Balance:
    """Which clips an epoch has where groups are to have equal shares.

    Args:
        groups: int [N, levels]: an epoch is divided equally over the numbers of column 0, each part
            over those of column 1 in it, and so on. Shares differ by one clip at most. A part that
            has fewer places than numbers is left undivided there.
        owner: int [N]; each owner's places are as many as its clips, divided for themselves.
        bucket: int [N] of each clip. A part takes as many clips of each bucket in every epoch.
        seed: of the order in which the clips of a part are taken.

    Attributes:
        bucket: int [N], the buckets to use: where a part has less than one place in a bucket, its
            clips have moved to the next larger one that it has clips in, or else the next smaller
            ones' have followed. It depends on the clips alone, not on the seed.
    """

    def __init__(
        self, groups: np.ndarray, owner: np.ndarray, bucket: np.ndarray, seed: int
    ) -> None:
        self.bucket = bucket.copy()
        rank = np.random.default_rng([seed, 0, _ORDER_STREAM]).permutation(len(groups))
        self._cells = []
        for one in np.unique(owner):
            own = np.flatnonzero(owner == one)
            for clips, places in _parts(own, len(own), groups):
                for cell in self._cells_of(clips, places):
                    ordered = cell.clips[np.argsort(rank[cell.clips])]
                    self._cells.append(_Cell(ordered, cell.places))

    def clips(self, epoch: int) -> np.ndarray:
        """Return int64 [N], ascending: the clips of an epoch, some several times, some not."""
        taken = [
            clips[(epoch * places + np.arange(places)) % len(clips)]
            for clips, places in self._cells
        ]
        return np.sort(np.concatenate(taken))

    def _cells_of(self, clips: np.ndarray, places: int) -> list[_Cell]:
        """Divide a part over its buckets, and move clips to larger rows where that is needed."""
        members: list[np.ndarray] = []
        waiting = clips[:0]
        for bucket in np.unique(self.bucket[clips]):
            waiting = np.concatenate([waiting, clips[self.bucket[clips] == bucket]])
            if len(waiting) * places >= len(clips):
                members.append(waiting)
                waiting = clips[:0]
        if len(waiting):
            members[-1] = np.concatenate([members[-1], waiting])
        for cell in members:
            self.bucket[cell] = self.bucket[cell].max()
        sizes = np.array([len(cell) for cell in members])
        share, rest = np.divmod(sizes * places, len(clips))
        share[np.argsort(-rest, kind="stable")[: places - share.sum()]] += 1
        return [_Cell(np.sort(c), int(n)) for c, n in zip(members, share, strict=True)]


def _parts(
    clips: np.ndarray, places: int, groups: np.ndarray, level: int = 0
) -> list[tuple[np.ndarray, int]]:
    """Divide clips and places over the groups from a level on."""
    if level == groups.shape[1]:
        return [(clips, places)]
    values, number = np.unique(groups[clips, level], return_inverse=True)
    if len(values) > places:
        return _parts(clips, places, groups, level + 1)
    shares = np.full(len(values), places // len(values))
    largest = np.argsort(-np.bincount(number), kind="stable")
    shares[largest[: places % len(values)]] += 1
    return [
        part
        for value, share in enumerate(shares.tolist())
        for part in _parts(clips[number == value], share, groups, level + 1)
    ]
