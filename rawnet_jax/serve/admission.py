"""How much is in the service at once; what is beyond is refused before its body is read."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rawnet_jax.serve.meters import Meters
from rawnet_jax.serve.problems import Problem
from rawnet_jax.serve.settings import Settings

LOCAL_KEY = "local"
"""Stands for everybody where there are no keys; it may take the whole queue."""

_RETRY_S = 1.0


class Admission:
    """Counts bodies that are received and recordings that are worked on; for one event loop.

    Attributes:
        num_working: recordings that are worked on; read from any thread.
    """

    def __init__(self, settings: Settings, meters: Meters) -> None:
        """Begin with none."""
        self._settings = settings
        self._meters = meters
        self.num_working = 0
        self._held = 0
        self._receiving: Counter[str] = Counter()
        self._working: Counter[str] = Counter()

    @contextmanager
    def receiving(self, key_id: str) -> Iterator[None]:
        """Count a body while it is received.

        Raises:
            Problem: there is no room for it, or for what would follow.
        """
        self._check(self._working, self._settings.queue, key_id)
        self._check(self._receiving, self._settings.receiving, key_id)
        with _counted(self._receiving, key_id):
            self._meters.receiving.set(self._receiving.total())
            try:
                yield
            finally:
                self._meters.receiving.set(self._receiving.total() - 1)

    @contextmanager
    def working(self, key_id: str) -> Iterator[None]:
        """Count a recording while it is worked on.

        Raises:
            Problem: there is no room for it.
        """
        self._check(self._working, self._settings.queue, key_id)
        with _counted(self._working, key_id):
            self._set_working(self._working.total())
            try:
                yield
            finally:
                self._set_working(self._working.total() - 1)

    def _set_working(self, number: int) -> None:
        self.num_working = number
        self._meters.working.set(number)

    @contextmanager
    def holding(self) -> Iterator[Callable[[int], None]]:
        """Count the bytes of a body until its answer is known; yields what takes their numbers.

        Raises:
            Problem: in what is yielded: there is no room for more.
        """
        own = 0

        def hold(num_bytes: int) -> None:
            nonlocal own
            if self._held + num_bytes > self._settings.held_bytes:
                raise Problem("overloaded", "its memory is full", retry_after_s=_RETRY_S)
            own += num_bytes
            self._held += num_bytes

        try:
            yield hold
        finally:
            self._held -= own

    def _check(self, counts: Counter[str], most: int, key_id: str) -> None:
        if counts.total() >= most:
            raise Problem("overloaded", f"{most} at once are taken", retry_after_s=_RETRY_S)
        most_of_key = min(self._settings.queue_per_key, most)
        if key_id != LOCAL_KEY and counts[key_id] >= most_of_key:
            what = f"{most_of_key} at once are taken of one key"
            raise Problem("too-many-requests", what, retry_after_s=_RETRY_S)


@contextmanager
def _counted(counts: Counter[str], key_id: str) -> Iterator[None]:
    counts[key_id] += 1
    try:
        yield
    finally:
        counts[key_id] -= 1
        if not counts[key_id]:
            del counts[key_id]
