"""Which audio files lie where: each folder is read once, no file is asked for by name."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from rawnet_jax.data.protocols import AUDIO_EXTENSIONS, without_extension
from rawnet_jax.errors import DataError


def audio_files(
    folder: Path, *, recursive: bool, passed_over: list[str] | None = None
) -> Iterator[str]:
    """Yield the paths of a folder's audio files relative to it, with ``/``, in no fixed order.

    Links are followed. A folder that several paths lead to is read once, under a path without links
    where there is one. A link to a folder above is not followed, so loops end. Names that start
    with a dot are left out: archives from macOS carry a ``._name`` beside every file.

    Args:
        folder: where.
        recursive: whether folders below it count.
        passed_over: gets the paths of all other files.

    Raises:
        DataError: a folder cannot be read.
    """
    for below, entries in read_folders(folder, recursive=recursive):
        for entry in entries:
            name = f"{below}{entry.name}"
            if entry.is_dir():
                continue
            if name.lower().endswith(AUDIO_EXTENSIONS) and (entry.is_file() or _is_broken(entry)):
                yield name
            elif passed_over is not None:
                passed_over.append(name)


def read_folders(
    folder: Path, *, recursive: bool
) -> Iterator[tuple[str, list["os.DirEntry[str]"]]]:
    """Yield a folder and those below it, each once: its path with ``/`` at the end, what it holds.

    The path is relative to `folder`, which is ``""``. See `audio_files` for links and dots.

    Raises:
        DataError: a folder cannot be read.
    """
    todo, links = [""], list[str]()
    known = {_identity(parent) for parent in Path(os.path.realpath(folder)).parents}
    while todo or links:
        # Links wait until all real folders are read.
        below = todo.pop() if todo else links.pop(links.index(min(links)))
        try:
            identity = _identity(folder / below)
            if identity in known:
                continue
            with os.scandir(folder / below) as found:
                entries = [entry for entry in found if not entry.name.startswith(".")]
        except OSError as error:
            raise DataError(f"{folder / below}: cannot be read: {error.strerror}") from error
        known.add(identity)
        yield below, entries
        if recursive:
            for entry in entries:
                if entry.is_dir():
                    (links if entry.is_symlink() else todo).append(f"{below}{entry.name}/")


def _identity(folder: Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _is_broken(entry: os.DirEntry[str]) -> bool:
    """Return whether it is a link to nothing; whoever opens it says so."""
    return entry.is_symlink() and not os.path.exists(entry.path)


class AudioIndex:
    """The audio files below some folders, found by name.

    A name is a file name or a path from one of the folders. Its extension may be absent or another
    one than on disk, because people convert corpora; the case of an extension does not count.

    Attributes:
        paths: every audio file.
    """

    def __init__(self, folders: Iterable[Path], *, recursive: bool = True) -> None:
        self.paths: set[str] = set()
        self._path_of: dict[str, str] = {}
        self._rival_of: dict[str, str] = {}
        self._of_file: dict[str, list[str]] | None = None
        for folder in folders:
            # As Path writes it, so that paths compare as strings.
            prefix = "" if folder == Path() else os.path.join(folder, "")
            for relative in sorted(audio_files(folder, recursive=recursive)):
                self._add(relative, prefix + relative)

    @classmethod
    def of_names(cls, names: Iterable[str]) -> "AudioIndex":
        """Return an index of recordings that lie elsewhere, each its own path."""
        index = cls([])
        for name in sorted(names):
            index._add(name, name)
        return index

    def _add(self, relative: str, path: str) -> None:
        self.paths.add(path)
        name = _with_lower_extension(relative)
        for known_as in {name, name.rpartition("/")[2]}:
            if self._path_of.setdefault(known_as, path) != path:
                self._rival_of.setdefault(known_as, path)

    def find(self, name: str) -> tuple[str, str | None] | None:
        """Return the path of a file, and of a second one of the same name if there is one."""
        name = _with_lower_extension(name)
        stem = without_extension(name)
        for candidate in (name, *(stem + extension for extension in AUDIO_EXTENSIONS)):
            path = self._path_of.get(candidate)
            if path is not None:
                return path, self._rival_of.get(candidate)
        return None

    def ending_in(self, name: str) -> list[str]:
        """Return the paths that end in the folders and the file that a name has.

        Of several files that differ in their extension alone, the one with that of the name counts.
        """
        if self._of_file is None:
            self._of_file = {}
            for path in sorted(self.paths):
                self._of_file.setdefault(_stem_of(path), []).append(path)
        end = f"/{without_extension(name)}"
        found = [
            path
            for path in self._of_file.get(_stem_of(name), ())
            if f"/{without_extension(path)}".endswith(end)
        ]
        exact = [path for path in found if path.lower().endswith(name.lower())]
        return exact or found


def _stem_of(path: str) -> str:
    return without_extension(path).rpartition("/")[2]


def _with_lower_extension(name: str) -> str:
    stem = without_extension(name)
    return stem + name[len(stem) :].lower()
