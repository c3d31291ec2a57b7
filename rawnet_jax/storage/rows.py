"""A manifest: which recordings there are, a row each, as JSON lines or Parquet.

It is written and read row by row: memory does not grow with it.
"""

import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import quote, unquote

from rawnet_jax.atomic_file import refuse_special, temporary_beside
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.storage.optional import imported

JSON_LINES, PARQUET = ".jsonl", ".parquet"
"""Extensions of manifests."""

_GROUP_ROWS = 10_000  # of Parquet: a shard reads whole groups
# A line as `write_manifest` writes it, without an escape: read in a third of the time of `json`.
_PLAIN = re.compile(
    rb'\{"uri": "[ !#-\[\]-~]+", "size": (0|[1-9]\d{0,17}), "etag": "[ !#-\[\]-~]*"\}\n?'
)
_MEMBER = re.compile(r"(.*)#offset=(\d+)&size=(\d+)&name=([^#]*)", re.DOTALL)


class Row(NamedTuple):
    """One recording.

    Attributes:
        uri: path, URL, or member of a tar file as `member_uri` writes it.
        size: bytes.
        etag: changes with the content; "" where that is not known.
    """

    uri: str
    size: int
    etag: str

    @property
    def name(self) -> str:
        """Where it lies, for people: of a member of a tar file, its name behind that of the tar."""
        member = member_of(self.uri)
        return self.uri if member is None else f"{member.tar}/{member.name}"


class Member(NamedTuple):
    """Where a recording lies in a tar file."""

    tar: str
    offset: int
    size: int
    name: str


def member_uri(tar: str, offset: int, size: int, name: str) -> str:
    """Return the URI of a member of a tar file: its bytes begin at `offset`."""
    return f"{tar}#offset={offset}&size={size}&name={quote(name, errors='surrogateescape')}"


def member_of(uri: str) -> Member | None:
    """Return what `member_uri` put into a URI; None where it is of a file of its own."""
    found = _MEMBER.fullmatch(uri)
    if found is None:
        return None
    name = unquote(found[4], errors="surrogateescape")
    return Member(found[1], int(found[2]), int(found[3]), name)


def extension_of(path: Path) -> str:
    """Return the form of a manifest.

    Raises:
        ConfigError: its extension names none.
    """
    form = path.suffix.lower()
    if form not in (JSON_LINES, PARQUET):
        raise ConfigError(f"{path}: a manifest must end in {JSON_LINES} or {PARQUET}")
    return form


def write_manifest(path: Path, rows: Iterable[Row]) -> tuple[int, int]:
    """Write a manifest, whole or not at all.

    Returns:
        Number of rows, and the bytes of all recordings.

    Raises:
        ConfigError: the extension names no form, or the extra `scale` is not installed.
        DataError: it cannot be written, or a name is not text and Parquet cannot hold it.
    """
    write = _write_parquet if extension_of(path) == PARQUET else _write_lines
    temporary = temporary_beside(path)
    try:
        refuse_special(path)
        with open(temporary, "xb") as file:
            found = write(file, rows)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return found


def _write_lines(file: IO[bytes], rows: Iterable[Row]) -> tuple[int, int]:
    count = num_bytes = 0
    for row in rows:
        file.write(json.dumps(row._asdict()).encode() + b"\n")
        count, num_bytes = count + 1, num_bytes + row.size
    return count, num_bytes


def _write_parquet(file: IO[bytes], rows: Iterable[Row]) -> tuple[int, int]:
    pa, parquet = imported("pyarrow", PARQUET), imported("pyarrow.parquet", PARQUET)
    schema = pa.schema([("uri", pa.string()), ("size", pa.int64()), ("etag", pa.string())])
    count = num_bytes = 0
    with parquet.ParquetWriter(file, schema) as writer:
        for group in _batched(rows, _GROUP_ROWS):
            columns = zip(*group, strict=True)
            try:
                arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
            except UnicodeEncodeError:
                raise DataError(
                    "a name of a file is not text, which Parquet cannot hold; write the manifest "
                    f"as {JSON_LINES}"
                ) from None
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            count, num_bytes = count + len(group), num_bytes + sum(row.size for row in group)
    return count, num_bytes


