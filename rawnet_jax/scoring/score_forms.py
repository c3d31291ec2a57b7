"""How results of scoring files are written: as JSON, CSV, or a score file of a challenge."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from rawnet_jax.csv_text import csv_rows, csv_text
from rawnet_jax.data.protocols import without_extension
from rawnet_jax.data.score_file import ScoreTable, score_lines
from rawnet_jax.data.text_file import as_text
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.json_text import parsed_json
from rawnet_jax.scoring.file_scorer import Outcome
from rawnet_jax.scoring.verdict import FIELDS, Record

Name = Callable[[str], str]
"""From a path to the name that it has in an output."""

NAMES: Mapping[str, Name] = {
    "path": lambda path: path,
    "file": os.path.basename,
    "stem": lambda path: without_extension(os.path.basename(path)),
}
"""What a file may be called in an output."""

ASVSPOOF2017 = "asvspoof2017"
"""The form of 2021, with the names of files instead of their stems."""


class Form(Protocol):
    """A form of output, line by line."""

    @property
    def name(self) -> Name:
        """Return how a file is called."""

    @property
    def header(self) -> str:
        """Return what stands above all results, with line ends."""

    def text(self, record: Record) -> str:
        """Return the lines of one result; "" where the form has no place for it."""

    def check(self, paths: Sequence[str]) -> None:
        """Check that every file can have a line, and one of its own.

        Raises:
            ConfigError: it cannot.
        """

    def kept(self, text: str) -> tuple[str, set[str]]:
        """Return what stays of an output that is resumed, and the names that are done.

        A last result that is not whole goes, and so do files that could not be read.

        Raises:
            DataError: the text is of another form; with its line.
        """


@dataclass(frozen=True)
class JsonLines:
    """An object a line, with all that is known."""

    name: Name = NAMES["path"]
    header: str = ""

    def text(self, record: Record) -> str:
        """See `Form.text`."""
        named = record | {"path": self.name(record["path"])}
        line = json.dumps(named, ensure_ascii=False, allow_nan=False)
        try:
            line.encode()
        except UnicodeEncodeError:  # a name that is not text; JSON can say so in ASCII alone
            line = json.dumps(named, allow_nan=False)
        return line + "\n"

    def check(self, paths: Sequence[str]) -> None:
        """See `Form.check`."""
        _refuse_same_names(paths, self.name)

    def kept(self, text: str) -> tuple[str, set[str]]:
        """See `Form.kept`."""
        lines, names = [], set()
        for number, line in enumerate(_whole_lines(text), 1):
            try:
                record = parsed_json(line)
                name, verdict = record["path"], record["verdict"]
            except (ValueError, TypeError, KeyError):
                name = verdict = None
            if not isinstance(name, str) or not isinstance(verdict, str):
                raise DataError(f"{number}: no result of scoring")
            if verdict != Outcome.UNREADABLE:
                lines.append(line)
                names.add(name)
        return "".join(lines), names


@dataclass(frozen=True)
class Csv:
    """A row a file and, with the time line, one a window above it."""

    name: Name = NAMES["path"]
    time_line: bool = False

    @property
    def header(self) -> str:
        """See `Form.header`."""
        return csv_text([self._columns])

    @property
    def _columns(self) -> tuple[str, ...]:
        return ("part", "start_s", "end_s", *FIELDS) if self.time_line else FIELDS

    def text(self, record: Record) -> str:
        """See `Form.text`."""
        notes = "; ".join(record["notes"])
        named = record | {"path": self.name(record["path"]), "notes": notes}
        rows: list[Record] = []
        if self.time_line:
            rows = [{"part": "window", "path": named["path"]} | w for w in record["windows"]]
            named |= {"part": "file", "start_s": 0.0, "end_s": record["duration_s"]}
        # The row of the file is the last: where it stands, the windows are whole.
        cells = [[row.get(name) for name in self._columns] for row in (*rows, named)]
        return as_text(csv_text(cells))

    def check(self, paths: Sequence[str]) -> None:
        """See `Form.check`."""
        _refuse_same_names(paths, self.name)

    def kept(self, text: str) -> tuple[str, set[str]]:
        """See `Form.kept`."""
        try:
            rows = csv_rows("".join(_whole_lines(text)))
        except ValueError as error:
            raise DataError(f" no CSV: {error}") from None
        if not rows or rows[0] != list(self._columns):
            raise DataError(f"1: another header than {','.join(self._columns)}")
        found: list[list[str]] = []
        names, end = set(), 0
        for number, row in enumerate(rows[1:], 2):
            if len(row) != len(self._columns):
                if number == len(rows):
                    break
                raise DataError(f"{number}: {len(row)} columns; there must be {len(self._columns)}")
            cells = dict(zip(self._columns, row, strict=True))
            found.append(row)
            if cells.get("part") == "window":
                continue
            if cells["verdict"] == Outcome.UNREADABLE:
                del found[end:]
            else:
                names.add(as_text(cells["path"]))
            end = len(found)
        return self.header + csv_text(found[:end]), names


@dataclass(frozen=True)
class ScoreFile:
    """A challenge's score file: one line per file that has a score."""

    form: str
    name: Name = NAMES["stem"]
    header: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "header", _joined(score_lines(_NO_SCORES, self.form)))

    def text(self, record: Record) -> str:
        """See `Form.text`."""
        if record["score"] is None:
            return ""
        table = ScoreTable([self.name(record["path"])], np.array([record["score"]]))
        return _joined(score_lines(table, self.form)).removeprefix(self.header)

    def check(self, paths: Sequence[str]) -> None:
        """See `Form.check`."""
        _refuse_same_names(paths, self.name)
        try:
            score_lines(ScoreTable([self.name(p) for p in paths], np.zeros(len(paths))), self.form)
        except DataError as error:
            raise ConfigError(f"{error}; use --format jsonl, or rename the file") from None

    def kept(self, text: str) -> tuple[str, set[str]]:
        """See `Form.kept`."""
        lines = list(_whole_lines(text))
        num_above = self.header.count("\n")
        if "".join(lines[:num_above]) != self.header:
            raise DataError(f"1: no header of form {self.form}")
        split = "\t" if self.header else None
        rows = [line.rstrip("\n").split(split) for line in lines[num_above:]]
        width = len(self._example)
        for number, row in enumerate(rows, num_above + 1):
            if len(row) != width:
                raise DataError(f"{number}: {len(row)} columns; there must be {width}")
        return "".join(lines) or self.header, {as_text(row[0]) for row in rows}

    @property
    def _example(self) -> list[str]:
        table = ScoreTable(["x"], np.zeros(1))
        return score_lines(table, self.form)[-1].split()


