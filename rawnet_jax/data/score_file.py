"""Score files: one line per trial, in the three forms that the ASVspoof challenges use.

- ``asvspoof2019``: ``utterance attack key score``, separated by spaces, no header; attack ``-`` for
  bona fide or unknown, key ``bonafide``, ``spoof`` or ``-``;
- ``asvspoof2021``: ``utterance score``, separated by spaces, no header;
- ``asvspoof5``: a header naming ``filename`` and ``cm-score``, separated by tabs.

Higher = more bona fide. A file that holds the reverse is read as it is; see
`rawnet_jax.metrics.det.looks_negated`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.data.text_file import read_lines
from rawnet_jax.data.trial import Trial, labels_of
from rawnet_jax.errors import DataError
from rawnet_jax.labels import Label, label_of_key

NAME_COLUMN = "filename"
SCORE_COLUMN = "cm-score"
_NONE = "-"


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """The scores of a set of trials.

    Attributes:
        utterance_ids: N names, all different.
        scores: float64 [N], finite, higher = more bona fide.
        labels: int8 [N] of `Label`, or None where the keys are not known.
        attack_ids: N entries, None for bona fide or unknown; or None where attacks are not known.

    Raises:
        DataError: lengths differ, a name stands twice, a score is not finite or a label neither 0
            nor 1.
    """

    utterance_ids: Sequence[str]
    scores: np.ndarray
    labels: np.ndarray | None = None
    attack_ids: Sequence[str | None] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "scores", np.asarray(self.scores, dtype=np.float64))
        if self.labels is not None:
            object.__setattr__(self, "labels", np.asarray(self.labels, dtype=np.int8))
        count = len(self.utterance_ids)
        self._check_shapes((count,))
        wrong = np.flatnonzero(~np.isfinite(self.scores))
        if wrong.size:
            raise DataError(
                f"the score of {self.utterance_ids[wrong[0]]!r} is {self.scores[wrong[0]]}; "
                "it must be a finite number"
            )
        if self.labels is not None and not np.isin(self.labels, list(Label)).all():
            raise DataError("a label is neither 0 (spoof) nor 1 (bona fide)")
        if len(set(self.utterance_ids)) != count:
            second = _first_duplicate(self.utterance_ids)
            raise DataError(f"{self.utterance_ids[second]!r} is scored twice")

    def _check_shapes(self, wanted: tuple[int]) -> None:
        for name, column in (
            ("scores", self.scores),
            ("labels", self.labels),
            ("attack_ids", self.attack_ids),
        ):
            if column is None:
                continue
            shape = column.shape if isinstance(column, np.ndarray) else (len(column),)
            if shape != wanted:
                raise DataError(f"{wanted[0]} utterances, but {name} of shape {shape}")

    def __len__(self) -> int:
        """Number of trials."""
        return len(self.utterance_ids)


def score_table(trials: Sequence[Trial], scores: np.ndarray) -> ScoreTable:
    """Return the scores [N] of trials under the names that their protocol gives them."""
    names = [trial.utterance_id for trial in trials]
    return ScoreTable(names, scores, labels_of(trials), [trial.attack_id for trial in trials])


def read_scores(path: str | Path) -> ScoreTable:
    """Read a score file; its form is found from the first line.

    Raises:
        DataError: the file cannot be read, its form is none of the three, or a line has another
            number of columns, an unknown key, a score that is not a finite number, or an utterance
            that an earlier line has; with ``file:line``.
    """
    lines = read_lines(path)
    first = next(i for i, line in enumerate(lines) if line.strip())
    header = [cell.strip().lower() for cell in _cells(lines[first])]
    if SCORE_COLUMN in header and NAME_COLUMN in header:
        return _read_tsv(path, lines, first)
    rows, numbers = _rows(lines, 0, str.split)
    if len(rows[0]) == 4:
        return _read_2019(path, rows, numbers)
    if len(rows[0]) == 2:
        _check_widths(path, rows, numbers, 2)
        names, values = _columns(rows)
        _check_names(path, names, numbers)
        return ScoreTable(names, parse_scores(path, values, numbers))
    raise DataError(
        f"{path}:{numbers[0]}: {len(rows[0])} columns; they must be 'utterance attack key score', "
        f"'utterance score', or a header naming {NAME_COLUMN!r} and {SCORE_COLUMN!r}"
    )


def parse_scores(path: str | Path, values: Sequence[str], numbers: Sequence[int]) -> np.ndarray:
    """Return the numbers, float64 [N], that a column of a score file holds.

    Args:
        path: for messages.
        values: N cells.
        numbers: N, the lines that they stand in, from 1.

    Raises:
        DataError: a cell is no finite number, with ``file:line``.
    """
    try:
        scores = np.array([float(value) for value in values])
        # float() takes 1_000, which no score file means.
        good = bool(np.isfinite(scores).all()) and not any("_" in value for value in values)
    except ValueError:
        good = False
    if good:
        return scores
    wrong = next(i for i, value in enumerate(values) if not _is_finite_number(value))
    raise DataError(f"{path}:{numbers[wrong]}: score {values[wrong]!r}; it must be a finite number")


def write_scores(path: str | Path, table: ScoreTable, form: str = "asvspoof2019") -> None:
    """Write a score file, whole or not at all.

    Every number is written so that reading it gives the same float64 (and float32) to the last bit.

    Args:
        path: file to write; its folder must exist.
        table: what to write; unknown keys and attacks become ``-``.
        form: ``asvspoof2019``, ``asvspoof2021`` or ``asvspoof5``.

    Raises:
        DataError: `form` is unknown, a name cannot stand in that form, or the file cannot be
            written.
    """
    try:
        lines = score_lines(table, form)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    write_text_atomically(path, "".join(f"{line}\n" for line in lines))


def score_lines(table: ScoreTable, form: str) -> list[str]:
    """Return the lines of a score file; of no trials, those above the first one.

    Raises:
        DataError: `form` is unknown, or a name cannot stand in that form.
    """
    if form not in _FORMATS:
        raise DataError(f"score file form {form!r} is unknown; known: {', '.join(_FORMATS)}")
    fits = _fits_tab_column if form == "asvspoof5" else _fits_space_column
    attacks = table.attack_ids if form == "asvspoof2019" else None
    for name in [*table.utterance_ids, *(a for a in attacks or () if a is not None)]:
        if not fits(name):
            raise DataError(f"{name!r} cannot stand in one column of form {form!r}")
    return _FORMATS[form](table)


def _fits_space_column(name: str) -> bool:
    return name.split() == [name]


def _fits_tab_column(name: str) -> bool:
    return bool(name) and name == name.strip() and not set(name) & set("\t\r\n")


def _format_2019(table: ScoreTable) -> list[str]:
    count = len(table)
    attacks = table.attack_ids or [None] * count
    keys = [_NONE] * count if table.labels is None else [Label(v).key for v in table.labels]
    rows = zip(table.utterance_ids, attacks, keys, table.scores.tolist(), strict=True)
    return [f"{name} {attack or _NONE} {key} {score!r}" for name, attack, key, score in rows]


def _format_2021(table: ScoreTable) -> list[str]:
    rows = zip(table.utterance_ids, table.scores.tolist(), strict=True)
    return [f"{name} {score!r}" for name, score in rows]


def _format_5(table: ScoreTable) -> list[str]:
    rows = zip(table.utterance_ids, table.scores.tolist(), strict=True)
    return [f"{NAME_COLUMN}\t{SCORE_COLUMN}", *(f"{name}\t{score!r}" for name, score in rows)]


_FORMATS: dict[str, Callable[[ScoreTable], list[str]]] = {
    "asvspoof2019": _format_2019,
    "asvspoof2021": _format_2021,
    "asvspoof5": _format_5,
}

SCORE_FILE_FORMS = tuple(_FORMATS)
"""Names that `write_scores` takes."""


def _read_2019(path: str | Path, rows: list[list[str]], numbers: list[int]) -> ScoreTable:
    _check_widths(path, rows, numbers, 4)
    names, attacks, keys, values = _columns(rows)
    _check_names(path, names, numbers)
    scores = parse_scores(path, values, numbers)
    attack_ids = [None if attack == _NONE else attack for attack in attacks]
    return ScoreTable(names, scores, _labels(path, keys, numbers), attack_ids)


def _read_tsv(path: str | Path, lines: list[str], first: int) -> ScoreTable:
    header = [cell.strip().lower() for cell in _cells(lines[first])]
    cells: Callable[[str], list[str]] = _tab_cells if "\t" in lines[first] else str.split
    rows, numbers = _rows(lines, first + 1, cells)
    if not rows:
        raise DataError(f"{path}:{first + 1}: a header, but no scores below it")
    _check_widths(path, rows, numbers, len(header))
    columns = _columns(rows)
    names = columns[header.index(NAME_COLUMN)]
    _check_names(path, names, numbers)
    return ScoreTable(names, parse_scores(path, columns[header.index(SCORE_COLUMN)], numbers))


def _cells(line: str) -> list[str]:
    return _tab_cells(line) if "\t" in line else line.split()


def _tab_cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("\t")]


def _rows(
    lines: list[str], start: int, cells: Callable[[str], list[str]]
) -> tuple[list[list[str]], list[int]]:
    """Return the cells of all lines that are not blank, and the lines' numbers from 1."""
    numbers = [i + 1 for i in range(start, len(lines)) if lines[i].strip()]
    return [cells(lines[number - 1]) for number in numbers], numbers


