"""One request that asks for a decision: from its challenge and its tries to the audit log.

Every route that decides goes this way, so that none forgets a part:

    async with visit(request, service, who, "/v1/gate") as one:
        …                                   # receive, decode, score
        conclusion = await one.conclude(judged, content)

Leaving it without a conclusion counts as the client's failure if the client was at fault (4xx), and
as none if the service was.
"""

import asyncio
import contextlib
import hashlib
import ipaddress
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from starlette.requests import HTTPConnection

from rawnet_jax import __version__
from rawnet_jax.errors import DataError
from rawnet_jax.labels import Label
from rawnet_jax.scoring.verdict import CANNOT_JUDGE
from rawnet_jax.serve.access import Principal
from rawnet_jax.serve.answers import reason_class
from rawnet_jax.serve.attempts import Attempt, Outcome, State
from rawnet_jax.serve.audit import rounded
from rawnet_jax.serve.challenges import Challenge
from rawnet_jax.serve.problems import Problem
from rawnet_jax.serve.replayed import Seen
from rawnet_jax.serve.service import Judged, Service

SUBJECT = "X-Gate-Subject"
SOURCE = "X-Gate-Source"
CHALLENGE = "X-Challenge-ID"
REPLAYED = "replayed"
POLICY = "1"
"""Of the way to a decision, in the log: a number that goes up when that way changes."""

_MOST_NAME = 256
_OF_ANALYSTS = ("/v1/score", "/v1/stream")
_UNRECORDED = "the decision could not be recorded"

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What was decided.

    Attributes:
        verdict: "bonafide", "spoof" or "cannot judge".
        reason: a class of reason; None where the verdict says it all.
        audio_sha256: of the bytes that were judged.
        token: the decision, signed; None where it is not "bonafide" or there is no key for it.
    """

    verdict: str
    reason: str | None
    audio_sha256: str
    token: str | None = None

    @property
    def is_bonafide(self) -> bool:
        """Whether the recording may go on."""
        return self.verdict == Label.BONAFIDE.key


@dataclass(eq=False)
class Visit:
    """A request on its way to a decision.

    Attributes:
        service: the service.
        who: who asks.
        endpoint: of the request.
        request_id: of the request.
        challenge: that it named; None = none.
        subject: keyed name of who claims to speak; None = nobody is named.
        network: of the client, without its host; None = not known.
        outcome: what came of the attempt.
        extra: more for the audit log.
        is_logged: whether a line of it is in the audit log.
    """

    service: Service
    who: Principal
    endpoint: str
    request_id: str
    challenge: Challenge | None
    subject: str | None
    network: str | None
    attempt: Attempt | None = None
    outcome: Outcome = Outcome.VOID
    extra: dict[str, Any] = field(default_factory=dict)
    _seen: Seen | None = None
    is_logged: bool = False

    async def conclude(self, judged: Judged, content: bytes) -> Conclusion:
        """Decide, log the decision and sign it.

        Args:
            judged: the recording.
            content: its bytes, as they came.

        Raises:
            Problem: the decision cannot be recorded, so there is none.
        """
        self.extra |= _of_recording(judged)
        digest = await self._in_thread(lambda: hashlib.sha256(content).hexdigest())
        reason = reason_class(judged)
        return await self.decide(
            judged.record["verdict"], reason, lambda: judged.decoded.waveform, digest
        )

    async def decide(
        self, verdict: str, reason: str | None, waveform: Callable[[], np.ndarray], digest: str
    ) -> Conclusion:
        """Decide on what was judged elsewhere, log the decision and sign it.

        Args:
            verdict: by the score.
            reason: class of reason.
            waveform: returns the recording at 16 kHz; called in a thread, if at all.
            digest: SHA-256 of the bytes that came, hexadecimal.

        Raises:
            Problem: the decision cannot be recorded, so there is none.
        """
        if self.counts and verdict != CANNOT_JUDGE and await self._is_replayed(waveform):
            verdict, reason = Label.SPOOF.key, REPLAYED
        outcomes = {Label.SPOOF.key: Outcome.FAILED, CANNOT_JUDGE: Outcome.CANNOT_JUDGE}
        self.outcome = outcomes.get(verdict, Outcome.VOID)
        self.extra["audio"] = self.service.gate.secret.tag("audio", digest)
        await self.log(verdict, reason)
        token = self._signed(verdict, digest) if verdict == Label.BONAFIDE.key else None
        return Conclusion(verdict, reason, digest, token)

    @property
    def counts(self) -> bool:
        """Whether attempts count and replays are looked for: analysts may ask again and again."""
        return self.who.is_gate or self.endpoint not in _OF_ANALYSTS

    async def log(self, verdict: str, reason: str | None) -> None:
        """Write a line of the audit log and wait until it is on disk.

        Args:
            verdict: what was decided.
            reason: class of reason.

        Raises:
            Problem: it is not on disk.
        """
        audit, self.is_logged = self.service.gate.audit, True
        if audit is None:
            return
        line = self._line(verdict, reason) | self.extra
        try:
            await self._in_thread(lambda: audit.append(line))
        except DataError:
            raise Problem("not-recorded", _UNRECORDED) from None

    async def end(self, error: BaseException | None) -> None:
        """Correct the counts by what came of the visit; `error` ended it."""
        is_clients = isinstance(error, Problem) and error.status < 500 and error.status != 429
        if isinstance(error, Problem) and error.kind == "refused":
            pass  # decided and logged
        elif isinstance(error, Problem) and is_clients and self.attempt is not None:
            self.outcome = Outcome.CANNOT_JUDGE
            if not self.is_logged:
                await self.log(CANNOT_JUDGE, error.kind)
        elif error is not None:
            self.outcome = Outcome.VOID
            if self._seen is not None and not self._seen.is_replayed:
                seen, replayed = self._seen, self.service.gate.replayed
                await self._in_thread(lambda: replayed.forget(seen))
        if self.attempt is not None:
            attempt, attempts = self.attempt, self.service.gate.attempts
            await self._in_thread(lambda: attempts.end(attempt, self.outcome))

    def _signed(self, verdict: str, digest: str) -> str | None:
        signer, upstream = self.service.gate.signer, self.service.gate.upstream
        if signer is None:
            return None
        return signer.sign(
            audience=self.who.key_id if upstream is None else upstream.audience,
            decision=verdict,
            audio_sha256=digest,
            model_digest=self.service.detector.info.digest,
            challenge_id=None if self.challenge is None else self.challenge.id,
            nonce=None if self.challenge is None else self.challenge.nonce,
            request_id=self.request_id,
        )

    async def _is_replayed(self, waveform: Callable[[], np.ndarray]) -> bool:
        replayed = self.service.gate.replayed
        try:
            self._seen = await self._in_thread(lambda: replayed.check(waveform()))
        except DataError:
            raise Problem("not-recorded", "recordings cannot be remembered") from None
        return self._seen.is_replayed

    def _line(self, verdict: str, reason: str | None) -> dict[str, Any]:
        info = self.service.detector.info
        return {
            "time": round(time.time(), 3),
            "request_id": self.request_id,
            "endpoint": self.endpoint,
            "key_id": self.who.key_id,
            "subject": self.subject,
            "challenge_id": self.challenge and self.challenge.id,
            "decision": verdict,
            "reason_class": reason,
            "threshold": rounded(info.threshold, 6),
            "policy": POLICY,
            "model_digest": info.digest,
            "code_version": __version__,
            "network": self.network,
        }

    async def _in_thread(self, work: Callable[[], Found]) -> Found:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.service.gate.threads, work)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a client says of a recording.

    Attributes:
        challenge_id: of a challenge; None = none.
        subject: who claims to speak; None = nobody is named.
        source: where it comes from; None = the address of the client.
    """

    challenge_id: str | None = None
    subject: str | None = None
    source: str | None = None

    @classmethod
    def of_headers(cls, connection: HTTPConnection) -> "Claims":
        """Return what the header fields of a request say.

        Raises:
            Problem: a field is empty or too long.
        """
        found = [connection.headers.get(name) for name in (CHALLENGE, SUBJECT, SOURCE)]
        if any(value is not None and not 0 < len(value) <= _MOST_NAME for value in found):
            names = f"{CHALLENGE}, {SUBJECT} and {SOURCE}"
            raise Problem("bad-request", f"{names} must have 1 to {_MOST_NAME} characters")
        return cls(*found)


