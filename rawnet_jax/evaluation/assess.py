"""Everything there is to say of systems whose scores and trials are known.

Both forms of ``evaluate`` meet here: scores of a trained run, and score files of any system.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rawnet_jax.errors import MetricError
from rawnet_jax.evaluation import score_warnings
from rawnet_jax.evaluation.columns import SPEAKER, By, default_breakdowns, of_bonafide
from rawnet_jax.evaluation.decision import Classes, ThresholdRule, choose
from rawnet_jax.evaluation.resampling import Resampling
from rawnet_jax.evaluation.summary import (
    AttackSummary,
    Breakdown,
    CalibratedScores,
    Comparison,
    ScoredSystem,
    Summary,
)
from rawnet_jax.labels import Label
from rawnet_jax.metrics.asv import AsvScores
from rawnet_jax.metrics.bootstrap import Groups, MetricFunction, paired_bootstrap
from rawnet_jax.metrics.breakdown import UNSTATED, breakdown
from rawnet_jax.metrics.calibration import AffineCalibration, Calibration, fit_calibration
from rawnet_jax.metrics.classification import confusion_at
from rawnet_jax.metrics.dcf import ASVSPOOF5_COSTS, CostModel
from rawnet_jax.metrics.det import eer, eer_of_negated
from rawnet_jax.metrics.fairness import FairnessTable, fairness
from rawnet_jax.metrics.table import METRICS, Estimate, Setting, functions, measure
from rawnet_jax.metrics.validation import split_by_label
from rawnet_jax.progress import BatchBars

COMPARED = ("eer", "min_dcf", "min_tdcf_revised")
"""Metrics in which systems are set against the first one."""


@dataclass(frozen=True, slots=True, eq=False)
class AssessOptions:
    """What to compute, and how.

    Attributes:
        spoof_threshold: on P(spoof), for accuracy, precision, recall and F1.
        rule: of the chosen threshold; None = see `rawnet_jax.evaluation.decision.choose`.
        costs: of minDCF, actDCF and the Bayes threshold.
        asv: scores of a speaker verification system, for the tandem metrics.
        breakdowns: columns and pairs; None = see `default_breakdowns`.
        calibration: kind that is fitted where there are dev scores.
        resampling: of the intervals.
        bars: progress.
    """

    spoof_threshold: float = 0.5
    rule: ThresholdRule | None = None
    costs: CostModel = ASVSPOOF5_COSTS
    asv: AsvScores | None = None
    breakdowns: Sequence[By] | None = None
    calibration: str = AffineCalibration.kind
    resampling: Resampling = field(default_factory=Resampling)
    bars: BatchBars = field(default_factory=lambda: BatchBars(False))

    def by(self, system: ScoredSystem) -> Sequence[By]:
        """The columns and pairs that a system is broken down by."""
        return default_breakdowns(system.columns) if self.breakdowns is None else self.breakdowns


def assess(systems: Sequence[ScoredSystem], options: AssessOptions) -> list[Summary]:
    """Compute all metrics of several systems on the same trials.

    Args:
        systems: at least one; where trials differ between them, they are not compared.
        options: what to compute.

    Raises:
        MetricError: a class is missing, scores are not finite, or a metric is not defined; with
            the system's name.
        ConfigError: the threshold's rule needs dev scores and there are none.
    """
    setting = Setting(options.costs, options.asv)
    summaries = []
    for system in systems:
        try:
            summaries.append(_assess_one(system, options, setting))
        except MetricError as error:
            named = str(error).startswith(f"{system.name}: ")
            raise error if named else MetricError(f"{system.name}: {error}") from error
    return summaries


def compare(systems: Sequence[ScoredSystem], options: AssessOptions) -> list[Comparison]:
    """Test each further system against the first, by the paired bootstrap.

    Returns:
        Nothing without replicates, with one system, or where trials differ.

    Raises:
        MetricError: as `paired_bootstrap`.
    """
    resampling = options.resampling
    first, *others = systems
    if not resampling.num_replicates or any(
        not np.array_equal(first.labels, other.labels) for other in others
    ):
        return []
    known = functions(Setting(options.costs, options.asv))
    names = [name for name in COMPARED if name in known]
    rows = []
    with options.bars("comparing", len(names) * len(others)) as bar:
        for other in others:
            for name in names:
                result = paired_bootstrap(
                    other.scores,
                    first.scores,
                    first.labels,
                    known[name],
                    groups=_speakers(first) if resampling.by_speaker else None,
                    num_replicates=resampling.num_replicates,
                    seed=resampling.seed,
                    level=resampling.level,
                )
                rows.append(Comparison(other.name, first.name, name, result))
                bar.update()
    return rows


def _assess_one(system: ScoredSystem, options: AssessOptions, setting: Setting) -> Summary:
    scores: Classes = split_by_label(system.scores, system.labels)
    dev, calibration = _dev(system, options.calibration)
    level = options.resampling.level
    decision = choose(options.rule, options.costs, scores, dev, calibration, level)
    judged = np.asarray(system.scores, np.float64)
    if decision.is_calibrated and calibration is not None:
        judged = calibration.apply(judged)
    threshold, known = decision.threshold.value, functions(setting)
    metrics = _estimates(system, scores, known, options)
    negated = eer_of_negated(*scores)
    warnings = score_warnings.of_scores(scores, metrics, negated)
    return Summary(
        name=system.name,
        bonafide_scores=scores[0],
        spoof_scores=scores[1],
        spoof_threshold=options.spoof_threshold,
        confusion=confusion_at(system.scores, system.labels, options.spoof_threshold),
        metrics=metrics,
        eer_negated=negated,
        attacks=_attacks(system, scores[0], options.spoof_threshold),
        calibrated=_calibrated(system, scores, calibration, known, options),
        decision=decision,
        costs=options.costs,
        asv=None if setting.asv is None else setting.asv_point,
        breakdowns=tuple(
            Breakdown(by, tuple(breakdown(judged, system.labels, system.columns, by, threshold)))
            for by in options.by(system)
        ),
        fairness=_fairness(system, judged, threshold, options),
        resampling=str(options.resampling),
        warnings=(*warnings, *score_warnings.of_decision(scores, decision, dev, calibration)),
    )


def _dev(system: ScoredSystem, kind: str) -> tuple[Classes | None, Calibration | None]:
    if system.dev_scores is None or system.dev_labels is None:
        return None, None
    try:
        dev = split_by_label(system.dev_scores, system.dev_labels)
        # Bona fide speech alone is enough for a one-class threshold.
        return dev, fit_calibration(kind, *dev) if len(dev[1]) else None
    except MetricError as error:
        raise MetricError(f"{system.name}: dev scores: {error}") from error


def _calibrated(
    system: ScoredSystem,
    scores: Classes,
    calibration: Calibration | None,
    known: dict[str, MetricFunction],
    options: AssessOptions,
) -> CalibratedScores | None:
    if calibration is None:
        return None
    llrs: Classes = (calibration.apply(scores[0]), calibration.apply(scores[1]))
    # The others read the order of trials alone, which a rising map keeps.
    changed = {name: metric for name, metric in known.items() if METRICS[name].reads_llr}
    return CalibratedScores(calibration, *llrs, _estimates(system, llrs, changed, options))


def _estimates(
    system: ScoredSystem,
    scores: Classes,
    metrics: dict[str, MetricFunction],
    options: AssessOptions,
) -> dict[str, Estimate]:
    """Compute metrics and their intervals."""
    resampling = options.resampling
    drawn = {name: metric for name, metric in metrics.items() if METRICS[name].has_interval}
    speakers = _speakers(system) if resampling.by_speaker else ()
    title, number = f"bootstrap {system.name}", resampling.num_replicates
    with options.bars(title, number, unit="replicate") as bar:
        intervals = resampling.intervals(scores, drawn, system.labels, speakers, bar.update)
    return measure(*scores, metrics, intervals)


def _attacks(
    system: ScoredSystem, bonafide: np.ndarray, spoof_threshold: float
) -> tuple[AttackSummary, ...]:
    is_spoof = np.asarray(system.labels) == Label.SPOOF
    spoof = np.asarray(system.scores, dtype=np.float64)[is_spoof]
    named = system.attack_ids or ()
    attack_of = [attack for attack, counts in zip(named, is_spoof, strict=False) if counts]
    if not any(attack_of):
        return ()
    attacks = np.array([attack or UNSTATED for attack in attack_of])
    rows = []
    for attack_id in np.unique(attacks):
        scores = spoof[attacks == attack_id]
        counts = confusion_at(scores, np.full(scores.size, Label.SPOOF), spoof_threshold)
        row = AttackSummary(
            str(attack_id), scores.size, counts.num_called_spoof, eer(bonafide, scores)
        )
        rows.append(row)
    return tuple(rows)


def _speakers(system: ScoredSystem) -> Groups:
    if SPEAKER not in system.columns:
        raise MetricError(f"{system.name}: speakers are not known, so none can be drawn")
    return system.columns[SPEAKER]


def _fairness(
    system: ScoredSystem, judged: np.ndarray, threshold: float, options: AssessOptions
) -> dict[str, FairnessTable]:
    names = dict.fromkeys(name for columns in options.by(system) for name in columns)
    return {
        name: fairness(
            judged,
            system.labels,
            system.columns[name],
            threshold,
            speakers=system.columns.get(SPEAKER),
            level=options.resampling.level,
        )
        for name in names
        if of_bonafide(system.columns[name], np.asarray(system.labels))
    }
