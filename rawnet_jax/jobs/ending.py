"""A command that is asked to end: what it holds is let go and its last line is said."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from rawnet_jax.errors import Interrupted


class _Asked(BaseException):
    """A signal came. No `Exception`: a library that catches those must not swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


_NAMES = ("SIGTERM", "SIGHUP")  # the second is of POSIX alone


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Meanwhile SIGTERM and SIGHUP end the work as Ctrl-C does; a second one ends it at once.

    A signal that is ignored, as by ``nohup``, stays so.

    Raises:
        Interrupted: a signal came.
    """
    before: dict[signal.Signals, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)
        before.clear()

    def end(number: int, _frame: FrameType | None) -> None:
        restore()
        raise _Asked(number)

    if threading.current_thread() is threading.main_thread():
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                before[number] = signal.signal(number, end)
    try:
        yield
    except _Asked as asked:
        said = (signal.strsignal(asked.number) or "stopped").lower()
        raise Interrupted(said, asked.number) from None
    finally:
        restore()
