"""A detector's threshold, calibration and last layer, fitted to somebody's own recordings.

What is fitted is measured by cross-validation: on speakers (or, of one speaker, recordings) that
the fit did not see. Fakes hold the threshold: at the new one no more of the known fakes are
accepted than before, unless the caller names another share.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from rawnet_jax.errors import DataError
from rawnet_jax.evaluation.adaptation_fit import Fitted, Goal, Recordings, fit
from rawnet_jax.metrics.bootstrap import Interval
from rawnet_jax.metrics.calibration import AffineCalibration, Calibration
from rawnet_jax.metrics.cllr import cllr
from rawnet_jax.metrics.last_layer import folds_of
from rawnet_jax.metrics.one_class import clopper_pearson

LEAST_FAKES = 20
"""Recordings of known fakes, where any are needed."""

_UNKNOWN = (
    "nothing says how many fakes that would let in; give fakes (--spoof), or dev scores of this "
    "detector (--dev-scores)"
)


@dataclass(frozen=True, slots=True)
class Count:
    """So many of so many, with a 95 % interval that takes recordings as independent."""

    num: int
    of: int

    @property
    def rate(self) -> float:
        """The share."""
        return self.num / self.of

    @property
    def interval(self) -> Interval:
        """Exact interval of the rate."""
        return clopper_pearson(self.num, self.of)

    @property
    def record(self) -> dict[str, Any]:
        """The same, ready for JSON."""
        return {"num": self.num, "of": self.of, "interval": [self.interval.low, self.interval.high]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptation:
    """What was fitted, and what it does.

    Attributes:
        fitted: on all recordings.
        misses_before: genuine speech called spoof by the old detector.
        misses_after: the same after, each recording judged by a fit that did not see its part.
        accepted_before: known fakes accepted by the old detector; None = none are known.
        accepted_after: the same after, cross-validated.
        accepted_fitted: the same of the final threshold, on the fakes that it was chosen on.
        cllr_before: cost of the old likelihood ratios in bits; None = no calibration, or no fakes.
        cllr_after: that of the new ones, cross-validated; None = the old calibration stays.
        num_speakers: of the genuine speech; 1 where nobody names any.
        notes: what a user must know; each one sentence.
    """

    fitted: Fitted
    misses_before: Count
    misses_after: Count
    accepted_before: Count | None = None
    accepted_after: Count | None = None
    accepted_fitted: Count | None = None
    cllr_before: float | None = None
    cllr_after: float | None = None
    num_speakers: int = 1
    notes: tuple[str, ...] = field(default=())

    @property
    def record(self) -> Mapping[str, Any]:
        """All but the weights of the last layer, ready for JSON."""
        names = ("misses_before", "misses_after", "accepted_before", "accepted_after")
        counts = {name: getattr(self, name) for name in (*names, "accepted_fitted")}
        change = self.fitted.change
        return {name: None if one is None else one.record for name, one in counts.items()} | {
            "cllr_before": self.cllr_before,
            "cllr_after": self.cllr_after,
            "num_speakers": self.num_speakers,
            "threshold": self.fitted.threshold,
            "last_layer": change is not None,
            "penalty": None if change is None or math.isinf(change.penalty) else change.penalty,
            "notes": list(self.notes),
        }


def adapt(
    bonafide: Recordings,
    fakes: Recordings | None,
    goal: Goal,
    *,
    threshold: float | None,
    calibration: Calibration | None = None,
) -> Adaptation:
    """Fit, and measure by cross-validation.

    Args:
        bonafide: genuine speech that can be judged.
        fakes: known fakes; None = there are none.
        goal: what to fit.
        threshold: the old one, of scores as they are; None = it is of another kind.
        calibration: the old one.

    Raises:
        DataError: there is too little to learn from, or nothing says what a lower threshold would
            let in.
        MetricError: the scores cannot be fitted.
    """
    _check(bonafide, fakes, goal)
    fitted = fit(bonafide, fakes, goal)
    if fakes is None:
        _refuse_looser(fitted.threshold, threshold)
    missed, accepted, llrs = _cross_validated(bonafide, fakes, goal)
    found = Adaptation(
        fitted=fitted,
        misses_before=_count(bonafide.called_spoof),
        misses_after=_count(missed),
        num_speakers=len(set(bonafide.groups)),
    )
    if fakes is not None:
        passes = fakes.changed(fitted.change) >= fitted.threshold
        before, after = _cllrs(bonafide, fakes, calibration, llrs)
        kept = _calibration_kept(fitted, before, after)
        fitted = replace(fitted, calibration=kept)
        found = replace(
            found,
            fitted=fitted,
            accepted_before=_count(~fakes.called_spoof),
            accepted_after=_count(accepted),
            accepted_fitted=_count(passes),
            cllr_before=before,
            cllr_after=None if kept is None else after,
        )
    return replace(found, notes=tuple(_notes(found)))


def _check(bonafide: Recordings, fakes: Recordings | None, goal: Goal) -> None:
    if len(bonafide) < goal.least:
        raise DataError(
            f"{len(bonafide)} recordings of genuine speech can be judged; adapt needs "
            f"{goal.least} or more"
        )
    if fakes is None and goal.miss is None and not goal.last_layer and goal.accept is None:
        count = _count(bonafide.called_spoof)
        raise DataError(
            f"{count.num} of {count.of} genuine recordings are called spoof; fewer take a lower "
            f"threshold, and {_UNKNOWN}; or a rate (--miss) that the threshold may rise to"
        )
    if fakes is None and goal.last_layer:
        raise DataError("the last layer is fitted on genuine speech and fakes; give fakes, too")
    if fakes is None and goal.accept is not None:
        raise DataError("a share of known fakes to accept: there are no known fakes; give some")
    if fakes is not None and len(fakes) < LEAST_FAKES:
        raise DataError(
            f"{len(fakes)} known fakes can be judged; adapt needs {LEAST_FAKES} or more"
        )


def _refuse_looser(new: float, old: float | None) -> None:
    if old is not None and new >= old:
        return
    instead = "" if old is None else f" instead of {old:.4g}"
    raise DataError(f"that takes a threshold of {new:.4g}{instead}, and {_UNKNOWN}")


def _cross_validated(
    bonafide: Recordings, fakes: Recordings | None, goal: Goal
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return who is called spoof [Nb], which fakes are accepted [Ns], and both's new ratios."""
    folds = folds_of(bonafide.groups, goal.num_folds, goal.seed)
    fake_folds = np.zeros(0, np.int64)
    if fakes is not None:
        fake_folds = folds_of(fakes.groups, goal.num_folds, goal.seed)
    missed, accepted = np.zeros(len(folds), bool), np.zeros(len(fake_folds), bool)
    llrs = np.zeros(len(folds)), np.zeros(len(fake_folds))
    for fold in range(goal.num_folds):
        out, fake_out = folds == fold, fake_folds == fold
        if not (out.any() or fake_out.any()):
            continue
        fitted = fit(bonafide.rows(~out), None if fakes is None else fakes.rows(~fake_out), goal)
        scores = bonafide.rows(out).changed(fitted.change)
        missed[out] = scores < fitted.threshold
        if fakes is not None and fitted.calibration is not None:
            fake_scores = fakes.rows(fake_out).changed(fitted.change)
            accepted[fake_out] = fake_scores >= fitted.threshold
            llrs[0][out] = fitted.calibration.apply(scores)
            llrs[1][fake_out] = fitted.calibration.apply(fake_scores)
    return missed, accepted, llrs