def _columns(rows: list[list[str]]) -> list[list[str]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _check_widths(path: str | Path, rows: list[list[str]], numbers: list[int], wanted: int) -> None:
    for row, number in zip(rows, numbers, strict=True):
        if len(row) != wanted:
            raise DataError(f"{path}:{number}: {len(row)} columns; there must be {wanted} as above")


def _check_names(path: str | Path, names: list[str], numbers: list[int]) -> None:
    if "" in names:
        raise DataError(f"{path}:{numbers[names.index('')]}: the utterance has no name")
    if len(set(names)) != len(names):
        second = _first_duplicate(names)
        first = names.index(names[second])
        raise DataError(
            f"{path}:{numbers[second]}: {names[second]!r} was scored in line {numbers[first]} "
            "already; give one score per utterance"
        )


def _is_finite_number(value: str) -> bool:
    try:
        return bool(np.isfinite(float(value))) and "_" not in value
    except ValueError:
        return False


def _labels(path: str | Path, keys: list[str], numbers: list[int]) -> np.ndarray | None:
    # A file holds two or three different keys, so look each of them up once.
    label_of = {key: label_of_key(key) for key in set(keys)}
    if set(label_of) == {_NONE}:
        return None
    unknown = {key for key, label in label_of.items() if label is None}
    if unknown:
        wrong = next(i for i, key in enumerate(keys) if key in unknown)
        raise DataError(
            f"{path}:{numbers[wrong]}: key {keys[wrong]!r}; it must be 'bonafide' or 'spoof' "
            f"(or {_NONE!r} in every line)"
        )
    return np.array([label_of[key] for key in keys], dtype=np.int8)


def _first_duplicate(names: Sequence[str]) -> int:
    """Return the index of the first name that an earlier one equals; there must be one."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            return index
        seen.add(name)
    raise ValueError("no duplicate")
