"""The list of trials that cannot be judged, as a CSV file."""

from pathlib import Path

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.csv_text import csv_text
from rawnet_jax.evaluation.cannot_judge import CANNOT_JUDGE_CSV, CannotJudge


def write_cannot_judge(folder: Path, found: CannotJudge) -> Path | None:
    """Write ``cannot_judge.csv``, or remove that of an earlier run where there is nothing to list.

    Returns:
        The file; None where there is none.

    Raises:
        DataError: it cannot be written.
    """
    path = folder / CANNOT_JUDGE_CSV
    if not found.rows:
        path.unlink(missing_ok=True)
        return None
    header = ("partition", "utterance", "key", "reason", "value", "limit")
    keys = ("" if row.trial.label is None else row.trial.label.key for row in found.rows)
    rows = [
        (row.partition, row.trial.utterance_id, key, *row[2:])
        for row, key in zip(found.rows, keys, strict=True)
    ]
    write_text_atomically(path, csv_text([header, *rows]))
    return path
