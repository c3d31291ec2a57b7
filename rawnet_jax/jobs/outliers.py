"""The rule on what is unlike training, as ``evaluate`` fits it: on train, with a bound from dev."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from rawnet_jax.config import DataConfig
from rawnet_jax.data.partitions import load_drawn_cache
from rawnet_jax.data.trial import Trial, labels_of
from rawnet_jax.errors import DataError, MetricError
from rawnet_jax.evaluation.outliers import OutlierFigures, refusals_by_class
from rawnet_jax.labels import Label
from rawnet_jax.metrics.outlier import fit_distance, upper_bound
from rawnet_jax.run import Run, this_share
from rawnet_jax.scoring.outlier import OutlierBound, OutlierRule

_LOG = logging.getLogger(__name__)

Partition = tuple[np.ndarray, np.ndarray | None]
"""Distances of clips and of their first windows, float [N, 2], and labels int [N]."""


def with_measured_distance(
    run: Run, data: DataConfig, dev: Sequence[Trial], progress: bool
) -> tuple[Run, int]:
    """Fit the distance from training and return a run that measures it, without a bound yet.

    Args:
        run: one network; ``config.eval.outlier_clips`` of each class are drawn.
        data: the corpus that it was trained on.
        dev: trials that the bound is to be set by; nothing is read where they are too few.
        progress: whether to draw bars.

    Returns:
        The run and the number of clips; the run as it is and 0 where ``config.eval.outlier_share``
        is 0, or, with a warning, where there is nothing to fit on.
    """
    config = run.config.eval
    if not config.outlier_share:
        return run, 0
    try:
        upper_bound(np.zeros(sum(t.label == Label.BONAFIDE for t in dev)), config.outlier_share)
        drawn = load_drawn_cache(data, config.outlier_clips, progress, this_share())
        labels = labels_of(drawn.trials)
        assert labels is not None  # train has labels
        found = run.score(drawn, progress, "drawn from train", embeds=True)
        measure = fit_distance(found.more_of_first, labels)
    except (DataError, MetricError) as error:
        _LOG.warning("no rule on what is unlike training: %s", error)
        return run, 0
    bound = OutlierBound(config.outlier_share, math.inf, math.inf)
    return replace(run, outliers=OutlierRule(measure, bound, run.step)), len(drawn)


def bounded(
    rule: OutlierRule, num_fitted: int, partitions: Mapping[str, Partition]
) -> tuple[OutlierRule, OutlierFigures] | None:
    """Set the bound by genuine dev speech and say what it refuses.

    Args:
        rule: its distance has been measured.
        num_fitted: training clips that it was fitted on.
        partitions: what was measured; ``dev`` is among them.

    Returns:
        None, with a warning, where no bound can be set.
    """
    distances, labels = partitions["dev"]
    share = rule.bound.share
    try:
        genuine = distances[labels == Label.BONAFIDE] if labels is not None else distances[:0]
        bound = OutlierBound(share, *(upper_bound(column, share) for column in genuine.T))
    except MetricError as error:
        _LOG.warning("no rule on what is unlike training: %s", error)
        return None
    refused = {
        name: refusals_by_class(distances[:, 0], labels, bound.clip)
        for name, (distances, labels) in partitions.items()
        if labels is not None
    }
    return replace(rule, bound=bound), OutlierFigures(share, bound.clip, num_fitted, refused)
