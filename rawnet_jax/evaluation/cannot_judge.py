"""Trials whose audio the input gate refuses: left out or only counted, and always named."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import DataError
from rawnet_jax.evaluation.summary import percent, trials
from rawnet_jax.labels import Label
from rawnet_jax.metrics.det import eer

CANNOT_JUDGE_CSV = "cannot_judge.csv"


class UnjudgedTrial(NamedTuple):
    """One such trial.

    Attributes:
        partition: eval, dev or train.
        trial: of the protocol.
        reason: in words.
        value: what was measured.
        limit: the bound that it is beyond.
    """

    partition: str
    trial: Trial
    reason: str
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class CannotJudge:
    """What the gate found in an evaluation.

    Attributes:
        refused: whether these trials are left out of scores and figures.
        num_trials: all trials by partition, the evaluated one first.
        rows: those that cannot be judged.
        worst_eer: the EER if each of them were an error; None where none is left out.
    """

    refused: bool
    num_trials: Mapping[str, int]
    rows: tuple[UnjudgedTrial, ...]
    worst_eer: float | None = None

    @property
    def details(self) -> str:
        """Say how many there are, in few words."""
        return "; ".join(
            f"{partition} {self._tally(partition)}" for partition in self.num_trials
        ) + (f" ({'left out' if self.refused else 'still scored'})" if self.rows else "")

    @property
    def warnings(self) -> list[str]:
        """Say what a reader of the figures must know."""
        if not self.rows:
            return []
        text = f"Audio that cannot be judged: {self.details}. Listed in {CANNOT_JUDGE_CSV}."
        if self.worst_eer is not None:
            text += (
                " Figures are of the other trials alone and not to be set beside published ones; "
                f"with each of these as an error the EER would be {percent(self.worst_eer)}."
            )
        return [text]

    def record(self) -> dict[str, Any]:
        """Return everything but the list as plain numbers and strings, ready for JSON."""
        return {
            "action": "refuse" if self.refused else "report",
            "worst_case_eer": self.worst_eer,
            "partitions": {
                partition: {
                    "num_trials": num_trials,
                    "num_bonafide": sum(r.trial.label == Label.BONAFIDE for r in rows),
                    "num_spoof": sum(r.trial.label == Label.SPOOF for r in rows),
                    "num_cannot_judge": len(rows),
                    "reasons": dict(Counter(row.reason for row in rows)),
                }
                for partition, num_trials in self.num_trials.items()
                for rows in [self._of(partition)]
            },
        }

    def _of(self, partition: str) -> list[UnjudgedTrial]:
        return [row for row in self.rows if row.partition == partition]

    def _tally(self, partition: str) -> str:
        rows, total = self._of(partition), self.num_trials[partition]
        if not rows:
            return f"none of {trials(total)}"
        reasons = Counter(row.reason for row in rows).most_common()
        named = ", ".join(f"{reason} {count:,}" for reason, count in reasons)
        return f"{len(rows):,} of {trials(total)}: {named}"


def kept_positions(num_trials: int, left_out: Collection[int]) -> np.ndarray:
    """Return int64 [K], the positions that are not left out.

    Raises:
        DataError: none is left.
    """
    kept = np.setdiff1d(np.arange(num_trials), np.array(sorted(left_out), np.int64))
    if not len(kept):
        raise DataError(
            f"none of {trials(num_trials)} can be judged: the gate refuses all; see config.gate"
        )
    return kept


def worst_case_eer(scores: np.ndarray, labels: np.ndarray, refused: Sequence[int]) -> float:
    """Return the EER if trials without a score were errors, whatever the threshold.

    Args:
        scores: float [N]; those of the trials without one are not read.
        labels: int [N], values of `Label`.
        refused: positions of the trials without a score.

    Raises:
        MetricError: a class is missing.
    """
    wrong = np.zeros(len(scores), bool)
    wrong[list(refused)] = True
    rank = np.searchsorted(np.unique(scores[~wrong]), scores).astype(np.float64)
    # Bona fide speech below all others and spoof above all: no threshold is right about them.
    rank[wrong] = np.where(labels[wrong] == Label.BONAFIDE, -1.0, len(scores) + 1.0)
    return eer(rank[labels == Label.BONAFIDE], rank[labels == Label.SPOOF]).eer
