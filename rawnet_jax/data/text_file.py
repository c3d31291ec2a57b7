"""Reading text files that people made on all kinds of machines."""

from pathlib import Path

from rawnet_jax.errors import DataError

_BOM_OF = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read_lines(path: str | Path) -> list[str]:
    r"""Return the lines of a UTF-8 text file without their ends.

    A byte order mark is dropped; ``\n``, ``\r\n`` and ``\r`` end a line, nothing else does, so that
    line numbers agree with what an editor shows.

    Raises:
        DataError: the file is absent, unreadable, empty, binary or in another encoding; for the
            last two with the line.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return split_lines(data, path)


def split_lines(data: bytes, path: str | Path) -> list[str]:
    """Do as `read_lines` with what a file holds.

    Args:
        data: the bytes.
        path: named in errors.

    Raises:
        DataError: they are empty, binary or in another encoding.
    """
    if not data.strip():
        raise DataError(f"{path}: the file is empty")
    text = _decode(data, path)
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")


def _decode(data: bytes, path: str | Path) -> str:
    if data[:2] in _BOM_OF:
        raise DataError(f"{path}:1: encoded in {_BOM_OF[data[:2]]}; save the file as UTF-8")
    nul = data.find(b"\0")
    if nul >= 0:
        raise DataError(f"{path}:{_line_of(data, nul)}: not a text file (it holds a zero byte)")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # utf-8-sig counts from behind the mark that it dropped; error.object is what it counted in.
        line = _line_of(error.object, error.start)
        byte = error.object[error.start]
        raise DataError(
            f"{path}:{line}: not UTF-8 (byte 0x{byte:02X}); save the file as UTF-8"
        ) from error


def _line_of(data: bytes, offset: int) -> int:
    before = data[:offset]
    return 1 + before.count(b"\n") + before.replace(b"\r\n", b"\n").count(b"\r")
