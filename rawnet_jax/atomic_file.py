"""Writing small files whole or not at all."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from rawnet_jax.errors import DataError
from rawnet_jax.regular_file import check_regular

_MOST_LETTERS = 40  # of a name, in that of a temporary file, which may have 255 bytes


def write_text_atomically(path: str | Path, text: str) -> None:
    r"""Write UTF-8 text with ``\n`` line ends; a reader sees the old file or the new one.

    Names of files that are not text stand in it as ``\udcNN``, NN being the byte.

    Raises:
        DataError: the file cannot be written; nothing is left behind.
    """
    write_bytes_atomically(path, _encoded(text))


def write_bytes_atomically(path: str | Path, content: bytes, mode: int = 0o666) -> None:
    """Write bytes; a reader sees the old file or the new one, even after a power cut.

    Args:
        path: file to write; its folder must exist.
        content: what it is to hold.
        mode: who may read and write it, less what the process's umask takes away.

    Raises:
        DataError: the file cannot be written; nothing is left behind.
    """
    path = Path(path)
    temporary = temporary_beside(path)
    try:
        refuse_special(path)
        write_synced(temporary, content, mode)
        os.replace(temporary, path)
        with contextlib.suppress(OSError):  # where folders cannot be opened
            _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error


def refuse_special(path: Path) -> None:
    """Check that a file may get this name: one that replaces a device would break the system.

    Raises:
        NotRegularError: a pipe, device, socket or folder has it.
    """
    with contextlib.suppress(FileNotFoundError):
        check_regular(path)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def temporary_beside(path: Path) -> Path:
    """Return a name for a file or folder until it is whole.

    It is in the same folder, so that a rename never crosses file systems, and cannot be guessed, so
    that nobody waits there with a file of theirs.
    """
    return path.with_name(f".{path.name[:_MOST_LETTERS]}.{secrets.token_hex(8)}.tmp")


def write_synced(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a new file to disk, never through a link that somebody left under its name.

    Raises:
        OSError: it is there, or cannot be written.
    """
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Let the rename be on disk, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make the folder for the results.

    Raises:
        DataError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"--output {folder}: {error.strerror}; must be a folder") from error


def refuse_used(folder: Path, flag: str) -> None:
    """Check that nothing is lost if a folder of this name is made.

    Args:
        folder: to be made.
        flag: that named it.

    Raises:
        DataError: it is there and is not an empty folder.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise DataError(f"{flag} {folder}: something is there already; it must be a new folder")


@contextlib.contextmanager
def new_folder(folder: Path, flag: str) -> Iterator[Path]:
    """Make a folder, whole or not at all.

    Args:
        folder: to be made; see `refuse_used`.
        flag: that named it.

    Yields:
        A folder to fill, which gets the name at the end.

    Raises:
        DataError: it cannot be written; nothing is left behind.
    """
    temporary = temporary_beside(folder)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        os.replace(temporary, folder)
    except OSError as error:
        raise DataError(f"{flag} {folder}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_files(
    folder: Path, contents: Sequence[tuple[str, str, str | bytes]]
) -> list[tuple[str, Path]]:
    """Write files, each whole or not at all.

    Args:
        folder: exists.
        contents: (what it is, for people; name; text or bytes).

    Returns:
        (what, where) of each.

    Raises:
        DataError: a file cannot be written.
    """
    for _, name, content in contents:
        found = _encoded(content) if isinstance(content, str) else content
        write_bytes_atomically(folder / name, found)
    return [(what, folder / name) for what, name, _ in contents]
