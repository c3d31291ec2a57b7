"""One run on many corpora, at the threshold that it brings along: figures and tables."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from rawnet_jax.evaluation.assess import Resampling, eer_interval
from rawnet_jax.evaluation.summary import percent
from rawnet_jax.evaluation.tables import (
    UNKNOWN,
    decisions_sentence,
    in_columns,
    interval_cell,
    rate_cell,
)
from rawnet_jax.labels import Label
from rawnet_jax.metrics.bootstrap import Groups
from rawnet_jax.metrics.breakdown import FEW_TRIALS
from rawnet_jax.metrics.det import auc, eer
from rawnet_jax.metrics.fitted_file import write_fitted
from rawnet_jax.metrics.thresholds import Threshold

RECORD_NAME = "cross_corpus.json"
_CONTENT = "cross-corpus evaluation"

HEADER = (
    *("corpus", "bona fide", "spoof", "EER", "AUC", "bona fide rejected", "spoof accepted"),
    *("accuracy", "EER, seen attacks", "EER, unseen"),
)


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
    interval = eer_interval((bonafide, spoof), scored.labels, scored.speakers, resampling)
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


def cells(result: CrossCorpus) -> list[list[str]]:
    """Return the corpora that were scored as rows of text under `HEADER`."""
    return [
        [
            row.title,
            f"{row.num_bonafide:,}",
            f"{row.num_spoof:,}",
            interval_cell(row.eer, row.eer_low, row.eer_high),
            UNKNOWN if row.auc is None else f"{row.auc:.4f}",
            rate_cell(row.p_miss),
            rate_cell(row.p_fa),
            rate_cell(row.accuracy),
            _with_count(row.eer_seen, row.num_seen),
            _with_count(row.eer_unseen, row.num_unseen),
        ]
        for row in result.rows
        if row.num_bonafide + row.num_spoof
    ]


def remarks(result: CrossCorpus) -> list[str]:
    """Return what a reader must know of single corpora."""
    lines = [f"{row.title}: {row.problem}" for row in result.rows if row.problem]
    lines += [
        f"{row.title}: only {count} {kind} trials, so its rates are rough"
        for row in result.rows
        for kind, count in (("bona fide", row.num_bonafide), ("spoof", row.num_spoof))
        if 0 < count < FEW_TRIALS
    ]
    return lines


def closing_lines(result: CrossCorpus) -> list[str]:
    """Return what is said under the table."""
    lines = []
    mean = result.mean_eer
    if mean is not None:
        number = sum(row.eer is not None for row in result.rows)
        lines.append(f"Mean EER over {number} lists, each counting the same: {percent(mean)}.")
    return [*lines, decisions_sentence(result.threshold, result.threshold_rule)]


def format_cross_corpus(result: CrossCorpus) -> str:
    """Return the table for a terminal, without a final line end."""
    lines = [f"{result.name}, {result.checkpoint}", ""]
    lines += in_columns([HEADER, *cells(result)], right_from=1)
    lines += ["", *(f"  {line}" for line in (*closing_lines(result), *remarks(result)))]
    return "\n".join(lines)


def format_markdown(result: CrossCorpus) -> str:
    """Return the table as Markdown, to be pasted into a page."""
    rows = [HEADER, ["---", *["---:"] * (len(HEADER) - 1)], *cells(result)]
    table = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    notes = [*closing_lines(result), *remarks(result)]
    heading = f"{result.name}, {result.checkpoint}"
    return "\n".join([heading, "", *table, "", *(f"- {note}" for note in notes), ""])


def format_spread(results: Sequence[CrossCorpus]) -> str:
    """Return the EER of each corpus over runs that differ in their seed, for a terminal."""
    rows = [["corpus", "EER, mean", "deviation", "lowest", "highest"]]
    for of_corpus in zip(*(result.rows for result in results), strict=True):
        rates = np.array([row.eer for row in of_corpus if row.eer is not None])
        if rates.size > 1:
            values = (rates.mean(), rates.std(ddof=1), rates.min(), rates.max())
            rows.append([of_corpus[0].title, *(percent(float(value)) for value in values)])
    return "\n".join([f"{len(results)} seeds", "", *in_columns(rows, right_from=1)])


def csv_rows(result: CrossCorpus) -> list[list[object]]:
    """Return header and rows; rates are fractions, None = not known."""
    header: list[object] = list(CorpusRow.__dataclass_fields__)
    return [header, *(list(asdict(row).values()) for row in result.rows)]


def write_cross_corpus(path: Path, result: CrossCorpus) -> None:
    """Write figures as JSON, whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    write_fitted(path, _CONTENT, asdict(result) | {"mean_eer": result.mean_eer})


def _with_count(rate: float | None, count: int | None) -> str:
    return UNKNOWN if rate is None else f"{percent(rate)} ({count:,})"
