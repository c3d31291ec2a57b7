"""Fusion: one score from the scores of several systems, fitted on dev, applied to eval.

Two kinds, both saved as JSON:

- ``logistic``: a weighted sum, prior-weighted logistic regression; the fused score is a natural-log
  likelihood ratio. With one system it is affine calibration.
- ``svm``: a support vector machine with a polynomial kernel of order 5 on standardised scores, as
  in Tak et al., "End-to-end anti-spoofing with RawNet2", ICASSP 2021. The fused score is the
  machine's decision value, which is not a likelihood ratio; calibrate it where one is wanted.
"""

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike

from rawnet_jax.errors import DataError, MetricError
from rawnet_jax.fitted_file import read_fitted, write_fitted
from rawnet_jax.labels import Label
from rawnet_jax.metrics.logistic import fit_logistic
from rawnet_jax.metrics.validation import refuse_huge, validate_labelled

_LOG = logging.getLogger(__name__)

SVM_ORDER = 5
SVM_COST = 1.0
SVM_MAX_STEPS = 2_000_000
"""Steps of the solver; thousands of overlapping trials would otherwise hold it for hours."""

_ROWS_AT_ONCE = 4_096


class Fusion(Protocol):
    """A map from the scores of K systems to one score.

    Attributes:
        kind: a name from `FUSION_KINDS`.
    """

    kind: ClassVar[str]

    @property
    def names(self) -> tuple[str, ...]:
        """The K systems, in the order of the columns."""

    def apply(self, scores: ArrayLike) -> np.ndarray:
        """Return fused scores, float64 [N], higher = more bona fide.

        Args:
            scores: [N, K], columns in the order of `names`.

        Raises:
            MetricError: another number of columns, or scores that are not finite.
        """

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain numbers and strings, ready for JSON."""


@dataclass(frozen=True, slots=True, eq=False)
class LogisticFusion:
    """``llr = scores @ weights + offset``.

    Attributes:
        names: the K systems.
        weights: float64 [K], nats a unit of each system's score.
        offset: in nats.
        p_bonafide: prior that the fit is best for.
        separable: whether the weighted sum separates the trials of the fit without error; the
            weights' size then follows from the number of trials.
    """

    names: tuple[str, ...]
    weights: np.ndarray
    offset: float
    p_bonafide: float
    separable: bool = False

    kind: ClassVar[str] = "logistic"

    def apply(self, scores: ArrayLike) -> np.ndarray:
        """See `Fusion.apply`."""
        return _columns(scores, self.names) @ self.weights + self.offset

    def to_dict(self) -> dict[str, Any]:
        """See `Fusion.to_dict`."""
        return {
            "kind": self.kind,
            "names": list(self.names),
            "weights": self.weights.tolist(),
            "offset": self.offset,
            "p_bonafide": self.p_bonafide,
            "separable": self.separable,
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "LogisticFusion":
        """Rebuild what `to_dict` gave."""
        names = tuple(record["names"])
        return cls(
            names,
            _array(record, "weights", (len(names),)),
            float(record["offset"]),
            float(record["p_bonafide"]),
            bool(record["separable"]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class SvmFusion:
    """``sum_m coefficients[m] (gamma support[m] · z + 1)^order + offset``, z standardised scores.

    Attributes:
        names: the K systems.
        mean: float64 [K], of the scores of the fit.
        spread: float64 [K], their standard deviation.
        support: float64 [M, K], standardised scores of the trials that carry the decision.
        coefficients: float64 [M].
        offset: of the decision value.
        gamma: scale of the kernel.
        order: of the polynomial.
    """

    names: tuple[str, ...]
    mean: np.ndarray
    spread: np.ndarray
    support: np.ndarray
    coefficients: np.ndarray
    offset: float
    gamma: float
    order: int = SVM_ORDER

    kind: ClassVar[str] = "svm"

    def apply(self, scores: ArrayLike) -> np.ndarray:
        """See `Fusion.apply`."""
        standard = (_columns(scores, self.names) - self.mean) / self.spread
        fused = np.empty(len(standard))
        for start in range(0, len(standard), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            kernel = (self.gamma * (standard[rows] @ self.support.T) + 1.0) ** self.order
            fused[rows] = kernel @ self.coefficients + self.offset
        return fused

    def to_dict(self) -> dict[str, Any]:
        """See `Fusion.to_dict`."""
        return {
            "kind": self.kind,
            "names": list(self.names),
            "order": self.order,
            "gamma": self.gamma,
            "offset": self.offset,
            "mean": self.mean.tolist(),
            "spread": self.spread.tolist(),
            "coefficients": self.coefficients.tolist(),
            "support": self.support.tolist(),
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "SvmFusion":
        """Rebuild what `to_dict` gave."""
        names = tuple(record["names"])
        num_support = len(record["coefficients"])
        return cls(
            names,
            _array(record, "mean", (len(names),)),
            _array(record, "spread", (len(names),)),
            _array(record, "support", (num_support, len(names))),
            _array(record, "coefficients", (num_support,)),
            float(record["offset"]),
            float(record["gamma"]),
            int(record["order"]),
        )


def fit_fusion(
    kind: str,
    dev_scores: ArrayLike,
    labels: ArrayLike,
    names: Sequence[str],
    p_bonafide: float = 0.5,
) -> Fusion:
    """Fit a fusion on the scores of a development set.

    Args:
        kind: one of `FUSION_KINDS`.
        dev_scores: [N, K], one column a system, higher = more bona fide.
        labels: [N], values of `Label`.
        names: K systems, all different.
        p_bonafide: prior at which decisions will be taken; for ``logistic`` only.

    Raises:
        MetricError: `kind` is unknown, shapes differ, a class is missing, a score is not finite or
            `p_bonafide` is not between 0 and 1.
    """
    if kind not in _FIT:
        raise MetricError(f"fusion {kind!r} is unknown; known: {', '.join(_FIT)}")
    if not names or len(set(names)) != len(names):
        raise MetricError(
            f"systems {', '.join(names)}: there must be at least one, with different names"
        )
    scores = _columns(dev_scores, names)
    _, label = validate_labelled(np.zeros(len(scores)), labels)
    for wanted in Label:
        if not (label == wanted).any():
            raise MetricError(f"there are no {wanted.key} trials to fit on; both are needed")
    return _FIT[kind](scores, label == Label.BONAFIDE, tuple(names), p_bonafide)


def save_fusion(path: str | Path, fusion: Fusion) -> None:
    """Write a fusion as JSON, whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    write_fitted(path, "fusion", fusion.to_dict())


