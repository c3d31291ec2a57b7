"""Trials that are unlike anything in training: how many of each partition get no verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rawnet_jax.evaluation.summary import percent, trials
from rawnet_jax.labels import Label


@dataclass(frozen=True, slots=True)
class Refusals:
    """Trials of one class, and how many of them are unlike training."""

    num_trials: int
    num_refused: int

    @property
    def text(self) -> str:
        """Both in words."""
        return f"{self.num_refused:,} of {self.num_trials:,}"


@dataclass(frozen=True, slots=True)
class OutlierFigures:
    """What the rule on what is unlike training does to an evaluation; no metric leaves these out.

    Attributes:
        share: of genuine dev speech that was to be refused.
        highest: the largest distance that is judged.
        num_fitted: training trials that the distance was fitted on.
        partitions: trials by partition and class.
    """

    share: float
    highest: float
    num_fitted: int
    partitions: Mapping[str, Mapping[Label, Refusals]]

    @property
    def details(self) -> str:
        """Say what is refused, in few words."""
        found = "; ".join(
            f"{name} {rows[Label.BONAFIDE].text} bona fide, {rows[Label.SPOOF].text} spoof"
            for name, rows in self.partitions.items()
        )
        return (
            f"no verdict above distance {self.highest:.3g} from {trials(self.num_fitted, 'train')} "
            f"({percent(self.share)} of bona fide dev speech): {found}; metrics are of all trials"
        )

    def record(self) -> dict[str, Any]:
        """Return plain numbers, ready for JSON."""
        return {
            "share": self.share,
            "highest_distance": self.highest,
            "num_fitted": self.num_fitted,
            "partitions": {
                name: {
                    label.key: {"num_trials": row.num_trials, "num_refused": row.num_refused}
                    for label, row in rows.items()
                }
                for name, rows in self.partitions.items()
            },
        }


def refusals_by_class(
    distance: np.ndarray, labels: np.ndarray, highest: float
) -> dict[Label, Refusals]:
    """Count the trials of each class that are farther from training than is judged.

    Args:
        distance: float [N].
        labels: int [N], values of `Label`.
        highest: the largest distance that is judged.
    """
    beyond = np.asarray(distance) > highest
    return {
        label: Refusals(int((labels == label).sum()), int(beyond[labels == label].sum()))
        for label in Label
    }
