"""Recordings of a manifest, fetched ahead of the threads that decode them."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import overload

from rawnet_jax.data.audio import Encoded, Source
from rawnet_jax.errors import AudioError, DataError
from rawnet_jax.storage.rows import Row, all_rows, member_of
from rawnet_jax.storage.stores import (
    FolderStore,
    Store,
    divided,
    is_remote,
    store_of_host,
)

NOT_FETCHED = "cannot be fetched"
"""`AudioError.reason` where storage does not give what the manifest names."""

_HERE = FolderStore(Path())


class _Fetched(Encoded):
    """The bytes of a recording, which come when they are asked for."""

    __slots__ = ("_fetch",)
    _fetch: Callable[[], bytes]

    def __init__(self, fetch: Callable[[], bytes], name: str) -> None:
        object.__setattr__(self, "_fetch", fetch)
        object.__setattr__(self, "name", name)

    @property
    def content(self) -> bytes:
        """The bytes; raises `AudioError` where they do not come."""
        return _told(self._fetch, self.name)


def _told(fetch: Callable[[], bytes], name: str) -> bytes:
    """Return what is fetched; a failure is one of the recording."""
    try:
        return fetch()
    except DataError as error:
        raise AudioError(name, NOT_FETCHED, str(error).removeprefix(f"{name}: ")) from None


def recordings_of(manifest: Path) -> dict[str, Path | Row]:
    """Return all recordings of a manifest by name: a file of this machine is its path.

    Of two members of one name in one tar file the later counts, as it does for tar.

    Raises:
        ConfigError: the extra that reads the manifest, or its storage, is not installed.
        DataError: the manifest is missing or damaged.
    """
    found: dict[str, Path | Row] = {}
    hosts: set[str] = set()
    for row in all_rows(manifest):
        if _is_path(row.uri):
            path = Path(row.uri)
            found[str(path)] = path
            continue
        found[row.name] = row
        if is_remote(row.uri):  # of a member, too: it begins with the tar file's
            hosts.add(divided(row.uri)[0])
    for host in sorted(hosts):
        store_of_host(host)  # what is missing is said here, not by a process that decodes
    return found


def readable(audio: Path | Row) -> Source:
    """Return what reads one recording: its path, or its bytes, which are fetched here.

    Raises:
        AudioError: they do not come.
    """
    if not isinstance(audio, Row):
        return audio
    return Encoded(_told(lambda: fetched(audio), audio.name), audio.name)


def _is_path(uri: str) -> bool:
    return not is_remote(uri) and member_of(uri) is None


class Recordings(Sequence[tuple[str, Source]]):
    """Names and sources of rows, as `rawnet_jax.scoring.recordings.score_recordings` takes them.

    A file of this machine is its path, so that it is read as the command ``score`` reads it. All
    others are fetched, some ahead of the first that is used: memory holds that many files.
    """

    def __init__(self, rows: Sequence[Row], *, concurrency: int = 16) -> None:
        """Begin; use it in a ``with`` statement.

        Args:
            rows: of the manifest.
            concurrency: files that are fetched at once.
        """
        self._rows = rows
        self._concurrency = concurrency
        self._lock = threading.Lock()
        self._coming: dict[int, Future[bytes]] = {}
        self._next = 0
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="fetch")

    def __enter__(self) -> "Recordings":
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of what was not used."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> tuple[str, Source]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[tuple[str, Source]]: ...

    def __getitem__(self, index: int | slice) -> tuple[str, Source] | Sequence[tuple[str, Source]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        uri = self._rows[index].uri
        return uri, uri if _is_path(uri) else _Fetched(lambda: self._take(index), uri)

    def __iter__(self) -> Iterator[tuple[str, Source]]:
        return (self[index] for index in range(len(self)))

    def _take(self, index: int) -> bytes:
        """Return the bytes of one row, once, and fetch the next ones meanwhile."""
        with self._lock:
            end = min(index + 2 * self._concurrency, len(self._rows))
            for number in range(max(self._next, index), end):
                if not _is_path(self._rows[number].uri):
                    self._coming[number] = self._pool.submit(fetched, self._rows[number])
            self._next = max(self._next, end)
            coming = self._coming.pop(index, None) or self._pool.submit(fetched, self._rows[index])
        return coming.result()


def fetched(row: Row) -> bytes:
    """Return the bytes of a recording that is not a file of its own on this machine.

    Raises:
        DataError: they do not come, after some tries, or are others than the manifest says.
    """
    member = member_of(row.uri)
    uri = row.uri if member is None else member.tar
    store: Store
    if is_remote(uri):
        host, path = divided(uri)
        store = store_of_host(host)
    else:
        store, path = _HERE, uri
    start, size = (0, None) if member is None else (member.offset, member.size)
    content = store.read(path, row.etag, start, size)
    if len(content) != row.size:
        raise DataError(f"{row.uri}: {len(content)} bytes came; there must be {row.size}")
    return content
