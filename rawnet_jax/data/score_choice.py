"""Columns of a score file that its owner names, where the file itself does not tell them."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from rawnet_jax.data.text_file import as_text
from rawnet_jax.errors import ConfigError, DataError

ROLES = ("name", "score", "key", "attack")
"""What a column of a score file may be."""

Choice = Mapping[str, str]
"""From some of `ROLES`, with name and score, to the name of a column or its number from 1."""

FLAG = "--columns"
_FORM = "name=COLUMN,score=COLUMN[,key=COLUMN][,attack=COLUMN]"


def parse_choice(text: str) -> Choice:
    """Read ``name=file,score=3``; a column goes by its name in the header or its number from 1.

    Raises:
        ConfigError: it has another form, or a column has two roles.
    """
    pairs = [part.partition("=") for part in text.split(",")]
    choice = {role.strip(): column.strip() for role, _, column in pairs}
    wrong = len(choice) < len(pairs) or not all(choice.values()) or set(choice) - set(ROLES)
    if wrong or not {"name", "score"} <= set(choice):
        raise ConfigError(f"{FLAG} {text}: it must be {_FORM}, such as name=file,score=3")
    if len(set(choice.values())) < len(choice):
        raise ConfigError(f"{FLAG} {text}: a column has two roles")
    return choice


def chosen_cells(
    path: str | Path, lines: Sequence[str], choice: Choice
) -> tuple[list[int], dict[str, list[str]]]:
    """Return the numbers of the lines, from 1, and the cells of each role.

    Columns are separated by tabs, commas, ``;`` or ``|``, whichever the first line has most of, or
    by blanks. Where a column goes by its name, the first line is the header; else a first line
    whose score is not a number is passed over as one.

    Raises:
        DataError: a column is not there, or a line has another number of columns; with
            ``file:line``.
    """
    first = next(i for i, line in enumerate(lines) if line.strip())
    delimiter = max("\t,;|", key=lines[first].count)
    delimiter = delimiter if delimiter in lines[first] else " "
    rows = _rows(path, lines, delimiter)
    header = rows[0][1]
    by_name = any(not column.isdigit() for column in choice.values())
    at = {role: _place(path, rows[0], column, header) for role, column in choice.items()}
    if by_name or not _is_number(header[at["score"]]):
        rows = rows[1:]
    if not rows:
        raise DataError(f"{path}:{first + 1}: a header, but no scores below it")
    for number, row in rows:
        if len(row) != len(header):
            raise DataError(
                f"{path}:{number}: {len(row)} columns; there must be {len(header)} as above"
            )
    found = {role: [as_text(row[place]) for _, row in rows] for role, place in at.items()}
    return [number for number, _ in rows], found


def _place(path: str | Path, first: tuple[int, list[str]], column: str, header: list[str]) -> int:
    if column.isdigit():
        place = int(column) - 1
        if not 0 <= place < len(header):
            raise DataError(f"{path}:{first[0]}: no column {column}; there are {len(header)}")
        return place
    names = [name.lower() for name in header]
    if names.count(column.lower()) != 1:
        raise DataError(
            f"{path}:{first[0]}: {FLAG} names {column!r}, which is not one of "
            f"{', '.join(header)[:120]}"
        )
    return names.index(column.lower())


def _rows(path: str | Path, lines: Sequence[str], delimiter: str) -> list[tuple[int, list[str]]]:
    if delimiter == " ":
        return [(i, line.split()) for i, line in enumerate(lines, 1) if line.strip()]
    found: list[tuple[int, list[str]]] = []
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=True)
    number = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                found.append((number, [cell.strip() for cell in row]))
            number = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}:{number}: {error}") from error
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
