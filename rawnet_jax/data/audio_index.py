"""Which audio files lie where: each folder is read once, no file is asked for by name."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from rawnet_jax.data.protocols import AUDIO_EXTENSIONS, without_extension
from rawnet_jax.errors import DataError


def audio_files(folder: Path, *, recursive: bool) -> Iterator[str]:
    """Yield the paths of a folder's audio files relative to it, with ``/``, in no fixed order.

    Links are followed to files, not to folders. Names that start with a dot are left out: archives
    from macOS carry a ``._name`` beside every file.

    Raises:
        DataError: a folder cannot be read.
    """
    stack = [""]
    while stack:
        below = stack.pop()
        try:
            with os.scandir(folder / below) as entries:
                for entry in entries:
                    name = f"{below}{entry.name}"
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if recursive:
                            stack.append(f"{name}/")
                    elif entry.name.lower().endswith(AUDIO_EXTENSIONS) and entry.is_file():
                        yield name
        except OSError as error:
            raise DataError(f"{folder / below}: cannot be read: {error.strerror}") from error


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
        for folder in folders:
            # As Path writes it, so that paths compare as strings.
            prefix = "" if folder == Path() else os.path.join(folder, "")
            for relative in sorted(audio_files(folder, recursive=recursive)):
                self._add(relative, prefix + relative)

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


def _with_lower_extension(name: str) -> str:
    stem = without_extension(name)
    return stem + name[len(stem) :].lower()