def load_fusion(path: str | Path) -> Fusion:
    """Read what `save_fusion` wrote; it gives the same scores to the last bit.

    Raises:
        DataError: the file cannot be read or is damaged.
    """
    record = read_fitted(path, "fusion")
    kind = record.get("kind")
    if kind not in FUSION_KINDS:
        raise DataError(f"{path}: fusion {kind!r} is unknown; known: {', '.join(FUSION_KINDS)}")
    try:
        return _FROM_DICT[kind](record)
    except KeyError as error:
        raise DataError(f"{path}: {kind} fusion lacks {error}") from error
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: {kind} fusion: {error}") from error


def _fit_logistic(
    scores: np.ndarray, is_bonafide: np.ndarray, names: tuple[str, ...], p_bonafide: float
) -> Fusion:
    fit = fit_logistic(scores[is_bonafide], scores[~is_bonafide], p_bonafide)
    if fit.smoothed:
        _LOG.warning(
            "the fused scores separate the %s trials of the fit without error; how large they are "
            "follows from the number of trials",
            f"{len(scores):,}",
        )
    return LogisticFusion(names, fit.weights, fit.offset, p_bonafide, fit.smoothed)


def _fit_svm(
    scores: np.ndarray, is_bonafide: np.ndarray, names: tuple[str, ...], _p_bonafide: float
) -> Fusion:
    # Only this function needs scikit-learn, which takes a second to import.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import SVC

    mean, spread = scores.mean(axis=0), scores.std(axis=0)
    spread = np.where(np.ptp(scores, axis=0) > 0, spread, 1.0)
    # coef0 = 1 for a polynomial with all its lower orders, as the paper's tool has it.
    machine = SVC(
        C=SVM_COST,
        kernel="poly",
        degree=SVM_ORDER,
        gamma="scale",
        coef0=1.0,
        cache_size=500,
        max_iter=SVM_MAX_STEPS,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        machine.fit((scores - mean) / spread, is_bonafide)
    if machine.fit_status_ or machine.n_iter_[0] >= SVM_MAX_STEPS:
        _LOG.warning(
            "the support vector machine stopped after %s steps before its optimum; "
            "compare it with the logistic fusion",
            f"{SVM_MAX_STEPS:,}",
        )
    return SvmFusion(
        names,
        mean,
        spread,
        machine.support_vectors_,
        machine.dual_coef_[0],
        float(machine.intercept_[0]),
        float(machine._gamma),
    )


_FIT: dict[str, Callable[[np.ndarray, np.ndarray, tuple[str, ...], float], Fusion]] = {
    LogisticFusion.kind: _fit_logistic,
    SvmFusion.kind: _fit_svm,
}
_FROM_DICT: dict[str, Callable[[dict[str, Any]], Fusion]] = {
    LogisticFusion.kind: LogisticFusion.from_dict,
    SvmFusion.kind: SvmFusion.from_dict,
}

FUSION_KINDS = tuple(_FIT)
"""Kinds that `fit_fusion` knows."""


def _columns(scores: ArrayLike, names: Sequence[str]) -> np.ndarray:
    try:
        array = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MetricError(f"scores are not numbers: {error}") from error
    if array.ndim != 2 or array.shape[1] != len(names):
        raise MetricError(
            f"scores of shape {array.shape}; it must be one column for each of {', '.join(names)}"
        )
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        row, column = wrong[0]
        raise MetricError(f"a score of {names[column]} is {array[row, column]}; it must be finite")
    refuse_huge(array, f"scores of {', '.join(names)}")
    return array


def _array(record: dict[str, Any], name: str, shape: tuple[int, ...]) -> np.ndarray:
    array = np.array(record[name], dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"{name} of shape {array.shape}; it must be finite numbers {shape}")
    return array
