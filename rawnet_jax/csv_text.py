"""Rows as CSV text."""

import csv
import io
from collections.abc import Iterable, Sequence

Row = Sequence[object]


def csv_text(rows: Iterable[Row]) -> str:
    """Return rows as CSV; None is blank."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(
        ["" if cell is None else cell for cell in row] for row in rows
    )
    return buffer.getvalue()
