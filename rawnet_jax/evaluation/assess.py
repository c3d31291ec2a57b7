"""Everything there is to say of systems whose scores and trials are known.

Both forms of ``evaluate`` meet here: scores of a trained run, and score files of any system.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rawnet_jax.errors import MetricError
from rawnet_jax.evaluation.analysis import (
    Analysis,
    Breakdown,
    CalibratedScores,
    Comparison,
    Decision,
)
from rawnet_jax.evaluation.columns import SPEAKER, By, default_breakdowns, of_bonafide
from rawnet_jax.evaluation.decision import Classes, ThresholdRule, choose
from rawnet_jax.evaluation.figures import KIND_OF, curve_figures, measure
from rawnet_jax.evaluation.summary import ScoredSystem, Summary, summarise
from rawnet_jax.labels import Label
from rawnet_jax.metrics.asv import AsvOperatingPoint, AsvScores, operating_point
from rawnet_jax.metrics.bootstrap import (
    Groups,
    Interval,
    bootstrap,
    bootstrap_figures,
    paired_bootstrap,
)
from rawnet_jax.metrics.breakdown import breakdown
from rawnet_jax.metrics.calibration import AffineCalibration, Calibration, fit_calibration
from rawnet_jax.metrics.dcf import ASVSPOOF5_COSTS, CostModel
from rawnet_jax.metrics.det import CurveFigure, DetCurve
from rawnet_jax.metrics.fairness import FairnessTable, fairness
from rawnet_jax.metrics.figures import EER
from rawnet_jax.metrics.validation import split_by_label
from rawnet_jax.progress import BatchBars

COMPARED = ("eer", "min_dcf", "min_tdcf_revised")
"""Figures in which systems are set against the first one."""


NO_SPOOF_IN_DEV = (
    "Dev has no spoof trials: nothing is calibrated, and of the thresholds chosen on dev there is "
    "only the one-class one (--threshold-rule one-class=RATE)."
)


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


@dataclass(frozen=True, slots=True, eq=False)
class AssessOptions:
    """What to compute, and how.

    Attributes:
        spoof_threshold: on P(spoof), for the seed's table.
        rule: of the chosen threshold; None = see `rawnet_jax.evaluation.decision.choose`.
        costs: of minDCF, actDCF and the Bayes threshold.
        asv: scores of a speaker verification system, for the t-DCFs.
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


def assess(systems: Sequence[ScoredSystem], options: AssessOptions) -> list[Summary]:
    """Compute all figures of several systems on the same trials.

    Args:
        systems: at least one; where trials differ between them, they are not compared.
        options: what to compute.

    Raises:
        MetricError: a class is missing, scores are not finite, or a figure is not defined; with
            the system's name.
        ConfigError: the threshold's rule needs dev scores and there are none.
    """
    asv = None if options.asv is None else operating_point(options.asv)
    summaries = []
    for system in systems:
        try:
            summaries.append(_assess_one(system, options, asv))
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
    asv = None if options.asv is None else operating_point(options.asv)
    figures = curve_figures(options.costs, asv)
    names = [name for name in COMPARED if name in figures]
    rows = []
    with options.bars("comparing", len(names) * len(others)) as bar:
        for other in others:
            for name in names:
                result = paired_bootstrap(
                    other.scores,
                    first.scores,
                    first.labels,
                    figures[name],
                    groups=_speakers(first) if resampling.by_speaker else None,
                    num_replicates=resampling.num_replicates,
                    seed=resampling.seed,
                    level=resampling.level,
                )
                rows.append(Comparison(other.name, first.name, name, result))
                bar.update()
    return rows


def _assess_one(
    system: ScoredSystem, options: AssessOptions, asv: AsvOperatingPoint | None
) -> Summary:
    summary = summarise(system, options.spoof_threshold)
    scores: Classes = (summary.bonafide_scores, summary.spoof_scores)
    dev, calibration = _dev(system, options.calibration)
    level = options.resampling.level
    decision = choose(options.rule, options.costs, scores, dev, calibration, level)
    figures = curve_figures(options.costs, asv)
    intervals = _intervals(system, scores, figures, options)
    estimates = measure(*scores, figures, intervals, options.asv)
    judged = np.asarray(system.scores, np.float64)
    if decision.is_calibrated and calibration is not None:
        judged = calibration.apply(judged)
    threshold = decision.threshold.value
    wanted = options.breakdowns
    analysis = Analysis(
        figures=estimates,
        calibrated=_calibrated(system, scores, calibration, figures, options),
        decision=decision,
        costs=options.costs,
        asv=asv,
        breakdowns=tuple(
            Breakdown(by, tuple(breakdown(judged, system.labels, system.columns, by, threshold)))
            for by in (default_breakdowns(system.columns) if wanted is None else wanted)
        ),
        fairness=_fairness(system, judged, threshold, options),
        resampling=str(options.resampling),
    )
    warnings = (*summary.warnings, *_warnings(scores, decision, calibration))
    if dev is not None and calibration is None:
        warnings = (*warnings, NO_SPOOF_IN_DEV)
    return replace(summary, analysis=analysis, warnings=warnings)


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
    figures: Mapping[str, CurveFigure],
    options: AssessOptions,
) -> CalibratedScores | None:
    if calibration is None:
        return None
    llrs: Classes = (calibration.apply(scores[0]), calibration.apply(scores[1]))
    # The others hang on the order of trials alone, which a rising map keeps.
    changed = {name: figure for name, figure in figures.items() if KIND_OF[name].reads_llr}
    estimates = measure(*llrs, changed, _intervals(system, llrs, changed, options))
    return CalibratedScores(
        calibration, *llrs, {name: estimates[name] for name in estimates if name in changed}
    )