@contextlib.asynccontextmanager
async def visit(
    connection: HTTPConnection,
    service: Service,
    who: Principal,
    endpoint: str,
    claims: Claims | None = None,
) -> AsyncIterator[Visit]:
    """Begin a visit: use its challenge, and count its attempt.

    Args:
        connection: the request.
        service: the service.
        who: who asks.
        endpoint: of the request.
        claims: what the client says; None = the header fields X-Gate-Subject, X-Gate-Source and
            X-Challenge-ID are read.

    Raises:
        Problem: the challenge is unknown, used or missing; the subject or the source has to wait
            or is locked; or counts cannot be kept.
    """
    said = Claims.of_headers(connection) if claims is None else claims
    tag = service.gate.secret.tag
    one = Visit(
        service,
        who,
        endpoint,
        getattr(connection.state, "request_id", "") or uuid.uuid4().hex,
        _challenge(said.challenge_id, service, who),
        None if said.subject is None else tag("subject", said.subject),
        network_of(connection),
    )
    if one.counts:
        peer = None if connection.client is None else f"peer {connection.client.host}"
        source = peer if said.source is None else said.source
        one.attempt = await _begun(one, None if source is None else tag("source", source))
    try:
        yield one
    except BaseException as error:
        await asyncio.shield(one.end(error))
        raise
    await one.end(None)


async def _begun(one: Visit, source: str | None) -> Attempt:
    attempts = one.service.gate.attempts
    try:
        standing, attempt = await one._in_thread(lambda: attempts.begin(one.subject, source))
    except DataError:
        raise Problem("not-recorded", "attempts cannot be counted") from None
    if attempt is not None:
        return attempt
    await one.log(CANNOT_JUDGE, standing.state.value)
    if standing.state is State.LOCKED:
        raise Problem("locked")
    raise Problem("wait", retry_after_s=standing.retry_after_s)


def _challenge(name: str | None, service: Service, who: Principal) -> Challenge | None:
    if name is None:
        if service.gate.needs_challenge and who.is_gate:
            raise Problem("challenge", f"{CHALLENGE} must name one of POST /v1/challenges")
        return None
    found = service.gate.challenges.use(name, who.key_id)
    if found is None:
        raise Problem("challenge")
    return found


def network_of(connection: HTTPConnection) -> str | None:
    """Return the network of a client, /24 or /48: what the log may have of an address."""
    try:
        address = ipaddress.ip_address(connection.client.host if connection.client else "")
    except ValueError:
        return None
    bits = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network((address, bits), strict=False))


def _of_recording(judged: Judged) -> dict[str, Any]:
    record, seen, timing = judged.record, judged.seen, judged.timing_ms
    return {
        "llr": rounded(record["llr"]),
        "duration_s": rounded(record["duration_s"]),
        "speech_s": rounded(record["scored_s"]),
        **{name: seen.get(name) for name in ("container", "codec", "rate_hz", "channels")},
        **{f"{part}_ms": timing.get(part) for part in ("queue", "decode", "score")},
    }
