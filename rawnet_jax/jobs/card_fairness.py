"""Whom a detector wrongs, for its model card: from the ``fairness.csv`` of an evaluation."""

from pathlib import Path

from rawnet_jax.csv_text import csv_rows
from rawnet_jax.errors import DataError
from rawnet_jax.regular_file import read_regular

WHO = ("language", "accent", "sex", "age", "device", "codec", "channel", "length")
"""Columns that a card shows; others, such as single speakers, are for the report."""

_MOST_ROWS = 12  # of a column, the worst first
_HEAD = """\
## Whom it wrongs

Genuine speech that is called spoof, at the threshold of the evaluation, with 95 % intervals
(Wilson, by speakers where they are known). Groups of fewer than 50 recordings are marked: few.

| | group | recordings | called spoof | interval |
|---|---|---:|---:|---|
"""


def fairness_section(path: Path) -> str:
    """Return the section, Markdown, the worst group of each column named and first.

    Args:
        path: ``fairness.csv`` of one system.

    Raises:
        DataError: it cannot be read, is no such table, is of several systems, or has none of the
            columns `WHO`.
    """
    rows = _rows_of(path)
    systems = {row["system"] for row in rows}
    if len(systems) != 1:
        raise DataError(f"--fairness {path}: {len(systems)} systems; it must be of one")
    by = {name: [row for row in rows if row["column"] == name] for name in WHO}
    shown = {name: of for name, of in by.items() if of}
    if not shown:
        known = ", ".join(dict.fromkeys(row["column"] for row in rows))
        raise DataError(
            f"--fairness {path}: it has {known}; a card shows {', '.join(WHO)}: name them in the "
            "manifest of the evaluation"
        )
    try:
        lines = [line for name, of in shown.items() for line in _lines(name, of)]
        said = [_worst(name, of) for name, of in shown.items()]
    except (KeyError, ValueError) as error:
        raise DataError(f"--fairness {path}: damaged: {error!r}") from error
    missing = [name for name in WHO if name not in shown]
    said += [f"Not measured by {', '.join(missing)}."] if missing else []
    return _HEAD + "\n".join(lines) + "\n\n" + "\n".join(said) + "\n"


def _rows_of(path: Path) -> list[dict[str, str]]:
    try:
        head, *rows = csv_rows(read_regular(path).decode("utf-8"))
    except OSError as error:
        raise DataError(f"--fairness {path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"--fairness {path}: no table: {error}") from error
    needed = {"system", "column", "group", "num_bonafide", "p_miss", "low", "high", "worst"}
    if not rows or not needed <= set(head):
        raise DataError(f"--fairness {path}: it must be the fairness.csv of an evaluation")
    return [dict(zip(head, row, strict=False)) for row in rows]


def _lines(name: str, rows: list[dict[str, str]]) -> list[str]:
    groups = [row for row in rows if row["group"] != "all"]
    groups.sort(key=lambda row: -float(row["p_miss"]))
    left = len(groups) - _MOST_ROWS
    lines = [_line(name, row) for row in groups[:_MOST_ROWS]]
    lines += [f"| {name} | {left} more, with lower rates | | | |"] if left > 0 else []
    return lines


def _line(name: str, row: dict[str, str]) -> str:
    group = row["group"].replace("|", "\\|")
    few = " (few)" if row.get("few_trials") == "True" else ""
    worst = "**" if row["worst"] == "True" else ""
    low, high = (100 * float(row[end]) for end in ("low", "high"))
    rate = f"{worst}{100 * float(row['p_miss']):.1f} %{worst}"
    return (
        f"| {name} | {worst}{group}{worst}{few} | {int(row['num_bonafide']):,} | {rate} | "
        f"{low:.1f} to {high:.1f} % |"
    )


def _worst(name: str, rows: list[dict[str, str]]) -> str:
    worst = next((row for row in rows if row["worst"] == "True"), None)
    if worst is None:
        return f"By {name}, no group is named."
    overall = next((row for row in rows if row["group"] == "all"), None)
    of_all = "" if overall is None else f", of all {100 * float(overall['p_miss']):.1f} %"
    clear = ", clearly above that of all" if worst.get("above_overall") == "True" else ""
    return (
        f"Worst by {name}: {worst['group']}, {100 * float(worst['p_miss']):.1f} %{of_all}{clear}."
    )
