"""Lines for people, on standard output and standard error, and what exit statuses mean."""

import sys
from collections.abc import Iterable

EXIT_UNREADABLE = 1
EXIT_CANNOT_JUDGE = 3


def say(text: str) -> None:
    """Print text that may hold names of files, which may be no text; at once."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print a line on standard error."""
    print(text.encode("utf-8", "backslashreplace").decode(), file=sys.stderr)


def say_written(files: Iterable[tuple[str, object]]) -> None:
    """Print a line for each (what, where)."""
    for what, where in files:
        print(f"{what + ':':<13}{where}")
