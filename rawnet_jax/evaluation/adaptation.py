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

from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.metrics.bootstrap import Interval
from rawnet_jax.metrics.calibration import AffineCalibration, Calibration
from rawnet_jax.metrics.cllr import cllr
from rawnet_jax.metrics.last_layer import (
    LayerChange,
    choose_layer_change,
    folds_of,
    left_out_scores,
)
from rawnet_jax.metrics.llr_bounds import llr_bounds
from rawnet_jax.metrics.logistic import fit_logistic
from rawnet_jax.metrics.one_class import at_one_class, clopper_pearson
from rawnet_jax.metrics.thresholds import at_false_alarm

LEAST_GENUINE = 10
"""Recordings of genuine speech; more where a rate is asked for that so few cannot show."""

LEAST_FAKES = 20
"""Recordings of known fakes, where any are needed."""

_UNKNOWN = (
    "nothing says how many fakes that would let in; give fakes (--spoof), or dev scores of this "
    "detector (--dev-scores)"
)


@dataclass(frozen=True, slots=True, eq=False)
class Recordings:
    """Recordings of one class that can be judged.

    Attributes:
        scores: float64 [N], higher = more bona fide.
        embeddings: float64 [N, D]; D = 0 where they are not known.
        groups: speaker, or system of a fake, of each; one name for all where nobody knows.
        called_spoof: bool [N], the verdicts before.
    """

    scores: np.ndarray
    embeddings: np.ndarray
    groups: tuple[str, ...]
    called_spoof: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def rows(self, rows: np.ndarray) -> "Recordings":
        """Return those at `rows`, bool [N]."""
        groups = tuple(np.asarray(self.groups, dtype=object)[rows])
        return Recordings(self.scores[rows], self.embeddings[rows], groups, self.called_spoof[rows])

    def changed(self, change: LayerChange | None) -> np.ndarray:
        """Return float64 [N], the scores after a change of the last layer."""
        return self.scores if change is None else change.apply(self.scores, self.embeddings)


@dataclass(frozen=True, slots=True)
class Goal:
    """What is fitted, and to what end.

    Attributes:
        miss: share of genuine speech that may be called spoof, if more fakes are rejected for it;
            None = as few as the fakes allow.
        accept: share of the known fakes that may be accepted; None = as before.
        last_layer: whether the last layer is fitted.
        num_folds: of the cross-validation.
        seed: of the folds.
    """

    miss: float | None = None
    accept: float | None = None
    last_layer: bool = False
    num_folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for flag, rate in (("--miss", self.miss), ("--accept", self.accept)):
            if rate is not None and not 0 < rate < 1:
                raise ConfigError(f"{flag} {rate:g}: it must be above 0 and below 1")
        if self.num_folds < 2:
            raise ConfigError(f"--folds {self.num_folds}: it must be 2 or more")

    @property
    def least(self) -> int:
        """Recordings of genuine speech that are needed."""
        shown = 0 if self.miss is None else math.ceil(1 / self.miss - 1e-9)
        return max(LEAST_GENUINE, shown)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was fitted.

    Attributes:
        threshold: bona fide at and above this score, after the change of the last layer.
        change: of the last layer; None = none.
        calibration: None = that of before stays.
    """

    threshold: float
    change: LayerChange | None = None
    calibration: Calibration | None = None


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


def fit(bonafide: Recordings, fakes: Recordings | None, goal: Goal) -> Fitted:
    """Fit to all of these recordings; nothing is measured.

    Raises:
        MetricError: the scores cannot be fitted.
    """
    if fakes is None:
        scores = bonafide.scores
        return Fitted(_below(at_one_class(scores, goal.miss or 0.0).value, scores))
    change, genuine, spoof = None, bonafide.scores, fakes.scores
    if goal.last_layer:
        trials = [(one.scores, one.embeddings) for one in (bonafide, fakes)]
        parts = [folds_of(one.groups, goal.num_folds, goal.seed + 1) for one in (bonafide, fakes)]
        folds = (parts[0], parts[1])
        change = choose_layer_change(trials[0], trials[1], folds)
        genuine, spoof = left_out_scores(trials[0], trials[1], folds, change.penalty)
    allowed = float(np.mean(~fakes.called_spoof)) if goal.accept is None else goal.accept
    # On the very fakes that the layer was fitted on, too, no more may be accepted.
    threshold = max(
        at_false_alarm(genuine, scores, allowed).value for scores in (spoof, fakes.changed(change))
    )
    if goal.miss is not None:
        threshold = max(threshold, at_one_class(genuine, goal.miss).value)
    everything = (genuine, spoof, bonafide.changed(change), fakes.changed(change))
    threshold = _below(threshold, np.concatenate(everything))
    return Fitted(threshold, change, _calibrated(genuine, spoof))


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


def _calibrated(bonafide: np.ndarray, spoof: np.ndarray) -> AffineCalibration:
    """Fit a calibration without logging, which folds would do many times."""
    fit = fit_logistic(bonafide[:, None], spoof[:, None])
    found = AffineCalibration(
        float(fit.weights[0]), fit.offset, 0.5, bonafide.size, spoof.size, fit.smoothed
    )
    return replace(found, bounds=llr_bounds(found.apply(bonafide), found.apply(spoof)))


def _below(threshold: float, scores: np.ndarray) -> float:
    """Return a threshold halfway to the next lower score, which decides alike on all of these.

    A recording whose score is the threshold would change sides by a rounding error.
    """
    lower = scores[scores < threshold]
    return float((threshold + lower.max()) / 2) if lower.size else float(threshold - 1e-6)


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
    if found.num_speakers == 1:
        notes.append(
            "one speaker, or nobody names them: parts are of recordings, and another speaker may "
            "fare otherwise"
        )
    return notes


def settings_of(goal: Goal) -> dict[str, Any]:
    """Return a goal, ready for JSON."""
    return asdict(goal)
