"""How far level, pauses, band, codec and length alone tell the classes of a pool apart.

A detector that is trained on a pool learns what separates its classes most easily. The area under
the ROC curve of each feature says how much that is; a logistic regression on all features and their
squares says how much they are together. It is fitted by cross-validation twice: with whole
repositories held out, which says whether the difference holds for sources that it has not seen, and
with whole speakers held out, which says what training on this pool finds.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.csv_text import csv_rows
from rawnet_jax.errors import DataError
from rawnet_jax.metrics.det import auc
from rawnet_jax.metrics.logistic import fit_logistic
from rawnet_jax.pool.features import FEATURES, MEANINGS
from rawnet_jax.pool.listing import protocol_line, protocol_name
from rawnet_jax.pool.table import FOLDS, REAL

MANIFEST_TABLE = "manifest.csv"
"""File of a pool with a row per piece."""

FEATURE_TABLE = "features.csv"
"""File of a pool with the features of each piece, before and after the laws."""

TOLD_APART = 0.6
"""An area above which a table marks a feature."""

_NUM_PARTS = 5  # of a cross-validation
_NUM_BINS = 20  # of propensity, within which classes are matched


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Features of N pieces.

    Attributes:
        is_bonafide: bool [N].
        repository: text [N].
        speaker: text [N].
        values: float64 [N, K], K features.
    """

    is_bonafide: np.ndarray
    repository: np.ndarray
    speaker: np.ndarray
    values: np.ndarray

    def of(self, chosen: np.ndarray) -> "Measured":
        """Return the pieces at these places."""
        return Measured(
            self.is_bonafide[chosen],
            self.repository[chosen],
            self.speaker[chosen],
            self.values[chosen],
        )

    @property
    def both_classes(self) -> bool:
        """Whether there is anything to tell apart."""
        return bool(self.is_bonafide.any() and not self.is_bonafide.all())


def separation(data: Measured) -> dict[str, float]:
    """Return how far features tell the classes apart.

    Args:
        data: pieces of both classes.

    Returns:
        Of each feature the area under the ROC curve, of larger values as bona fide: 0.5 = nothing,
        1 and 0 = everything; ``all, new sources`` and ``all, new speakers``: that of the two
        cross-validated regressions, where there are sources or speakers enough.
    """
    found = {
        name: auc(column[data.is_bonafide], column[~data.is_bonafide])
        for name, column in zip(FEATURES, data.values.T, strict=True)
    }
    for name, groups in (("sources", data.repository), ("speakers", data.speaker)):
        scores = propensity(data, groups)
        if scores is not None:
            area = auc(scores[data.is_bonafide], scores[~data.is_bonafide])
            found[f"all, new {name}"] = area
    return found


def propensity(data: Measured, groups: np.ndarray) -> np.ndarray | None:
    """Return how bona fide each piece looks by its features alone, by cross-validation.

    Args:
        data: pieces.
        groups: text [N]; those of one group are held out together.

    Returns:
        float64 [N], log-likelihood ratios; None where a class has less than two groups.
    """
    part = _parts(data.is_bonafide, groups)
    scores = np.zeros(len(part))
    centred = data.values - data.values.mean(axis=0)
    scaled = centred / np.maximum(data.values.std(axis=0), 1e-12)
    columns = np.column_stack((scaled, np.clip(scaled, -4, 4) ** 2))
    for number in range(_NUM_PARTS):
        held = part == number
        fitted = columns[~held]
        is_bonafide = data.is_bonafide[~held]
        if held.any():
            if not is_bonafide.any() or is_bonafide.all():
                return None
            fit = fit_logistic(fitted[is_bonafide], fitted[~is_bonafide])
            scores[held] = columns[held] @ fit.weights + fit.offset
    return scores


