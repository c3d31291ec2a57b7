"""What is unlike anything that a network was trained on, told by its score and by its embedding.

A network answers whatever it is given. A score far outside those of dev is not a verdict; nor is
one whose embedding is farther from those of training than nearly all genuine speech of dev.
`evaluate` fits both and leaves the second in the work directory, for the checkpoint that it was
found with.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rawnet_jax.errors import DataError
from rawnet_jax.fitted_file import read_arrays, write_arrays
from rawnet_jax.metrics.outlier import EmbeddingDistance

OUTLIER_FILE = "outlier.safetensors"
"""Beside ``config.json``, of the run's best checkpoint."""

_ARRAYS = ("means", "directions", "weights")  # float32
_NUMBERS = ("rest", "share", "clip", "window")  # float64 []
_CURE = "evaluate the run again, or delete the file"


@dataclass(frozen=True, slots=True)
class OutlierBound:
    """How far from training may be what is judged.

    Attributes:
        share: of genuine dev speech that was to lie beyond.
        clip: the largest distance of a clip, that of the windows which its score is of.
        window: the largest distance of a single window.
    """

    share: float
    clip: float
    window: float


@dataclass(frozen=True, slots=True, eq=False)
class OutlierRule:
    """A distance and its bound, as `evaluate` found them.

    Attributes:
        measure: from embeddings to distances.
        bound: on the distance.
        step: of the checkpoint.
    """

    measure: EmbeddingDistance
    bound: OutlierBound
    step: int


def refusal_by(
    bound: OutlierBound | None, distance: float | None, *, of_window: bool = False
) -> str | None:
    """Return why there is no verdict at this distance; None where there is one.

    Args:
        bound: None = any distance is judged.
        distance: from training; None or NaN = it is not known.
        of_window: whether it is that of a single window.
    """
    if bound is None or distance is None:
        return None
    highest = bound.window if of_window else bound.clip
    if not distance > highest:  # NaN is not
        return None
    return (
        f"unlike anything this model was trained on: distance {distance:.3g}; up to {highest:.3g} "
        "is judged"
    )


def with_distance(found: np.ndarray, measure: EmbeddingDistance) -> np.ndarray:
    """Return float32 [B, 2], score and distance, of float32 [B, 1 + D], score and embedding."""
    distance = measure(found[:, 1:])
    return np.stack([found[:, 0], distance.astype(np.float32)], axis=1)


def save_outlier_rule(workdir: Path, rule: OutlierRule) -> None:
    """Write `OUTLIER_FILE` into a work directory, whole or not at all.

    Raises:
        DataError: it cannot be written.
    """
    measure, bound = rule.measure, rule.bound
    arrays = {name: np.asarray(getattr(measure, name), np.float32) for name in _ARRAYS}
    numbers = (measure.rest, bound.share, bound.clip, bound.window)
    arrays |= {name: np.array(v, np.float64) for name, v in zip(_NUMBERS, numbers, strict=True)}
    arrays["step"] = np.array(rule.step, np.int64)
    write_arrays(workdir / OUTLIER_FILE, arrays)


def remove_outlier_rule(workdir: Path) -> None:
    """Remove what `save_outlier_rule` wrote, if it is there.

    Raises:
        DataError: it cannot be removed.
    """
    path = workdir / OUTLIER_FILE
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be removed: {error.strerror}") from error


def load_outlier_rule(workdir: Path) -> OutlierRule | None:
    """Read what `save_outlier_rule` wrote; None where there is none.

    Raises:
        DataError: the file cannot be read or is damaged.
    """
    path = workdir / OUTLIER_FILE
    if not path.exists():
        return None
    arrays = read_arrays(path, (*_ARRAYS, *_NUMBERS, "step"), _CURE)
    rest, *bound = (float(arrays[name]) for name in _NUMBERS)
    means, directions, weights = (arrays[name] for name in _ARRAYS)
    measure = EmbeddingDistance(means, directions, weights, rest)
    return OutlierRule(measure, OutlierBound(*bound), int(arrays["step"]))


def range_of(scores: np.ndarray) -> tuple[float | None, float | None]:
    """Return the lowest and highest score that a verdict is given on.

    They are those of the dev scores, and once their span more on either side. The extremes of more
    trials of the same kind lie a little outside; those of other corpora and of single windows lie
    farther out, and still within. What is not speech may score tens of spans away.

    Args:
        scores: float [N] of dev.

    Returns:
        (None, None) where the scores span nothing.
    """
    if not len(scores) or not np.ptp(scores) > 0:
        return None, None
    low, high = float(np.min(scores)), float(np.max(scores))
    return low - (high - low), high + (high - low)
