"""Reading text files that people made on all kinds of machines."""

from pathlib import Path

from rawnet_jax.errors import DataError
from rawnet_jax.regular_file import read_file_or_pipe

_BEGIN_BYTES = 2**18
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_lines(path: str | Path, *, of_names: bool = False) -> list[str]:
    r"""Return the lines of a UTF-8 text file, or one of UTF-16 with a mark, without their ends.

    A byte order mark is dropped; ``\n``, ``\r\n`` and ``\r`` end a line, nothing else does, so that
    line numbers agree with what an editor shows.

    Args:
        path: the file.
        of_names: the lines are names of files, which need not be text: other bytes become what
            `os.fsdecode` makes of them.

    Raises:
        DataError: the file is absent, unreadable, empty, binary or in another encoding; for the
            last two with the line.
    """
    try:
        data = read_file_or_pipe(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return split_lines(data, path, of_names=of_names)


def first_lines(path: str | Path, count: int) -> list[str]:
    """Return at most so many lines of the begin of a text file, as `read_lines` does.

    Raises:
        DataError: see `read_lines`.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_BEGIN_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) == _BEGIN_BYTES and data[:2] not in _UTF_16_MARKS:
        data = data[: data.rfind(b"\n") + 1] or data
    return split_lines(data, path)[:count]


def split_lines(data: bytes, path: str | Path, *, of_names: bool = False) -> list[str]:
    """Do as `read_lines` with what a file holds.

    Args:
        data: the bytes.
        path: named in errors.
        of_names: see `read_lines`.

    Raises:
        DataError: they are empty, binary or in another encoding.
    """
    text = _decode(data, path, "surrogateescape" if of_names else "strict")
    if not text.strip():
        raise DataError(f"{path}: the file is empty")
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")


def as_text(name: str) -> str:
    r"""Return a name as text that any encoding of Unicode holds.

    A file's name need not be text. What `os.fsdecode` makes of its other bytes becomes ``\udcNN``,
    NN being the byte.
    """
    return name.encode("utf-8", "backslashreplace").decode()


def _decode(data: bytes, path: str | Path, errors: str) -> str:
    if data[:2] in _UTF_16_MARKS:
        return _decode_utf_16(data, path)
    nul = data.find(b"\0")
    if nul >= 0:
        raise DataError(f"{path}:{_line_of(data, nul)}: not a text file (it holds a zero byte)")
    try:
        return data.decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        # utf-8-sig counts from behind the mark that it dropped; error.object is what it counted in.
        text, at = error.object, error.start
        place = at - max(text.rfind(b"\n", 0, at), text.rfind(b"\r", 0, at))
        raise DataError(
            f"{path}:{_line_of(text, at)}: not UTF-8 (byte 0x{text[at]:02X}, byte {place} of the "
            "line); save the file as UTF-8"
        ) from error


def _decode_utf_16(data: bytes, path: str | Path) -> str:
    try:
        text = data.decode("utf-16")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-16, as its first bytes say (byte 0x{data[error.start]:02X} at "
            f"{error.start}); save the file as UTF-8"
        ) from error
    nul = text.find("\0")
    if nul >= 0:
        line = _line_of(text[:nul].encode(), nul)
        raise DataError(f"{path}:{line}: not a text file (it holds a zero character)")
    return text


def _line_of(data: bytes, offset: int) -> int:
    before = data[:offset]
    return 1 + before.count(b"\n") + before.replace(b"\r\n", b"\n").count(b"\r")
