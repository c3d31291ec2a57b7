"""What a run remembers of its earlier epochs on dev; part of every checkpoint."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class DevHistory:
    """Best metrics on dev so far.

    Attributes:
        best_eer: lowest EER, as a fraction.
        best_accuracy: highest accuracy.
        stalled_epochs: epochs since the accuracy was last better, or since time in the schedule was
            last made to run faster.
    """

    best_eer: float = 1.0
    best_accuracy: float = -1.0
    stalled_epochs: int = 0

    def ties_best_eer(self, eer: float) -> bool:
        """Take in an epoch's EER; return whether none before it was lower."""
        ties = eer <= self.best_eer
        self.best_eer = min(eer, self.best_eer)
        return ties

    def stalls(self, accuracy: float, stall_epochs: int) -> bool:
        """Take in an epoch's accuracy; return whether so many epochs in a row were no better."""
        if accuracy > self.best_accuracy:
            self.best_accuracy, self.stalled_epochs = accuracy, 0
            return False
        self.stalled_epochs += 1
        if not stall_epochs or self.stalled_epochs < stall_epochs:
            return False
        self.stalled_epochs = 0
        return True

    def dump(self) -> dict[str, Any]:
        """Return what `load` takes, as plain JSON values."""
        return asdict(self)

    @classmethod
    def load(cls, values: dict[str, Any]) -> "DevHistory":
        """Restore what `dump` returned."""
        return cls(**values)
