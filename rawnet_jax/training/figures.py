"""The metrics of an epoch: collected step by step, kept across a stop, worked out at the end."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from rawnet_jax.contract import StepOutput
from rawnet_jax.metrics.classification import confusion_at
from rawnet_jax.metrics.det import auc, eer
from rawnet_jax.metrics.validation import split_by_label


def figures_of(
    scores: ArrayLike, labels: Sequence[int | None], spoof_threshold: float
) -> dict[str, float]:
    """Work out what the log reports of scores; spoof is the positive class of precision and recall.

    Args:
        scores: [N], higher = more bona fide.
        labels: [N], values of `rawnet_jax.labels.Label`; trials of unknown label (None, -1) are
            left out.
        spoof_threshold: on P(spoof).

    Returns:
        accuracy, auc, precision, recall, eer; the last two of them NaN where a class is missing.
    """
    score = np.asarray(scores, np.float64)
    label = np.array([-1 if value is None else value for value in labels])
    score, label = score[label >= 0], label[label >= 0]
    confusion = confusion_at(score, label, spoof_threshold)
    bonafide, spoof = split_by_label(score, label)
    both = bool(bonafide.size and spoof.size)
    return {
        "accuracy": confusion.accuracy,
        "precision": confusion.precision,
        "recall": confusion.recall,
        "auc": auc(bonafide, spoof) if both else float("nan"),
        "eer": eer(bonafide, spoof).eer if both else float("nan"),
    }


@dataclass
class EpochRecord:
    """What the steps of the running epoch reported so far."""

    loss_sum: float = 0.0
    weight_sum: float = 0.0
    scores: list[float] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    interval: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def add(self, output: StepOutput) -> None:
        """Take in one step's numbers, on the host."""
        real = output.index >= 0
        self.loss_sum += float(output.loss_sum)
        self.weight_sum += float(output.weight_sum)
        self.interval[0] += float(output.loss_sum)
        self.interval[1] += float(output.weight_sum)
        self.scores += output.score[real].tolist()
        self.labels += output.label[real].tolist()

    def take_interval_loss(self) -> float | None:
        """Return the mean loss since the last call, None if nothing came in."""
        loss, weight = self.interval
        self.interval = [0.0, 0.0]
        return loss / weight if weight else None

    def figures(self, spoof_threshold: float) -> dict[str, float]:
        """Return loss and `figures_of` the clips as they were scored while training on them."""
        mean = self.loss_sum / self.weight_sum if self.weight_sum else float("nan")
        return {"loss": mean, **figures_of(self.scores, self.labels, spoof_threshold)}

    def dump(self) -> dict[str, Any]:
        """Return a copy ready for JSON; floats survive exactly.

        Checkpoints are written in the background, while the next steps come in here.
        """
        return asdict(self)

    @classmethod
    def load(cls, values: dict[str, Any]) -> Self:
        """Rebuild a record from `dump`."""
        return cls(**values)
