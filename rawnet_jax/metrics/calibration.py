"""Calibration: from scores to natural-log likelihood ratios, bona fide over spoof.

A calibration is fitted on the scores of a development set and applied to any others. Fitted on the
scores that are then measured it is an oracle and tells nothing about new recordings.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike

from rawnet_jax.errors import DataError, MetricError
from rawnet_jax.metrics.llr_bounds import llr_bounds
from rawnet_jax.metrics.logistic import fit_logistic
from rawnet_jax.metrics.validation import validate_scores

_LOG = logging.getLogger(__name__)


class Calibration(Protocol):
    """A map from scores to log-likelihood ratios.

    Attributes:
        kind: a name from `CALIBRATION_KINDS`.
    """

    kind: ClassVar[str]

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Lowest and highest ratio that comes out, in nats; None = any."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user of the calibrated scores must know; each one sentence or two."""

    def apply(self, scores: ArrayLike) -> np.ndarray:
        """Return log-likelihood ratios, float64 of the same shape, in nats.

        Args:
            scores: any shape, in the unit of the scores that the calibration was fitted on.

        Raises:
            MetricError: scores are not finite numbers.
        """

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain numbers and strings, ready for JSON."""


@dataclass(frozen=True, slots=True)
class AffineCalibration:
    """``llr = scale * score + offset``: the order of trials, and with it the EER, stays.

    Attributes:
        scale: nats per unit of score; 0 or below: the scores tell nothing, or the reverse.
        offset: in nats.
        p_bonafide: prior that the fit is best for.
        num_bonafide: bona fide trials that it was fitted on.
        num_spoof: spoof trials that it was fitted on.
        separable: whether a threshold separates those trials without error; the scale is then set
            by their number, see `rawnet_jax.metrics.logistic.fit_logistic`.
        bounds: lowest and highest ratio that comes out; None = any. See
            `rawnet_jax.metrics.llr_bounds`.
    """

    scale: float
    offset: float
    p_bonafide: float
    num_bonafide: int
    num_spoof: int
    separable: bool = False
    bounds: tuple[float, float] | None = None

    kind: ClassVar[str] = "affine"

    def __post_init__(self) -> None:
        if not np.isfinite([self.scale, self.offset]).all():
            raise MetricError(f"scale {self.scale} and offset {self.offset}; they must be finite")

    @property
    def warnings(self) -> tuple[str, ...]:
        """See `Calibration.warnings`."""
        found = []
        if self.scale < 0:
            found.append(
                f"calibration scale is {self.scale:.4g}, below 0: on the scores that it was fitted "
                "on, higher means more spoofed. The sign looks reversed; the calibrated scores "
                "turn the order of trials round"
            )
        elif self.scale == 0:
            found.append(
                "calibration scale is 0: the scores that it was fitted on do not tell bona fide "
                "from spoof, every log-likelihood ratio is the same"
            )
        if self.separable:
            found.append(
                "calibration was fitted on scores that separate the classes without error "
                f"({self.num_bonafide:,} bona fide, {self.num_spoof:,} spoof); its scale follows "
                "from the number of trials"
            )
        return tuple(found)

    def apply(self, scores: ArrayLike) -> np.ndarray:
        """See `Calibration.apply`."""
        return _within(self.bounds, self.scale * _finite(scores) + self.offset)

    def to_dict(self) -> dict[str, Any]:
        """See `Calibration.to_dict`."""
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "AffineCalibration":
        """Rebuild what `to_dict` gave."""
        return cls(
            float(record["scale"]),
            float(record["offset"]),
            float(record["p_bonafide"]),
            int(record["num_bonafide"]),
            int(record["num_spoof"]),
            bool(record["separable"]),
            _bounds_of(record),
        )


@dataclass(frozen=True, slots=True, eq=False)
class IsotonicCalibration:
    """A rising curve through knots, straight between them and flat beyond the first and last.

    Scores between the two knots of a step get the same ratio, so trials become tied: the EER may
    change. Use it where there are thousands of trials of both classes.

    Attributes:
        scores: float64 [K], strictly rising.
        llrs: float64 [K], rising, in nats.
        num_bonafide: bona fide trials that it was fitted on.
        num_spoof: spoof trials that it was fitted on.
        bounds: lowest and highest ratio that comes out; None = any.
    """

    scores: np.ndarray
    llrs: np.ndarray
    num_bonafide: int
    num_spoof: int
    bounds: tuple[float, float] | None = None

    kind: ClassVar[str] = "isotonic"

    def __post_init__(self) -> None:
        good = (
            self.scores.ndim == 1
            and self.scores.shape == self.llrs.shape
            and self.scores.size > 0
            and np.isfinite([self.scores, self.llrs]).all()
            and (np.diff(self.scores) > 0).all()
            and (np.diff(self.llrs) >= 0).all()
        )
        if not good:
            raise MetricError("knots of an isotonic calibration must be finite and rise")

    @property
    def warnings(self) -> tuple[str, ...]:
        """See `Calibration.warnings`."""
        if self.llrs[0] < self.llrs[-1]:
            return ()
        return (
            "isotonic calibration is flat: on the scores that it was fitted on, higher does not "
            "mean more bona fide. Is their sign reversed?",
        )

    def apply(self, scores: ArrayLike) -> np.ndarray:
        """See `Calibration.apply`."""
        return _within(self.bounds, np.interp(_finite(scores), self.scores, self.llrs))

    def to_dict(self) -> dict[str, Any]:
        """See `Calibration.to_dict`."""
        return {
            "kind": self.kind,
            "num_bonafide": self.num_bonafide,
            "num_spoof": self.num_spoof,
            "scores": self.scores.tolist(),
            "llrs": self.llrs.tolist(),
            "bounds": self.bounds,
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "IsotonicCalibration":
        """Rebuild what `to_dict` gave."""
        return cls(
            np.array(record["scores"], dtype=np.float64),
            np.array(record["llrs"], dtype=np.float64),
            int(record["num_bonafide"]),
            int(record["num_spoof"]),
            _bounds_of(record),
        )


def fit_affine(
    bonafide_scores: ArrayLike, spoof_scores: ArrayLike, p_bonafide: float = 0.5
) -> AffineCalibration:
    """Fit ``llr = scale * score + offset`` by prior-weighted logistic regression.

    With `p_bonafide` = 0.5 this minimises C_llr over all scales and offsets. How many trials a
    class has does not move the result. A fit that needs a warning is logged.

    Args:
        bonafide_scores: [Nb], higher = more bona fide.
        spoof_scores: [Ns].
        p_bonafide: prior at which decisions will be taken, between 0 and 1; the fit is best there
            and near there.

    Raises:
        MetricError: see `validate_scores`; or `p_bonafide` is not between 0 and 1.
    """
    bonafide, spoof = validate_scores(bonafide_scores, spoof_scores)
    fit = fit_logistic(bonafide[:, None], spoof[:, None], p_bonafide)
    calibration = AffineCalibration(
        float(fit.weights[0]), fit.offset, p_bonafide, bonafide.size, spoof.size, fit.smoothed
    )
    return _logged(calibration)


def fit_isotonic(bonafide_scores: ArrayLike, spoof_scores: ArrayLike) -> IsotonicCalibration:
    """Fit the rising curve that calibrates best, by pooling adjacent violators.

    A step with trials of one class only would have an infinite ratio. Therefore a pseudo-trial that
    tells nothing stands above all scores, with the weight of one spoof trial, and another below
    them, with the weight of one bona fide trial: ratios stay between -ln(1 + Nb) and ln(1 + Ns).
    The curve is the best one at every prior.

    Args:
        bonafide_scores: [Nb], higher = more bona fide.
        spoof_scores: [Ns].

    Raises:
        MetricError: see `validate_scores`.

    Source: Brümmer and de Villiers, "The BOSARIS toolkit", 2011, for ratios by pooling adjacent
    violators with end pseudo-trials after Laplace's rule of succession.
    """
    # Only this function needs scikit-learn, which takes a second to import.
    from sklearn.isotonic import IsotonicRegression

    bonafide, spoof = validate_scores(bonafide_scores, spoof_scores)
    scores, index = np.unique(np.concatenate((bonafide, spoof)), return_inverse=True)
    is_bonafide = np.arange(index.size) < bonafide.size
    share_bonafide = np.bincount(index[is_bonafide], minlength=scores.size) / bonafide.size
    share_spoof = np.bincount(index[~is_bonafide], minlength=scores.size) / spoof.size
    share_bonafide = np.concatenate(([1 / bonafide.size], share_bonafide, [1 / spoof.size]))
    share_spoof = np.concatenate(([1 / bonafide.size], share_spoof, [1 / spoof.size]))
    mass = share_bonafide + share_spoof
    posterior = IsotonicRegression().fit_transform(
        np.arange(mass.size), share_bonafide / mass, sample_weight=mass
    )[1:-1]
    llrs = np.log(posterior) - np.log1p(-posterior)
    is_inner = np.zeros(scores.size, dtype=bool)
    is_inner[1:-1] = (llrs[1:-1] == llrs[:-2]) & (llrs[1:-1] == llrs[2:])
    calibration = IsotonicCalibration(scores[~is_inner], llrs[~is_inner], bonafide.size, spoof.size)
    return _logged(calibration)


_FROM_DICT: dict[str, Callable[[dict[str, Any]], Calibration]] = {
    AffineCalibration.kind: AffineCalibration.from_dict,
    IsotonicCalibration.kind: IsotonicCalibration.from_dict,
}

CALIBRATION_KINDS = tuple(_FROM_DICT)
"""Kinds that `fit_calibration` and `calibration_from_dict` know."""


def fit_calibration(
    kind: str, bonafide_scores: ArrayLike, spoof_scores: ArrayLike, p_bonafide: float = 0.5
) -> Calibration:
    """Fit a calibration named by its kind; its ratios stay within what these trials support.

    Raises:
        MetricError: `kind` is not in `CALIBRATION_KINDS`; see also `fit_affine`, `fit_isotonic`.
    """
    fitted: AffineCalibration | IsotonicCalibration
    if kind == AffineCalibration.kind:
        fitted = fit_affine(bonafide_scores, spoof_scores, p_bonafide)
    elif kind == IsotonicCalibration.kind:
        fitted = fit_isotonic(bonafide_scores, spoof_scores)
    else:
        known = ", ".join(CALIBRATION_KINDS)
        raise MetricError(f"calibration {kind!r} is unknown; known: {known}")
    bounds = llr_bounds(fitted.apply(bonafide_scores), fitted.apply(spoof_scores))
    return replace(fitted, bounds=bounds)


def calibration_from_dict(record: dict[str, Any]) -> Calibration:
    """Rebuild what `Calibration.to_dict` gave.

    Raises:
        DataError: a field is missing or wrong.
    """
    kind = record.get("kind")
    if kind not in CALIBRATION_KINDS:
        raise DataError(f"calibration {kind!r} is unknown; known: {', '.join(CALIBRATION_KINDS)}")
    try:
        return _FROM_DICT[kind](record)
    except KeyError as error:
        raise DataError(f"{kind} calibration lacks {error}") from error
    except (TypeError, ValueError) as error:
        raise DataError(f"{kind} calibration: {error}") from error


def _within(bounds: tuple[float, float] | None, llrs: np.ndarray) -> np.ndarray:
    return llrs if bounds is None else np.clip(llrs, *bounds)


def _bounds_of(record: dict[str, Any]) -> tuple[float, float] | None:
    """Read the bounds; files of older versions have none."""
    if record.get("bounds") is None:
        return None
    low, high = map(float, record["bounds"])
    if not -np.inf < low <= 0 <= high < np.inf:
        raise ValueError(f"bounds {low:g} to {high:g}; they must be finite and around 0")
    return low, high


def _logged(calibration: Any) -> Any:
    for warning in calibration.warnings:
        _LOG.warning("%s", warning)
    return calibration


def _finite(scores: ArrayLike) -> np.ndarray:
    try:
        array = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MetricError(f"scores are not numbers: {error}") from error
    if not np.isfinite(array).all():
        raise MetricError("a score is not finite; all must be")
    return array
