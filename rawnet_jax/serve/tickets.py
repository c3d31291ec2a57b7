"""Tickets: a browser opens a WebSocket with one: it can send no header, and URLs are logged."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from rawnet_jax.serve.one_time import LIFE_S, OneTimeStore


@dataclass(frozen=True, slots=True)
class Ticket:
    """A name that opens one socket.

    Attributes:
        ticket: the name, single use.
        expires_at: Unix time.
    """

    ticket: str
    expires_at: float


class Tickets:
    """Tickets that wait for their socket."""

    def __init__(
        self,
        life_s: float = LIFE_S,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin without any."""
        self._store: OneTimeStore[str] = OneTimeStore(life_s, clock=clock)
        self._wall_clock = wall_clock

    def issue(self, key_id: str) -> Ticket | None:
        """Return a new ticket for the holder of a key; None = too many are unused."""
        name = self._store.issue(key_id, key_id)
        return None if name is None else Ticket(name, self._wall_clock() + self._store.life_s)

    def use(self, name: str) -> str | None:
        """Return the id of the key that a ticket was issued to, and forget the ticket; None = it is
        unknown, used or expired.
        """
        return self._store.use(name)
