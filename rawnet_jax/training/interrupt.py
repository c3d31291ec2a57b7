"""Stopping on request: SIGTERM or Ctrl-C end a run at the next step, with its state saved."""

import signal
import threading
from types import FrameType
from typing import Self

import jax


class StopRequest:
    """In this context a first signal requests a clean stop; a second one interrupts at once.

    On several hosts, a signal to any of them stops all at the same step. JAX's preemption service
    does that; we need no handler.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            catch = self.SIGNALS if jax.process_count() == 1 else (signal.SIGINT,)
            self._before = {number: signal.signal(number, self._note) for number in catch}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before = {}

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.signal_number = number
        self._restore()

    def wanted(self, step: int) -> bool:
        """Return whether to stop now, after `step` steps; the same answer on every host."""
        if jax.process_count() == 1:
            return self.signal_number is not None
        from jax.experimental import multihost_utils

        if multihost_utils.reached_preemption_sync_point(step):
            self.signal_number = signal.SIGTERM
            return True
        return False
