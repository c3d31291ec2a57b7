"""What may be used once, within a minute: challenges and tickets."""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

LIFE_S = 60.0
_MOST_PER_OWNER = 1_000
_MOST = 100_000

Content = TypeVar("Content")


@dataclass(frozen=True, slots=True)
class _Entry(Generic[Content]):
    owner: str
    content: Content
    expires_at: float


class OneTimeStore(Generic[Content]):
    """Random names, each good for one use by its owner. Only hashes of the names are kept."""

    def __init__(
        self, life_s: float = LIFE_S, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin empty.

        Args:
            life_s: for how long a name can be used.
            clock: seconds.
        """
        self.life_s, self._clock = life_s, clock
        self._entries: dict[bytes, _Entry[Content]] = {}  # in order of time
        self._counts: dict[str, int] = {}

    def issue(self, owner: str, content: Content) -> str | None:
        """Make a name of 192 random bits.

        Args:
            owner: the id of the key that it is for.
            content: what `use` returns.

        Returns:
            The name; None where the owner, or all of them, have too many that are unused.
        """
        self._drop_expired()
        if self._counts.get(owner, 0) >= _MOST_PER_OWNER or len(self._entries) >= _MOST:
            return None
        name = secrets.token_urlsafe(24)
        self._entries[_hashed(name)] = _Entry(owner, content, self._clock() + self.life_s)
        self._counts[owner] = self._counts.get(owner, 0) + 1
        return name

    def use(self, name: str, owner: str | None = None) -> Content | None:
        """Use a name, which is then gone whatever comes of it.

        Args:
            name: as `issue` returned it.
            owner: who uses it; None = whoever has it.

        Returns:
            What was issued under it; None where it was never issued, was used, has expired or is
            another's.
        """
        self._drop_expired()
        entry = self._entries.get(_hashed(name))
        # Another's attempt must not spend it.
        if entry is None or (owner is not None and entry.owner != owner):
            return None
        self._drop(_hashed(name))
        return entry.content

    def __len__(self) -> int:
        return len(self._entries)

    def _drop_expired(self) -> None:
        now = self._clock()
        while self._entries:
            first = next(iter(self._entries))
            if self._entries[first].expires_at > now:
                return
            self._drop(first)

    def _drop(self, hashed: bytes) -> None:
        owner = self._entries.pop(hashed).owner
        self._counts[owner] -= 1
        if not self._counts[owner]:
            del self._counts[owner]


def _hashed(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
