"""Lines for people, on standard output and standard error, and what exit statuses mean."""

import logging
import re
import sys
from collections.abc import Iterable

EXIT_UNREADABLE = 1
EXIT_CANNOT_JUDGE = 3

# What moves a cursor, colours a terminal or turns its direction of writing: names of files may hold
# it. Line ends and tabs stay.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""Return text with its control characters as escapes, such as ``\x1b``."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: object) -> str:
    """Return text that may go to a terminal, without a line end."""
    return printable(str(text)).replace("\n", "\\n")


class OneLine(logging.Formatter):
    """Formats what is logged, which may hold names of files, as one line for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return one_line(super().format(record))


def say(text: str) -> None:
    """Print text that may hold names of files, which may be no text; at once."""
    emit(printable(text))


def emit(text: str) -> None:
    """Print text for programs as it is, but to a terminal without control characters; at once."""
    encoding = sys.stdout.encoding or "utf-8"
    shown = printable(text) if sys.stdout.isatty() else text
    sys.stdout.write(shown.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print a line on standard error."""
    shown = printable(text)
    print(shown.encode("utf-8", "backslashreplace").decode(), file=sys.stderr)


def say_written(files: Iterable[tuple[str, object]]) -> None:
    """Print a line for each (what, where)."""
    for what, where in files:
        say(f"{what + ':':<13}{where}\n")
