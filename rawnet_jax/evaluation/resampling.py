"""Confidence intervals of a system's metrics: by trial or by speaker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from rawnet_jax.evaluation.decision import Classes
from rawnet_jax.labels import Label
from rawnet_jax.metrics.bootstrap import Groups, Interval, MetricFunction, bootstrap_metrics
from rawnet_jax.metrics.det import CurveMetric, DetCurve
from rawnet_jax.metrics.table import EER


@dataclass(frozen=True, slots=True)
class Resampling:
    """How confidence intervals are made.

    Attributes:
        num_replicates: 0 = no intervals.
        by_speaker: draw speakers with all their trials, instead of trials.
        seed: of the drawing.
        level: of all intervals, in (0, 1).
    """

    num_replicates: int = 1000
    by_speaker: bool = False
    seed: int = 0
    level: float = 0.95

    def __str__(self) -> str:
        if not self.num_replicates:
            return ""
        drawn = "speakers" if self.by_speaker else "trials"
        return (
            f"{100 * self.level:g} % intervals from {self.num_replicates:,} bootstrap replicates, "
            f"{drawn} drawn with replacement"
        )

    def intervals(
        self,
        scores: Classes,
        metrics: Mapping[str, MetricFunction],
        labels: np.ndarray,
        speakers: Groups,
        tick: Callable[[], object] = lambda: None,
    ) -> dict[str, Interval]:
        """Return the interval of each metric; none without replicates.

        Args:
            scores: of both classes.
            metrics: by name.
            labels: int [N] of all trials, values of `Label`.
            speakers: N entries; read where speakers are drawn.
            tick: called once per replicate.

        Raises:
            MetricError: see `bootstrap_metrics`.
        """
        if not self.num_replicates or not metrics:
            return {}
        groups: list[Groups | None] = [None, None]
        if self.by_speaker:
            classes = (Label.BONAFIDE, Label.SPOOF)
            groups = [_of_class(speakers, labels, label) for label in classes]

        def count(_curve: DetCurve) -> float:
            tick()
            return 0.0

        found = bootstrap_metrics(
            *scores,
            {**metrics, "": CurveMetric(count)},
            num_replicates=self.num_replicates,
            seed=self.seed,
            level=self.level,
            bona_groups=groups[0],
            spoof_groups=groups[1],
        )
        return {name: found[name] for name in metrics}

    def eer_interval(
        self, scores: Classes, labels: np.ndarray, speakers: Groups
    ) -> Interval | None:
        """Return the interval of the EER; None without replicates. Arguments as `intervals`."""
        return self.intervals(scores, {"eer": EER}, labels, speakers).get("eer")


def _of_class(groups: Groups, labels: np.ndarray, label: Label) -> Groups:
    """Return the groups of the trials of one class, one per trial."""
    return [groups[i] for i in np.flatnonzero(np.asarray(labels) == label).tolist()]
