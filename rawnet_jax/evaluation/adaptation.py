"""A detector's threshold, calibration and last layer, fitted to somebody's own recordings.

What is fitted is measured by cross-validation: on speakers (or, of one speaker, recordings) that
the fit did not see. Fakes hold the threshold: at the new one no more of the known fakes are
accepted than before, unless the caller names another share.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

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

    @classmethod
    def true_of(cls, is_so: np.ndarray) -> "Count":
        """Count what is so, of bool [N]."""
        return cls(int(np.count_nonzero(is_so)), int(is_so.size))

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
        others_before: genuine speech of other people called spoof; None = there is none.
        others_after: the same after, cross-validated.
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
    others_before: Count | None = None
    others_after: Count | None = None
    cllr_before: float | None = None
    cllr_after: float | None = None
    num_speakers: int = 1
    notes: tuple[str, ...] = field(default=())

    @property
    def record(self) -> Mapping[str, Any]:
        """All but the weights of the last layer, ready for JSON."""
        names = (
            *("misses_before", "misses_after", "accepted_before", "accepted_after"),
            *("accepted_fitted", "others_before", "others_after"),
        )
        counts = {name: getattr(self, name) for name in names}
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
    others: Recordings | None = None,
) -> Adaptation:
    """Fit, and measure by cross-validation.

    Args:
        bonafide: genuine speech that can be judged.
        fakes: known fakes; None = there are none.
        goal: what to fit.
        threshold: the old one, of scores as they are; None = it is of another kind.
        calibration: the old one.
        others: genuine speech of other people; None = there is none.

    Raises:
        DataError: there is too little to learn from, or nothing says what a lower threshold would
            let in.
        MetricError: the scores cannot be fitted.
    """
    _check(bonafide, fakes, goal)
    fitted = fit(bonafide, fakes, goal, others)
    if fakes is None:
        _refuse_looser(fitted.threshold, threshold)
    left_out = _cross_validated(bonafide, fakes, goal, others)
    found = Adaptation(
        fitted=fitted,
        misses_before=Count.true_of(bonafide.called_spoof),
        misses_after=Count.true_of(left_out.missed),
        others_before=None if others is None else Count.true_of(others.called_spoof),
        others_after=None if others is None else Count.true_of(left_out.others_missed),
        num_speakers=len(set(bonafide.groups)),
    )
    if fakes is not None:
        passes = fakes.changed(fitted.change) >= fitted.threshold
        before, after = _cllrs(bonafide, fakes, calibration, left_out.llrs)
        kept = _calibration_kept(fitted, before, after)
        fitted = replace(fitted, calibration=kept)
        found = replace(
            found,
            fitted=fitted,
            accepted_before=Count.true_of(~fakes.called_spoof),
            accepted_after=Count.true_of(left_out.accepted),
            accepted_fitted=Count.true_of(passes),
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
        count = Count.true_of(bonafide.called_spoof)
        raise DataError(
            f"{count.num} of {count.of} genuine recordings are called spoof; fewer take a lower "
            f"threshold, and {_UNKNOWN}; or a rate (--miss) that the threshold may rise to"
        )
    if fakes is None and goal.last_layer:
        raise DataError("the last layer is fitted on genuine speech and fakes; give --spoof, too")
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


class _LeftOut(NamedTuple):
    """What a fit that did not see a recording says of it."""

    missed: np.ndarray  # bool [Nb]
    accepted: np.ndarray  # bool [Ns]
    others_missed: np.ndarray  # bool [No]
    llrs: tuple[np.ndarray, np.ndarray]  # float64 [Nb] and [Ns]


def _cross_validated(
    bonafide: Recordings, fakes: Recordings | None, goal: Goal, others: Recordings | None
) -> _LeftOut:
    given = (bonafide, fakes, others)
    folds = [
        np.zeros(0, np.int64) if one is None else folds_of(one.groups, goal.num_folds, goal.seed)
        for one in given
    ]
    missed, accepted, others_missed = (np.zeros(len(of), bool) for of in folds)
    llrs = np.zeros(len(folds[0])), np.zeros(len(folds[1]))
    for fold in range(goal.num_folds):
        outs = [of == fold for of in folds]
        if not any(out.any() for out in outs):
            continue
        kept, left = (
            [None if one is None else one.rows(rows) for one, rows in zip(given, of, strict=True)]
            for of in ([~out for out in outs], outs)
        )
        assert kept[0] is not None  # genuine speech is always there
        assert left[0] is not None
        fitted = fit(kept[0], kept[1], goal, kept[2])
        scores = left[0].changed(fitted.change)
        missed[outs[0]] = scores < fitted.threshold
        if left[2] is not None:
            others_missed[outs[2]] = left[2].changed(fitted.change) < fitted.threshold
        if left[1] is not None and fitted.calibration is not None:
            fake_scores = left[1].changed(fitted.change)
            accepted[outs[1]] = fake_scores >= fitted.threshold
            llrs[0][outs[0]] = fitted.calibration.apply(scores)
            llrs[1][outs[1]] = fitted.calibration.apply(fake_scores)
    return _LeftOut(missed, accepted, others_missed, llrs)


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
    notes += _notes_on_others(found)
    if found.num_speakers == 1:
        notes.append(
            "one speaker, or nobody names them: parts are of recordings, and another speaker may "
            "fare otherwise"
        )
    return notes


def _notes_on_others(found: Adaptation) -> list[str]:
    before, after = found.others_before, found.others_after
    if before is not None and after is not None:
        if after.num <= before.num:
            return []
        return [
            f"genuine speech of other people is called spoof more often than before: {after.num} "
            f"of {after.of}, before {before.num}"
        ]
    if found.fitted.change is None:
        return []
    return [
        "another last layer is for the people that it was fitted to; nothing says how often it "
        "calls others' genuine speech spoof: give some (--others), and it holds on to it"
    ]


def settings_of(goal: Goal) -> dict[str, Any]:
    """Return a goal, ready for JSON."""
    return asdict(goal)
