"""What the words and numbers of a report mean, for a reader who is new to the field."""

from collections.abc import Sequence

from rawnet_jax.evaluation.summary import Summary
from rawnet_jax.metrics.table import DECISION_METRICS, METRICS

Terms = list[tuple[str, str]]

_BEFORE = (
    (
        "Score",
        "One number per recording; higher means more bona fide. Where a probability is needed the "
        "score is read as log odds: P(spoof) = 1 / (1 + exp(score)).",
    ),
    (
        "Bona fide, spoof",
        "Speech of a living speaker; speech that was replayed, synthesised or converted.",
    ),
)
_AFTER = (
    (
        "Interval",
        "In brackets: where the metric would lie in 95 of 100 cases (or the level stated) if other "
        "trials of the same kind had been drawn. Two systems whose intervals overlap may still "
        "differ; the paired comparison tells.",
    ),
    (
        "Bona fide rejected, by group",
        "The share of a group's own speech that is called spoof at the chosen threshold. Speakers "
        "of a group that stands far above the others are suspected wrongly more often.",
    ),
    (
        "False acceptance, false rejection",
        "Share of spoof taken for bona fide; share of bona fide taken for spoof.",
    ),
)


def glossary(summaries: Sequence[Summary]) -> Terms:
    """Return (term, meaning) of everything that a report of these systems shows."""
    shown = dict.fromkeys(name for summary in summaries for name in summary.metrics)
    rows = [*(METRICS[name] for name in shown), *DECISION_METRICS.values()]
    metrics = [
        (row.title, f"{row.words} {row.better.capitalize()} is better, in {row.unit}.")
        for row in rows
    ]
    return [*_BEFORE, *metrics, *_AFTER]
