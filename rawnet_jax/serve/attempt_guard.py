"""What stands around an attempt of a speaker: tries are counted, challenges used, replays seen."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from rawnet_jax.serve.access import Principal
from rawnet_jax.serve.attempts import Attempt, Attempts, Outcome, State
from rawnet_jax.serve.problems import Problem
from rawnet_jax.serve.service import Judged, Service
from rawnet_jax.speaker.verification import Decision

_SERVERS_FAULT = 500


@dataclass(slots=True)
class Hold:
    """An attempt that was asked for.

    Attributes:
        wait_s: it must not be made before so long, infinite = never; None = it may.
        attempt: as counted; None = nobody counts.
        decision: what came of it; set by who makes it.
    """

    wait_s: float | None = None
    attempt: Attempt | None = None
    decision: Decision | None = None


class AttemptGuard:
    """The guard of one request, by what its service has: `attempts`, `challenges`, `replayed`."""

    def __init__(self, service: Service) -> None:
        self._attempts: Attempts | None = service.attempts
        self._challenges: Any = getattr(service, "challenges", None)
        self._replayed: Any = getattr(service, "replayed", None)

    async def begin(self, subject: str, who: Principal) -> Hold:
        """Count an attempt before it is made, so that many at once gain nothing.

        Args:
            subject: keyed name of the claimed speaker.
            who: asks; the source of the attempt.
        """
        if self._attempts is None:
            return Hold()
        standing, attempt = await asyncio.to_thread(self._attempts.begin, subject, who.key_id)
        if standing.state is not State.OPEN:
            return Hold(wait_s=standing.retry_after_s)
        return Hold(attempt=attempt)

    @contextlib.asynccontextmanager
    async def counted(self, hold: Hold) -> AsyncIterator[Hold]:
        """Correct the count by what comes of the attempt."""
        outcome = Outcome.VOID
        try:
            yield hold
            outcome = outcome_of(hold.decision)
        except Problem as problem:
            if problem.status < _SERVERS_FAULT:
                outcome = Outcome.CANNOT_JUDGE
            raise
        finally:
            if self._attempts is not None and hold.attempt is not None:
                await asyncio.to_thread(self._attempts.end, hold.attempt, outcome)

    def use_challenge(self, challenge_id: str | None, who: Principal) -> None:
        """Use up the challenge of a request.

        Raises:
            Problem: it is unknown, used, expired or another key's.
        """
        if challenge_id is None:
            return
        if self._challenges is None:
            raise Problem("bad-parameter", "challenge_id: this service gives no challenges")
        if self._challenges.use(challenge_id, who.key_id) is None:
            raise Problem("bad-parameter", "challenge_id: unknown, used or expired")

    async def is_replayed(self, judged: Judged) -> bool:
        """Return whether a recording was here before."""
        if self._replayed is None:
            return False
        seen = await asyncio.to_thread(self._replayed.check, judged.decoded.waveform)
        return bool(seen.is_replayed)


def outcome_of(decision: Decision | None) -> Outcome:
    """Return how a decision counts: what is inconclusive on a score counts as a failure, or it
    would tell an attacker how near he is.
    """
    if decision is None:
        return Outcome.VOID
    if decision == Decision.ACCEPT:
        return Outcome.PASSED
    return Outcome.CANNOT_JUDGE if decision == Decision.NOT_ENOUGH_SPEECH else Outcome.FAILED
