"""One system's scores in numbers: for the terminal, for ``metrics.json``, for the report."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.errors import MetricError
from rawnet_jax.labels import Label
from rawnet_jax.metrics.classification import Confusion, confusion_at
from rawnet_jax.metrics.det import EqualErrorRate, auc, eer, eer_of_negated, eer_official
from rawnet_jax.metrics.validation import split_by_label

UNSTATED_ATTACK = "(not stated)"
FEW_TRIALS = 50
"""Below this many trials of a class, single trials move a rate by whole per cents."""

_ERROR = "fraction from 0 to 1, lower is better"
_RATE = "fraction from 0 to 1 at spoof_threshold, spoof positive, higher is better"
UNITS = {
    "num_*": "trials; accepted = called bona fide, rejected = called spoof, at spoof_threshold",
    "eer": f"{_ERROR}; equal scores kept together",
    "eer_threshold": "score; accept at and above it",
    "eer_official": f"{_ERROR}; as the ASVspoof scripts compute it",
    "eer_official_threshold": "score; reject at and below it",
    "eer_of_negated_scores": "fraction from 0 to 1; below eer means that the sign looks reversed",
    "auc": "fraction from 0 to 1, higher is better, 0.5 = chance",
    "spoof_threshold": "P(spoof) = 1 / (1 + exp(score)), from 0 to 1; spoof at and above it",
    "accuracy": _RATE,
    "precision": _RATE,
    "recall": _RATE,
    "f1": _RATE,
}
"""What the numbers of `metrics_record` are, by field."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSystem:
    """A system under a name, with its scores on labelled trials.

    Attributes:
        name: shown in tables and legends.
        scores: float [N], higher = more bona fide.
        labels: int [N], values of `Label`.
        attack_ids: N entries, None for bona fide or unknown; None where attacks are not known.
    """

    name: str
    scores: np.ndarray
    labels: np.ndarray
    attack_ids: Sequence[str | None] | None = None

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

    @property
    def num_bonafide(self) -> int:
        """Number of bona fide trials."""
        return self.bonafide_scores.size

    @property
    def num_spoof(self) -> int:
        """Number of spoof trials."""
        return self.spoof_scores.size


def summarise(system: ScoredSystem, spoof_threshold: float = 0.5) -> Summary:
    """Compute all figures of one system.

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
    attacks = np.array([attack or UNSTATED_ATTACK for attack in attack_of])
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


def headline_rows(summary: Summary) -> list[tuple[str, str, str]]:
    """Return the seed's table and the EER as rows of (name, value, the counts or threshold)."""
    counts = summary.confusion
    return [
        ("Accuracy", percent(counts.accuracy), f"{counts.num_correct:,} of {counts.num_trials:,}"),
        (
            "Precision",
            percent(counts.precision),
            f"{counts.spoof_rejected:,} of {counts.num_called_spoof:,} called spoof",
        ),
        (
            "Recall",
            percent(counts.recall),
            f"{counts.spoof_rejected:,} of {trials(counts.num_spoof, 'spoof')}",
        ),
        ("F1", percent(counts.f1), "of precision and recall"),
        ("ROC-AUC", f"{summary.auc:.4f}", "chance is 0.5"),
        ("EER", percent(summary.eer.eer), f"at score {summary.eer.threshold:.6g}"),
        (
            "EER, official",
            percent(summary.eer_official.eer),
            f"at score {summary.eer_official.threshold:.6g}",
        ),
    ]


def format_table(summary: Summary) -> str:
    """Return the figures of one system as plain text for a terminal, without a final line end."""
    counts = summary.confusion
    rows = headline_rows(summary)
    lines = [
        f"{summary.name}: {trials(counts.num_trials)} "
        f"({summary.num_bonafide:,} bona fide, {summary.num_spoof:,} spoof)",
        f"Spoof is the positive class; called spoof where P(spoof) >= {summary.spoof_threshold:g}",
        "",
        *(f"  {name:<14}{value:>9}   {note}" for name, value, note in rows),
        "",
        f"  {'':<16}{'called bona fide':>17}{'called spoof':>14}",
        f"  {'truly bona fide':<16}{counts.bonafide_accepted:>17,}{counts.bonafide_rejected:>14,}",
        f"  {'truly spoof':<16}{counts.spoof_accepted:>17,}{counts.spoof_rejected:>14,}",
    ]
    if summary.attacks:
        width = max(len(row.attack_id) for row in summary.attacks)
        width = max(width, len("attack"))
        lines += ["", f"  {'attack':<{width}}{'trials':>9}{'EER':>10}"]
        lines += [
            f"  {row.attack_id:<{width}}{row.num_spoof:>9,}{percent(row.eer.eer):>10}"
            for row in summary.attacks
        ]
    lines += ["", *(f"  WARNING: {w}" for w in summary.warnings)] if summary.warnings else []
    return "\n".join(lines)


def metrics_record(summary: Summary) -> dict[str, Any]:
    """Return all figures of one system as plain numbers and strings, ready for JSON."""
    counts = summary.confusion
    return {
        "name": summary.name,
        "num_trials": counts.num_trials,
        "num_bonafide": summary.num_bonafide,
        "num_spoof": summary.num_spoof,
        "eer": summary.eer.eer,
        "eer_threshold": summary.eer.threshold,
        "eer_official": summary.eer_official.eer,
        "eer_official_threshold": summary.eer_official.threshold,
        "eer_of_negated_scores": summary.eer_negated,
        "auc": summary.auc,
        "spoof_threshold": summary.spoof_threshold,
        "accuracy": counts.accuracy,
        "precision": counts.precision,
        "recall": counts.recall,
        "f1": counts.f1,
        "num_bonafide_accepted": counts.bonafide_accepted,
        "num_bonafide_rejected": counts.bonafide_rejected,
        "num_spoof_accepted": counts.spoof_accepted,
        "num_spoof_rejected": counts.spoof_rejected,
        "attacks": {
            row.attack_id: {
                "num_spoof": row.num_spoof,
                "num_spoof_rejected": row.num_called_spoof,
                "eer": row.eer.eer,
                "eer_threshold": row.eer.threshold,
            }
            for row in summary.attacks
        },
        "warnings": list(summary.warnings),
    }


def write_metrics(
    path: str | Path, summaries: Sequence[Summary], context: Mapping[str, str] | None = None
) -> None:
    """Write ``metrics.json``, whole or not at all.

    Args:
        path: file to write; its folder must exist.
        summaries: one a system.
        context: what was evaluated, by name: config, dataset, step, versions …

    Raises:
        DataError: the file cannot be written.
    """
    record = {
        "schema_version": 1,
        "context": dict(context or {}),
        "units": UNITS,
        "systems": [metrics_record(summary) for summary in summaries],
    }
    text = json.dumps(record, indent=2, allow_nan=False, ensure_ascii=False)
    write_text_atomically(path, text + "\n")