def _batched(rows: Iterable[Row], size: int) -> Iterator[tuple[Row, ...]]:
    coming = iter(rows)
    while group := tuple(itertools.islice(coming, size)):
        yield group


def sizes(path: Path) -> Iterator[tuple[int, int]]:
    """Yield of every row where it begins, as `read_rows` takes it, and its size.

    Raises:
        DataError: the manifest is missing or damaged; with its line.
    """
    if extension_of(path) == PARQUET:
        at = 0
        for batch in _batches(path, ["size"]):
            for size in batch.column(0).to_pylist():
                if type(size) is not int or size < 0:
                    raise DataError(f"{path}: row {at + 1}: size {size!r}; it must be 0 or more")
                yield at, size
                at += 1
        return
    at = 0
    for number, line in _lines(path, 0):
        plain = _PLAIN.fullmatch(line)
        yield at, int(plain[1]) if plain else _parsed(line, path, number).size
        at += len(line)


def all_rows(path: Path) -> Iterator[Row]:
    """Yield every row.

    Raises:
        DataError: the manifest is missing or damaged; with its line.
    """
    if extension_of(path) == PARQUET:
        for batch in _batches(path, None):
            yield from map(_parquet_row, batch.to_pylist())
        return
    for number, line in _lines(path, 0):
        yield _parsed(line, path, number)


def read_rows(path: Path, at: int, skip: int, count: int) -> list[Row]:
    """Read some rows.

    Args:
        path: of the manifest.
        at: what `sizes` said of a row.
        skip: rows behind that one to pass over.
        count: rows to read.

    Raises:
        DataError: the manifest is missing, damaged or shorter.
    """
    if extension_of(path) == PARQUET:
        rows = _parquet_rows(path, at + skip, count)
    else:
        lines = itertools.islice(_lines(path, at), skip, skip + count)
        rows = [_parsed(line, path, number) for number, line in lines]
    if len(rows) != count:
        raise DataError(f"{path}: is shorter than it was when the job was planned")
    return rows


def _lines(path: Path, at: int) -> Iterator[tuple[int, bytes]]:
    try:
        with open(path, "rb") as file:
            file.seek(at)
            yield from enumerate(file, 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _parsed(line: bytes, path: Path, number: int) -> Row:
    try:
        found = json.loads(line)
        uri, size, etag = found["uri"], found["size"], found.get("etag", "")
        if type(uri) is str and uri and type(size) is int and size >= 0 and type(etag) is str:
            return Row(uri, size, etag)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        pass
    raise DataError(
        f"{path}:{number}: no row of a manifest; it must be "
        '{"uri": "…", "size": bytes, "etag": "…"}'
    )


def _parquet_file(path: Path) -> Any:
    parquet, pa = imported("pyarrow.parquet", PARQUET), imported("pyarrow", PARQUET)
    try:
        file = parquet.ParquetFile(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except pa.ArrowException as error:
        raise DataError(f"{path}: is not a Parquet file: {error}") from error
    missing = [name for name in Row._fields[:2] if name not in file.schema_arrow.names]
    if missing:
        raise DataError(f"{path}: no column {missing[0]}; a manifest must have uri, size, etag")
    return file


def _batches(path: Path, columns: list[str] | None) -> Iterator[Any]:
    pa = imported("pyarrow", PARQUET)
    try:
        yield from _parquet_file(path).iter_batches(columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: damaged: {error}") from error


def _parquet_rows(path: Path, first: int, count: int) -> list[Row]:
    file = _parquet_file(path)
    names = [name for name in Row._fields if name in file.schema_arrow.names]
    rows: list[Row] = []
    begin = 0
    for group in range(file.metadata.num_row_groups):
        end = begin + file.metadata.row_group(group).num_rows
        if end > first and begin < first + count:
            table = file.read_row_group(group, columns=names)
            start = max(first - begin, 0)
            some = table.slice(start, min(first + count, end) - begin - start)
            rows += map(_parquet_row, some.to_pylist())
        begin = end
    return rows


def _parquet_row(columns: dict[str, Any]) -> Row:
    return Row(columns["uri"] or "", columns["size"] or 0, columns.get("etag") or "")
