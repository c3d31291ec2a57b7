"""Telephone calls whose audio came over a socket: their verdicts, for whoever asks later."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

_LIFE_S = 600.0
_MOST = 10_000


class Calls:
    """What is known of calls of the last ten minutes, by the name that the provider gives them."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without any."""
        self._clock = clock
        self._calls: OrderedDict[str, tuple[float, dict[str, Any]]] = OrderedDict()

    def put(self, name: str, said: dict[str, Any]) -> None:
        """Keep what is known of a call now."""
        self._calls.pop(name, None)
        self._calls[name] = (self._clock(), said)
        while len(self._calls) > _MOST or self._is_old(next(iter(self._calls.values()))[0]):
            self._calls.popitem(last=False)

    def get(self, name: str) -> dict[str, Any] | None:
        """Return what is known of a call; None where nothing is, or no more."""
        then_s, said = self._calls.get(name, (0.0, None))
        return None if said is None or self._is_old(then_s) else said

    def _is_old(self, then_s: float) -> bool:
        return self._clock() - then_s > _LIFE_S
