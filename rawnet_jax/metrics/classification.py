"""Decisions at one threshold, with spoof as the positive class.

The scores are read as log odds of bona fide speech; a trial is called spoof where P(spoof), see
`rawnet_jax.labels.spoof_probability`, is at least the threshold.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rawnet_jax.errors import MetricError
from rawnet_jax.labels import Label, spoof_probability
from rawnet_jax.metrics.validation import validate_labelled


@dataclass(frozen=True, slots=True)
class Confusion:
    """How many trials of each class got which decision, and the rates that follow.

    All rates are fractions in [0, 1], higher is better. A rate whose denominator is zero is 0.0:
    `precision` when nothing was called spoof, `recall` when there is no spoof trial, `f1` when
    neither occurs, `accuracy` when there is no trial at all.

    Attributes:
        bonafide_accepted: bona fide called bona fide (true negatives).
        bonafide_rejected: bona fide called spoof (false positives).
        spoof_accepted: spoof called bona fide (false negatives).
        spoof_rejected: spoof called spoof (true positives).
    """

    bonafide_accepted: int
    bonafide_rejected: int
    spoof_accepted: int
    spoof_rejected: int

    @property
    def matrix(self) -> np.ndarray:
        """Counts, int64 [2, 2]: rows the true class, columns the decision (bona fide, spoof)."""
        return np.array(
            [
                [self.bonafide_accepted, self.bonafide_rejected],
                [self.spoof_accepted, self.spoof_rejected],
            ]
        )

    @property
    def num_trials(self) -> int:
        """Number of all trials."""
        return (
            self.bonafide_accepted
            + self.bonafide_rejected
            + self.spoof_accepted
            + self.spoof_rejected
        )

    @property
    def num_correct(self) -> int:
        """Number of trials with the right decision."""
        return self.bonafide_accepted + self.spoof_rejected

    @property
    def num_called_spoof(self) -> int:
        """Number of trials that were called spoof, rightly or not."""
        return self.bonafide_rejected + self.spoof_rejected

    @property
    def num_spoof(self) -> int:
        """Number of spoof trials."""
        return self.spoof_accepted + self.spoof_rejected

    @property
    def accuracy(self) -> float:
        """Share of right decisions."""
        return _ratio(self.num_correct, self.num_trials)

    @property
    def precision(self) -> float:
        """Share of spoof among the trials called spoof."""
        return _ratio(self.spoof_rejected, self.num_called_spoof)

    @property
    def recall(self) -> float:
        """Share of spoof trials that were called spoof."""
        return _ratio(self.spoof_rejected, self.num_spoof)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return _ratio(2 * self.spoof_rejected, self.num_spoof + self.num_called_spoof)


def confusion_at(scores: ArrayLike, labels: ArrayLike, spoof_threshold: float = 0.5) -> Confusion:
    """Count decisions at a threshold on P(spoof).

    Args:
        scores: [N], log odds of bona fide speech, higher = more bona fide.
        labels: [N], values of `rawnet_jax.labels.Label`; one class alone is allowed.
        spoof_threshold: in [0, 1]; a trial is called spoof where P(spoof) is at least this.

    Raises:
        MetricError: see `validate_labelled`; or the threshold is not in [0, 1].
    """
    if not 0.0 <= spoof_threshold <= 1.0:
        raise MetricError(f"spoof_threshold is {spoof_threshold}; it must be from 0 to 1")
    score, label = validate_labelled(scores, labels)
    called_spoof = spoof_probability(score) >= spoof_threshold
    is_spoof = label == Label.SPOOF
    counts = np.bincount(2 * is_spoof + called_spoof, minlength=4)
    return Confusion(*(int(count) for count in counts))


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else 0.0
