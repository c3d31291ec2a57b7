"""Rows of tables with a header, as corpora publish them: pipes, quotes that are text, line ends."""

import csv
from collections.abc import Iterable, Iterator, Sequence

from rawnet_jax.data.trial import ProblemLedger
from rawnet_jax.errors import DataError

_DELIMITERS = ",\t;|"
_MOST_LINES = 50
"""Lines that one quoted value may go over."""


def table_rows(
    lines: Iterable[str], source: str, ledger: ProblemLedger, required: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number of the line and the cells by name of each row of a table.

    Names are in lower case, with ``_`` for blanks. A quoted value may go over several lines. Where
    quotes are not closed, or are part of a text, a row is divided at every delimiter, if that gives
    as many cells as the header has names. Other rows go to the ledger as bad lines.

    Args:
        lines: of the table; blank ones are passed over.
        source: the table.
        ledger: takes problems.
        required: names that the header must have.

    Raises:
        DataError: the header has not all of them.
    """
    rows = _nonblank(lines)
    number, first = next(rows, (1, ""))
    delimiter = max(_DELIMITERS, key=first.count)
    names = header_names(first, delimiter)
    missing = [name for name in required if name not in names]
    if missing:
        raise DataError(
            f"{source}:{number}: the header has no column {' and no column '.join(missing)}; "
            f"it reads {first[:80]!r}"
        )
    waiting = list(rows)
    at = 0
    while at < len(waiting):
        number, line = waiting[at]
        cells, used = _cells(waiting, at, delimiter, len(names))
        at += used
        if cells is None:
            ledger.report(
                "bad_line",
                f"{source}:{number}: it has not one value for each of the {len(names)} columns "
                f"of the header: {line[:80]!r}",
            )
            continue
        yield number, dict(zip(names, cells, strict=True))


def header_names(line: str, delimiter: str) -> list[str]:
    """Return the names that a header has: in lower case, with ``_`` for blanks."""
    cells = _by_quotes(line, delimiter) or line.split(delimiter)
    return ["_".join(cell.lower().split()) for cell in cells]


def _nonblank(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, 1):
        text = (line.lstrip("\ufeff") if number == 1 else line).rstrip("\r\n")
        if text.strip():
            yield number, text


def _cells(
    rows: Sequence[tuple[int, str]], at: int, delimiter: str, width: int
) -> tuple[list[str] | None, int]:
    """Return the cells of the row that begins at a place, and how many lines it takes."""
    line = rows[at][1]
    cells = _by_quotes(line, delimiter)
    if cells is not None and len(cells) == width:
        return cells, 1
    divided = [cell.strip() for cell in line.split(delimiter)]
    if len(divided) == width:
        return divided, 1
    if cells is None:
        text = line
        for used, (_, more) in enumerate(rows[at + 1 : at + _MOST_LINES], 2):
            text += f"\n{more}"
            cells = _by_quotes(text, delimiter)
            if cells is not None:
                return (cells, used) if len(cells) == width else (None, 1)
    return None, 1


def _by_quotes(text: str, delimiter: str) -> list[str] | None:
    """Return the cells of one row; None where a quote is not closed."""
    try:
        rows = list(csv.reader([f"{text}\n"], delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return [cell.strip() for cell in rows[0]] if len(rows) == 1 else None
