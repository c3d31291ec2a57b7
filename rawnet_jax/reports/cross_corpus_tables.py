"""The results of a cross-corpus evaluation as tables: for a terminal, Markdown, CSV and JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from rawnet_jax.evaluation.cross_corpus import CorpusRow, CrossCorpus
from rawnet_jax.evaluation.summary import percent
from rawnet_jax.fitted_file import write_fitted
from rawnet_jax.metrics.breakdown import FEW_TRIALS
from rawnet_jax.reports.tables import (
    UNKNOWN,
    decisions_sentence,
    in_columns,
    interval_cell,
    rate_cell,
)

RECORD_NAME = "cross_corpus.json"
_CONTENT = "cross-corpus evaluation"

HEADER = (
    *("corpus", "bona fide", "spoof", "EER", "AUC", "bona fide rejected", "spoof accepted"),
    *("accuracy", "EER, seen attacks", "EER, unseen"),
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
