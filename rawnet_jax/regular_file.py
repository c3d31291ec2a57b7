"""Files that are read whole: a pipe, a device or a socket in their place may never end."""

import errno
import os
import stat
from pathlib import Path


class NotRegularError(OSError):
    """A folder, pipe, device or socket stands where a file must be."""

    def __init__(self, path: object, must_be: str = "a regular file") -> None:
        super().__init__(errno.EINVAL, f"it must be {must_be}", str(path))


def check_regular(path: str | os.PathLike[str]) -> int:
    """Return the size of a regular file in bytes, without opening it: opening a pipe may hang.

    Raises:
        NotRegularError: it is none.
        OSError: it is not there, or cannot be looked at.
        ValueError: its name holds a zero character.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularError(path)
    return status.st_size


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """Return what a regular file holds.

    Raises:
        NotRegularError: it is none.
        OSError: it cannot be read.
    """
    check_regular(path)
    return Path(path).read_bytes()


def read_file_or_pipe(path: str | os.PathLike[str]) -> bytes:
    """Return what a file holds, or a pipe such as a shell's ``<(command)``.

    Raises:
        NotRegularError: it is a folder, device or socket.
        OSError: it cannot be read.
    """

    # A pipe that nobody writes to is empty; opened in the usual way, it waits for a writer.
    def at_once(name: str, mode: int) -> int:
        return os.open(name, mode | getattr(os, "O_NONBLOCK", 0))

    with open(path, "rb", opener=at_once) as file:
        if stat.S_ISREG(mode := os.fstat(file.fileno()).st_mode):
            return file.read()
        if not stat.S_ISFIFO(mode):
            raise NotRegularError(path, "a file or a pipe")
        os.set_blocking(file.fileno(), True)
        return file.read()
