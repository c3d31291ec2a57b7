"""What sources hold, row by row: folders, lists, tar files, buckets."""

import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from rawnet_jax.data.audio_index import read_folders
from rawnet_jax.data.protocols import AUDIO_EXTENSIONS
from rawnet_jax.data.text_file import as_text
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.storage.rows import Row, member_uri
from rawnet_jax.storage.stores import divided, is_remote, local_etag, open_store, store_of_host

_TAR = ".tar"
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


def list_sources(sources: Iterable[str], lists: Sequence[str] = ()) -> Iterator[Row]:
    """Yield a row for every recording.

    Args:
        sources: files, folders with all below them, tar files; URIs of objects, and URIs that end
            in a slash for all below.
        lists: text files with one such source per line.

    Raises:
        DataError: a source is not there or cannot be read.
        ConfigError: it is of no kind that is read.
    """
    for source in sources:
        yield from _remote(source) if is_remote(source) else _local(source)
    for name in lists:
        yield from list_sources(_lines_of(name))


def _lines_of(name: str) -> Iterator[str]:
    try:
        with open(name, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                if line.strip():
                    yield line.strip()
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error.strerror}") from error


def _local(source: str) -> Iterator[Row]:
    _refuse_compressed(source)
    try:
        if os.path.isdir(source):
            yield from _folder(source)
            return
        status = os.stat(source)
        if source.lower().endswith(_TAR):
            with open(source, "rb") as file:
                yield from _members(source, file, local_etag(status))
        else:
            yield Row(source, status.st_size, local_etag(status))
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror or error}") from error


def _folder(folder: str) -> Iterator[Row]:
    for below, entries in read_folders(Path(folder), recursive=True):
        for entry in sorted(entries, key=lambda one: one.name):
            path = os.path.join(folder, below + entry.name)
            if entry.name.lower().endswith(_TAR) and entry.is_file():
                yield from _local(path)
            elif entry.name.lower().endswith(AUDIO_EXTENSIONS) and entry.is_file():
                status = entry.stat()
                yield Row(path, status.st_size, local_etag(status))


def _remote(source: str) -> Iterator[Row]:
    if not source.endswith("/"):
        _refuse_compressed(source)
        host, path = divided(source)
        store = store_of_host(host)
        found = store.look_at(path)
        if path.lower().endswith(_TAR):
            yield from _members(source, store.reader(found), found.etag)
        else:
            yield Row(source, found.size, found.etag)
        return
    if source.startswith("http"):
        raise ConfigError(f"{source}: a web server has no list of its files; give --list FILE")
    for one in open_store(source).list():
        uri = source + one.path
        if one.path.lower().endswith(AUDIO_EXTENSIONS):
            yield Row(uri, one.size, one.etag)
        elif one.path.lower().endswith(_TAR):
            yield from _remote(uri)


def _members(name: str, file: IO[bytes] | Any, etag: str) -> Iterator[Row]:
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                if member.isreg() and member.name.lower().endswith(AUDIO_EXTENSIONS):
                    where = member_uri(name, member.offset_data, member.size, member.name)
                    yield Row(as_text(where) if is_remote(name) else where, member.size, etag)
                tar.members = []  # type: ignore[attr-defined]  # or it remembers all of them
    except tarfile.TarError as error:
        raise DataError(f"{name}: is not a tar file that can be read: {error}") from error


def _refuse_compressed(source: str) -> None:
    if source.lower().endswith(_COMPRESSED):
        raise ConfigError(
            f"{source}: is compressed, so its members cannot be read one by one; it must be "
            "a plain .tar"
        )
