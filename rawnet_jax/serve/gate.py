"""What makes a gate of the service, as one object: keys, limits, counts, memory, log, signature."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from rawnet_jax.serve.attempts import Attempts
from rawnet_jax.serve.audit import AuditLog
from rawnet_jax.serve.challenges import Challenges
from rawnet_jax.serve.decisions import Signer
from rawnet_jax.serve.keys import KeyRing
from rawnet_jax.serve.limits import RateLimiter
from rawnet_jax.serve.private_file import Secret
from rawnet_jax.serve.replayed import Replayed
from rawnet_jax.serve.tickets import Tickets
from rawnet_jax.serve.twilio import Twilio
from rawnet_jax.serve.upstream import Upstream

REQUESTS_PER_MINUTE = 600.0


@dataclass(eq=False, kw_only=True)
class Gate:
    """The parts of a gate. What is None is off; what is not given begins empty and in memory.

    Attributes:
        secret: derives the key of every keyed hash.
        key_ring: who may ask; None = whoever reaches the service, as an analyst.
        limiter: requests of a key.
        challenges: that wait for their recording.
        tickets: that wait for their socket.
        attempts: failures of subjects and sources.
        replayed: recordings of the last 30 days.
        audit: log of decisions.
        signer: signs decisions.
        upstream: where bona fide audio goes.
        needs_challenge: whether a recording without a challenge is refused.
        twilio: how its Media Streams are known; None = they are not taken.
        origins: pages whose scripts may ask and open sockets, such as ``https://bank.example``.
        threads: for what waits for a disk.
    """

    secret: Secret = field(default_factory=Secret)
    key_ring: KeyRing | None = None
    limiter: RateLimiter = field(default_factory=lambda: RateLimiter(REQUESTS_PER_MINUTE))
    challenges: Challenges = field(default_factory=Challenges)
    tickets: Tickets = field(default_factory=Tickets)
    attempts: Attempts = field(default_factory=Attempts)
    replayed: Replayed = None  # type: ignore[assignment]  # made of the secret
    audit: AuditLog | None = None
    signer: Signer | None = None
    upstream: Upstream | None = None
    needs_challenge: bool = False
    origins: frozenset[str] = frozenset()
    twilio: Twilio | None = None
    threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(4, thread_name_prefix="gate")
    )

    def __post_init__(self) -> None:
        if self.replayed is None:
            self.replayed = Replayed(self.secret)

    async def close(self) -> None:
        """Close connections and files."""
        if self.upstream is not None:
            await self.upstream.close()
        self.threads.shutdown()
        self.attempts.close()
        self.replayed.close()
        if self.audit is not None:
            self.audit.close()
