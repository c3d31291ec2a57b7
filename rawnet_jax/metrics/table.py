"""Every metric, one row each. A new metric is one function and one row here.

Terminal, ``metrics.json``, CSV tables, report and its glossary all read these rows;
``docs/metrics.md`` is checked against them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, SupportsFloat

import numpy as np

from rawnet_jax.labels import Label
from rawnet_jax.metrics.asv import AsvOperatingPoint, AsvScores, operating_point
from rawnet_jax.metrics.bootstrap import Interval, MetricFunction
from rawnet_jax.metrics.classification import confusion_at
from rawnet_jax.metrics.cllr import cllr_of_curve, min_cllr_of_curve
from rawnet_jax.metrics.dcf import (
    ASVSPOOF5_COSTS,
    ASVSPOOF2019_TDCF,
    ASVSPOOF2021_TDCF,
    CostModel,
    CostWeights,
    act_dcf_of_curve,
    min_cost_of_curve,
    tdcf_weights_legacy,
    tdcf_weights_revised,
)
from rawnet_jax.metrics.det import (
    CurveMetric,
    EqualErrorRate,
    auc_of_curve,
    det_curve,
    eer_of_curve,
    eer_official,
)
from rawnet_jax.metrics.tandem import t_eer


@dataclass(frozen=True)
class Setting:
    """What metrics read beside the scores.

    Attributes:
        costs: of minDCF and actDCF.
        asv: scores of a speaker verification system; None = no tandem metrics.
        spoof_threshold: on P(spoof), of the metrics at one threshold.
    """

    costs: CostModel = ASVSPOOF5_COSTS
    asv: AsvScores | None = None
    spoof_threshold: float = 0.5

    @cached_property
    def asv_point(self) -> AsvOperatingPoint:
        """The verification system at its EER threshold."""
        assert self.asv is not None
        return operating_point(self.asv)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The value of a metric with its uncertainty.

    Attributes:
        value: computed on all trials.
        interval: from the bootstrap; None where none was made.
        point: where an equal error rate was found; None for other metrics.
    """

    value: float
    interval: Interval | None = None
    point: EqualErrorRate | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of `METRICS`.

    Attributes:
        name: in ``metrics.json`` and in CSV tables.
        title: in tables for people.
        function: from the setting to the function of bona fide and spoof scores. What it returns
            is read by ``float()``; a `CurveMetric` is many times faster in the bootstrap.
        unit: and range.
        better: the direction.
        words: what the metric means, in the glossary of the report.
        note: what else a reader of the number must know.
        is_rate: written in per cent; else a plain number.
        needs_asv: computed only beside a speaker verification system.
        reads_llr: the scores are read as log-likelihood ratios, so that calibration changes it.
        has_interval: the bootstrap makes an interval.
    """

    name: str
    title: str
    function: Callable[[Setting], MetricFunction]
    unit: str
    better: Literal["lower", "higher"]
    words: str
    note: str = ""
    is_rate: bool = False
    needs_asv: bool = False
    reads_llr: bool = False
    has_interval: bool = True

    @property
    def unit_text(self) -> str:
        """Unit, range, direction and note."""
        return f"{self.unit}, {self.better} is better" + (f"; {self.note}" if self.note else "")

    def text(self, value: float) -> str:
        """Write a value."""
        return f"{100 * value:.2f} %" if self.is_rate else f"{value:.4f}"

    def text_of(self, estimate: Estimate) -> str:
        """Write a value and, where there is one, its interval."""
        text, interval = self.text(estimate.value), estimate.interval
        if interval is None:
            return text
        low, high = (self.text(end).removesuffix(" %") for end in (interval.low, interval.high))
        return f"{text} [{low}, {high}]"


def functions(
    setting: Setting, table: Mapping[str, Metric] | None = None
) -> dict[str, MetricFunction]:
    """Return the function of each metric that can be computed in a setting, by name.

    Args:
        setting: costs and the speaker verification system.
        table: of the metrics; None = `METRICS`.

    Raises:
        MetricError: the ASV system is so weak that a t-DCF is not defined.
    """
    rows = METRICS if table is None else table
    return {
        name: row.function(setting)
        for name, row in rows.items()
        if setting.asv is not None or not row.needs_asv
    }


def measure(
    bonafide: np.ndarray,
    spoof: np.ndarray,
    metrics: Mapping[str, MetricFunction],
    intervals: Mapping[str, Interval] | None = None,
) -> dict[str, Estimate]:
    """Compute metrics; the scores are sorted once for all that read the DET curve.

    Args:
        bonafide: [Nb], higher = more bona fide.
        spoof: [Ns].
        metrics: by name, see `functions`.
        intervals: of some of them.

    Raises:
        MetricError: see `validate_scores`.
    """
    curve, known, found = det_curve(bonafide, spoof), intervals or {}, {}
    for name, metric in metrics.items():
        value = (
            metric.of_curve(curve) if isinstance(metric, CurveMetric) else metric(bonafide, spoof)
        )
        point = value if isinstance(value, EqualErrorRate) else None
        found[name] = Estimate(float(value), known.get(name), point)
    return found


EER = CurveMetric(eer_of_curve)
"""`rawnet_jax.metrics.det.eer`, equal scores kept together."""

AUC = CurveMetric(auc_of_curve)
"""`rawnet_jax.metrics.det.auc`."""


def _min_cost(weights: CostWeights) -> CurveMetric:
    return CurveMetric(lambda curve: min_cost_of_curve(curve, weights).cost)


def _act_dcf(setting: Setting) -> CurveMetric:
    return CurveMetric(lambda curve: act_dcf_of_curve(curve, setting.costs))


def _t_eer(setting: Setting) -> MetricFunction:
    assert setting.asv is not None
    asv = setting.asv
    return lambda bonafide, spoof: t_eer(bonafide, spoof, asv).eer


def _at_threshold(name: str) -> Callable[[Setting], MetricFunction]:
    def function(setting: Setting) -> MetricFunction:
        def value(bonafide: np.ndarray, spoof: np.ndarray) -> SupportsFloat:
            labels = np.repeat([Label.BONAFIDE, Label.SPOOF], [bonafide.size, spoof.size])
            counts = confusion_at(
                np.concatenate((bonafide, spoof)), labels, setting.spoof_threshold
            )
            found: float = getattr(counts, name)
            return found

        return value

    return function


_FRACTION = "fraction from 0 to 1"
_COST = "normalised cost, 1 = deciding without the scores"

_ROWS = (
    Metric(
        *("eer", "EER", lambda _: EER, _FRACTION, "lower"),
        words="Equal error rate: the mean of both error rates at the threshold where they are most "
        "nearly the same. Trials with equal scores change sides together.",
        note="equal scores kept together",
        is_rate=True,
    ),
    Metric(
        *("eer_official", "EER, official", lambda _: eer_official, _FRACTION, "lower"),
        words="The same by the steps of the ASVspoof scripts, to be set beside published numbers. "
        "It splits trials with equal scores, which no threshold can do.",
        note="as the ASVspoof scripts do; no interval, since resampling makes ties",
        is_rate=True,
        has_interval=False,
    ),
    Metric(
        *("auc", "ROC-AUC", lambda _: AUC, _FRACTION, "higher"),
        words="Area under the ROC curve: the probability that a bona fide trial scores above a "
        "spoof trial.",
        note="0.5 = chance",
    ),
    Metric(
        *("min_tdcf_legacy", "min t-DCF, legacy"),
        lambda setting: _min_cost(tdcf_weights_legacy(setting.asv_point, ASVSPOOF2019_TDCF)),
        *(_COST, "lower"),
        words="What wrong decisions of speaker verification and countermeasure together cost, at "
        "the best threshold, as in ASVspoof 2019. Not comparable with the revised one.",
        note="ASVspoof 2019",
        needs_asv=True,
    ),
    Metric(
        *("min_tdcf_revised", "min t-DCF, revised"),
        lambda setting: _min_cost(tdcf_weights_revised(setting.asv_point, ASVSPOOF2021_TDCF)),
        *(_COST, "lower"),
        words="The same as in ASVspoof 2021. Its least value is what the verification system's own "
        "errors cost. Not comparable with the legacy one.",
        note="ASVspoof 2021",
        needs_asv=True,
    ),
    Metric(
        *("t_eer", "t-EER", _t_eer, _FRACTION, "lower"),
        words="The error rate at which verification and countermeasure together miss speakers, "
        "accept impostors and accept spoof equally often.",
        note="concurrent, no interval",
        is_rate=True,
        needs_asv=True,
        has_interval=False,
    ),
    Metric(
        *("min_dcf", "minDCF", lambda setting: _min_cost(setting.costs.weights), _COST, "lower"),
        words="What wrong decisions of the countermeasure alone cost at the best threshold.",
        note="at the best threshold",
    ),
    Metric(
        *("act_dcf", "actDCF", _act_dcf, _COST, "lower"),
        words="The same at the threshold that prior and costs ask of log-likelihood ratios. Its "
        "gap to minDCF is what calibration could save.",
        note="at the Bayes threshold",
        reads_llr=True,
    ),
    Metric(
        *("cllr", "C_llr", lambda _: CurveMetric(cllr_of_curve), "bits", "lower"),
        words="How much the scores mislead when they are read as log-likelihood ratios, over all "
        "priors: 0 is perfect, 1 is knowing nothing, more is misleading.",
        note="1 = knowing nothing",
        reads_llr=True,
    ),
    Metric(
        *("min_cllr", "min C_llr", lambda _: CurveMetric(min_cllr_of_curve)),
        *("bits from 0 to 1", "lower"),
        words="The C_llr that the best calibration could reach.",
    ),
)

METRICS: dict[str, Metric] = {row.name: row for row in _ROWS}
"""Metrics over all thresholds, by name, in the order of tables."""

DECISION_METRICS: dict[str, Metric] = {
    name: Metric(
        *(name, title, _at_threshold(name), _FRACTION, "higher", words),
        note="at spoof_threshold, spoof positive",
        is_rate=True,
    )
    for name, title, words in (
        (
            *("accuracy", "Accuracy"),
            "Share of right decisions. It follows the larger class where one is much larger.",
        ),
        (
            *("precision", "Precision"),
            "Share of spoof among what was called spoof; it depends on how common spoof is in the "
            "list.",
        ),
        ("recall", "Recall", "Share of the spoof that was called spoof."),
        ("f1", "F1", "Harmonic mean of precision and recall."),
    )
}
"""Metrics at one threshold on P(spoof), by name."""