def matched(names: Sequence[str], is_bonafide: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the places of pieces whose classes the features do not tell apart.

    Within each of 20 spans of the score the larger class is cut to the size of the smaller one.

    Args:
        names: of N pieces; which of them stay goes by a digest of these.
        is_bonafide: bool [N].
        scores: float64 [N], see `propensity`.
    """
    rank = np.argsort(np.argsort([hashlib.sha256(name.encode()).hexdigest() for name in names]))
    edges = np.quantile(scores, np.linspace(0, 1, _NUM_BINS + 1)[1:-1])
    span = np.searchsorted(edges, scores, side="right")
    kept = []
    for number in range(_NUM_BINS):
        sides = [np.flatnonzero((span == number) & (is_bonafide == side)) for side in (True, False)]
        least = min(map(len, sides))
        kept += [side[np.argsort(rank[side])][:least] for side in sides]
    return np.sort(np.concatenate(kept))


def _parts(is_bonafide: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Deal groups to parts, the largest first, each to where its class has least."""
    part = np.zeros(len(groups), np.int64)
    filled = np.zeros((2, _NUM_PARTS))
    values, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    real = np.bincount(inverse, weights=is_bonafide)
    for group in sorted(range(len(values)), key=lambda i: (-counts[i], values[i])):
        side = int(real[group] * 2 >= counts[group])
        number = int(np.argmin(filled[side]))
        filled[0, number] += counts[group] - real[group]
        filled[1, number] += real[group]
        part[inverse == group] = number
    return part


def read_measured(pool: Path) -> tuple[list[dict[str, str]], Measured, Measured]:
    """Read what a pool has of each piece.

    Returns:
        Rows of the manifest; features of the recordings as they came; those of the pieces.

    Raises:
        DataError: a table is not there, or not that of a pool.
    """
    rows = _table(pool / MANIFEST_TABLE)
    by_name = {row["utterance"]: row for row in _table(pool / FEATURE_TABLE)}
    try:
        values = [
            [[float(by_name[row["utterance"]][side + name]) for name in FEATURES] for row in rows]
            for side in ("source_", "piece_")
        ]
        columns = [
            np.array([row[name] for row in rows]) for name in ("label", "repository", "speaker")
        ]
    except (KeyError, ValueError) as error:
        raise DataError(f"{pool / FEATURE_TABLE}: is not that of a pool: {error}") from None
    label, repository, speaker = columns
    sides = [
        Measured(label == REAL, repository, speaker, np.array(each, np.float64)) for each in values
    ]
    return rows, sides[0], sides[1]


def _table(path: Path) -> list[dict[str, str]]:
    try:
        header, *rows = csv_rows(path.read_text(encoding="utf-8"))
        found = [dict(zip(header, row, strict=True)) for row in rows]
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; build-pool writes it") from None
    except ValueError as error:
        raise DataError(f"{path}: is not that of a pool: {error}") from None
    if not found:
        raise DataError(f"{path}: has no piece")
    return found


def parts_to_report(rows: Sequence[Mapping[str, str]]) -> dict[str, np.ndarray]:
    """Return which pieces each part of the report is on: bool [N] by name."""
    parts = {
        "pool": np.array([any(row[fold] in ("train", "dev") for fold in FOLDS) for row in rows])
    }
    for fold in FOLDS:
        for part in ("train", "dev"):
            parts[f"{fold} {part}"] = np.array([row[fold] == part for row in rows])
    parts["test"] = np.array([row[FOLDS[0]] == "test" for row in rows])
    return parts


def confound_report(pool: Path) -> dict[str, Any]:
    """Measure how far features alone tell the classes apart, as the recordings came and as pieces.

    Args:
        pool: a pool that is whole.

    Returns:
        What goes into ``confounds.json``; and ``matched``, the lines of matched protocols by name.

    Raises:
        DataError: see `read_measured`.
    """
    rows, source, piece = read_measured(pool)
    columns: dict[str, dict[str, float]] = {}
    counts: dict[str, list[int]] = {}
    lists: dict[str, list[str]] = {}
    for name, chosen in parts_to_report(rows).items():
        data = piece.of(chosen)
        counts[name] = [int(data.is_bonafide.sum()), int((~data.is_bonafide).sum())]
        if not data.both_classes:
            continue
        if name == "pool":
            columns["as recorded"] = separation(source.of(chosen))
        columns[name] = separation(data)
        kept = _matched_places(rows, chosen, data)
        if name != "test" and kept is not None:
            fold, _, part = ("all train" if name == "pool" else name).partition(" ")
            protocol = protocol_name(fold, part, ".matched")
            lists[protocol] = [_line(rows[i]) for i in kept.tolist()]
            columns[f"{name}, matched"] = separation(piece.of(kept))
    return {
        "features": MEANINGS,
        "pieces": counts,
        "area": columns,
        "matched": lists,
    }


def _line(row: Mapping[str, str]) -> str:
    return protocol_line(row["speaker"], row["utterance"], row["attack"] or "-", row["label"])


def _matched_places(
    rows: Sequence[Mapping[str, str]], chosen: np.ndarray, data: Measured
) -> np.ndarray | None:
    """Return places among all rows; None where there are too few speakers to tell."""
    scores = propensity(data, data.speaker)
    if scores is None:
        return None
    places = np.flatnonzero(chosen)
    kept = matched([rows[i]["utterance"] for i in places.tolist()], data.is_bonafide, scores)
    return places[kept] if len(kept) else None