def _cllrs(
    bonafide: Recordings,
    fakes: Recordings,
    calibration: Calibration | None,
    llrs: tuple[np.ndarray, np.ndarray],
) -> tuple[float | None, float]:
    before = None
    if calibration is not None:
        before = cllr(calibration.apply(bonafide.scores), calibration.apply(fakes.scores))
    return before, cllr(*llrs)


def _calibration_kept(fitted: Fitted, before: float | None, after: float) -> Calibration | None:
    """Return the new calibration; None where the old one is to stay.

    Raises:
        DataError: neither can.
    """
    new = fitted.calibration
    tells = isinstance(new, AffineCalibration) and new.scale > 0
    if fitted.change is not None and not tells:
        raise DataError(
            "even with another last layer the scores of these recordings do not tell genuine "
            "speech from fakes; the detector cannot be adapted to them"
        )
    if fitted.change is None and (not tells or (before is not None and after >= before)):
        return None
    return new


def _count(is_so: np.ndarray) -> Count:
    return Count(int(np.count_nonzero(is_so)), int(is_so.size))


def _notes(found: Adaptation) -> list[str]:
    notes = []
    before, after = found.misses_before, found.misses_after
    if after.num > before.num:
        notes.append(
            f"genuine speech is called spoof more often than before: {after.num} of {after.of}, "
            f"before {before.num}"
        )
    elif after.num == before.num and before.num:
        notes.append("genuine speech is called spoof as often as before; adapting did not help")
    passed, passes, fitted = found.accepted_before, found.accepted_after, found.accepted_fitted
    if passed is None or passes is None or fitted is None:
        notes.append("no fakes are known: nothing says how many the detector accepts")
    elif max(passes.num, fitted.num) > passed.num:
        notes.append(
            f"known fakes are accepted more often than before: {passes.num} of {passes.of} by "
            f"cross-validation and {fitted.num} at the new threshold, before {passed.num}"
        )
    if found.fitted.change is not None:
        notes.append(
            "another last layer is for the people that it was fitted to; it may call others' "
            "genuine speech spoof more often than before"
        )
    if found.num_speakers == 1:
        notes.append(
            "one speaker, or nobody names them: parts are of recordings, and another speaker may "
            "fare otherwise"
        )
    return notes


def settings_of(goal: Goal) -> dict[str, Any]:
    """Return a goal, ready for JSON."""
    return asdict(goal)
