"""Writing small files whole or not at all."""

import os
from pathlib import Path

from rawnet_jax.errors import DataError


def write_text_atomically(path: str | Path, text: str) -> None:
    r"""Write UTF-8 text with ``\n`` line ends; a reader sees the old file or the new one.

    Raises:
        DataError: the file cannot be written; nothing is left behind.
    """
    write_bytes_atomically(path, text.encode("utf-8"))


def write_bytes_atomically(path: str | Path, content: bytes) -> None:
    """Write bytes; a reader sees the old file or the new one.

    Raises:
        DataError: the file cannot be written; nothing is left behind.
    """
    path = Path(path)
    # In the same folder, so that the rename never crosses file systems; with the process id, so
    # that two writers never share a half-written file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error
