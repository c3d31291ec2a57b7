"""How one person's genuine speech scores, against that of people in general.

The mean of a few scores of one person is partly chance. So it is drawn towards the mean of all
people by as much as clips of one person differ, against how much people do (the best linear
prediction of a random effect). A score plus the shift is read like anybody's.

Sources: Reynolds, "Comparison of background normalization methods for text-independent speaker
verification", Eurospeech 1997 (scores by a speaker's own distribution); Robinson, "That BLUP is a
good thing", Statistical Science 6, 1991 (the weight).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rawnet_jax.errors import MetricError

LEAST_BETWEEN = 0.1
"""Variance between people over that within one, at least: few people show it badly, and an estimate
of 0 would make every enrolment worth nothing."""


@dataclass(frozen=True, slots=True)
class Population:
    """Scores of genuine speech of people in general.

    Attributes:
        mean: over people.
        within: variance of the clips of one person.
        between: variance of people's means, without what clips add to it.
        num_speakers: people with two clips or more, of whom these are.
    """

    mean: float
    within: float
    between: float
    num_speakers: int

    def shift(self, scores: np.ndarray) -> float:
        """Return what to add to the scores of somebody; 0 where nothing is known of them.

        Args:
            scores: float64 [N], of that person's genuine speech.
        """
        if not len(scores):
            return 0.0
        noise = self.within / len(scores)
        known = self.between / (self.between + noise) if self.between + noise > 0 else 1.0
        return float(known * (self.mean - np.mean(scores)))


def population_of(scores: np.ndarray, speakers: Sequence[str]) -> Population:
    """Estimate from clips of several people, by analysis of variance; each person weighs the same.

    Args:
        scores: float64 [N], of genuine speech.
        speakers: of each; those of a single clip are passed over.

    Raises:
        MetricError: fewer than two people have two clips.
    """
    _, codes, counts = np.unique(
        np.asarray(speakers, dtype=object).astype(str), return_inverse=True, return_counts=True
    )
    kept = np.flatnonzero(counts >= 2)
    if len(kept) < 2:
        raise MetricError(
            f"{len(kept)} people with two recordings of genuine speech or more; how people differ "
            "takes two"
        )
    own = [scores[codes == code] for code in kept]
    means = np.array([one.mean() for one in own])
    within = sum(float(((one - one.mean()) ** 2).sum()) for one in own)
    within /= int(counts[kept].sum()) - len(kept)
    between = float(means.var(ddof=1)) - within * float(np.mean(1 / counts[kept]))
    between = max(between, LEAST_BETWEEN * within)
    return Population(float(means.mean()), within, between, len(kept))
