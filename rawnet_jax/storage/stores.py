"""Where recordings and results lie: a folder, or object storage through obstore.

Object storage finds credentials by its usual means (environment, profile, role of the machine);
none of them stands in an error or a file.
"""

import contextlib
import io
import os
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rawnet_jax.atomic_file import refuse_special, temporary_beside, write_synced
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.storage.optional import imported

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_SCHEMES = ("s3", "gs", "az", "abfs", "abfss", "http", "https")
_KEY = re.compile(r"(?<![A-Za-z0-9/+])[A-Za-z0-9/+=_-]{40,}")  # keys, tokens and signatures
_RANGE_BYTES = 2**16  # of a tar file, of which only the headers are read
_TRIES = 5  # of reading one object
_PAUSE_S = 0.1  # before the second; then twice as long each time
_MOST_LETTERS = 200  # of an error


class Listed(NamedTuple):
    """A file of a store: its path there, bytes, and what changes with its content."""

    path: str
    size: int
    etag: str


class Store(Protocol):
    """Files by their path below one place."""

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """Yield the files whose path begins so, some at a time."""

    def read(self, path: str, etag: str = "", start: int = 0, size: int | None = None) -> bytes:
        """Return what a file holds, or some bytes of it.

        Raises:
            DataError: it is not there, cannot be read, or has another `etag`.
        """

    def create(self, path: str, content: bytes) -> bool:
        """Write a new file, whole or not at all.

        Returns:
            False where there is one of that name, which stays.

        Raises:
            DataError: it cannot be written.
        """

    def replace(self, path: str, content: bytes) -> None:
        """Write a file, whole or not at all, in place of one of that name.

        Raises:
            DataError: it cannot be written.
        """

    def remove(self, path: str) -> None:
        """Remove a file; one that is not there is none."""


