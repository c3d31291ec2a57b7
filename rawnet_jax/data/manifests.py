"""From a table with a header, or from a folder tree, to trials.

Same signature and same contract as the parsers of `rawnet_jax.data.protocols`.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from rawnet_jax.data.protocols import TrialCollector, without_extension
from rawnet_jax.data.segments import SEGMENTS, segments_of
from rawnet_jax.data.text_file import as_text
from rawnet_jax.data.trial import ProblemLedger, Trial
from rawnet_jax.errors import DataError
from rawnet_jax.labels import (
    KNOWN_KEYS,
    OWN_KEYS,
    UNSTATED,
    Label,
    is_number_key,
    label_of_key,
    label_of_own_key,
)

PARTITIONS = ("train", "dev", "eval")
"""Names of partitions, in the order in which they are used."""

_DELIMITERS = ",\t;|"

_PATH_HEADERS = ("path", "file", "filename", "file_name", "utt")

_COLUMN_OF_HEADER = {
    "label": "key",
    "key": "key",
    "utterance_id": "utterance_id",
    "speaker": "speaker_id",
    "speaker_id": "speaker_id",
    "attack": "attack_id",
    "attack_id": "attack_id",
}
_UNLABELLED = ("", "-")


def parse_manifest(
    lines: Iterable[str], source: str, ledger: ProblemLedger, one_means: str = UNSTATED
) -> list[Trial]:
    """Parse a table of one's own: a header that names at least ``path`` and ``label``.

    Columns are separated by commas, tabs, semicolons or ``|``, whichever the header holds; values
    may be quoted. The path may also be called ``file``, ``filename``, ``file_name`` or ``utt``, the
    label ``key``. Keys are words of `OWN_KEYS`, or 0 and 1 with `one_means`. ``speaker``,
    ``attack``, ``utterance_id`` and ``partition`` are recognised, in any case and order; every
    other column becomes metadata under its name in lower case. A blank label or ``-`` is a trial
    without label. The utterance id is, unless given, the path without its extension; blanks in it
    become ``_``, because score files are separated by blanks.

    Raises:
        DataError: no such header, no usable line, or keys 0 and 1 of unstated meaning.
    """
    return _parse_table(
        lines, source, ledger, ("path", "key"), OWN_KEYS, _own_label(source, one_means)
    )


def parse_in_the_wild(lines: Iterable[str], source: str, ledger: ProblemLedger) -> list[Trial]:
    """Parse ``meta.csv`` of In-the-Wild: file, speaker, label (``bona-fide`` or ``spoof``).

    Raises:
        DataError: another header, or no usable line.
    """
    return _parse_table(lines, source, ledger, required=("file", "speaker", "label"))


def partitions_in(lines: Iterable[str], source: str) -> set[str] | None:
    """Return what the column ``partition`` of a manifest holds; None = it has no such column.

    Raises:
        DataError: the header is not that of a manifest.
    """
    rows = _numbered(lines)
    delimiter, columns = _read_header(rows, source, ("path", "key"))
    if "partition" not in columns:
        return None
    at = columns.index("partition")
    fields = (_split(line, delimiter) or [] for _, line in rows)
    return {row[at] for row in fields if len(row) == len(columns)}


def parse_folders(
    lines: Iterable[str], source: str, ledger: ProblemLedger, one_means: str = UNSTATED
) -> list[Trial]:
    """Parse the paths of a tree whose top folders are keys, such as ``spoof/tts/a.wav``.

    The folders between the key and the file, if any, become the metadata ``folder``.

    Args:
        lines: paths relative to `source`, with ``/``.
        source: the folder that holds ``bonafide`` and ``spoof``.
        ledger: see the module.
        one_means: which label a folder 1 stands for.

    Raises:
        DataError: there is no file, or a folder is called 0 or 1 and the meaning is unstated.
    """
    label_of = _own_label(source, one_means)
    collector = TrialCollector(source, ledger, ("folder",), OWN_KEYS, label_of)
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


def _own_label(source: str, one_means: str) -> Callable[[str], Label | None]:
    def label_of(key: str) -> Label | None:
        label = label_of_own_key(key, one_means)
        if label is None and is_number_key(key):
            raise DataError(
                f"{source}: has keys 0 and 1, whose meaning differs between lists; set "
                "config.data.one_means (with a protocol: --one-means) to bonafide or spoof"
            )
        return label

    return label_of


def _parse_table(
    lines: Iterable[str],
    source: str,
    ledger: ProblemLedger,
    required: tuple[str, ...],
    keys: Sequence[str] = KNOWN_KEYS,
    label_of: Callable[[str], Label | None] = label_of_key,
) -> list[Trial]:
    rows = _numbered(lines)
    delimiter, columns = _read_header(rows, source, required)
    taken = {"", "path", *_COLUMN_OF_HEADER.values()}  # a spreadsheet's index has a blank name
    metadata_at = [i for i, name in enumerate(columns) if name not in taken]
    names = [columns[i] for i in metadata_at]
    collector = TrialCollector(source, ledger, names, keys, label_of)
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
    """Return the delimiter and what each column holds: names in lower case, the known ones as ours.

    Of several names for a path, the first of `_PATH_HEADERS` is the path; ``file`` beside ``path``
    is refused.
    """
    number, line = next(rows, (1, ""))
    delimiter = max(_DELIMITERS, key=line.count)
    header = [name.lower() for name in _split(line, delimiter) or []]
    path = next((name for name in _PATH_HEADERS if name in header), "path")
    known = {**_COLUMN_OF_HEADER, "file": "path", path: "path"}
    columns = [known.get(name, name) for name in header]
    _refuse_missing(f"{source}:{number}", line, {*header, *columns}, required)
    for column in set(columns) - {""}:
        same = [name for name, its in zip(header, columns, strict=True) if its == column]
        if len(same) > 1:
            raise DataError(f"{source}:{number}: columns {' and '.join(same)} are the same")
    return delimiter, columns


def _refuse_missing(place: str, line: str, names: set[str], required: tuple[str, ...]) -> None:
    missing = [
        {"key": "label", "path": "path (or file, filename, file_name, utt)"}.get(name, name)
        for name in required
        if name not in names
    ]
    if missing:
        raise DataError(
            f"{place}: the header has no column {' and no column '.join(missing)}; "
            f"it reads {line[:80]!r}"
        )


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
    segments = fields[columns.index(SEGMENTS)] if SEGMENTS in columns else ""
    if segments not in _UNLABELLED:
        try:
            segments_of(segments)
        except DataError as error:
            return str(error)
    return ""


def _without_blanks(text: str) -> str:
    return "_".join(text.split())
