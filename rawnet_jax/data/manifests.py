"""From a table with a header, or from a folder tree, to trials.

Same signature and same contract as the parsers of `rawnet_jax.data.protocols`.
"""

import csv
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from rawnet_jax.data.protocols import TrialCollector, without_extension
from rawnet_jax.data.text_file import as_text
from rawnet_jax.data.trial import ProblemLedger, Trial
from rawnet_jax.errors import DataError

PARTITIONS = ("train", "dev", "eval")
"""Names of partitions, in the order in which they are used."""

_DELIMITERS = ",\t;"

_COLUMN_OF_HEADER = {
    "path": "path",
    "file": "path",
    "label": "key",
    "key": "key",
    "utterance_id": "utterance_id",
    "speaker": "speaker_id",
    "speaker_id": "speaker_id",
    "attack": "attack_id",
    "attack_id": "attack_id",
}
_UNLABELLED = ("", "-")


def parse_manifest(lines: Iterable[str], source: str, ledger: ProblemLedger) -> list[Trial]:
    """Parse a table of one's own: a header that names at least ``path`` and ``label``.

    Columns are separated by commas, tabs or semicolons, whichever the header holds; values may be
    quoted. ``speaker``, ``attack``, ``utterance_id`` and ``partition`` are recognised, in any case
    and order; every other column becomes metadata under its name in lower case. A blank label or
    ``-`` is a trial without label. The utterance id is, unless given, the path without its
    extension; blanks in it become ``_``, because score files are separated by blanks.

    Raises:
        DataError: no such header, or no usable line.
    """
    return _parse_table(lines, source, ledger, required=("path", "label"))


def parse_in_the_wild(lines: Iterable[str], source: str, ledger: ProblemLedger) -> list[Trial]:
    """Parse ``meta.csv`` of In-the-Wild: file, speaker, label (``bona-fide`` or ``spoof``).

    Raises:
        DataError: another header, or no usable line.
    """
    return _parse_table(lines, source, ledger, required=("file", "speaker", "label"))


def parse_folders(lines: Iterable[str], source: str, ledger: ProblemLedger) -> list[Trial]:
    """Parse the paths of a tree whose top folders are keys, such as ``spoof/tts/a.wav``.

    The folders between the key and the file, if any, become the metadata ``folder``.

    Args:
        lines: paths relative to `source`, with ``/``.
        source: the folder that holds ``bonafide`` and ``spoof``.
        ledger: see the module.

    Raises:
        DataError: there is no file.
    """
    collector = TrialCollector(source, ledger, ("folder",))
    for number, line in enumerate(lines, 1):
        parts = PurePosixPath(line).parts
        if len(parts) < 2:
            collector.bad_line(number, f"{line!r} lies in no folder named bonafide or spoof")
            continue
        collector.add(
            number,
            line,
            utterance_id=_without_blanks(as_text(without_extension(line))),
            key=parts[0],
            metadata=(as_text("/".join(parts[1:-1])),),
        )
    return collector.finish()


def _parse_table(
    lines: Iterable[str], source: str, ledger: ProblemLedger, required: tuple[str, ...]
) -> list[Trial]:
    rows = _numbered(lines)
    delimiter, header = _read_header(rows, source, required)
    columns = [_COLUMN_OF_HEADER.get(name, name) for name in header]
    taken = {"", *_COLUMN_OF_HEADER.values()}  # a spreadsheet's index column has a blank name
    metadata_at = [i for i, name in enumerate(columns) if name not in taken]
    collector = TrialCollector(source, ledger, [columns[i] for i in metadata_at])
    for number, line in rows:
        fields = _split(line, delimiter)
        problem = _problem_of(fields, columns)
        if fields is None or problem:
            collector.bad_line(number, problem)
            continue
        row = dict(zip(columns, fields, strict=True))
        path = PurePosixPath(row["path"].replace("\\", "/")).as_posix()
        collector.add(
            number,
            path,
            utterance_id=_without_blanks(row.get("utterance_id") or without_extension(path)),
            key=None if row["key"] in _UNLABELLED else row["key"],
            speaker_id=row.get("speaker_id", "-"),
            attack_id=_without_blanks(row.get("attack_id", "-")),
            metadata=tuple(fields[i] for i in metadata_at),
        )
    return collector.finish()


def _numbered(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, 1):
        text = (line.lstrip("\ufeff") if number == 1 else line).rstrip("\r\n")
        if text.strip():
            yield number, text


def _read_header(
    rows: Iterator[tuple[int, str]], source: str, required: tuple[str, ...]
) -> tuple[str, list[str]]:
    """Return the delimiter and the names of the columns in lower case."""
    number, line = next(rows, (1, ""))
    delimiter = max(_DELIMITERS, key=line.count)
    header = [name.lower() for name in _split(line, delimiter) or []]
    missing = [name for name in required if name not in header]
    if missing:
        raise DataError(
            f"{source}:{number}: the header has no column {' and no column '.join(missing)}; "
            f"it reads {line[:80]!r}"
        )
    columns = [_COLUMN_OF_HEADER.get(name, name) for name in header]
    for column in set(columns) - {""}:
        same = [name for name, its in zip(header, columns, strict=True) if its == column]
        if len(same) > 1:
            raise DataError(f"{source}:{number}: columns {' and '.join(same)} are the same")
    return delimiter, header


def _split(line: str, delimiter: str) -> list[str] | None:
    """Split one line, or return None where its quotes are not closed."""
    try:
        (fields,) = csv.reader([line], delimiter=delimiter, strict=True)
    except csv.Error:
        return None
    return [field.strip() for field in fields]


def _problem_of(fields: list[str] | None, columns: list[str]) -> str:
    """Return what is wrong with a row; "" = nothing."""
    if fields is None:
        return "a quoted value is not closed, or text follows its closing quote"
    if len(fields) != len(columns):
        return f"{len(fields)} values where the header names {len(columns)} columns"
    if not fields[columns.index("path")]:
        return "the path is blank"
    if "partition" in columns and fields[columns.index("partition")] not in PARTITIONS:
        partition = fields[columns.index("partition")]
        return f"partition {partition!r} is none of {', '.join(PARTITIONS)}"
    return ""


def _without_blanks(text: str) -> str:
    return "_".join(text.split())
