"""The rule by which a threshold is chosen: on dev, by stated costs, or by whoever asks."""

from dataclasses import dataclass

import numpy as np

from rawnet_jax.errors import ConfigError
from rawnet_jax.metrics.bootstrap import Interval
from rawnet_jax.metrics.calibration import Calibration
from rawnet_jax.metrics.dcf import CostModel
from rawnet_jax.metrics.one_class import at_one_class, clopper_pearson
from rawnet_jax.metrics.thresholds import (
    Rates,
    Threshold,
    at_bayes_risk,
    at_eer,
    at_false_alarm,
    at_min_cost,
    at_miss,
    decisions_at,
)

Classes = tuple[np.ndarray, np.ndarray]
"""Bona fide scores [Nb] and spoof scores [Ns]."""

ONE_CLASS = "one-class"
ON_DEV = ("eer", "fa", "miss", "cost", ONE_CLASS)
WITHOUT_DEV = ("bayes", "value")
_WITH_NUMBER = ("fa", "miss", "value", ONE_CLASS)

RULES = (
    "eer | fa=RATE | miss=RATE | one-class=RATE (as miss, but spoof trials of dev are not read) | "
    "cost (least cost on dev) | bayes (by prior and costs, for log-likelihood ratios) | "
    "value=SCORE (given)"
)


@dataclass(frozen=True, slots=True)
class ThresholdRule:
    """How to choose a threshold.

    Attributes:
        name: one of `ON_DEV` or `WITHOUT_DEV`.
        number: the wanted rate, or the threshold itself; None where the rule has none.
    """

    name: str
    number: float | None = None

    @property
    def needs_dev(self) -> bool:
        """Whether the threshold is looked for among dev scores."""
        return self.name in ON_DEV

    @property
    def needs_spoof(self) -> bool:
        """Whether spoof trials of dev are read."""
        return self.needs_dev and self.name != ONE_CLASS


@dataclass(frozen=True, slots=True)
class Decision:
    """The chosen threshold and what it does.

    Attributes:
        threshold: with its rule.
        is_calibrated: whether it applies to calibrated scores instead of the scores as they are.
        from_dev: whether dev scores decided: on the threshold or on the calibration under it.
        eval_rates: what it does to the evaluated trials.
        dev_rates: what it does to the dev trials; None without dev scores.
        miss_interval: within which its false rejections of new bona fide speech are expected, by
            the number of dev trials; None but for a one-class threshold.
    """

    threshold: Threshold
    is_calibrated: bool
    from_dev: bool
    eval_rates: Rates
    dev_rates: Rates | None
    miss_interval: Interval | None = None


def parse_rule(text: str) -> ThresholdRule:
    """Read a rule as a user writes it, such as ``fa=0.01``.

    Raises:
        ConfigError: it is none of `RULES`, or a rate is not in [0, 1].
    """
    name, _, number_text = text.partition("=")
    problem = ConfigError(f"--threshold-rule {text}: it must be one of {RULES}")
    if name not in (*ON_DEV, *WITHOUT_DEV) or bool(number_text) != (name in _WITH_NUMBER):
        raise problem
    if not number_text:
        return ThresholdRule(name)
    try:
        number = float(number_text)
    except ValueError:
        raise problem from None
    if not np.isfinite(number) or (name != "value" and not 0 <= number <= 1):
        raise problem
    return ThresholdRule(name, number)


def choose(
    rule: ThresholdRule | None,
    costs: CostModel,
    scores: Classes,
    dev: Classes | None,
    calibration: Calibration | None,
    level: float = 0.95,
) -> Decision:
    """Choose a threshold, never on the scores that it is measured on.

    Args:
        rule: None = the EER's threshold on dev or, without dev scores of both classes, the Bayes
            threshold.
        costs: of the rules ``bayes`` and ``cost``.
        scores: of the evaluated trials, as they are.
        dev: of the development trials; its spoof scores may be none at all.
        calibration: fitted on `dev`; the Bayes threshold is then applied to calibrated scores.
        level: of the interval of a one-class threshold's misses.

    Raises:
        ConfigError: the rule needs dev scores, or spoof ones among them, and there are none.
        MetricError: a prior or cost is out of range.
    """
    has_spoof = dev is not None and bool(len(dev[1]))
    rule = rule or ThresholdRule("eer" if has_spoof else "bayes")
    threshold = find_threshold(rule, costs, dev)
    is_calibrated = rule.name == "bayes" and calibration is not None
    judged, judged_dev = scores, dev
    if is_calibrated and calibration is not None:
        judged = (calibration.apply(scores[0]), calibration.apply(scores[1]))
        judged_dev = None if dev is None else (calibration.apply(dev[0]), calibration.apply(dev[1]))
    dev_rates = None if judged_dev is None else decisions_at(*judged_dev, threshold)
    return Decision(
        threshold=threshold,
        is_calibrated=is_calibrated,
        from_dev=rule.needs_dev or is_calibrated,
        eval_rates=decisions_at(*judged, threshold),
        dev_rates=dev_rates,
        miss_interval=None
        if rule.name != ONE_CLASS or dev_rates is None
        else clopper_pearson(dev_rates.num_bonafide_rejected, dev_rates.num_bonafide, level),
    )


def find_threshold(rule: ThresholdRule, costs: CostModel, dev: Classes | None) -> Threshold:
    """Find the threshold of a rule, before there is anything to decide.

    Args:
        rule: by which.
        costs: of the rules ``bayes`` and ``cost``.
        dev: scores of the development trials; the spoof ones may be none at all.

    Raises:
        ConfigError: the rule needs dev scores, or spoof ones among them, and there are none.
        MetricError: a prior or cost is out of range.
    """
    if rule.needs_dev and dev is None:
        raise ConfigError(
            f"--threshold-rule {rule.name} chooses the threshold on dev scores and there are none "
            "(never on the trials that it is measured on). Give dev scores, or use bayes or "
            "value=SCORE"
        )
    if rule.needs_spoof and not (dev is not None and len(dev[1])):
        raise ConfigError(
            f"--threshold-rule {rule.name} needs spoof trials and dev has none; use "
            "one-class=RATE, bayes or value=SCORE"
        )
    return _threshold(rule, costs, dev)


def _threshold(rule: ThresholdRule, costs: CostModel, dev: Classes | None) -> Threshold:
    if rule.name == "bayes":
        return at_bayes_risk(costs)
    if rule.name == "value":
        return Threshold(float(rule.number or 0.0), "given by the user")
    assert dev is not None
    if rule.name == "fa":
        return at_false_alarm(*dev, float(rule.number or 0.0))
    if rule.name == ONE_CLASS:
        return at_one_class(dev[0], float(rule.number or 0.0))
    if rule.name == "miss":
        return at_miss(*dev, float(rule.number or 0.0))
    return at_min_cost(*dev, costs) if rule.name == "cost" else at_eer(*dev)
