"""One run on many corpora, at the threshold that it brings along."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rawnet_jax.evaluation.resampling import Resampling
from rawnet_jax.labels import Label
from rawnet_jax.metrics.bootstrap import Groups
from rawnet_jax.metrics.det import auc, eer
from rawnet_jax.metrics.thresholds import Threshold


@dataclass(frozen=True, slots=True)
class CorpusRow:
    """One partition of one corpus; figures are None where they are not defined or not known.

    Attributes:
        name: of the corpus, in the list.
        corpus: its form, a row of `rawnet_jax.data.corpus.CORPORA`.
        partition: that was scored.
        problem: why there are no figures, or not all; "" where nothing is wrong.
        failed: whether it could not be scored at all.
        num_bonafide: bona fide trials.
        num_spoof: spoof trials.
        eer: fraction, found on these very trials.
        eer_low: lower end of its bootstrap interval.
        eer_high: upper end.
        auc: area under the ROC curve.
        p_miss: share of bona fide trials rejected at the run's threshold.
        p_fa: share of spoof trials accepted there.
        accuracy: share of right decisions there.
        num_seen: spoof trials of attacks that the run was trained on; None = ids are not the same.
        eer_seen: of those against all bona fide trials.
        num_unseen: spoof trials of attacks that it was not trained on.
        eer_unseen: of those against all bona fide trials.
    """

    name: str
    corpus: str
    partition: str
    problem: str = ""
    failed: bool = False
    num_bonafide: int = 0
    num_spoof: int = 0
    eer: float | None = None
    eer_low: float | None = None
    eer_high: float | None = None
    auc: float | None = None
    p_miss: float | None = None
    p_fa: float | None = None
    accuracy: float | None = None
    num_seen: int | None = None
    eer_seen: float | None = None
    num_unseen: int | None = None
    eer_unseen: float | None = None

    @property
    def title(self) -> str:
        """Name, and the partition where it is not eval."""
        return self.name if self.partition == "eval" else f"{self.name}, {self.partition}"


@dataclass(frozen=True)
class CrossCorpus:
    """A run on all corpora of a list.

    Attributes:
        name: of the run.
        checkpoint: which, and its step.
        threshold: on scores, chosen on the run's own dev; None = none.
        threshold_rule: in words.
        interval_level: of the EERs' intervals; None without.
        rows: in the order of the list.
    """

    name: str
    checkpoint: str
    threshold: float | None
    threshold_rule: str
    interval_level: float | None
    rows: tuple[CorpusRow, ...]

    @property
    def mean_eer(self) -> float | None:
        """Mean of all EERs, each corpus counting the same; None without any."""
        rates = [row.eer for row in self.rows if row.eer is not None]
        return sum(rates) / len(rates) if rates else None


@dataclass(frozen=True, slots=True, eq=False)
class CorpusScores:
    """Scores of one partition of one corpus.

    Attributes:
        scores: float [N], higher = more bona fide.
        labels: int [N], values of `Label`.
        attack_ids: N entries, None for bona fide or unknown.
        speakers: N entries; read where speakers are drawn.
    """

    scores: np.ndarray
    labels: np.ndarray
    attack_ids: Sequence[str | None]
    speakers: Groups


def measure_corpus(
    row: CorpusRow,
    scored: CorpusScores,
    threshold: Threshold | None,
    trained_attacks: frozenset[str] | None,
    resampling: Resampling,
) -> CorpusRow:
    """Fill in the figures of a row; with one class alone, only its rate at the threshold.

    Args:
        row: with its names.
        scored: the trials.
        threshold: from the run's dev; None = no decisions.
        trained_attacks: ids of the attacks that the run was trained on; None = its ids and those
            of this corpus do not mean the same.
        resampling: of the EER's interval.

    Raises:
        MetricError: a score is not finite.
    """
    scores = np.asarray(scored.scores, np.float64)
    bonafide, spoof = (scores[scored.labels == label] for label in (Label.BONAFIDE, Label.SPOOF))
    row = replace(row, num_bonafide=bonafide.size, num_spoof=spoof.size)
    if threshold is not None:
        missed = int(np.count_nonzero(bonafide < threshold.value))
        accepted = int(np.count_nonzero(spoof >= threshold.value))
        row = replace(
            row,
            p_miss=missed / bonafide.size if bonafide.size else None,
            p_fa=accepted / spoof.size if spoof.size else None,
            accuracy=1 - (missed + accepted) / scores.size,
        )
    if not bonafide.size or not spoof.size:
        lacking = "bona fide" if not bonafide.size else "spoof"
        return replace(row, problem=f"no {lacking} trials, so no error rate over all thresholds")
    row = replace(row, eer=eer(bonafide, spoof).eer, auc=auc(bonafide, spoof))
    interval = resampling.eer_interval((bonafide, spoof), scored.labels, scored.speakers)
    if interval is not None:
        row = replace(row, eer_low=interval.low, eer_high=interval.high)
    return _with_attacks(row, scored, bonafide, trained_attacks)


def _with_attacks(
    row: CorpusRow,
    scored: CorpusScores,
    bonafide: np.ndarray,
    trained_attacks: frozenset[str] | None,
) -> CorpusRow:
    """Set attacks that were trained on apart from those that were not."""
    if trained_attacks is None or not any(scored.attack_ids):
        return row
    is_spoof = np.asarray(scored.labels) == Label.SPOOF
    is_seen = np.array([attack in trained_attacks for attack in scored.attack_ids])
    is_known = np.array([attack is not None for attack in scored.attack_ids])
    seen = np.asarray(scored.scores)[is_spoof & is_known & is_seen]
    unseen = np.asarray(scored.scores)[is_spoof & is_known & ~is_seen]
    return replace(
        row,
        num_seen=seen.size,
        eer_seen=eer(bonafide, seen).eer if seen.size else None,
        num_unseen=unseen.size,
        eer_unseen=eer(bonafide, unseen).eer if unseen.size else None,
    )
