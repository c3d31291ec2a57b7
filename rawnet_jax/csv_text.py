"""Rows as CSV text, and back.

A spreadsheet runs a cell that begins with one of ``= + - @``, a tab or a carriage return. Text that
does so or begins with a line feed, which programs take for the other line end, and is not a number,
gets an apostrophe in front; `csv_rows` takes it away again.
"""

import csv
import io
from collections.abc import Iterable, Sequence

Row = Sequence[object]

_RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r", "\n")
_ESCAPE = "'"


def csv_text(rows: Iterable[Row]) -> str:
    r"""Return rows as CSV, with ``\n`` line ends; None is blank."""
    buffer = io.StringIO()
    # Only a writer of this line end quotes a carriage return in a cell.
    writer = csv.writer(buffer, lineterminator="\r\n")
    lines = []
    for row in rows:
        writer.writerow([_escaped(cell) for cell in row])
        lines.append(buffer.getvalue().removesuffix("\r\n") + "\n")
        buffer.seek(0)
        buffer.truncate()
    return "".join(lines)


def csv_rows(text: str) -> list[list[str]]:
    """Return the rows that `csv_text` was given, as text.

    Raises:
        ValueError: it is not CSV.
    """
    try:
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    return [[unescaped(cell) for cell in row] for row in rows]


def _escaped(cell: object) -> object:
    if cell is None:
        return ""
    return f"{_ESCAPE}{cell}" if isinstance(cell, str) and _is_run(cell) else cell


def unescaped(cell: str) -> str:
    """Return what `csv_text` was given for a cell, as text."""
    return cell[1:] if cell.startswith(_ESCAPE) and _is_run(cell) else cell


def _is_run(cell: str) -> bool:
    """Return whether a cell is text that a spreadsheet would run, perhaps escaped already."""
    bare = cell.lstrip(_ESCAPE)
    if not bare.startswith(_RUN_BY_SPREADSHEETS):
        return False
    try:
        float(cell)
    except ValueError:
        return True
    return False