def form_of(name: str, names: str | None = None, *, time_line: bool = False) -> Form:
    """Return a form by its name.

    Args:
        name: "jsonl", "csv", or that of a challenge.
        names: what a file is called, a key of `NAMES`; None = as is usual in the form.
        time_line: with one row a window, which the challenges have no place for.
    """
    if name == "jsonl":
        return JsonLines(NAMES[names or "path"])
    if name == "csv":
        return Csv(_text_of(NAMES[names or "path"]), time_line)
    if name == ASVSPOOF2017:
        return ScoreFile("asvspoof2021", _text_of(NAMES[names or "file"]))
    return ScoreFile(name, _text_of(NAMES[names or "stem"]))


def _text_of(name: Name) -> Name:
    """Return a name that is text; JSON alone can hold any other."""
    return lambda path: as_text(name(path))


_NO_SCORES = ScoreTable([], np.zeros(0))


def _whole_lines(text: str) -> Iterable[str]:
    # Not `splitlines`, which ends lines at characters that may stand in a name.
    return (f"{line}\n" for line in text.split("\n")[:-1])


def _refuse_same_names(paths: Sequence[str], name: Name) -> None:
    first: dict[str, str] = {}
    for path in paths:
        other = first.setdefault(name(path), path)
        if other != path:
            raise ConfigError(
                f"{other} and {path} would both be called {name(path)!r}; use --names path"
            )


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
