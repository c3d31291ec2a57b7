"""Progress bars: a picture that moves on a terminal, a line now and then in a log."""

import sys
from typing import Any

from tqdm import tqdm

_LOG_INTERVAL_S = 10.0
_LOG_FORM = "{desc}: {percentage:.0f}%, {n_fmt} of {total_fmt} [{elapsed}<{remaining}, {rate_fmt}]"
_UP = "\x1b[A"  # how tqdm moves between bars


class _LogLines:
    """Standard error for a bar, where that is not a terminal: what it draws becomes whole lines."""

    def write(self, text: str) -> None:
        line = text.replace(_UP, "").strip()
        if line:
            sys.stderr.write(f"{line}\n")

    def flush(self) -> None:
        sys.stderr.flush()


def make_bar(
    description: str,
    total: int,
    *,
    shown: bool,
    initial: int = 0,
    unit: str = "clip",
    stays: bool = False,
) -> tqdm:
    """Return a bar on standard error. In a log it is a line every 10 s, and none before.

    Args:
        description: what goes on.
        total: units there are.
        shown: False = it is invisible.
        initial: units that are done.
        unit: what is counted.
        stays: its last state stays where the bar was.
    """
    kind: dict[str, Any] = {"desc": description, "total": total, "initial": initial}
    kind |= {"unit": unit, "leave": stays}
    if sys.stderr.isatty():
        return tqdm(**kind, disable=not shown, dynamic_ncols=True)
    return tqdm(
        **kind,
        disable=not shown,
        file=_LogLines(),
        bar_format=_LOG_FORM,
        mininterval=_LOG_INTERVAL_S,
        delay=_LOG_INTERVAL_S,
    )


class BatchBars:
    """Makes bars, or invisible ones.

    Args:
        shown: whether to draw them.
    """

    def __init__(self, shown: bool) -> None:
        self.shown = shown

    def __call__(self, description: str, total: int, initial: int = 0, unit: str = "batch") -> tqdm:
        """Return a bar over `total` batches (or another unit), `initial` of them done."""
        return make_bar(description, total, shown=self.shown, initial=initial, unit=unit)
