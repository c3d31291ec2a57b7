"""What is fitted to recordings of somebody: threshold, calibration, last layer."""

import math
from dataclasses import dataclass, replace

import numpy as np

from rawnet_jax.errors import ConfigError
from rawnet_jax.metrics.calibration import AffineCalibration, Calibration
from rawnet_jax.metrics.last_layer import (
    LayerChange,
    Trials,
    choose_layer_change,
    folds_of,
    left_out_scores,
    trials_of,
)
from rawnet_jax.metrics.llr_bounds import llr_bounds
from rawnet_jax.metrics.logistic import fit_logistic
from rawnet_jax.metrics.one_class import at_one_class
from rawnet_jax.metrics.thresholds import at_false_alarm

LEAST_GENUINE = 10
"""Recordings of genuine speech; more where a rate is asked for that so few cannot show."""


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


def joined(*parts: Recordings | None) -> Recordings | None:
    """Return recordings of one class together; None where there are none."""
    kept = [part for part in parts if part is not None and len(part)]
    if not kept:
        return None
    names = ("scores", "embeddings", "called_spoof")
    scores, embeddings, called = (
        np.concatenate([getattr(part, name) for part in kept]) for name in names
    )
    groups = tuple(group for part in kept for group in part.groups)
    return Recordings(scores, embeddings, groups, called)


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


def fit(
    bonafide: Recordings, fakes: Recordings | None, goal: Goal, others: Recordings | None = None
) -> Fitted:
    """Fit to all of these recordings; nothing is measured.

    Args:
        bonafide: genuine speech that is adapted to.
        fakes: known fakes; None = there are none.
        goal: what to fit.
        others: genuine speech of other people, which the last layer is to go on accepting: it
            weighs as much as `bonafide`; None = there is none.

    Raises:
        MetricError: the scores cannot be fitted.
    """
    if fakes is None:
        scores = bonafide.scores
        return Fitted(_below(at_one_class(scores, goal.miss or 0.0).value, scores))
    change, genuine, spoof = None, bonafide.scores, fakes.scores
    if goal.last_layer:
        own, known = _trials(goal, bonafide, others), _trials(goal, fakes)
        folds = own[1], known[1]
        change = choose_layer_change(own[0], known[0], folds)
        genuine, spoof = left_out_scores(own[0], known[0], folds, change.penalty)
        genuine = genuine[: len(bonafide)]
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


def _trials(goal: Goal, *parts: Recordings | None) -> tuple[Trials, np.ndarray]:
    """Return recordings of one class in parts that weigh the same, and their folds int [N]."""
    given = [part for part in parts if part is not None]
    folds = [folds_of(part.groups, goal.num_folds, goal.seed + 1) for part in given]
    trials = trials_of(*((part.scores, part.embeddings) for part in given))
    return trials, np.concatenate(folds)


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
