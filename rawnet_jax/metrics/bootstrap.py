"""How far metrics would move with other trials: bootstrap intervals and a paired test.

Trials, or whole groups of trials such as speakers, are drawn with replacement, the metrics are
computed from the drawn ones, and the quantiles of many such replicates make the interval
(percentile method). Drawing is *stratified*, so that every replicate has both classes:

- **by trial**: as many bona fide and as many spoof trials are drawn as there are;
- **by group**: groups are drawn whole, with all their trials of both classes, from three strata:
  groups that have both classes, only bona fide, only spoof. As many are drawn from each as there
  are in it; a group that is alone in its stratum is in every replicate. A trial whose group is not
  known is a group by itself.

Trials of one speaker are alike, so intervals by trial are too narrow where a metric is to hold
for other speakers; those by speaker are wider and to be believed. The threshold that a
metric finds by itself (EER, minimum costs) is found again in each replicate; what is handed to a
metric, such as an ASV operating point, stays.

The same seed and the same trials give the same replicates, in whatever order the trials come.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 13 and 16; for
dependent trials Bolle, Ratha and Pankanti, "Error analysis of pattern recognition systems: the
subsets bootstrap", Computer Vision and Image Understanding 93, 2004.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import SupportsFloat

import numpy as np
from numpy.typing import ArrayLike

from rawnet_jax.errors import MetricError
from rawnet_jax.labels import Label
from rawnet_jax.metrics.det import CurveMetric, DetCurve
from rawnet_jax.metrics.validation import validate_labelled, validate_scores

MetricFunction = Callable[[np.ndarray, np.ndarray], SupportsFloat]
"""From bona fide and spoof scores to what ``float()`` reads; a `CurveMetric` is the fast form."""

Groups = Sequence[str | None]
"""The group of each trial, None where it is not known."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: lower end, in the unit of the metric.
        high: upper end.
        level: share of such intervals that are meant to hold the true value, for example 0.95.
    """

    low: float
    high: float
    level: float


@dataclass(frozen=True, slots=True)
class PairedResult:
    """Two systems on the same trials.

    Attributes:
        difference: the metric of system A minus that of system B.
        interval: percentile interval of the difference.
        p_value: two-sided; how often drawing the trials again would put the difference on the other
            side of zero: 2 min(share ≤ 0, share ≥ 0), the observed trials counted in, at most 1.
            It is below 1 − level just about where the interval leaves zero out.
        value_a: the metric of system A on all trials.
        value_b: the metric of system B.
    """

    difference: float
    interval: Interval
    p_value: float
    value_a: float
    value_b: float


def bootstrap_metrics(
    bonafide_scores: ArrayLike,
    spoof_scores: ArrayLike,
    metrics: Mapping[str, MetricFunction],
    *,
    num_replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    bona_groups: Groups | None = None,
    spoof_groups: Groups | None = None,
) -> dict[str, Interval]:
    """Compute the confidence intervals of many metrics from the same resamples.

    Args:
        bonafide_scores: [Nb], higher = more bona fide.
        spoof_scores: [Ns].
        metrics: by name; see `rawnet_jax.metrics.table` for fast ones.
        num_replicates: how often trials are drawn.
        seed: of the drawing.
        level: of the intervals, in (0, 1).
        bona_groups: Nb entries, the group (speaker) of each trial, to draw by group; None for each
            trial by itself.
        spoof_groups: Ns entries; equal names in both classes are one group.

    Raises:
        MetricError: see `validate_scores`; there is not one group per trial; every stratum has one
            group only, so that nothing can vary; or `num_replicates` or `level` is out of range.
    """
    _check_level(level)
    replicates = bootstrap_replicates(
        bonafide_scores,
        spoof_scores,
        metrics,
        num_replicates=num_replicates,
        seed=seed,
        bona_groups=bona_groups,
        spoof_groups=spoof_groups,
    )
    return {name: _percentile_interval(values, level) for name, values in replicates.items()}


def bootstrap_replicates(
    bonafide_scores: ArrayLike,
    spoof_scores: ArrayLike,
    metrics: Mapping[str, MetricFunction],
    *,
    num_replicates: int = 1000,
    seed: int = 0,
    bona_groups: Groups | None = None,
    spoof_groups: Groups | None = None,
) -> dict[str, np.ndarray]:
    """Compute metrics on resampled trials.

    Args and errors are those of `bootstrap_metrics`.

    Returns:
        float64 [num_replicates] per metric; the i-th of all come from the same draw.
    """
    bonafide, spoof = validate_scores(bonafide_scores, spoof_scores)
    bona_groups = _one_a_trial(bona_groups, bonafide.size, "bona fide trials")
    spoof_groups = _one_a_trial(spoof_groups, spoof.size, "spoof trials")
    # Sorted first, so that the order in which the trials came has no part in the draws.
    bona_order, spoof_order = np.argsort(bonafide), np.argsort(spoof)
    draws = _Draws([bona_groups[i] for i in bona_order], [spoof_groups[i] for i in spoof_order])
    system = _SortedScores(bonafide[bona_order], spoof[spoof_order])
    values = [system.compute(metrics, *drawn) for drawn in draws.weights(num_replicates, seed)]
    return dict(zip(metrics, np.array(values).T, strict=True))


def paired_bootstrap(
    system_a: ArrayLike,
    system_b: ArrayLike,
    labels: ArrayLike,
    metric: MetricFunction,
    *,
    groups: Groups | None = None,
    num_replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> PairedResult:
    """Test whether two systems differ in a metric, from their scores on the same trials.

    Each replicate draws trials once and uses them for both systems, so that what is hard for both
    cancels out; two overlapping intervals of single systems tell much less.

    Args:
        system_a: [N], higher = more bona fide.
        system_b: [N], of the same trials in the same order.
        labels: [N], values of `rawnet_jax.labels.Label`.
        metric: what to compare.
        groups: N entries, to draw by group; None to draw by trial.
        num_replicates: how often trials are drawn.
        seed: of the drawing.
        level: of the interval, in (0, 1).

    Raises:
        MetricError: as `bootstrap_metrics`; or lengths differ, or a label is neither 0 nor 1.
    """
    _check_level(level)
    score_a, label = validate_labelled(system_a, labels)
    score_b, _ = validate_labelled(system_b, labels)
    group = _one_a_trial(groups, label.size, "trials")
    # Sorted by both, so that the order in which the trials came has no part in the draws.
    order = np.lexsort((score_b, score_a))
    bonafide, spoof = (order[label[order] == value] for value in (Label.BONAFIDE, Label.SPOOF))
    a = validate_scores(score_a[bonafide], score_a[spoof])
    b = score_b[bonafide], score_b[spoof]
    draws = _Draws([group[i] for i in bonafide], [group[i] for i in spoof])
    sorted_a, sorted_b = _SortedScores(*a), _SortedScores(*b)
    one = {"metric": metric}
    differences = np.array(
        [
            sorted_a.compute(one, *drawn)[0] - sorted_b.compute(one, *drawn)[0]
            for drawn in draws.weights(num_replicates, seed)
        ]
    )
    other_side = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    value_a, value_b = float(metric(*a)), float(metric(*b))
    return PairedResult(
        difference=value_a - value_b,
        interval=_percentile_interval(differences, level),
        p_value=min(1.0, 2 * (1 + int(other_side)) / (1 + num_replicates)),
        value_a=value_a,
        value_b=value_b,
    )


class _Draws:
    """Which trials belong together, and how often each is drawn.

    Args:
        bona_groups: the group of each bona fide trial, None for a trial by itself.
        spoof_groups: the group of each spoof trial.

    Raises:
        MetricError: nothing could vary.
    """

    def __init__(self, bona_groups: Groups, spoof_groups: Groups) -> None:
        groups = [*bona_groups, *spoof_groups]
        names = sorted({group for group in groups if group is not None})
        code_of = {name: code for code, name in enumerate(names)}
        fresh = itertools.count(len(names))
        codes = np.array([next(fresh) if g is None else code_of[g] for g in groups])
        self._bonafide, self._spoof = np.split(codes, [len(bona_groups)])
        kind = np.zeros(next(fresh), dtype=np.int8)
        kind[self._bonafide] = 1
        kind[np.unique(self._spoof)] += 2
        self._num_groups = kind.size
        self._strata = [np.flatnonzero(kind == value) for value in (1, 2, 3)]
        if all(stratum.size <= 1 for stratum in self._strata):
            raise MetricError(
                f"{kind.size} groups, none alike in the classes that they have; nothing can vary "
                "when they are drawn, so draw by trial or take finer groups"
            )

    def weights(self, num_replicates: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield how often each bona fide [Nb] and each spoof trial [Ns] was drawn."""
        if num_replicates < 1:
            raise MetricError(f"num_replicates is {num_replicates}; it must be at least 1")
        generator = np.random.default_rng(seed)
        counts = np.zeros(self._num_groups, dtype=np.int64)
        for _ in range(num_replicates):
            for stratum in self._strata:
                drawn = generator.integers(stratum.size or 1, size=stratum.size)
                counts[stratum] = np.bincount(drawn, minlength=stratum.size)
            yield counts[self._bonafide], counts[self._spoof]


