"""Text for people: the one way to standard output, to standard error and for what is logged.

Names of files, utterances, speakers and attacks come from strangers and may hold what moves a
cursor. A line begins where a line begins, whatever bar is drawn meanwhile.
"""

import contextlib
import logging
import re
import sys
from typing import Any

# What moves a cursor, colours a terminal or turns its direction of writing. Line ends and tabs
# stay.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_MOST_CHARACTERS = 1_600
_CLEAR_LINE = "\r\x1b[K"
_open_lines: list[str] = []  # one that `rewrite` printed and nothing ended


def printable(text: str) -> str:
    r"""Return text with its control characters as escapes, such as ``\x1b``."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: object) -> str:
    """Return text that may go to a terminal, without a line end."""
    return printable(str(text)).replace("\n", "\\n")


def shortened(message: str) -> str:
    """Return a message without the middle of what is too long to be read.

    Messages repeat what a file or a flag holds, which may have any length.
    """
    left_out = len(message) - _MOST_CHARACTERS
    if left_out <= 0:
        return message
    half = _MOST_CHARACTERS // 2
    return f"{message[:half]} … {left_out:,} characters … {message[-half:]}"


def sized(num_bytes: int) -> str:
    """Return a number of bytes for people, in kB or MB of 1,000."""
    return f"{num_bytes / 1e3:,.1f} kB" if num_bytes < 1e6 else f"{num_bytes / 1e6:,.1f} MB"


def show(text: object = "") -> None:
    """Print a line, or several, for people."""
    say(f"{text}\n")


def say(text: str) -> None:
    """Print text that may hold names of files, which may not be text; at once."""
    emit(printable(text))


def emit(text: str) -> None:
    """Print text for programs as it is, but to a terminal without control characters; at once."""
    is_terminal = sys.stdout.isatty()
    with _beside_bars() if is_terminal else contextlib.nullcontext():
        _end_open_line()
        _write(printable(text) if is_terminal else text)


def rewrite(text: str) -> None:
    """Print a line over the one that this printed last, on a terminal."""
    _write(f"{_CLEAR_LINE}{one_line(text)}")
    _open_lines[:] = [text]


def complain(text: str) -> None:
    """Print a line on standard error."""
    shown = printable(text).encode("utf-8", "backslashreplace").decode()
    with _beside_bars():
        _end_open_line()
        print(shown, file=sys.stderr)


def log_to_terminal() -> None:
    """Let warnings of the package and of libraries be lines on standard error."""
    form = "%(levelname)s: %(message)s"
    logging.basicConfig(format=form, level=logging.WARNING, handlers=[TerminalHandler()])


class TerminalHandler(logging.Handler):
    """Prints logged records, one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        try:
            complain(shortened(one_line(self.format(record))))
        except Exception:
            self.handleError(record)


def _write(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def _end_open_line() -> None:
    if _open_lines:
        _open_lines.clear()
        _write("\n")


def _beside_bars() -> contextlib.AbstractContextManager[Any]:
    """Take bars away meanwhile. Where tqdm was never imported, there are none."""
    tqdm: Any = getattr(sys.modules.get("tqdm"), "tqdm", None)
    if not getattr(tqdm, "_instances", ()):
        return contextlib.nullcontext()
    return tqdm.external_write_mode(sys.stderr)
