"""How many steps go into one dispatch: as many as take about a second."""

import time

from rawnet_jax.mesh import agreed


class Pace:
    """Chooses the number of steps of each dispatch by how long the last ones took.

    Long dispatches keep the host out of the way; a second is short enough for a bar that moves and
    a run that stops when it is asked to. What the steps compute does not depend on it.

    Args:
        max_steps: of a dispatch.
        seconds: that one is to take.
    """

    def __init__(self, max_steps: int, seconds: float = 1.0) -> None:
        self._max_steps = max_steps
        self._seconds = seconds
        self._count = 1
        self._last: float | None = None

    def next(self, limit: int) -> int:
        """Return how many steps to dispatch, the same number on every host.

        Args:
            limit: steps until something else has to be done.
        """
        count = min(limit, self._max_steps, self._count)
        return agreed(count) if self._max_steps > 1 else count

    def done(self, count: int) -> None:
        """Take note that a dispatch of so many steps has ended."""
        now = time.perf_counter()
        if self._last is not None:
            wanted = int(self._seconds * count / max(now - self._last, 1e-6))
            # By leaps of four at most: the first dispatches are not typical.
            self._count = max(1, min(wanted, 4 * self._count))
        self._last = now

    def pause(self) -> None:
        """Take no note of the time until the next dispatch has ended."""
        self._last = None