class _SortedScores:
    """One system's scores, sorted once; replicates are sums over them.

    Args:
        bonafide: float64 [Nb], finite.
        spoof: float64 [Ns], finite.
    """

    def __init__(self, bonafide: np.ndarray, spoof: np.ndarray) -> None:
        self._orders = np.argsort(bonafide), np.argsort(spoof)
        self._bonafide, self._spoof = bonafide[self._orders[0]], spoof[self._orders[1]]
        distinct = np.unique(np.concatenate((bonafide, spoof)))
        self._thresholds = np.append(distinct, np.inf)
        self._below = tuple(
            np.searchsorted(scores, self._thresholds) for scores in (self._bonafide, self._spoof)
        )

    def compute(
        self,
        metrics: Mapping[str, MetricFunction],
        bona_weights: np.ndarray,
        spoof_weights: np.ndarray,
    ) -> list[float]:
        """Return the metrics of the trials, each counted by its weight."""
        weights = bona_weights[self._orders[0]], spoof_weights[self._orders[1]]
        curve: DetCurve | None = None
        scores: tuple[np.ndarray, np.ndarray] | None = None
        values = []
        for metric in metrics.values():
            if isinstance(metric, CurveMetric):
                curve = curve or self._curve(*weights)
                values.append(float(metric.of_curve(curve)))
            else:
                scores = scores or self._drawn(*weights)
                values.append(float(metric(*scores)))
        return values

    def _drawn(
        self, bona_weights: np.ndarray, spoof_weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        return np.repeat(self._bonafide, bona_weights), np.repeat(self._spoof, spoof_weights)

    def _curve(self, bona_weights: np.ndarray, spoof_weights: np.ndarray) -> DetCurve:
        missed, num_bonafide = _sums(bona_weights, self._below[0])
        rejected, num_spoof = _sums(spoof_weights, self._below[1])
        return DetCurve((num_spoof - rejected) / num_spoof, missed / num_bonafide, self._thresholds)


def _sums(weights: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the weight of the lowest `below` trials, and of all."""
    sums = np.zeros(weights.size + 1, dtype=np.int64)
    np.cumsum(weights, out=sums[1:])
    return sums[below], int(sums[-1])


def _one_a_trial(groups: Groups | None, num_trials: int, name: str) -> Groups:
    if groups is None:
        return [None] * num_trials
    if len(groups) != num_trials:
        raise MetricError(
            f"{num_trials} {name} and {len(groups)} groups of them; there must be one per trial"
        )
    return groups


def _percentile_interval(values: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(values, ((1.0 - level) / 2, (1.0 + level) / 2))
    return Interval(float(low), float(high), level)


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise MetricError(f"level is {level}; it must be between 0 and 1, such as 0.95")
