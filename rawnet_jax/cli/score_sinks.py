"""Where results of ``score`` go: lines on standard output, pictures in a folder."""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rawnet_jax.atomic_file import write_bytes_atomically
from rawnet_jax.data.inputs import STDIN
from rawnet_jax.data.protocols import without_extension
from rawnet_jax.errors import ConfigError
from rawnet_jax.scoring.file_scorer import FileScore
from rawnet_jax.scoring.score_forms import Form
from rawnet_jax.scoring.score_record import Record
from rawnet_jax.scoring.verdict import Judge

_HEADER = "verdict          score       llr  P(spoof)  scored of s    file"


class Printed:
    """Results on standard output, in one of the forms that files take."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._begun = False

    def write(self, record: Record) -> None:
        """Print one result."""
        text = self._form.text(record)
        if not self._begun:
            text, self._begun = self._form.header + text, True
        say(text)


class Table:
    """Results on standard output, for people."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._begun = False

    def write(self, record: Record) -> None:
        """Print one result."""
        if not self._begun:
            say(f"{self._judge.in_words}\n\n{_HEADER}\n")
            self._begun = True
        say("".join(f"{line}\n" for line in _table_lines(record)))


def say(text: str) -> None:
    """Print text that may hold names of files, which may be no text; at once."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print a line on standard error."""
    print(text.encode("utf-8", "backslashreplace").decode(), file=sys.stderr)


class Pictures:
    """A folder with a picture a file."""

    def __init__(self, folder: Path, judge: Judge, paths: Sequence[str]) -> None:
        """Make the folder.

        Args:
            folder: where.
            judge: reads scores.
            paths: all files, so that each has a name of its own.

        Raises:
            ConfigError: it cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--plot {folder}: {error.strerror}; wanted a folder") from error
        self._folder = folder
        self._judge = judge
        self._name_of = picture_names(paths)

    def draw(self, found: FileScore, record: Record) -> None:
        """Write the picture of one file, if anything of it was read.

        Raises:
            DataError: it cannot be written.
        """
        envelope = found.watched
        if envelope is None or not envelope.num_samples:
            return
        # Brings matplotlib, which scores alone do not need.
        from rawnet_jax.reports.time_line import time_line_of, time_line_png

        picture = time_line_of(found, record, self._judge)
        path = self._folder / self._name_of[found.path]
        write_bytes_atomically(path, time_line_png(picture))


def picture_names(paths: Sequence[str]) -> dict[str, str]:
    """Return a name for the picture of each file: as short as tells them apart."""
    stems = {path: without_extension(os.path.basename(path)) for path in paths}
    flat = {path: path.strip("./\\").replace("/", "_").replace("\\", "_") for path in paths}
    short = Counter(stems.values())
    names: dict[str, str] = {}
    taken: set[str] = set()
    for path in paths:
        name = "stdin" if path == STDIN else stems[path] if short[stems[path]] == 1 else flat[path]
        numbered, number = name, 2
        while numbered in taken:
            numbered, number = f"{name}_{number}", number + 1
        taken.add(numbered)
        names[path] = f"{numbered}.png"
    return names


def _table_lines(record: Record) -> Iterator[str]:
    length = record["duration_s"]
    of = f"{record['scored_s']:.1f} of {'?' if length is None else f'{length:.1f}'}"
    reason = f"  ({record['reason']})" if record["reason"] else ""
    yield f"{_cells(record)}  {of:<13}  {record['path']}{reason}"
    for window in record.get("windows", ()):
        yield f"{_cells(window)}    {window['start_s']:8.2f} to {window['end_s']:8.2f} s"
    if record.get("windows"):
        spans = ", ".join(f"{start:.2f} to {end:.2f} s" for start, end in record["spoof_s"])
        yield f"{'':>12}  spoof: {spans or 'nowhere'}"


def _cells(judged: Record) -> str:
    score, llr, p_spoof = judged["score"], judged["llr"], judged["p_spoof"]
    return (
        f"{judged['verdict']:<12}  {_number(score, '+.3f'):>8}  {_number(llr, '+.3f'):>8}  "
        f"{_number(p_spoof, '.4f'):>8}"
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
