"""Which column of a score file is what: names, scores and, where there are any, keys and attacks.

Nothing is guessed: columns go by their header, or by the form of a challenge, or there is one order
alone in which they make sense. Anything else is refused.
"""

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rawnet_jax.csv_text import unescaped
from rawnet_jax.data.score_choice import FLAG, Choice, chosen_cells
from rawnet_jax.data.score_words import role_of, without_index
from rawnet_jax.data.text_file import as_text
from rawnet_jax.errors import DataError
from rawnet_jax.json_text import parsed_json
from rawnet_jax.labels import UNSTATED, is_number_key, label_of_own_key

NONE = "-"
"""Stands for no key and no attack."""

_UNSCORED = ("cannot judge", "unreadable")  # verdicts of `score`
_HEADER = "a header naming 'filename' (or file, path, utt, id) and 'cm-score' (or score)"

_BLANKS = " "
SEPARATORS = (";", "|", ",")
"""Of columns, beside blanks: no name ends in one where blanks separate columns."""

_Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class ScoreColumns:
    """What a score file holds, as text; all columns are as long as `names`.

    Attributes:
        numbers: lines, from 1.
        names: of trials.
        scores: numbers, or what stands in their place.
        keys: words or `NONE`; None = the file has no keys.
        attacks: words or `NONE`; None = the file names no attacks.
    """

    numbers: Sequence[int]
    names: Sequence[str]
    scores: Sequence[str]
    keys: Sequence[str] | None = None
    attacks: Sequence[str] | None = None


def is_finite_number(value: str) -> bool:
    """Return whether a cell is a finite number; 1_000, which `float` takes, is none."""
    try:
        return math.isfinite(float(value)) and "_" not in value
    except ValueError:
        return False


def read_columns(
    path: str | Path,
    lines: Sequence[str],
    one_means: str = UNSTATED,
    choice: Choice | None = None,
) -> ScoreColumns:
    """Find the columns of a score file.

    Args:
        path: for messages.
        lines: of the file, at least one of them not blank.
        one_means: which label key 1 stands for.
        choice: columns by their roles; None = the file tells them.

    Raises:
        DataError: the columns are none that are known, or a line has another number of them; with
            ``file:line``.
    """
    if choice is not None:
        return _by_choice(path, lines, choice)
    first = next(i for i, line in enumerate(lines) if line.strip())
    if _is_object(lines[first]):
        return _by_names(path, *_objects(path, lines, first), first + 1)
    delimiter = max("\t,;|", key=lines[first].count)
    if delimiter not in lines[first]:
        delimiter = _BLANKS
    header = [cell.lower() for cell in _cells_of(lines[first], delimiter)]
    if _is_header(header):
        rows, numbers = _cells(path, lines, first + 1, delimiter)
        header, rows = without_index(path, first + 1, header, rows)
        _check_header(path, first + 1, header)
        _check_widths(path, rows, numbers, len(header))
        named = [dict(zip(header, row, strict=True)) for row in rows]
        return _by_names(path, named, numbers, first + 1)
    rows, numbers = _cells(path, lines, first, _delimiter(lines[first]))
    return _by_place(path, rows, numbers, one_means)


def _by_choice(path: str | Path, lines: Sequence[str], choice: Choice) -> ScoreColumns:
    numbers, cells = chosen_cells(path, lines, choice)
    keys, attacks = cells.get("key"), cells.get("attack")
    return ScoreColumns(
        numbers,
        cells["name"],
        cells["score"],
        None if keys is None else [key or NONE for key in keys],
        None if attacks is None else [attack or NONE for attack in attacks],
    )


def _by_names(
    path: str | Path, rows: list[_Row], numbers: list[int], header_at: int
) -> ScoreColumns:
    """Return the columns of rows that name them; what `score` could not score is left out."""
    kept = [i for i, row in enumerate(rows) if _is_scored(row)]
    if not kept:
        raise DataError(f"{path}:{header_at}: a header, but no scores below it")
    rows, numbers = [rows[i] for i in kept], [numbers[i] for i in kept]
    column_of = {role: name for name in rows[0] if (role := role_of(name)) is not None}

    def column(role: str) -> list[str] | None:
        return [row[column_of[role]] for row in rows] if role in column_of else None

    names, scores, keys, attacks = map(column, ("name", "score", "key", "attack"))
    assert names is not None
    assert scores is not None
    if keys is not None:
        keys = [key or NONE for key in keys]
    if attacks is not None:
        attacks = [attack or NONE for attack in attacks]
    return ScoreColumns(numbers, names, scores, keys, attacks)


