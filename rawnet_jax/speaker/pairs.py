"""How well an encoder tells speakers apart: cosines of pairs, their EER, and its interval.

The interval is by speaker: speakers are drawn with replacement, and a pair counts as often as both
of its speakers were drawn together. Pairs of one speaker, or of the same two, are alike; drawn pair
by pair, intervals would be far too narrow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.bootstrap import Interval
from rawnet_jax.metrics.det import eer
from rawnet_jax.speaker.network import mean_voice

_FEWEST_SPEAKERS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Cosines of trials.

    Attributes:
        cosines: float64 [N].
        is_target: bool [N], whether both sides are one speaker.
        first: int [N], speaker of the enrolled side.
        second: int [N], speaker of the tested side.
        num_speakers: S; speakers are numbers below it.
    """

    cosines: np.ndarray
    is_target: np.ndarray
    first: np.ndarray
    second: np.ndarray
    num_speakers: int

    @property
    def target(self) -> np.ndarray:
        """Cosines of target trials."""
        return self.cosines[self.is_target]

    @property
    def nontarget(self) -> np.ndarray:
        """Cosines of nontarget trials."""
        return self.cosines[~self.is_target]


def pairs_of(vectors: np.ndarray, speakers: Sequence[str], enrol_clips: int = 0) -> Pairs:
    """Make trials of clips.

    Args:
        vectors: float32 [N, D], of length 1.
        speakers: N names.
        enrol_clips: a voice is the mean of its speaker's first so many clips, tested with all
            other clips of every speaker who has more; 0 = every two clips are a trial.

    Raises:
        MetricError: there are not two speakers, or none with two clips (or more than
            `enrol_clips`).
    """
    names, numbers = np.unique(np.array(speakers), return_inverse=True)
    if len(names) < _FEWEST_SPEAKERS:
        raise MetricError(f"{len(names)} speakers; there must be two or more")
    if enrol_clips:
        return _enrolled(np.asarray(vectors, np.float64), numbers, len(names), enrol_clips)
    a, b = np.triu_indices(len(numbers), 1)
    cosines = (np.asarray(vectors, np.float64) @ np.asarray(vectors, np.float64).T)[a, b]
    return _checked(Pairs(cosines, numbers[a] == numbers[b], numbers[a], numbers[b], len(names)))


def _enrolled(vectors: np.ndarray, numbers: np.ndarray, count: int, enrol_clips: int) -> Pairs:
    own = [np.flatnonzero(numbers == speaker) for speaker in range(count)]
    known = [speaker for speaker in range(count) if len(own[speaker]) > enrol_clips]
    if not known:
        raise MetricError(f"no speaker has more than {enrol_clips} clips")
    voices = np.stack([mean_voice(vectors[own[speaker][:enrol_clips]]) for speaker in known])
    tested = np.concatenate([own[speaker][enrol_clips:] for speaker in known])
    cosines = (voices.astype(np.float64) @ vectors[tested].T).ravel()
    first = np.repeat(known, len(tested))
    second = np.tile(numbers[tested], len(known))
    return _checked(Pairs(cosines, first == second, first, second, count))


def _checked(pairs: Pairs) -> Pairs:
    for name, trials in (("target", pairs.target), ("nontarget", pairs.nontarget)):
        if not trials.size:
            raise MetricError(f"no {name} trial; there must be speakers with two clips, and others")
    return pairs


def eer_interval(
    pairs: Pairs, *, num_replicates: int = 1000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Return the percentile interval of the EER, speakers drawn with replacement.

    Args:
        pairs: trials.
        num_replicates: how often speakers are drawn.
        seed: of the drawing.
        level: of the interval, in (0, 1).
    """
    order = np.argsort(pairs.cosines, kind="stable")
    is_target, first, second = (x[order] for x in (pairs.is_target, pairs.first, pairs.second))
    scores = pairs.cosines[order]
    ends = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)
    rng = np.random.default_rng(seed)
    found: list[float] = []
    while len(found) < num_replicates:
        drawn = rng.integers(pairs.num_speakers, size=pairs.num_speakers)
        times = np.bincount(drawn, minlength=pairs.num_speakers).astype(np.float64)
        # A target trial has one speaker; drawn twice, it counts twice.
        weight = np.where(is_target, times[first], times[first] * times[second])
        below = np.cumsum(np.where(is_target, weight, 0.0))[ends]
        other = np.cumsum(np.where(is_target, 0.0, weight))[ends]
        if below[-1] and other[-1]:  # a draw of one speaker alone has no nontarget trial
            miss = np.append(0.0, below / below[-1])
            fa = np.append(1.0, 1.0 - other / other[-1])
            point = int(np.argmin(np.abs(miss - fa)))
            found.append((miss[point] + fa[point]) / 2)
    low, high = np.quantile(found, ((1 - level) / 2, (1 + level) / 2))
    return Interval(float(low), float(high), level)


def eer_of_pairs(pairs: Pairs) -> float:
    """Return the equal error rate, targets against nontargets, a fraction."""
    return eer(pairs.target, pairs.nontarget).eer
