"""Who is wrongly rejected: false rejection of bona fide speech, by group, at one threshold.

A detector that flags the speakers of one accent, gender or telephone again and again can
have a low error rate where they are few. So every group is counted by itself, with an interval
that shows how far its rate can be trusted.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from rawnet_jax.errors import MetricError
from rawnet_jax.labels import Label
from rawnet_jax.metrics.bootstrap import Interval
from rawnet_jax.metrics.breakdown import FEW_TRIALS, UNSTATED, Column, natural_order
from rawnet_jax.metrics.validation import validate_labelled


@dataclass(frozen=True, slots=True)
class FairnessRow:
    """False rejection in one group.

    Attributes:
        group: its name.
        num_bonafide: its bona fide trials.
        num_rejected: those of them that are rejected.
        num_speakers: its speakers; None where they are not known.
        interval: Wilson's, of the rate; see `fairness`.
        joint_interval: a wider one, so that all groups' together hold their rates at the level.
    """

    group: str
    num_bonafide: int
    num_rejected: int
    num_speakers: int | None
    interval: Interval
    joint_interval: Interval

    @property
    def p_miss(self) -> float:
        """Share of bona fide trials that are rejected; lower is better."""
        return self.num_rejected / self.num_bonafide

    @property
    def is_small(self) -> bool:
        """Whether the group has fewer than `FEW_TRIALS` bona fide trials."""
        return self.num_bonafide < FEW_TRIALS


@dataclass(frozen=True, slots=True)
class FairnessTable:
    """False rejection in every group.

    Attributes:
        threshold: a trial is rejected below it.
        rows: highest rate first; `UNSTATED` last.
        overall: all bona fide trials together.
        worst: the group with the highest rate; None where no group is named.
        best: the group with the lowest.
        judged_small: whether `worst` and `best` had to be taken from small groups.
    """

    threshold: float
    rows: tuple[FairnessRow, ...]
    overall: FairnessRow
    worst: FairnessRow | None
    best: FairnessRow | None
    judged_small: bool

    @property
    def gap_to_best(self) -> float | None:
        """Rate of the worst group minus that of the best, a fraction; lower is fairer."""
        return None if not self.worst or not self.best else self.worst.p_miss - self.best.p_miss

    @property
    def gap_to_overall(self) -> float | None:
        """Rate of the worst group minus that of all bona fide trials; lower is fairer."""
        return None if not self.worst else self.worst.p_miss - self.overall.p_miss

    def stands_out(self, row: FairnessRow) -> bool:
        """Return whether a group's rate is clearly above that of all trials.

        Its whole joint interval lies above; among hundreds of groups a few of the plain intervals
        would do so by chance.
        """
        return row.joint_interval.low > self.overall.p_miss


def fairness(
    scores: ArrayLike,
    labels: ArrayLike,
    groups: Column,
    threshold: float,
    *,
    speakers: Column | None = None,
    level: float = 0.95,
) -> FairnessTable:
    """Compare how often bona fide speech of each group is rejected.

    The intervals are Wilson's score intervals. Trials of one speaker resemble each other; where
    speakers are known and a group has several, its number of trials is divided by the design effect
    of speakers (never below 1), so that a hundred trials of two people do not pass for a hundred
    people. Joint intervals have the level 1 - (1 - level) / number of groups (Bonferroni).

    Args:
        scores: [N], higher = more bona fide.
        labels: [N], values of `rawnet_jax.labels.Label`; spoof trials are passed over.
        groups: [N], None = not stated.
        threshold: a trial is rejected at ``score < threshold``.
        speakers: [N], None = not stated; of `groups` itself where that is the speaker.
        level: of the intervals, between 0 and 1.

    Raises:
        MetricError: see `validate_labelled`; there is no bona fide trial, lengths differ, or
            threshold or level make no sense.

    Sources: Wilson, "Probable inference, the law of succession, and statistical inference", JASA
    22, 1927; with the effective number of trials: Korn and Graubard, "Confidence intervals for
    proportions with small expected number of positive counts estimated from survey data", Survey
    Methodology 24, 1998.
    """
    score, label = validate_labelled(scores, labels)
    for name, column in (("groups", groups), ("speakers", speakers)):
        if column is not None and len(column) != score.size:
            raise MetricError(f"{score.size} scores, but {len(column)} {name}")
    if math.isnan(threshold):
        raise MetricError("the threshold is not a number")
    keep = np.flatnonzero(label == Label.BONAFIDE).tolist()
    if not keep:
        raise MetricError("there are no bona fide scores; false rejection is about them")
    rejected = score[keep] < threshold
    group_of = [groups[i] for i in keep]
    speaker_of = None if speakers is None else [speakers[i] for i in keep]
    members: dict[str, list[int]] = {}
    for position, group in enumerate(group_of):
        members.setdefault(UNSTATED if group is None else group, []).append(position)

    def row(name: str, at: Sequence[int]) -> FairnessRow:
        own = None if speaker_of is None else [speaker_of[i] for i in at]
        return _row(name, rejected[at], own, (level, 1 - (1 - level) / len(members)))

    rows = [row(name, at) for name, at in members.items()]
    rows.sort(key=lambda r: (r.group == UNSTATED, -r.p_miss, natural_order(r.group)))
    worst, best, judged_small = _extremes(rows)
    overall = row("all", range(len(keep)))
    return FairnessTable(threshold, tuple(rows), overall, worst, best, judged_small)


def wilson_interval(num_hits: float, num_trials: float, level: float = 0.95) -> Interval:
    """Compute Wilson's score interval of a share.

    Args:
        num_hits: from 0 to `num_trials`; need not be whole.
        num_trials: above 0.
        level: between 0 and 1.

    Raises:
        MetricError: a number is out of its range.
    """
    if not 0 <= num_hits <= num_trials or num_trials <= 0:
        raise MetricError(f"{num_hits} of {num_trials} trials is not a share")
    if not 0 < level < 1:
        raise MetricError(f"level is {level}; it must be between 0 and 1")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = num_hits / num_trials
    shrink = 1 + z**2 / num_trials
    middle = (share + z**2 / (2 * num_trials)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / num_trials + (z / (2 * num_trials)) ** 2)
    # Rounding must not put the share itself outside.
    return Interval(max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share)), level)


def _row(
    name: str,
    rejected: np.ndarray,
    speakers: Sequence[str | None] | None,
    levels: tuple[float, float],
) -> FairnessRow:
    num_rejected = int(rejected.sum())
    effective = rejected.size / _design_effect(rejected, speakers)
    hits = float(rejected.mean()) * effective
    interval, joint = (wilson_interval(hits, effective, level) for level in levels)
    num_speakers = None if speakers is None else len(set(speakers) - {None})
    return FairnessRow(name, rejected.size, num_rejected, num_speakers, interval, joint)


def _design_effect(rejected: np.ndarray, speakers: Sequence[str | None] | None) -> float:
    """Return how much more the rate varies than with independent trials; at least 1."""
    if speakers is None:
        return 1.0
    code_of: dict[object, int] = {}
    # A trial without a stated speaker is a speaker of its own.
    codes = [
        code_of.setdefault(position if speaker is None else speaker, len(code_of))
        for position, speaker in enumerate(speakers)
    ]
    share, num_speakers = float(rejected.mean()), len(code_of)
    if num_speakers < 2 or share in (0.0, 1.0):
        return 1.0
    trials = np.bincount(codes)
    residual = np.bincount(codes, weights=rejected) - share * trials
    correction = num_speakers / (num_speakers - 1)
    variance = correction * float(residual @ residual) / rejected.size**2
    return max(1.0, variance / (share * (1 - share) / rejected.size))


def _extremes(
    rows: Sequence[FairnessRow],
) -> tuple[FairnessRow | None, FairnessRow | None, bool]:
    """Return the worst and the best group and whether they had to be small ones."""
    stated = [row for row in rows if row.group != UNSTATED]
    large = [row for row in stated if not row.is_small]
    judged = large or stated
    if not judged:
        return None, None, False
    # Among equals the larger group tells more.
    worst = max(judged, key=lambda row: (row.p_miss, row.num_bonafide))
    best = min(judged, key=lambda row: (row.p_miss, -row.num_bonafide))
    return worst, best, not large