def _is_scored(row: _Row) -> bool:
    """Return whether a row stands for a trial with a score: `score` writes others too."""
    if row.get("part") == "window":
        return False
    return not (row.get("score") == "" and row.get("verdict") in _UNSCORED)


def _objects(path: str | Path, lines: Sequence[str], first: int) -> tuple[list[_Row], list[int]]:
    rows: list[_Row] = []
    numbers: list[int] = []
    for number, line in enumerate(lines[first:], first + 1):
        if not line.strip():
            continue
        try:
            found = parsed_json(line)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise DataError(f"{path}:{number}: no JSON object; there must be one per line")
        row = {name.lower(): _text(value) for name, value in found.items()}
        _check_header(path, number, list(row))
        if rows and _known(rows[0]) != _known(row):
            raise DataError(f"{path}:{number}: other names than above: {', '.join(row)}")
        rows.append(row)
        numbers.append(number)
    return rows, numbers


def _known(names: Iterable[str]) -> set[str]:
    return {name for name in names if role_of(name) is not None}


def _text(value: Any) -> str:
    if value is None:
        return ""
    return as_text(value) if isinstance(value, str) else repr(value)


def _is_object(line: str) -> bool:
    """Return whether a line is meant as a JSON object; a name may begin with ``{``, too."""
    return line.lstrip().startswith("{") and not is_finite_number(line.split()[-1])


def _is_header(cells: Sequence[str]) -> bool:
    """Return whether a line names columns; a line of results has a number."""
    return any(role_of(cell) is not None for cell in cells) and not any(
        map(is_finite_number, cells)
    )


def _check_header(path: str | Path, number: int, names: Sequence[str]) -> None:
    for role in ("name", "score", "key", "attack"):
        found = [name for name in names if role_of(name) == role]
        if not found and role in ("name", "score"):
            raise DataError(
                f"{path}:{number}: columns {', '.join(names)[:80]}; there must be {_HEADER}, or "
                f"{FLAG} must say which they are"
            )
        if len(found) > 1:
            raise DataError(
                f"{path}:{number}: columns {' and '.join(found)} are both a {role}; there must be "
                f"one, or {FLAG} must say which: {FLAG} name=…,score=…"
            )


def _delimiter(line: str) -> str:
    """Return what separates lines without a header: what sets a number apart, or blanks."""
    if "\t" not in line and _is_of_a_challenge(line.split()):
        return _BLANKS
    for delimiter in ("\t", *SEPARATORS):
        if delimiter in line:
            if any(map(is_finite_number, _cells_of(line, delimiter))):
                return delimiter
            if delimiter != "\t":
                break  # 'a;0,5' is not 'a;0' and 5
    return _BLANKS


def _is_of_a_challenge(words: Sequence[str]) -> bool:
    """Return whether words are a line of a challenge, whatever is in its name."""
    if len(words) not in (2, 4) or not is_finite_number(words[-1]):
        return False
    key = words[2] if len(words) == 4 else NONE
    is_key = key == NONE or is_number_key(key) or label_of_own_key(key) is not None
    return is_key and not words[0].endswith(SEPARATORS)


def _cells_of(line: str, delimiter: str) -> list[str]:
    """Return the cells of one line; none where its quotes are not closed."""
    try:
        return next((cells for _, cells in _split([line], delimiter)), [])
    except csv.Error:
        return []


