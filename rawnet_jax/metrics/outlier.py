"""How far an embedding is from those that a network was trained on.

The distance is that of Mahalanobis to the nearer class mean, with one covariance for both classes:
its leading directions as they were found, all others with one variance, so that few numbers hold it
and directions in which training never moved do not divide by zero.

Sources: Lee, Lee, Lee, Shin, "A simple unified framework for detecting out-of-distribution samples
and adversarial attacks", NeurIPS 2018 (nearest class mean, tied covariance); Tipping and Bishop,
"Probabilistic principal component analysis", JRSS B 61 (1999) (one variance for the rest).
"""

import math
from dataclasses import dataclass

import numpy as np

from rawnet_jax.errors import MetricError

MAX_DIRECTIONS = 16
"""Leading directions that are kept; more of them tell less: docs/results.md has the measurement."""

_LEAST_VARIANCE = 1e-3
"""Of a direction, as a share of the mean over all: training may never have moved in some."""


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingDistance:
    """Measures how far embeddings are from those that it was fitted on.

    Attributes:
        means: float32 [C, D], of each class.
        directions: float32 [D, K], orthonormal.
        weights: float32 [K], one over the variance in each direction.
        rest: one over the variance in every other direction.
    """

    means: np.ndarray
    directions: np.ndarray
    weights: np.ndarray
    rest: float

    def __call__(self, embedding: np.ndarray) -> np.ndarray:
        """Return float64 [N], about 1 for what was fitted; NaN where an embedding is not finite.

        Args:
            embedding: float [N, D].
        """
        offset = np.asarray(embedding, np.float64)[:, None] - self.means.astype(np.float64)
        directions = self.directions.astype(np.float64)
        along = offset @ directions
        across = offset - along @ directions.T
        square = np.square(along) @ self.weights + self.rest * np.square(across).sum(-1)
        return np.sqrt(square.min(axis=1) / self.means.shape[1])


def fit_distance(
    embedding: np.ndarray, labels: np.ndarray, max_directions: int = MAX_DIRECTIONS
) -> EmbeddingDistance:
    """Fit the distance on training trials.

    Args:
        embedding: float [N, D]; rows that are not finite are left out.
        labels: int [N], the class of each; each class weighs the same.
        max_directions: leading directions that are kept.

    Raises:
        MetricError: fewer than two trials of a class are left, or all are equal.
    """
    finite = np.isfinite(embedding).all(axis=1)
    rows, labels = np.asarray(embedding, np.float64)[finite], np.asarray(labels)[finite]
    classes, counts = np.unique(labels, return_counts=True)
    if not len(classes) or counts.min() < 2:
        raise MetricError("the embeddings of at least two training trials of a class are needed")
    means = np.stack([rows[labels == one].mean(axis=0) for one in classes]).astype(np.float32)
    place = np.searchsorted(classes, labels)
    share = 1 / np.sqrt(len(classes) * counts[place])
    offset = (rows - means[place]) * share[:, None]
    variances, directions = _directions(offset)
    floor = _LEAST_VARIANCE * variances.mean()
    if not floor > 0:
        raise MetricError("the embeddings of all training trials are the same")
    num_kept = min(max_directions, len(variances))
    beyond = variances[num_kept:]
    rest = float(1 / max(beyond.mean() if len(beyond) else 0.0, floor))
    weights = 1 / np.maximum(variances[:num_kept], floor)
    return EmbeddingDistance(
        means, directions[:, :num_kept].astype(np.float32), weights.astype(np.float32), rest
    )


def _directions(offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return variances [D], falling, and directions [D, D] of rows [N, D] with a sum of 0."""
    variances, directions = np.linalg.eigh(offset.T @ offset)
    return np.maximum(variances[::-1], 0.0), directions[:, ::-1]


def upper_bound(distance: np.ndarray, share: float) -> float:
    """Return the distance above which lies at most a share of these.

    Args:
        distance: float [N] of genuine dev speech; what is not finite counts as beyond any bound.
        share: above 0, below 1.

    Raises:
        MetricError: there are too few to lie beyond, or more than the share are not finite.
    """
    kept = np.sort(np.where(np.isfinite(distance), distance, np.inf))
    num_beyond = int(share * len(kept))
    if not num_beyond:
        raise MetricError(
            f"{len(kept)} clips of genuine dev speech; at a share of {share:g} there must be at "
            f"least {math.ceil(1 / share)}"
        )
    if not np.isfinite(kept[-1 - num_beyond]):
        raise MetricError("the distances of genuine dev speech must be finite")
    return float(kept[-1 - num_beyond])
