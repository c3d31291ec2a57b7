"""A file of results that an interrupted job resumes.

Results are appended as they come, so a job that is killed leaves all that it found. A file beside
the output says how its scores were made; nothing that was made otherwise is ever added to them.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from rawnet_jax.atomic_file import write_bytes_atomically
from rawnet_jax.errors import DataError
from rawnet_jax.fitted_file import read_fitted, write_fitted
from rawnet_jax.scoring.score_forms import Form
from rawnet_jax.scoring.verdict import Record

_CONTENT = "settings of scores"
_ERRORS = "surrogateescape"  # a file's name may hold bytes that are not text


class ScoreOutput:
    """An open output.

    Attributes:
        done: names of the files that it has a result of, as its form has them.
    """

    def __init__(
        self, path: Path, form: Form, settings: Mapping[str, Any], *, overwrite: bool = False
    ) -> None:
        """Begin an output, or resume it.

        Args:
            path: the file; its folder is made.
            form: of its lines.
            settings: all that decides what a line says, ready for JSON.
            overwrite: remove what is there, once no other process can be writing it.

        Raises:
            DataError: it cannot be written, was made with other settings or not by us, is damaged,
                or another process writes it.
        """
        self._path = path
        self._form = form
        settings = json.loads(json.dumps(settings))  # as reading them back gives them
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}; it must be a folder") from error
        self._lock = FileLock(path.with_name(f".{path.name}.lock"))
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise DataError(f"{path}: another process is writing it") from None
        except OSError as error:
            raise DataError(f"{path}: cannot be written: {error.strerror}") from error
        try:
            if overwrite:
                _remove(path)
            self.done = self._opened(settings)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND)
        except BaseException as error:
            self._lock.release()
            if isinstance(error, OSError):
                raise DataError(f"{path}: cannot be written: {error.strerror}") from error
            raise

    def write(self, record: Record) -> None:
        """Append one result.

        Raises:
            DataError: the file cannot be written, or the form cannot hold the name.
        """
        text = self._form.text(record).encode("utf-8", _ERRORS)
        try:
            while text:
                text = text[os.write(self._file, text) :]
        except OSError as error:
            raise DataError(f"{self._path}: cannot be written: {error.strerror}") from error

    def __enter__(self) -> "ScoreOutput":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        os.close(self._file)
        self._lock.release()

    def _opened(self, settings: Mapping[str, Any]) -> set[str]:
        beside = settings_path(self._path)
        if not self._path.exists():
            write_fitted(beside, _CONTENT, settings)
            write_bytes_atomically(self._path, self._form.header.encode())
            return set()
        if not beside.exists():
            raise DataError(
                f"{self._path}: is there already and was not made by this command ({beside.name} "
                "is missing); give another --output, or --overwrite"
            )
        self._refuse_other(read_fitted(beside, _CONTENT), settings)
        try:
            text, done = self._form.kept(self._path.read_bytes().decode("utf-8", _ERRORS))
        except DataError as error:
            raise DataError(f"{self._path}:{error}; give another --output") from error
        write_bytes_atomically(self._path, text.encode("utf-8", _ERRORS))
        return done

    def _refuse_other(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        other = [name for name, value in now.items() if before.get(name) != value]
        if other:
            changed = "; ".join(f"{n} was {before.get(n)!r} and is {now[n]!r}" for n in other)
            raise DataError(
                f"{self._path}: was made otherwise ({changed}); give another --output, "
                "or --overwrite"
            )


def settings_path(path: Path) -> Path:
    """Return where it stands how the scores of an output were made."""
    return path.with_name(f"{path.name}.settings.json")


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
        settings_path(path).unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be removed: {error.strerror}") from error
