"""A corpus that is written over several runs: its settings, and a journal of what is done."""

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.errors import DataError
from rawnet_jax.json_text import parsed_json
from rawnet_jax.simulate.corpus_writer import check_free, locked, put_in_place

_REQUEST, _JOURNAL = "request.json", "journal.jsonl"


class Journal:
    """Records of finished tasks by number, each kept as soon as it is added.

    Attributes:
        records: what is done.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.records: dict[int, dict[str, Any]] = {}
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        for line in text.splitlines():
            try:
                number, record = parsed_json(line)
            except (ValueError, TypeError):
                break  # a kill cut this line off
            self.records[number] = record
        self._rewrite()

    def add(self, number: int, record: dict[str, Any]) -> None:
        """Keep the record of a task.

        Raises:
            DataError: it cannot be written.
        """
        self.records[number] = record
        try:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(_line(number, record))
        except OSError as error:
            raise DataError(f"{self._path}: cannot be written: {error.strerror}") from None

    def keep(self, numbers: Collection[int]) -> None:
        """Forget all other tasks, which are to be done again."""
        self.records = {n: record for n, record in self.records.items() if n in numbers}
        self._rewrite()

    def _rewrite(self) -> None:
        lines = [_line(number, record) for number, record in self.records.items()]
        write_text_atomically(self._path, "".join(lines))


@contextmanager
def resumable_corpus(
    output_dir: str | os.PathLike[str], request: Mapping[str, Any], *, overwrite: bool
) -> Iterator[tuple[Path, Journal]]:
    """Give a folder that becomes `output_dir` when the block ends well, and stays when it does not.

    Args:
        output_dir: must not exist or be empty, unless `overwrite`.
        request: all that decides the content, as JSON can hold it. An unfinished run of the same
            request is resumed.
        overwrite: replace a corpus of ours, and an unfinished run of another request.

    Yields:
        The folder and the journal of what is done in it.

    Raises:
        DataError: something is in the way, another process writes the same corpus, or an
            unfinished run asked for something else.
    """
    output = Path(output_dir).resolve()
    check_free(output, overwrite)
    partial_dir = output.with_name(f".{output.name}.partial")
    lock = locked(partial_dir, output)
    root, replaced = partial_dir / "corpus", partial_dir / "replaced"
    is_needed = True
    try:
        _continue_or_begin(partial_dir, root, request, overwrite)
        shutil.rmtree(replaced, ignore_errors=True)
        journal = Journal(partial_dir / _JOURNAL)
        try:
            yield root, journal
            check_free(output, overwrite)
            put_in_place(root, output, replaced)
            is_needed = False
        finally:
            is_needed = is_needed and bool(journal.records)
    finally:
        lock.release()
        if not is_needed:
            shutil.rmtree(partial_dir, ignore_errors=True)


def keep_whole_files(folder: Path, journal: Journal) -> int:
    """Forget tasks whose files are not what the journal says; return how many are left.

    A record's ``files`` are SHA-256 by path below the folder.
    """

    def is_done(record: Mapping[str, Any]) -> bool:
        return all(_digest(folder / name) == sha for name, sha in record["files"].items())

    journal.keep({number for number, record in journal.records.items() if is_done(record)})
    return len(journal.records)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _continue_or_begin(
    partial_dir: Path, root: Path, request: Mapping[str, Any], overwrite: bool
) -> None:
    before = _request_in(partial_dir)
    now = parsed_json(json.dumps(request))
    if before == now and root.is_dir():
        return
    if before is not None and root.is_dir() and not overwrite:
        other = sorted(k for k in {*before, *now} if before.get(k) != now.get(k))
        raise DataError(
            f"{partial_dir}: holds an unfinished run with another {', '.join(other)}; repeat its "
            "command to finish it, or use --overwrite to start over"
        )
    for leftover in (root, partial_dir / _JOURNAL):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink(missing_ok=True)
    root.mkdir()
    write_text_atomically(partial_dir / _REQUEST, json.dumps(request, indent=2, sort_keys=True))


def _request_in(partial_dir: Path) -> dict[str, Any] | None:
    try:
        found = parsed_json((partial_dir / _REQUEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _line(number: int, record: dict[str, Any]) -> str:
    return json.dumps([number, record]) + "\n"
