"""The filter proper: ``/v1/gate``, and what belongs to it: challenges, public keys, locks."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rawnet_jax.serve.access import Analyst, Caller, Principal, TheService
from rawnet_jax.serve.answers import pace
from rawnet_jax.serve.attempts import Outcome
from rawnet_jax.serve.body import read_body
from rawnet_jax.serve.documented import AUDIO_BODY, problems
from rawnet_jax.serve.messages import ChallengeMessage, GateMessage, KeySetMessage, TicketMessage
from rawnet_jax.serve.problems import Problem
from rawnet_jax.serve.service import Service
from rawnet_jax.serve.upstream import Upstream, UpstreamError
from rawnet_jax.serve.visit import CHALLENGE, SOURCE, SUBJECT, Conclusion, Visit, visit

router = APIRouter(tags=["gate"])

_PIECE_BYTES = 2**16
_TOO_MANY = "too many of this key are unused"

Subject = Annotated[
    str | None, Header(alias=SUBJECT, description="who claims to speak; kept as a keyed hash")
]
Source = Annotated[
    str | None,
    Header(
        alias=SOURCE,
        description="where the recording comes from, such as an address or a "
        "device; without, the client's address",
    ),
]
ChallengeID = Annotated[
    str | None, Header(alias=CHALLENGE, description="id of a challenge, single use")
]


@router.post(
    "/v1/gate",
    summary="Let a recording through, or not",
    response_model=GateMessage,
    openapi_extra={"requestBody": AUDIO_BODY},
    responses=problems(400, 401, 403, 408, 413, 415, 422, 429, 502, 503, 504),
)
async def gate(
    request: Request,
    service: TheService,
    who: Caller,
    _subject: Subject = None,
    _source: Source = None,
    _challenge: ChallengeID = None,
) -> Response:
    """Decide on the recording that is the body.

    Without an upstream, the answer is the decision. With one, what is bona fide goes on to it with
    a signed decision, and its answer comes back; all else is 403.
    """
    service.check_accepts()
    _check_form(request)
    async with visit(request, service, who, "/v1/gate") as one:
        with service.admission.holding() as hold:
            return await _answered(request, one, hold)


async def _answered(request: Request, one: Visit, hold: Callable[[int], None]) -> Response:
    service, who = one.service, one.who
    most, upstream = service.settings.max_body_bytes, service.gate.upstream
    with service.admission.receiving(who.key_id):
        content = await read_body(request, service.settings, most, hold)
    came_s = time.monotonic()
    if not content:
        raise Problem("bad-request", "the body is empty")
    is_let_through = False
    try:
        found = await _concluded(one, content)
        is_let_through = found.is_bonafide and upstream is not None
    finally:
        if not is_let_through:
            await pace(who, came_s, service.settings.answer_step_s)
    if upstream is None:
        return JSONResponse(_message(one, found))
    if not is_let_through:
        raise Problem("refused", reason=found.reason or found.verdict)
    return await _forwarded(request, one, upstream, content, found)


async def _concluded(one: Visit, content: bytes) -> Conclusion:
    service, who = one.service, one.who
    settings = service.settings
    with service.admission.working(who.key_id):
        most_s = settings.max_audio_gate_s if who.is_gate else settings.max_audio_s
        judged = await service.judge(content, max_s=most_s)
        return await one.conclude(judged, content)


async def _forwarded(
    request: Request, one: Visit, upstream: Upstream, content: bytes, found: Conclusion
) -> Response:
    """Return what the upstream says of a recording that was called bona fide."""
    if found.token is None:
        raise Problem("not-ready", "there is no key to sign decisions with")
    one.outcome = Outcome.VOID
    try:
        answer = await upstream.forward(
            _pieces(content), len(content), request.headers.items(), found.token
        )
    except UpstreamError as error:
        one.extra["event"] = "upstream failed"
        await one.log(found.verdict, "timeout" if error.is_timeout else "failed")
        raise Problem("upstream-timeout" if error.is_timeout else "upstream-failed") from None
    # That the speaker was let in clears the count of the subject, that he was not is a failure.
    one.outcome = Outcome.PASSED if answer.status < 300 else Outcome.FAILED
    one.extra |= {"event": "upstream", "upstream_status": answer.status}
    await one.log(found.verdict, None)
    response = Response(answer.body, answer.status)
    response.raw_headers += [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers
    ]
    return response


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _PIECE_BYTES):
        yield content[start : start + _PIECE_BYTES]


def _check_form(request: Request) -> None:
    """Refuse what an upstream could read in another way than it is read here."""
    kind = request.headers.get("content-type", "").lower()
    if kind.startswith("multipart/"):
        raise Problem("not-audio", "the body must be the audio file itself, not a form")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem("not-audio", "the body must have no Content-Encoding")


def _message(one: Visit, found: Conclusion) -> dict[str, Any]:
    return {
        "verdict": found.verdict,
        "reason": found.reason,
        "request_id": one.request_id,
        "challenge_id": one.challenge and one.challenge.id,
        "audio_sha256": found.audio_sha256,
        "token": found.token,
    }


@router.post(
    "/v1/challenges",
    summary="Get a challenge",
    status_code=201,
    response_model=ChallengeMessage,
    responses=problems(401, 429),
)
async def challenge(service: TheService, who: Caller) -> Response:
    """Give a name that one recording may bear within 60 s, a nonce and digits to speak."""
    found = service.gate.challenges.issue(who.key_id)
    if found is None:
        raise Problem("too-many-requests", _TOO_MANY, retry_after_s=1)
    said = {name: getattr(found, name) for name in ("id", "nonce", "phrase", "expires_at")}
    return JSONResponse(said, 201)


@router.post(
    "/v1/tickets",
    summary="Get a ticket for a socket",
    status_code=201,
    response_model=TicketMessage,
    responses=problems(401, 429),
)
async def ticket(service: TheService, who: Caller) -> Response:
    """Give a name that opens one WebSocket within 60 s: ``/v1/stream?ticket=…``."""
    found = service.gate.tickets.issue(who.key_id)
    if found is None:
        raise Problem("too-many-requests", _TOO_MANY, retry_after_s=1)
    return JSONResponse({"ticket": found.ticket, "expires_at": found.expires_at}, 201)


@router.get(
    "/v1/keys",
    summary="Public key of decisions",
    response_model=KeySetMessage,
    responses=problems(404),
)
async def keys(service: TheService) -> Response:
    """Give the public key as a JSON Web Key Set: get it once, over a channel that you trust."""
    if service.gate.signer is None:
        raise Problem("not-found", "decisions are not signed here")
    return JSONResponse(service.gate.signer.key_set)


@router.delete(
    "/v1/locks",
    summary="Forget a subject's failures",
    status_code=204,
    responses=problems(400, 401, 403, 404),
)
async def unlock(
    request: Request, service: TheService, who: Analyst, _subject: Subject = None
) -> Response:
    """Let a subject, named in X-Gate-Subject, try again; analysts alone."""
    name = request.headers.get(SUBJECT)
    if name is None:
        raise Problem("bad-request", f"{SUBJECT} must name the subject")
    tag, gate_ = service.gate.secret.tag("subject", name), service.gate
    loop = asyncio.get_running_loop()
    if not await loop.run_in_executor(gate_.threads, gate_.attempts.unlock, tag):
        raise Problem("not-found", "it has no failures")
    await _logged(request, service, who, tag)
    return Response(status_code=204)


async def _logged(request: Request, service: Service, who: Principal, tag: str) -> None:
    one = Visit(service, who, "/v1/locks", request.state.request_id, None, tag, None)
    one.extra["event"] = "unlocked"
    await one.log("-", None)
