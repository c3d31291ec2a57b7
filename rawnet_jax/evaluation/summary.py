"""One system's scores in numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rawnet_jax.errors import MetricError
from rawnet_jax.evaluation.analysis import Analysis
from rawnet_jax.labels import Label
from rawnet_jax.metrics.breakdown import FEW_TRIALS, UNSTATED, Column
from rawnet_jax.metrics.classification import Confusion, confusion_at
from rawnet_jax.metrics.det import EqualErrorRate, auc, eer, eer_of_negated, eer_official
from rawnet_jax.metrics.validation import split_by_label


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


@dataclass(frozen=True, slots=True)
class AttackSummary:
    """One attack against all bona fide trials.

    Attributes:
        attack_id: as the protocol names it.
        num_spoof: its trials.
        num_called_spoof: those that were called spoof at the threshold of the table.
        eer: tie-grouped, against all bona fide trials.
    """

    attack_id: str
    num_spoof: int
    num_called_spoof: int
    eer: EqualErrorRate


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """All figures of one system.

    Attributes:
        name: of the system.
        bonafide_scores: float64 [Nb].
        spoof_scores: float64 [Ns].
        spoof_threshold: on P(spoof), of `confusion`.
        confusion: decisions at that threshold.
        auc: area under the ROC curve.
        eer: tie-grouped.
        eer_official: as the challenges compute it.
        eer_negated: the tie-grouped rate that the negated scores would have.
        attacks: by attack id; empty where attacks are not known.
        warnings: what a reader of the figures must know; each one sentence or two.
        analysis: what `rawnet_jax.evaluation.assess.assess` adds; None from `summarise`.
    """

    name: str
    bonafide_scores: np.ndarray
    spoof_scores: np.ndarray
    spoof_threshold: float
    confusion: Confusion
    auc: float
    eer: EqualErrorRate
    eer_official: EqualErrorRate
    eer_negated: float
    attacks: tuple[AttackSummary, ...]
    warnings: tuple[str, ...]
    analysis: Analysis | None = None

    @property
    def num_bonafide(self) -> int:
        """Number of bona fide trials."""
        return self.bonafide_scores.size

    @property
    def num_spoof(self) -> int:
        """Number of spoof trials."""
        return self.spoof_scores.size


def summarise(system: ScoredSystem, spoof_threshold: float = 0.5) -> Summary:
    """Compute the seed's table, EER and attacks of one system.

    Args:
        system: what was scored.
        spoof_threshold: on P(spoof), for the table of decisions.

    Raises:
        MetricError: a class is missing, lengths differ or a score is not finite.
    """
    try:
        bonafide, spoof = split_by_label(system.scores, system.labels)
        grouped, official = eer(bonafide, spoof), eer_official(bonafide, spoof)
        negated = eer_of_negated(bonafide, spoof)
        return Summary(
            name=system.name,
            bonafide_scores=bonafide,
            spoof_scores=spoof,
            spoof_threshold=spoof_threshold,
            confusion=confusion_at(system.scores, system.labels, spoof_threshold),
            auc=auc(bonafide, spoof),
            eer=grouped,
            eer_official=official,
            eer_negated=negated,
            attacks=_attacks(system, bonafide, spoof_threshold),
            warnings=_warnings(bonafide, spoof, grouped.eer, official.eer, negated),
        )
    except MetricError as error:
        raise MetricError(f"{system.name}: {error}") from error


def _attacks(
    system: ScoredSystem, bonafide: np.ndarray, spoof_threshold: float
) -> tuple[AttackSummary, ...]:
    is_spoof = np.asarray(system.labels) == Label.SPOOF
    spoof = np.asarray(system.scores, dtype=np.float64)[is_spoof]
    named = system.attack_ids or ()
    attack_of = [a for a, wanted in zip(named, is_spoof, strict=False) if wanted]
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


def _warnings(
    bonafide: np.ndarray, spoof: np.ndarray, grouped: float, official: float, negated: float
) -> tuple[str, ...]:
    warnings = []
    lowest = min(bonafide.min(), spoof.min())
    highest = max(bonafide.max(), spoof.max())
    if negated < grouped:
        warnings.append(
            f"The scores would do better with their sign reversed (EER {percent(negated)} instead "
            f"of {percent(grouped)}). Higher must mean more bona fide; nothing was flipped."
        )
    if grouped != official:
        warnings.append(
            f"There are ties among the scores: the official algorithm gives an EER of "
            f"{percent(official)}, keeping equal scores together gives {percent(grouped)}."
        )
    if lowest == highest:
        warnings.append("All scores are equal: the system tells nothing apart.")
    elif lowest >= 0 and highest <= 1:
        warnings.append(
            "All scores lie between 0 and 1, as probabilities do. Decisions at a threshold on "
            "P(spoof) read scores as log odds and mean little here; EER and AUC are not touched."
        )
    for name, count in (("bona fide", bonafide.size), ("spoof", spoof.size)):
        if count < FEW_TRIALS:
            warnings.append(
                f"Only {trials(count, name)}: one of them moves a rate by {percent(1 / count)}."
            )
    return tuple(warnings)


def percent(fraction: float) -> str:
    """Write a fraction as a percentage with two decimals."""
    return f"{100 * fraction:.2f} %"


def trials(count: int, kind: str = "") -> str:
    """Write a number of trials, such as ``7,355 bona fide trials``."""
    noun = "trial" if count == 1 else "trials"
    return f"{count:,} {kind} {noun}" if kind else f"{count:,} {noun}"
