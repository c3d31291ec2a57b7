"""Batches of pairs: a bona fide clip, and beside it a fake, cut at the same place.

What tells a copy from its source is what a vocoder does to a voice: words, speaker and channel are
the same. A list names the source of each copy in a column, as `vocode` and `build-pool` write it.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import ConfigError
from rawnet_jax.labels import Label

_PARTNER_STREAM = 3  # apart from the other generators of epochs

_NOBODY = -1


def source_positions(trials: Sequence[Trial], column: str) -> np.ndarray:
    """Return of which clip each clip is a copy.

    Args:
        trials: of N clips.
        column: of their list, which names the utterance id of the source.

    Returns:
        int64 [N]: position of the bona fide source of a spoof clip; -1 where it has none here.

    Raises:
        ConfigError: no spoof clip has a source here.
    """
    at = {trial.utterance_id: n for n, trial in enumerate(trials) if trial.label is Label.BONAFIDE}
    found = np.array(
        [
            at.get(trial.metadata.get(column, ""), _NOBODY)
            if trial.label is Label.SPOOF
            else _NOBODY
            for trial in trials
        ],
        np.int64,
    )
    if not (found >= 0).any():
        raise ConfigError(
            f"config.data.pairs is {column!r}: no spoof clip of train names a bona fide clip in "
            "that column; it must be the column of the list with the utterance id of a copy's "
            "source, such as source"
        )
    return found


class Pairs:
    """Which clips an epoch has: each bona fide clip once, and after each of them a fake.

    The fake is a copy of it, another one in each epoch until all have come; or, for a share of the
    pairs and for clips without a copy, a fake without a source, attacks in equal shares.

    Args:
        trials: of N clips.
        source: int64 [N] of `source_positions`.
        other_share: of the pairs, those whose fake is not a copy.
        seed: of all draws.

    Raises:
        ConfigError: a bona fide clip has no copy, or a share is asked for, and every fake is a
            copy.
    """

    def __init__(
        self, trials: Sequence[Trial], source: np.ndarray, other_share: float, seed: int
    ) -> None:
        labels = np.array([_NOBODY if t.label is None else t.label for t in trials])
        self._real = np.flatnonzero(labels == Label.BONAFIDE)
        copies: dict[int, list[int]] = defaultdict(list)
        for position in np.flatnonzero(source >= 0).tolist():
            copies[int(source[position])].append(position)
        self._copies = [np.array(copies[real], np.int64) for real in self._real.tolist()]
        others: dict[str, list[int]] = defaultdict(list)
        for position in np.flatnonzero((labels == Label.SPOOF) & (source < 0)).tolist():
            others[trials[position].attack_id or ""].append(position)
        self._others = [np.array(others[attack], np.int64) for attack in sorted(others)]
        self._share, self._seed = other_share, seed
        # Which of its copies a clip begins with.
        self._first = np.random.default_rng([seed, 0, _PARTNER_STREAM]).permutation(len(self._real))
        alone = sum(len(found) == 0 for found in self._copies)
        if (other_share > 0 or alone) and not self._others:
            raise ConfigError(
                f"config.data.pairs: {alone} bona fide clips have no copy, "
                f"config.data.unpaired_share is {other_share:g}, and every fake of train is a "
                "copy; there must be other fakes, or a copy of each clip and a share of 0"
            )

    def clips(self, epoch: int) -> np.ndarray:
        """Return int64 [2 P]: bona fide clips, each followed by its fake."""
        generator = np.random.default_rng([self._seed, epoch, _PARTNER_STREAM])
        from_others = generator.random(len(self._real)) < self._share
        draws = generator.integers(2**31, size=(len(self._real), 2))
        partner = np.empty(len(self._real), np.int64)
        for number, copies in enumerate(self._copies):
            if len(copies) and not from_others[number]:
                partner[number] = copies[(epoch + self._first[number]) % len(copies)]
                continue
            attack = self._others[draws[number, 0] % len(self._others)]
            partner[number] = attack[draws[number, 1] % len(attack)]
        return np.stack([self._real, partner], axis=1).reshape(-1)
