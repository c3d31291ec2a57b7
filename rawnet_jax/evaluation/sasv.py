"""Spoofing-aware verification, measured: of a countermeasure, a comparison of voices, and both.

A file may have three scores of a trial. Each is measured for what it is; and where there are
development trials with the scores of both parts, these are calibrated on them, fused
(`rawnet_jax.metrics.sasv.fused_llr`) and measured too.

A trial without a score ("no answer") takes no part in a metric and is counted in a share of its
own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rawnet_jax.data.sasv_file import KEYS, SasvTable
from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.asv import AsvScores
from rawnet_jax.metrics.bootstrap import Interval, bootstrap_metrics
from rawnet_jax.metrics.calibration import AffineCalibration, fit_affine
from rawnet_jax.metrics.dcf import ASVSPOOF5_ADCF, ASVSPOOF5_COSTS, CostModel, TandemCosts
from rawnet_jax.metrics.det import EqualErrorRate, eer
from rawnet_jax.metrics.presentation import (
    BPCER_AT,
    Count,
    attacks_accepted,
    bpcer_at,
    genuine_rejected,
    riapar,
    worst,
)
from rawnet_jax.metrics.sasv import (
    ActualTandemCost,
    SasvEers,
    act_a_dcf,
    bayes_rule,
    fused_llr,
    sasv_eers,
)
from rawnet_jax.metrics.table import EER
from rawnet_jax.metrics.tandem import MinTandemCost, min_a_dcf, t_eer

_FEWEST_DRAWN = 2
FUSED = "fused"
TITLES = {
    "sasv": "the system's own score",
    FUSED: "fused log-likelihood ratios",
    "asv": "the comparison of voices alone",
    "cm": "the countermeasure alone",
}


@dataclass(frozen=True, slots=True)
class SasvOptions:
    """What to compute.

    Attributes:
        costs: priors and costs of a-DCF.
        cm_costs: prior and costs that set the countermeasure's threshold without dev trials.
        num_replicates: of the bootstrap; 0 = no intervals.
        by_speaker: draw claimed speakers with all their trials.
        level: of intervals, in (0, 1).
        seed: of the drawing.
    """

    costs: TandemCosts = ASVSPOOF5_ADCF
    cm_costs: CostModel = ASVSPOOF5_COSTS
    num_replicates: int = 1000
    by_speaker: bool = False
    level: float = 0.95
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class SystemFigures:
    """One score that accepts or rejects a claimed speaker.

    Attributes:
        kind: a key of `TITLES`.
        classes: scores of target, nontarget and spoof trials that have one.
        eers: SASV-EER, SV-EER, SPF-EER.
        intervals: of the EERs, by their names in `SasvEers`.
        least: minimum a-DCF.
        actual: a-DCF at the threshold.
        rule: how the threshold was found.
        frr: target trials rejected there.
        attacks: attacks accepted there (IAPAR), a species each.
    """

    kind: str
    classes: tuple[np.ndarray, np.ndarray, np.ndarray]
    eers: SasvEers
    intervals: dict[str, Interval]
    least: MinTandemCost
    actual: ActualTandemCost
    rule: str
    frr: Count
    attacks: Sequence[Count]

    @property
    def worst(self) -> Count | None:
        """The species that is accepted most often."""
        return worst(self.attacks) if any(count.num_trials for count in self.attacks) else None

    @property
    def riapar(self) -> float | None:
        """RIAPAR of the worst species."""
        found = self.worst
        if found is None or found.rate is None or self.frr.rate is None:
            return None
        return riapar(found.rate, self.frr.rate)


@dataclass(frozen=True, slots=True, eq=False)
class CmFigures:
    """The countermeasure's score alone.

    Attributes:
        bonafide: its scores of bona fide trials that have one.
        spoof: of spoof trials.
        eer: of both.
        threshold: of the counts below.
        rule: how it was found.
        bpcer: bona fide trials rejected there.
        attacks: attacks accepted there (APCER), a species each.
        at_apcer: bona fide trials rejected where no species has an APCER above a limit, by the
            number in the name (BPCER10 …).
    """

    bonafide: np.ndarray
    spoof: np.ndarray
    eer: EqualErrorRate
    threshold: float
    rule: str
    bpcer: Count
    attacks: Sequence[Count]
    at_apcer: dict[int, Count]

    @property
    def worst(self) -> Count:
        """The species with the highest APCER, which is the result."""
        return worst(self.attacks)


@dataclass(frozen=True, slots=True, eq=False)
class SasvSummary:
    """All that was found of one file.

    Attributes:
        name: of the system.
        counts: trials by key.
        systems: one per score that accepts or rejects a speaker.
        cm: of the countermeasure; None without its score.
        t_eer: concurrent t-EER of countermeasure and comparison; None without both.
        calibrations: of "cm" and "asv", fitted on dev; empty without.
        warnings: what a reader must know.
    """

    name: str
    counts: dict[str, int]
    systems: Sequence[SystemFigures]
    cm: CmFigures | None
    t_eer: float | None
    calibrations: dict[str, AffineCalibration] = field(default_factory=dict)
    warnings: Sequence[str] = ()


def assess_sasv(
    name: str, table: SasvTable, dev: SasvTable | None = None, options: SasvOptions | None = None
) -> SasvSummary:
    """Measure the scores of a file.

    Args:
        name: of the system.
        table: with keys.
        dev: development trials of the same system, with keys: thresholds and calibrations are from
            them; None = thresholds are those of least expected cost for log-likelihood ratios.
        options: None = the defaults of `SasvOptions`.

    Raises:
        MetricError: a class of trials is missing, or has no score.
    """
    options = options or SasvOptions()
    keys = _keys(name, table)
    scores, dev_scores = dict(table.scores), dict(dev.scores) if dev is not None else {}
    calibrations = {}
    if dev is not None and {"cm", "asv"} <= set(scores) & set(dev_scores):
        calibrations = _calibrations(dev_scores, _keys(f"{name}, dev", dev))
        share = bayes_rule(options.costs).spoof_share
        scores[FUSED] = fused(scores, calibrations, share)
        dev_scores[FUSED] = fused(dev_scores, calibrations, share)
    systems = [
        _system(kind, scores[kind], keys, table, (dev_scores.get(kind), dev), options)
        for kind in TITLES
        if kind in scores and kind != "cm"
    ]
    cm = None
    if "cm" in scores:
        cm = _cm(scores["cm"], keys, table, (dev_scores.get("cm"), dev), options)
    counts = {key: int((keys == key).sum()) for key in KEYS}
    warnings = _warnings(table, dev, scores)
    return SasvSummary(name, counts, systems, cm, _t_eer(scores, keys), calibrations, warnings)


def fused(
    scores: dict[str, np.ndarray], calibrations: dict[str, AffineCalibration], share: float
) -> np.ndarray:
    """Return fused ratios [N]; NaN where one part has no score."""
    there = ~(np.isnan(scores["cm"]) | np.isnan(scores["asv"]))
    found = np.full(there.size, np.nan)
    asv, cm = (calibrations[kind].apply(scores[kind][there]) for kind in ("asv", "cm"))
    found[there] = fused_llr(asv, cm, share)
    return found


def _keys(name: str, table: SasvTable) -> np.ndarray:
    if table.keys is None:
        raise MetricError(f"{name}: no keys; they must be in the file or in a list of trials")
    keys = np.array(table.keys)
    missing = [key for key in KEYS if not (keys == key).any()]
    if missing:
        raise MetricError(f"{name}: no {' and no '.join(missing)} trials; every class is needed")
    return keys


def _calibrations(scores: dict[str, np.ndarray], keys: np.ndarray) -> dict[str, AffineCalibration]:
    def of(kind: str, *names: str) -> np.ndarray:
        return _there(scores[kind][np.isin(keys, names)])

    return {
        "cm": fit_affine(of("cm", "target", "nontarget"), of("cm", "spoof")),
        "asv": fit_affine(of("asv", "target"), of("asv", "nontarget")),
    }


def _there(scores: np.ndarray) -> np.ndarray:
    return scores[~np.isnan(scores)]


def _system(
    kind: str,
    scores: np.ndarray,
    keys: np.ndarray,
    table: SasvTable,
    dev: tuple[np.ndarray | None, SasvTable | None],
    options: SasvOptions,
) -> SystemFigures:
    target, nontarget, spoof = (_there(scores[keys == key]) for key in KEYS)
    classes = (target, nontarget, spoof)
    threshold, rule = _threshold(kind, dev, options)
    named = _attacks(table, keys)
    attacks = attacks_accepted(scores[keys == "spoof"], named, threshold)
    return SystemFigures(
        kind,
        classes,
        sasv_eers(*classes),
        _intervals(scores, keys, table, options),
        min_a_dcf(target, nontarget, spoof, options.costs),
        act_a_dcf(target, nontarget, spoof, options.costs, threshold),
        rule,
        genuine_rejected(scores[keys == "target"], threshold, "target"),
        attacks,
    )


def _threshold(
    kind: str, dev: tuple[np.ndarray | None, SasvTable | None], options: SasvOptions
) -> tuple[float, str]:
    scores, table = dev
    if kind == FUSED or scores is None or table is None:
        said = f"least expected cost, {options.costs.name}"
        if kind != FUSED:
            said += ", as if the score were a log-likelihood ratio"
        return bayes_rule(options.costs).threshold, said
    keys = np.array(table.keys)
    target, nontarget, spoof = (_there(scores[keys == key]) for key in KEYS)
    found = min_a_dcf(target, nontarget, spoof, options.costs).threshold
    return _finite(
        found, *map(np.max, (target, nontarget, spoof))
    ), f"minimum a-DCF on dev, {options.costs.name}"


def _finite(threshold: float, *highest: float) -> float:
    """Return a threshold that JSON can hold: above every score where it was infinite."""
    return threshold if np.isfinite(threshold) else float(np.nextafter(max(highest), np.inf))


def _attacks(table: SasvTable, keys: np.ndarray) -> list[str | None]:
    """Return the attack of each spoof trial."""
    every: Sequence[str | None] = table.attacks or [None] * len(table)
    return [every[i] for i in np.flatnonzero(keys == "spoof").tolist()]


def _cm(
    scores: np.ndarray,
    keys: np.ndarray,
    table: SasvTable,
    dev: tuple[np.ndarray | None, SasvTable | None],
    options: SasvOptions,
) -> CmFigures:
    is_spoof = keys == "spoof"
    bonafide, spoof = _there(scores[~is_spoof]), _there(scores[is_spoof])
    threshold, rule = options.cm_costs.bayes_threshold, ""
    if dev[0] is not None and dev[1] is not None:
        dev_spoof = np.array(dev[1].keys) == "spoof"
        sides = _there(dev[0][~dev_spoof]), _there(dev[0][dev_spoof])
        threshold = _finite(eer(*sides).threshold, *map(np.max, sides))
        rule = "equal error rate on dev"
    else:
        rule = f"least expected cost, {options.cm_costs.name}, as if the score were a "
        rule += "log-likelihood ratio"
    named = _attacks(table, keys)
    return CmFigures(
        bonafide,
        spoof,
        eer(bonafide, spoof),
        threshold,
        rule,
        genuine_rejected(scores[~is_spoof], threshold),
        attacks_accepted(scores[is_spoof], named, threshold),
        {
            number: bpcer_at(scores[~is_spoof], scores[is_spoof], named, limit)
            for number, limit in BPCER_AT.items()
        },
    )


def _intervals(
    scores: np.ndarray, keys: np.ndarray, table: SasvTable, options: SasvOptions
) -> dict[str, Interval]:
    if not options.num_replicates:
        return {}
    speakers = np.array([speaker for speaker, _ in table.names])
    found = {}
    negatives = {"sasv": ("nontarget", "spoof"), "sv": ("nontarget",), "spf": ("spoof",)}
    for name, classes in negatives.items():
        sides = [~np.isnan(scores) & np.isin(keys, wanted) for wanted in (("target",), classes)]
        groups = [speakers[side].tolist() if options.by_speaker else None for side in sides]
        drawn = [speakers[side] if options.by_speaker else np.flatnonzero(side) for side in sides]
        if max(len(set(names.tolist())) for names in drawn) < _FEWEST_DRAWN:
            continue  # nothing could vary
        found[name] = bootstrap_metrics(
            scores[sides[0]],
            scores[sides[1]],
            {"eer": EER},
            num_replicates=options.num_replicates,
            seed=options.seed,
            level=options.level,
            bona_groups=groups[0],
            spoof_groups=groups[1],
        )["eer"]
    return found


def _t_eer(scores: dict[str, np.ndarray], keys: np.ndarray) -> float | None:
    if not {"cm", "asv"} <= set(scores):
        return None
    target, nontarget, spoof = (_there(scores["asv"][keys == key]) for key in KEYS)
    asv = AsvScores(target, nontarget, spoof)
    is_spoof = keys == "spoof"
    return t_eer(_there(scores["cm"][~is_spoof]), _there(scores["cm"][is_spoof]), asv).eer


def _warnings(table: SasvTable, dev: SasvTable | None, scores: dict[str, np.ndarray]) -> list[str]:
    found = []
    for kind, column in scores.items():
        missing = int(np.isnan(column).sum())
        if missing:
            found.append(
                f"{missing:,} of {column.size:,} trials have no {kind} score: they take no part in "
                "its error rates, and are counted as without an answer"
            )
    if dev is not None and set(dev.names) & set(table.names):
        found.append("trials of dev are among those that are measured, so error rates are too good")
    if not any(table.attacks or ()):
        found.append("no attacks are named: all spoof trials count as one species")
    return found