def _split(lines: Sequence[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield numbers of lines, from 1, and their cells.

    Raises:
        csv.Error: a quoted cell is not closed, or text follows its closing quote.
    """
    if delimiter == _BLANKS:
        yield from ((number, line.split()) for number, line in enumerate(lines, 1))
    elif delimiter == "\t":  # names stand there as they are, with their quotes
        for number, line in enumerate(lines, 1):
            yield number, [cell.strip() for cell in line.split("\t")]
    else:
        text = (f"{line}\n" for line in lines)  # a quoted cell may hold a line end
        reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True, strict=True)
        number = 1
        for cells in reader:
            yield number, [unescaped(cell.strip()) for cell in cells]
            number = reader.line_num + 1


def _cells(
    path: str | Path, lines: Sequence[str], start: int, delimiter: str
) -> tuple[list[list[str]], list[int]]:
    """Return the cells of all lines that are not blank, and the lines' numbers from 1."""
    rows: list[list[str]] = []
    numbers: list[int] = []
    at = 0
    try:
        for at, cells in _split(lines[start:], delimiter):
            if any(cells):
                rows.append(cells)
                numbers.append(start + at)
    except csv.Error:
        raise DataError(
            f"{path}:{start + at + 1}: a quoted value is not closed, or text follows its closing "
            "quote"
        ) from None
    return rows, numbers


def _by_place(
    path: str | Path, rows: list[list[str]], numbers: list[int], one_means: str
) -> ScoreColumns:
    """Return the columns of a file without a header."""
    width = len(rows[0])
    roles = (_roles_of_three(rows) or _roles_by_number_keys(rows)) if width == 3 else None
    if roles is not None:
        _check_widths(path, rows, numbers, 3)
        columns = [list(column) for column in zip(*rows, strict=True)]
        names, keys, scores = (columns[at] for at in roles)
        if one_means == UNSTATED and is_number_key(keys[0]):
            raise number_key_error(path, keys[0], numbers[0])
        for name, number in zip(names, numbers, strict=True):
            if _is_number(name):  # so it may be the score, and the other one the name
                raise DataError(f"{path}:{number}: 3 columns; {_must_be()}")
        return ScoreColumns(numbers, names, scores, keys)
    if width not in (2, 4):
        raise DataError(f"{path}:{numbers[0]}: {width} columns; {_must_be()}")
    _check_widths(path, rows, numbers, width)
    columns = [list(column) for column in zip(*rows, strict=True)]
    if width == 2:
        return ScoreColumns(numbers, *columns)
    names, attacks, keys, scores = columns
    return ScoreColumns(numbers, names, scores, keys, attacks)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _roles_of_three(rows: Sequence[Sequence[str]]) -> tuple[int, int, int] | None:
    """Return the places of name, key and score, from the first row that has one of each."""
    for row in rows:
        keys = [at for at, cell in enumerate(row) if label_of_own_key(cell) is not None]
        scores = [at for at, cell in enumerate(row) if _is_number(cell)]
        if len(row) == 3 and len(keys) == len(scores) == 1:
            return 3 - keys[0] - scores[0], keys[0], scores[0]
    return None


def _roles_by_number_keys(rows: Sequence[Sequence[str]]) -> tuple[int, int, int] | None:
    """Return the places of name, key and score where all keys are 0 or 1.

    None where names are numbers too, or where both other columns may be the keys.
    """
    if any(len(row) != 3 for row in rows):
        return None
    columns = list(zip(*rows, strict=True))
    keys = [at for at, column in enumerate(columns) if all(map(is_number_key, column))]
    names = [at for at, column in enumerate(columns) if not any(map(_is_number, column))]
    if len(keys) != 1 or len(names) != 1:
        return None
    return names[0], keys[0], 3 - names[0] - keys[0]


def number_key_error(path: str | Path, key: str, number: int) -> DataError:
    """Return the error of a key 0 or 1 of which nobody has said what it means.

    Args:
        path: the file.
        key: as it stands there.
        number: of the line, from 1.
    """
    return DataError(
        f"{path}:{number}: key {key!r}, whose meaning differs between files; say what 1 is with "
        "--one-means, or write keys as words such as bonafide and spoof"
    )


def _must_be() -> str:
    return (
        f"they must be 'utterance attack key score', 'utterance score', {_HEADER}, or three in any "
        "order: a key (bonafide or spoof; 0 or 1 where no score is), a number and a name that is "
        f"no number; or say which they are with {FLAG} name=1,score=2"
    )


def _check_widths(
    path: str | Path, rows: Sequence[Sequence[str]], numbers: Sequence[int], wanted: int
) -> None:
    for row, number in zip(rows, numbers, strict=True):
        if len(row) != wanted:
            raise DataError(f"{path}:{number}: {len(row)} columns; there must be {wanted} as above")
