"""What every metric asks of its input."""

import numpy as np
from numpy.typing import ArrayLike

from rawnet_jax.errors import MetricError
from rawnet_jax.labels import Label

MOST_SCORE = 1e30
"""Of any score. What is computed of larger ones, such as their squares, may not be number."""


def validate_scores(
    bonafide_scores: ArrayLike, spoof_scores: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """Check the scores of both classes.

    Args:
        bonafide_scores: [Nb], higher = more bona fide.
        spoof_scores: [Ns], in the same unit.

    Returns:
        Both as float64.

    Raises:
        MetricError: a class is empty, not one-dimensional, not numeric, or holds NaN or infinity.
    """
    return (
        validate_class_scores(bonafide_scores, "bona fide"),
        validate_class_scores(spoof_scores, "spoof"),
    )


def validate_class_scores(scores: ArrayLike, name: str) -> np.ndarray:
    """Check the scores of one class that a metric cannot do without.

    Args:
        scores: [N].
        name: what messages call the class, for example ``"bona fide"`` or ``"ASV target"``.

    Returns:
        The scores as float64.

    Raises:
        MetricError: the class is empty, not one-dimensional, not numeric, or holds NaN or infinity.
    """
    array = _finite_vector(scores, f"{name} scores")
    if not array.size:
        raise MetricError(f"there are no {name} scores; every class is needed")
    return array


def validate_labelled(scores: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Check scores that stand beside their labels; one class alone is allowed.

    Args:
        scores: [N], higher = more bona fide.
        labels: [N], values of `rawnet_jax.labels.Label`.

    Returns:
        Scores as float64 and labels as int8.

    Raises:
        MetricError: there are no trials, lengths differ, a label is not 0 or 1, or a score is not
            a finite number.
    """
    checked = _finite_vector(scores, "scores")
    label = np.asarray(labels)
    if label.shape != checked.shape:
        raise MetricError(
            f"{checked.size} scores and labels of shape {label.shape}; give one label per score"
        )
    if not checked.size:
        raise MetricError("there are no trials to measure")
    wrong = np.flatnonzero((label != Label.SPOOF) & (label != Label.BONAFIDE))
    if wrong.size:
        raise MetricError(
            f"labels[{wrong[0]}] is {label[wrong[0]]}; it must be 0 (spoof) or 1 (bona fide)"
        )
    return checked, label.astype(np.int8)


def split_by_label(scores: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return (bona fide scores, spoof scores), each in the given order; checked as above."""
    score, label = validate_labelled(scores, labels)
    return score[label == Label.BONAFIDE], score[label == Label.SPOOF]


def _finite_vector(scores: ArrayLike, name: str) -> np.ndarray:
    try:
        array = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MetricError(f"{name} are not numbers: {error}") from error
    if array.ndim != 1:
        raise MetricError(f"{name} have shape {array.shape}; they must have one dimension")
    wrong = np.flatnonzero(~np.isfinite(array))
    if wrong.size:
        raise MetricError(
            f"{name}[{wrong[0]}] is {array[wrong[0]]}, as {wrong.size} of {array.size} that are "
            "not finite; all must be"
        )
    return array


def refuse_huge(scores: np.ndarray, name: str) -> None:
    """Check that scores are of a size that can be computed with.

    Raises:
        MetricError: one is beyond `MOST_SCORE`; naming the first.
    """
    huge = np.argwhere(np.abs(scores) > MOST_SCORE)
    if len(huge):
        first = scores[tuple(huge[0])]
        raise MetricError(
            f"{name}: {len(huge)} of {scores.size} are as large as {first:g}; "
            f"they must be between -{MOST_SCORE:g} and {MOST_SCORE:g}"
        )