class FolderStore:
    """A folder of this machine, or of a file system that all hosts see."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """See `Store.list`; `prefix` is a folder with what the names there begin with."""
        below, _, begin = prefix.rpartition("/")
        try:
            with os.scandir(self._folder / below) as entries:
                for entry in entries:
                    if entry.name.startswith(begin) and not entry.name.startswith("."):
                        status = entry.stat()
                        path = f"{below}/{entry.name}" if below else entry.name
                        yield Listed(path, status.st_size, local_etag(status))
        except FileNotFoundError:
            return
        except OSError as error:
            raise DataError(f"{self._folder / below}: cannot be read: {error.strerror}") from error

    def read(self, path: str, etag: str = "", start: int = 0, size: int | None = None) -> bytes:
        """See `Store.read`."""
        try:
            with open(self._folder / path, "rb") as file:
                if etag and local_etag(os.fstat(file.fileno())) != etag:
                    raise DataError(f"{self._folder / path}: {CHANGED}")
                file.seek(start)
                return file.read(-1 if size is None else size)
        except OSError as error:
            raise DataError(f"{self._folder / path}: cannot be read: {error.strerror}") from error

    def create(self, path: str, content: bytes) -> bool:
        """See `Store.create`."""
        return self._write(path, content, is_new=True)

    def replace(self, path: str, content: bytes) -> None:
        """See `Store.replace`."""
        self._write(path, content, is_new=False)

    def remove(self, path: str) -> None:
        """See `Store.remove`."""
        with contextlib.suppress(OSError):
            (self._folder / path).unlink()

    def _write(self, path: str, content: bytes, *, is_new: bool) -> bool:
        whole = self._folder / path
        temporary = temporary_beside(whole)
        try:
            whole.parent.mkdir(parents=True, exist_ok=True)
            refuse_special(whole)
            write_synced(temporary, content)
            if is_new:
                os.link(temporary, whole)  # fails where the name is taken; a rename would not
            else:
                os.replace(temporary, whole)
        except FileExistsError:
            if is_new and whole.is_file():
                return False
            raise DataError(f"{whole.parent}: must be a folder") from None
        except OSError as error:
            raise DataError(f"{whole}: cannot be written: {error.strerror}") from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        return True


CHANGED = "changed since the manifest was written"
"""What is wrong with a recording of another etag."""


class ObjectStore:
    """A bucket, or a part of it."""

    def __init__(self, uri: str, retries: int = 8) -> None:
        """Open it; nothing is asked of it yet.

        Args:
            uri: ``s3://bucket/prefix`` and the like.
            retries: of a request that fails, with growing pauses.

        Raises:
            ConfigError: the URI is none, or the extra `scale` is not installed.
        """
        self._obs = imported("obstore", uri_without_secrets(uri))
        stores = imported("obstore.store", uri_without_secrets(uri))
        self._errors = imported("obstore.exceptions", uri_without_secrets(uri))
        self._forbidden = (
            self._errors.PermissionDeniedError,
            self._errors.UnauthenticatedError,
        )
        self.uri = uri.rstrip("/")
        pauses = {"init_backoff": timedelta(milliseconds=50), "max_backoff": timedelta(seconds=15)}
        retry: dict[str, Any] = {
            "max_retries": retries,
            "backoff": pauses | {"base": 2},
            "retry_timeout": timedelta(minutes=5),
        }
        options: dict[str, Any] = {"timeout": timedelta(minutes=5)}
        if uri.startswith("http://") or os.environ.get("AWS_ENDPOINT_URL", "").startswith("http:"):
            options["allow_http"] = True
        try:
            self._store = stores.from_url(self.uri, client_options=options, retry_config=retry)
        except (self._errors.BaseError, ValueError) as error:
            raise ConfigError(f"{uri_without_secrets(uri)}: {self._said(error)}") from None

    def list(self, prefix: str = "") -> Iterator[Listed]:
        """See `Store.list`; a prefix that is not a folder is looked for in its folder."""
        last: str | None = None
        num_failed, pause_s = 0, _PAUSE_S
        while True:
            try:
                for one in self._listed(prefix, last):
                    last, num_failed = one.path, 0
                    if one.path.startswith(prefix):
                        yield one
                return
            except self._errors.BaseError as error:
                num_failed += 1
                if num_failed == _TRIES or isinstance(error, self._forbidden):
                    raise DataError(self._line("", "cannot be listed", error)) from None
            time.sleep(pause_s)
            pause_s *= 2

    def _listed(self, prefix: str, after: str | None) -> Iterator[Listed]:
        below = prefix.rpartition("/")[0] or None
        chunks = self._obs.list(self._store, prefix=below, offset=after, chunk_size=1000)
        for chunk in chunks:
            for one in chunk:
                yield Listed(one["path"], one["size"], one["e_tag"] or "")

    def read(self, path: str, etag: str = "", start: int = 0, size: int | None = None) -> bytes:
        """See `Store.read`."""
        options: dict[str, Any] = {"if_match": etag} if etag else {}
        if size is not None:
            options["range"] = (start, start + size)
        pause_s = _PAUSE_S
        for number in range(1, _TRIES + 1):
            try:
                return bytes(self._obs.get(self._store, path, options=options).bytes())
            except self._errors.PreconditionError:
                raise DataError(f"{self._name(path)}: {CHANGED}") from None
            except FileNotFoundError:
                raise DataError(f"{self._name(path)}: there is no such object") from None
            except (self._errors.BaseError, OSError) as error:
                if number == _TRIES or isinstance(error, self._forbidden):
                    raise DataError(self._line(path, "cannot be read", error)) from None
            time.sleep(pause_s)  # a body that was cut is not among what obstore tries again
            pause_s *= 2
        raise AssertionError

    def look_at(self, path: str) -> Listed:
        """Return size and etag of one object.

        Raises:
            DataError: it is not there or must not be read.
        """
        try:
            found = self._obs.head(self._store, path)
        except FileNotFoundError:
            raise DataError(f"{self._name(path)}: there is no such object") from None
        except (self._errors.BaseError, OSError) as error:
            raise DataError(self._line(path, "cannot be read", error)) from None
        return Listed(path, found["size"], found["e_tag"] or "")

    def reader(self, listed: Listed) -> io.BufferedReader:
        """Return a binary file over one object; what is passed over is not fetched."""
        return io.BufferedReader(_Ranges(self, listed), _RANGE_BYTES)

    def create(self, path: str, content: bytes) -> bool:
        """See `Store.create`."""
        try:
            self._obs.put(self._store, path, content, mode="create", use_multipart=False)
        except (self._errors.AlreadyExistsError, self._errors.PreconditionError, FileExistsError):
            return False
        except (self._errors.BaseError, OSError) as error:
            raise DataError(self._line(path, "cannot be written", error)) from None
        return True

    def replace(self, path: str, content: bytes) -> None:
        """See `Store.replace`."""
        try:
            self._obs.put(self._store, path, content)
        except (self._errors.BaseError, OSError) as error:
            raise DataError(self._line(path, "cannot be written", error)) from None

    def remove(self, path: str) -> None:
        """See `Store.remove`."""
        with contextlib.suppress(self._errors.BaseError, OSError):
            self._obs.delete(self._store, path)

    def _name(self, path: str) -> str:
        return uri_without_secrets(f"{self.uri}/{path}" if path else self.uri)

    def _line(self, path: str, what: str, error: Exception) -> str:
        return f"{self._name(path)}: {what}: {self._said(error)}"

    @staticmethod
    def _said(error: Exception) -> str:
        said = " ".join(str(error).partition("\n\nDebug source")[0].split())
        return _KEY.sub("…", said)[:_MOST_LETTERS]


class _Ranges(io.RawIOBase):
    """An object as a file that is read by ranges."""

    def __init__(self, store: ObjectStore, listed: Listed) -> None:
        self._store, self._listed, self._at = store, listed, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        begin = (0, self._at, self._listed.size)[whence]
        self._at = max(0, begin + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), self._listed.size - self._at)
        if size <= 0:
            return 0
        found = self._store.read(self._listed.path, self._listed.etag, self._at, size)
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


def is_remote(uri: str) -> bool:
    """Return whether a URI is of object storage or the web.

    Raises:
        ConfigError: its scheme is none that is read.
    """
    found = _SCHEME.match(uri)
    if found is None:
        return False
    if found[1].lower() not in _SCHEMES:
        raise ConfigError(f"{uri_without_secrets(uri)}: must begin with {', '.join(_SCHEMES)}")
    return True


def uri_without_secrets(uri: str) -> str:
    """Return a URI without user, password and query."""
    if not _SCHEME.match(uri):
        return uri
    scheme, _, rest = uri.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def open_store(uri: str) -> Store:
    """Open a folder or a place of object storage.

    Raises:
        ConfigError: the URI is none, or the extra `scale` is not installed.
    """
    return ObjectStore(uri) if is_remote(uri) else FolderStore(Path(uri))


def divided(uri: str) -> tuple[str, str]:
    """Return bucket or host of a remote URI, and the path of an object there.

    Raises:
        ConfigError: it has a query, such as a signed URL, or no path.
    """
    found = _SCHEME.match(uri)
    assert found is not None
    host, _, path = uri[found.end() :].partition("/")
    if not host or not path or ("?" in path and found[1].lower().startswith("http")):
        raise ConfigError(f"{uri_without_secrets(uri)}: must be SCHEME://HOST/PATH without a query")
    return f"{found[0]}{host}", path


@lru_cache(maxsize=64)
def store_of_host(host: str) -> ObjectStore:
    """Return the store of a bucket or host, opened once."""
    return ObjectStore(host)


def local_etag(status: os.stat_result) -> str:
    """Return what changes with a file of this machine."""
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"
