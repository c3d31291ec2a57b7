"""Challenges: proof that a decision was requested recently, and that it is used once."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from rawnet_jax.serve.one_time import LIFE_S, OneTimeStore

_DIGITS_OF_PHRASE = 6


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a client has to name with the recording.

    Attributes:
        id: its name, single use.
        nonce: random; stands in the signed decision.
        phrase: digits to speak. The detector does not hear words: whether they were spoken is the
            caller's to check, by speech recognition.
        expires_at: Unix time.
    """

    id: str
    nonce: str
    phrase: str
    expires_at: float


class Challenges:
    """Challenges that wait for their recording."""

    def __init__(
        self,
        life_s: float = LIFE_S,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin without any; those of before a restart are refused."""
        self._store: OneTimeStore[tuple[str, str, float]] = OneTimeStore(life_s, clock=clock)
        self._wall_clock = wall_clock

    def issue(self, key_id: str) -> Challenge | None:
        """Return a new challenge for the holder of a key; None = too many are unused."""
        phrase = " ".join(str(secrets.randbelow(10)) for _ in range(_DIGITS_OF_PHRASE))
        content = (secrets.token_urlsafe(16), phrase, self._wall_clock() + self._store.life_s)
        name = self._store.issue(key_id, content)
        return None if name is None else Challenge(name, *content)

    def use(self, name: str, key_id: str) -> Challenge | None:
        """Return a challenge and forget it; None = unknown, used, expired or another key's."""
        content = self._store.use(name, key_id)
        return None if content is None else Challenge(name, *content)
