"""What `rawnet_jax.evaluation.assess` reads and finds: one system, its metrics, its decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rawnet_jax.errors import MetricError
from rawnet_jax.evaluation.columns import By
from rawnet_jax.evaluation.decision import Decision
from rawnet_jax.metrics.asv import AsvOperatingPoint
from rawnet_jax.metrics.bootstrap import PairedResult
from rawnet_jax.metrics.breakdown import Column, GroupRow
from rawnet_jax.metrics.calibration import Calibration
from rawnet_jax.metrics.classification import Confusion
from rawnet_jax.metrics.dcf import CostModel
from rawnet_jax.metrics.det import EqualErrorRate
from rawnet_jax.metrics.fairness import FairnessTable
from rawnet_jax.metrics.table import Estimate
from rawnet_jax.metrics.validation import refuse_huge


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSystem:
    """A system under a name, with its scores on labelled trials.

    Attributes:
        name: shown in tables and legends.
        scores: float [N], higher = more bona fide.
        labels: int [N], values of `Label`.
        attack_ids: N entries, None for bona fide or unknown; None where attacks are not known.
        columns: N entries each, by name: what else the protocol says of the trials.
        dev_scores: float [M] of the same system on a development set; None without one.
        dev_labels: int [M].
    """

    name: str
    scores: np.ndarray
    labels: np.ndarray
    attack_ids: Sequence[str | None] | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)
    dev_scores: np.ndarray | None = None
    dev_labels: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.attack_ids is not None and len(self.attack_ids) != len(self.scores):
            raise MetricError(
                f"{self.name}: {len(self.attack_ids)} attacks for {len(self.scores)} scores"
            )
        refuse_huge(np.asarray(self.scores), f"{self.name}: scores")
        if self.dev_scores is not None:
            refuse_huge(np.asarray(self.dev_scores), f"{self.name}: dev scores")


@dataclass(frozen=True, slots=True)
class AttackSummary:
    """One attack against all bona fide trials.

    Attributes:
        attack_id: as the protocol names it.
        num_spoof: its trials.
        num_called_spoof: those that were called spoof at the threshold on P(spoof).
        eer: tie-grouped, against all bona fide trials.
    """

    attack_id: str
    num_spoof: int
    num_called_spoof: int
    eer: EqualErrorRate


@dataclass(frozen=True, slots=True, eq=False)
class CalibratedScores:
    """Log-likelihood ratios of the evaluated trials.

    Attributes:
        calibration: fitted on dev scores.
        bonafide_scores: float64 [Nb], in nats.
        spoof_scores: float64 [Ns].
        metrics: those that calibration changes, by name.
    """

    calibration: Calibration
    bonafide_scores: np.ndarray
    spoof_scores: np.ndarray
    metrics: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Error rates by one column or by a pair of columns, at the chosen threshold."""

    by: By
    rows: tuple[GroupRow, ...]

    @property
    def name(self) -> str:
        """The columns in one word, such as ``attack × codec``."""
        return " × ".join(self.by)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of two systems on the same trials.

    Attributes:
        system: whose metric minus that of `reference` is the difference.
        reference: the first system.
        metric: name in `rawnet_jax.metrics.table.METRICS`.
        result: difference, its interval and its p value.
    """

    system: str
    reference: str
    metric: str
    result: PairedResult


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """All that is found of one system.

    Attributes:
        name: of the system.
        bonafide_scores: float64 [Nb].
        spoof_scores: float64 [Ns].
        spoof_threshold: on P(spoof), of `confusion`.
        confusion: decisions at that threshold.
        metrics: of the scores as they are, by name in `rawnet_jax.metrics.table.METRICS`.
        eer_negated: the tie-grouped EER that the negated scores would have.
        attacks: by attack id; empty where attacks are not known.
        calibrated: None without dev scores of both classes.
        decision: the chosen threshold.
        costs: of minDCF, actDCF and the Bayes threshold.
        asv: the speaker verification system beside it; None without ASV scores.
        breakdowns: in the order asked for.
        fairness: by column.
        resampling: how the intervals were made, as a phrase; "" without.
        warnings: what a reader of the numbers must know; each one sentence or two.
    """

    name: str
    bonafide_scores: np.ndarray
    spoof_scores: np.ndarray
    spoof_threshold: float
    confusion: Confusion
    metrics: Mapping[str, Estimate]
    eer_negated: float
    attacks: tuple[AttackSummary, ...]
    calibrated: CalibratedScores | None
    decision: Decision
    costs: CostModel
    asv: AsvOperatingPoint | None
    breakdowns: tuple[Breakdown, ...]
    fairness: Mapping[str, FairnessTable]
    resampling: str
    warnings: tuple[str, ...]

    @property
    def num_bonafide(self) -> int:
        """Number of bona fide trials."""
        return self.bonafide_scores.size

    @property
    def num_spoof(self) -> int:
        """Number of spoof trials."""
        return self.spoof_scores.size

    @property
    def eer(self) -> EqualErrorRate:
        """The tie-grouped EER with its threshold."""
        return self._point("eer")

    @property
    def eer_official(self) -> EqualErrorRate:
        """The EER of the ASVspoof scripts with its threshold."""
        return self._point("eer_official")

    def _point(self, name: str) -> EqualErrorRate:
        point = self.metrics[name].point
        assert point is not None
        return point


def percent(fraction: float) -> str:
    """Write a fraction as a percentage with two decimals."""
    return f"{100 * fraction:.2f} %"


def trials(count: int, kind: str = "") -> str:
    """Write a number of trials, such as ``7,355 bona fide trials``."""
    noun = "trial" if count == 1 else "trials"
    return f"{count:,} {kind} {noun}" if kind else f"{count:,} {noun}"