def _intervals(
    system: ScoredSystem,
    scores: Classes,
    figures: Mapping[str, CurveFigure],
    options: AssessOptions,
) -> dict[str, Interval]:
    resampling = options.resampling
    if not resampling.num_replicates:
        return {}
    groups: tuple[Groups | None, ...] = (None, None)
    if resampling.by_speaker:
        groups = _by_class(_speakers(system), system.labels)
    title, number = f"bootstrap {system.name}", resampling.num_replicates
    with options.bars(title, number, unit="replicate") as bar:
        first, *others = figures
        return bootstrap_figures(
            *scores,
            {first: _counting(figures[first], bar.update)} | {n: figures[n] for n in others},
            num_replicates=resampling.num_replicates,
            seed=resampling.seed,
            level=resampling.level,
            bona_groups=groups[0],
            spoof_groups=groups[1],
        )


def eer_interval(
    scores: Classes, labels: np.ndarray, speakers: Groups, resampling: Resampling
) -> Interval | None:
    """Return the bootstrap interval of an EER; None without replicates.

    Args:
        scores: of both classes.
        labels: int [N] of all trials, values of `Label`.
        speakers: N entries; read where speakers are drawn.
        resampling: how.
    """
    if not resampling.num_replicates:
        return None
    groups: tuple[Groups | None, ...] = (None, None)
    if resampling.by_speaker:
        groups = _by_class(speakers, labels)
    return bootstrap(
        *scores,
        EER,
        num_replicates=resampling.num_replicates,
        seed=resampling.seed,
        level=resampling.level,
        bona_groups=groups[0],
        spoof_groups=groups[1],
    )


def _by_class(groups: Groups, labels: np.ndarray) -> tuple[Groups, Groups]:
    """Return the groups, one a trial, of the bona fide and of the spoof trials."""
    bonafide, spoof = (
        [groups[i] for i in np.flatnonzero(np.asarray(labels) == label).tolist()]
        for label in (Label.BONAFIDE, Label.SPOOF)
    )
    return bonafide, spoof


def _counting(figure: CurveFigure, tick: Callable[[], object]) -> CurveFigure:
    """Return the same figure; computing it moves the progress bar."""

    def of_curve(curve: DetCurve) -> float:
        tick()
        return figure.of_curve(curve)

    return CurveFigure(of_curve)


def _speakers(system: ScoredSystem) -> Groups:
    if SPEAKER not in system.columns:
        raise MetricError(f"{system.name}: speakers are not known, so none can be drawn")
    return system.columns[SPEAKER]


def _fairness(
    system: ScoredSystem, judged: np.ndarray, threshold: float, options: AssessOptions
) -> dict[str, FairnessTable]:
    wanted = options.breakdowns
    by = default_breakdowns(system.columns) if wanted is None else wanted
    names = dict.fromkeys(name for columns in by for name in columns)
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


def _warnings(scores: Classes, decision: Decision, calibration: Calibration | None) -> list[str]:
    warnings = [f"On dev: {warning}." for warning in (calibration.warnings if calibration else ())]
    rates = decision.eval_rates
    total = (rates.num_bonafide_rejected, rates.num_spoof_accepted)
    if scores[0].size and total in ((0, rates.num_spoof), (rates.num_bonafide, 0)):
        verb = "accepts" if not total[0] else "rejects"
        warnings.append(
            f"The chosen threshold {decision.threshold.value:.6g} ({decision.threshold.rule}) "
            f"{verb} every trial, so decisions, breakdowns and fairness at it say nothing. Give "
            "dev scores to choose one, or --threshold-rule value=SCORE."
        )
    return warnings
