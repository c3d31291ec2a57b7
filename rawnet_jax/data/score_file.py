"""Score files: one line per trial, in the three forms that the ASVspoof challenges use.

These three are written. `rawnet_jax.data.score_columns` reads further ones: tables with other
headers and separators, three columns in any order, and what ``score`` writes as CSV and JSON lines.

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
from rawnet_jax.data.score_choice import FLAG, Choice
from rawnet_jax.data.score_columns import (
    NONE,
    SEPARATORS,
    is_finite_number,
    number_key_error,
    read_columns,
)
from rawnet_jax.data.text_file import read_lines
from rawnet_jax.data.trial import Trial, labels_of
from rawnet_jax.errors import DataError
from rawnet_jax.labels import UNSTATED, Label, is_number_key, label_of_own_key

NAME_COLUMN = "filename"
SCORE_COLUMN = "cm-score"


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


def read_scores(
    path: str | Path, one_means: str = UNSTATED, choice: Choice | None = None
) -> ScoreTable:
    """Read a score file; its form is found from its lines.

    Args:
        path: the file.
        one_means: which label key 1 stands for; `UNSTATED` = keys 0 and 1 are refused.
        choice: columns by their roles, see `rawnet_jax.data.score_choice`; None = they are found.

    Raises:
        DataError: the file cannot be read, its form is not known, or a line has another
            number of columns, an unknown key, a score that is not a finite number, or an utterance
            that an earlier line has; with ``file:line``.
    """
    found = read_columns(path, read_lines(path), one_means, choice)
    names = list(found.names)
    _check_names(path, names, found.numbers)
    scores = parse_scores(path, found.scores, found.numbers)
    labels = None
    if found.keys is not None:
        labels = _labels(path, found.keys, found.numbers, one_means)
    attacks = found.attacks
    attack_ids = None if attacks is None else [None if a == NONE else a for a in attacks]
    return ScoreTable(names, scores, labels, attack_ids)


def pooled_scores(paths: Sequence[str | Path]) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of all files together, float64 [N], and their labels, int8 [N].

    Raises:
        DataError: see `read_scores`; or a file has no keys.
    """
    tables = [(path, read_scores(path)) for path in paths]
    labels = []
    for path, table in tables:
        if table.labels is None:
            raise DataError(f"{path}: it must have keys, bonafide or spoof, beside the scores")
        labels.append(table.labels)
    return np.concatenate([table.scores for _, table in tables]), np.concatenate(labels)


def parse_scores(path: str | Path, values: Sequence[str], numbers: Sequence[int]) -> np.ndarray:
    """Return the numbers, float64 [N], that a column of a score file holds.

    Args:
        path: for messages.
        values: N cells.
        numbers: N, the lines that they stand in, from 1.

    Raises:
        DataError: a cell is not a finite number, with ``file:line``.
    """
    try:
        scores = np.array([float(value) for value in values])
        # float() takes 1_000, which no score file means.
        good = bool(np.isfinite(scores).all()) and not any("_" in value for value in values)
    except ValueError:
        good = False
    if good:
        return scores
    wrong = next(i for i, value in enumerate(values) if not is_finite_number(value))
    hint = "" if wrong else f" (if this line is a header, say what its columns are with {FLAG})"
    raise DataError(
        f"{path}:{numbers[wrong]}: score {values[wrong]!r}; it must be a finite number{hint}"
    )


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
    return name.split() == [name] and not name.endswith(SEPARATORS)


def _fits_tab_column(name: str) -> bool:
    return bool(name) and name == name.strip() and not set(name) & set("\t\r\n")


def _format_2019(table: ScoreTable) -> list[str]:
    count = len(table)
    attacks = table.attack_ids or [None] * count
    keys = [NONE] * count if table.labels is None else [Label(v).key for v in table.labels]
    rows = zip(table.utterance_ids, attacks, keys, table.scores.tolist(), strict=True)
    return [f"{name} {attack or NONE} {key} {score!r}" for name, attack, key, score in rows]


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


def _check_names(path: str | Path, names: list[str], numbers: Sequence[int]) -> None:
    if "" in names:
        raise DataError(f"{path}:{numbers[names.index('')]}: the utterance has no name")
    if len(set(names)) != len(names):
        second = _first_duplicate(names)
        first = names.index(names[second])
        raise DataError(
            f"{path}:{numbers[second]}: {names[second]!r} was scored in line {numbers[first]} "
            "already; give one score per utterance"
        )


def _labels(
    path: str | Path, keys: Sequence[str], numbers: Sequence[int], one_means: str
) -> np.ndarray | None:
    # A file holds two or three different keys, so look each of them up once.
    label_of = {key: label_of_own_key(key, one_means) for key in set(keys)}
    if set(label_of) == {NONE}:
        return None
    unknown = {key for key, label in label_of.items() if label is None}
    if unknown:
        wrong = next(i for i, key in enumerate(keys) if key in unknown)
        if is_number_key(keys[wrong]):
            raise number_key_error(path, keys[wrong], numbers[wrong])
        raise DataError(
            f"{path}:{numbers[wrong]}: key {keys[wrong]!r}; it must be 'bonafide' or 'spoof' "
            f"(or {NONE!r} in every line)"
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
