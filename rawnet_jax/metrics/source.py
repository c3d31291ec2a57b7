"""Which family of systems a fake comes from, told by its embedding, or none of those known.

Each family is a normal law around its mean; all have one covariance, drawn towards a round one for
few recordings span few directions. A name is given where the recording lies as near to the family
as nearly all of its own do, and where the other families are improbable enough.

Sources: Hastie, Tibshirani, Friedman, "The elements of statistical learning", 2nd edition, section
4.3 (linear discriminants); Friedman, "Regularized discriminant analysis", JASA 84, 1989 (the
covariance); Lee et al., "A simple unified framework for detecting out-of-distribution samples and
adversarial attacks", NeurIPS 2018 (the bound on the distance).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.last_layer import folds_of

LEAST_CLIPS = 10
"""Recordings of a family."""

NONE = -1
"""The number of "none of these"."""

_ROUND = 0.1  # share of the round covariance


@dataclass(frozen=True, slots=True, eq=False)
class SourceRule:
    """Names families.

    Attributes:
        names: of the K families, sorted.
        means: float64 [K, D].
        whitening: float64 [D, D], after which the covariance of each family is 1 in each direction.
        farthest: the largest distance from a family's mean that is of the family, RMS over
            directions: about 1 for its own.
        least: the least probability among the families at which a name is given.
        share: of known fakes that were to lie farther away, and of names that were to be wrong.
    """

    names: tuple[str, ...]
    means: np.ndarray
    whitening: np.ndarray
    farthest: float = np.inf
    least: float = 0.0
    share: float = 0.0

    @property
    def centre(self) -> np.ndarray:
        """Return the mean of the families' means, float64 [D]."""
        centre: np.ndarray = self.means.mean(axis=0)
        return centre

    def coordinates(self, embeddings: np.ndarray) -> np.ndarray:
        """Return where embeddings lie from the centre, in units of a family's spread.

        The distance to a family is that of two points there. The mean of coordinates is that of the
        mean embedding.

        Args:
            embeddings: float [N, D].

        Returns:
            float64 [N, D].
        """
        found: np.ndarray = (np.asarray(embeddings, np.float64) - self.centre) @ self.whitening
        return found

    def measure(self, embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the nearest family int [N], its distance and its probability, float64 [N].

        Args:
            embeddings: float [N, D].
        """
        offset = self.coordinates(embeddings)[:, None] - self.coordinates(self.means)
        square = np.square(offset).sum(axis=-1)
        nearest = square.argmin(axis=1)
        lowest = square.min(axis=1)
        probability = 1 / np.exp((lowest[:, None] - square) / 2).sum(axis=1)
        return nearest, np.sqrt(lowest / self.means.shape[1]), probability

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        """Return int [N], the number of the family, or `NONE`.

        Args:
            embeddings: float [N, D].
        """
        nearest, distance, probability = self.measure(embeddings)
        named = (distance <= self.farthest) & (probability >= self.least)
        return np.where(named, nearest, NONE)


def fit_families(embeddings: np.ndarray, families: Sequence[str]) -> SourceRule:
    """Fit means and covariance, without bounds.

    Args:
        embeddings: finite float [N, D].
        families: of each.

    Raises:
        MetricError: fewer than two families have `LEAST_CLIPS` recordings, or one has fewer.
    """
    rows = np.asarray(embeddings, np.float64)
    names, codes, counts = np.unique(
        np.asarray(families, dtype=object).astype(str), return_inverse=True, return_counts=True
    )
    if len(names) < 2:
        raise MetricError(f"{len(names)} families of systems; telling them apart takes two")
    if counts.min() < 2:
        raise MetricError(f"{names[counts.argmin()]}: one recording; a family takes two at least")
    means = np.stack([rows[codes == code].mean(axis=0) for code in range(len(names))])
    offset = (rows - means[codes]) * np.sqrt(1 / (counts[codes] - 1) / len(names))[:, None]
    covariance = offset.T @ offset
    level = np.trace(covariance) / len(covariance)
    if not level > 0:
        raise MetricError("the recordings of each family have one and the same embedding")
    covariance = (1 - _ROUND) * covariance + _ROUND * level * np.eye(len(covariance))
    variances, directions = np.linalg.eigh(covariance)
    return SourceRule(tuple(names.tolist()), means, directions / np.sqrt(variances))


@dataclass(frozen=True, slots=True, eq=False)
class SourceFigures:
    """What a rule does to recordings that its fit did not see.

    Attributes:
        names: of the K families.
        confusion: int [K, K + 1], by true family and by name; the last column is "none of these".
        held_back: the same of families that the fit knew nothing of: right is the last column.
    """

    names: tuple[str, ...]
    confusion: np.ndarray
    held_back: np.ndarray


def fit_source_rule(
    embeddings: np.ndarray,
    families: Sequence[str],
    *,
    share: float = 0.05,
    num_folds: int = 5,
    seed: int = 0,
) -> tuple[SourceRule, SourceFigures]:
    """Fit families with bounds that cross-validation sets.

    Args:
        embeddings: finite float [N, D], of fakes.
        families: of each; those with fewer than `LEAST_CLIPS` recordings are left out.
        share: of known fakes that may lie beyond the bound on the distance, and of the names that
            may be wrong; above 0, below 1.
        num_folds: of the cross-validation, recordings being dealt out.
        seed: of the folds.

    Returns:
        The rule on all recordings, and what rules do that did not see them: by recordings left out,
        and by families left out.

    Raises:
        MetricError: see `fit_families`.
    """
    names, counts = np.unique(np.asarray(families, dtype=object).astype(str), return_counts=True)
    large = names[counts >= LEAST_CLIPS]
    if len(large) < 2:
        raise MetricError(
            f"{len(large)} families have {LEAST_CLIPS} recordings or more; telling them apart "
            "takes two"
        )
    kept = np.isin(np.asarray(families, dtype=object).astype(str), large)
    rows = np.asarray(embeddings, np.float64)[kept]
    of = np.asarray(families, dtype=object)[kept].astype(str)
    codes = np.searchsorted(large, of)
    folds = np.zeros(len(of), np.int64)
    for code in range(len(large)):  # each fold has some of every family
        own = codes == code
        folds[own] = folds_of([""] * int(own.sum()), num_folds, seed)
    nearest, distance, probability = (
        np.zeros(len(of), np.int64),
        np.zeros(len(of)),
        np.zeros(len(of)),
    )
    for fold in range(num_folds):
        out = folds == fold
        found = fit_families(rows[~out], of[~out].tolist()).measure(rows[out])
        nearest[out], distance[out], probability[out] = found
    farthest = float(np.quantile(distance, 1 - share, method="higher"))
    within = distance <= farthest
    least = _least_probability(probability[within], (nearest == codes)[within], share)
    said = np.where(within & (probability >= least), nearest, NONE)
    rule = replace(fit_families(rows, of.tolist()), farthest=farthest, least=least, share=share)
    back = _held_back(rows, codes, rule)
    return rule, SourceFigures(rule.names, _table(codes, said, len(large)), back)


def _held_back(rows: np.ndarray, codes: np.ndarray, whole: SourceRule) -> np.ndarray:
    """Return int [K, K + 1], names for each family by a rule of all the others."""
    names = np.asarray(whole.names, dtype=object)
    table = np.zeros((len(names), len(names) + 1), np.int64)
    if len(names) < 3:
        return table
    for code in range(len(names)):
        out = codes == code
        others = np.delete(np.arange(len(names)), code)
        fitted = fit_families(rows[~out], names[codes[~out]].tolist())
        said = replace(fitted, farthest=whole.farthest, least=whole.least)(rows[out])
        said = np.where(said == NONE, NONE, others[said])
        table[code] = _table(np.zeros(len(said), np.int64), said, len(names))[0]
    return table


def _table(true: np.ndarray, said: np.ndarray, num: int) -> np.ndarray:
    table = np.zeros((num, num + 1), np.int64)
    np.add.at(table, (true, np.where(said == NONE, num, said)), 1)
    return table


def _least_probability(probability: np.ndarray, is_right: np.ndarray, share: float) -> float:
    """Return the lowest bound at which at most a share of what is above it is wrong."""
    order = np.argsort(-probability, kind="stable")
    wrong = np.cumsum(~is_right[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(wrong <= share)
    return float(probability[order][good[-1]]) if len(good) else np.inf
