"""Tasks that wait, for several threads that take them."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

from rawnet_jax.scale.ledger import Task


class Todo:
    """Tasks that are to do, and those that are being done and may come back.

    Args:
        tasks: read one by one, when they are asked for.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._coming: Iterator[Task] = iter(tasks)
        self._again: deque[Task] = deque()
        self._num_taken = 0
        self._is_ended = False
        self._changed = threading.Condition()

    def take(self) -> Task | None:
        """Return the next task, waiting while others may come back; None when all are done."""
        with self._changed:
            while not self._is_ended:
                task = self._again.popleft() if self._again else next(self._coming, None)
                if task is not None:
                    self._num_taken += 1
                    return task
                if not self._num_taken:
                    self._end()
                    break
                self._changed.wait()
            return None

    def take_at_once(self) -> Task | None:
        """Return the next task; None where none waits."""
        with self._changed:
            task = self._again.popleft() if self._again else next(self._coming, None)
            self._num_taken += task is not None
            return task

    def done(self, *again: Task) -> None:
        """Say that a task is done, or what must be done instead."""
        with self._changed:
            self._num_taken -= 1
            self._again.extend(again)
            self._changed.notify_all()

    def died(self, task: Task) -> tuple[Task, ...]:
        """Return what is to do after a worker died with a task: it again, or its halves.

        One worker may be killed by anything. Where two die with the same files, one of these may
        kill: halves find it. A single file is passed by after one more death (an empty result),
        since machines that are lost often would take some for it that do not kill.
        """
        task = replace(task, deaths=task.deaths + 1)
        if task.deaths < (2 if task.rows > 1 else 3):
            return (task,)
        return task.halves() if task.rows > 1 else ()

    def end(self) -> None:
        """Give out no more."""
        with self._changed:
            self._end()

    def _end(self) -> None:
        self._is_ended = True
        self._changed.notify_all()
