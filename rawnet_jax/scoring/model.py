"""What scores recordings, whatever computes it."""

from typing import Protocol

import numpy as np

from rawnet_jax.scoring.recordings import Recipe
from rawnet_jax.scoring.verdict import DecisionRule


class ScoringModel(Protocol):
    """A network, how it scores recordings, and by what rule its scores are read."""

    @property
    def name(self) -> str:
        """Return the name of the run."""

    @property
    def fingerprint(self) -> str:
        """Return SHA-256 of everything that determines a score, in hexadecimal."""

    @property
    def recipe(self) -> Recipe:
        """Return windows, padding, gate and aggregation."""

    @property
    def num_devices(self) -> int:
        """Return the number of devices that a batch is split over."""

    def score_batch(self, waveform: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        """Score float32 [B, T] with int32 [B] samples per row, 0 in empty rows.

        Returns:
            [B]; or [B, 2] with the distance from training behind each score.
        """

    def decision(self, *, prior: float = 0.5, threshold: float | None = None) -> DecisionRule:
        """Return the decision rule."""
