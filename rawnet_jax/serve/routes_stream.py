"""``WS /v1/stream``: samples in pieces, windows and verdicts as soon as they are known."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from rawnet_jax.labels import Label
from rawnet_jax.scoring.verdict import CANNOT_JUDGE
from rawnet_jax.serve.access import Principal, TheService, service_of, socket_principal
from rawnet_jax.serve.answers import pace
from rawnet_jax.serve.asyncapi import asyncapi_document
from rawnet_jax.serve.attempts import Outcome
from rawnet_jax.serve.audit import rounded
from rawnet_jax.serve.live_stream import LiveStream
from rawnet_jax.serve.stream_messages import Ended, control_of, start_of
from rawnet_jax.serve.stream_socket import Socket, attend
from rawnet_jax.serve.visit import Claims, Visit, visit

router = APIRouter(tags=["stream"])

LEFT = "left"
"""Class of reason, in the log alone: the client did not wait for the decision."""


@router.get("/asyncapi.json", include_in_schema=False)
async def asyncapi(service: TheService) -> Response:
    """Describe the sockets (AsyncAPI 3.0)."""
    return JSONResponse(asyncapi_document(service.settings))


@router.websocket("/v1/stream")
async def stream(websocket: WebSocket) -> None:
    """Judge a stream; see ``/asyncapi.json``."""
    service = service_of(websocket)

    def authorise() -> Principal:
        check_origin(websocket, service.gate.origins)
        who = socket_principal(websocket)
        if who is None:
            raise Ended(4001, "a key or a ticket is needed")
        return who

    async def converse(socket: Socket, who: Principal) -> None:
        first = await socket.receive()
        if isinstance(first, bytes):
            raise Ended(1003, "the first message must be text, of the type start")
        start = start_of(control_of(first), service.settings)
        claims = Claims(start.challenge_id, start.subject, start.source)
        ended = None
        async with visit(websocket, service, who, "/v1/stream", claims) as one:
            live = LiveStream(
                service, start.form, socket.send, is_gate=who.is_gate, keeps=one.counts
            )
            ended = await judged(one, live, socket, lambda: _take(socket, live))
        if ended is not None:
            raise ended

    await attend(websocket, service, authorise, converse)


def check_origin(websocket: WebSocket, origins: frozenset[str]) -> None:
    """Refuse scripts of pages that are not on the list; programs send no Origin.

    CORS does not apply to sockets, and the page's own host proves nothing: whoever owns a name can
    point it here.

    Raises:
        Ended: the page is not on it.
    """
    origin = websocket.headers.get("origin")
    if origin is not None and origin not in origins:
        raise Ended(4003, "this page is not on the list of --origin")


class Sender(Protocol):
    """Whoever is told what was found."""

    async def send(self, message: dict[str, Any]) -> None:
        """Take a message."""


async def judged(
    one: Visit, live: LiveStream, sender: Sender, take: Callable[[], Awaitable[None]]
) -> Exception | None:
    """Hold a stream from ``started`` to ``done``.

    Args:
        one: its visit.
        live: the stream.
        sender: is told what was found.
        take: reads messages until the client stops.

    Returns:
        What ended it; None where the client did.
    """
    ended: Exception | None = None
    try:
        await sender.send(_started(one, live))
        try:
            await take()
        except Ended as early:
            if not early.is_judged:
                raise
            ended = early
        stopped_s = time.monotonic()
        await live.finish()
        done = await _done(one, live)
        await pace(one.who, stopped_s, one.service.settings.answer_step_s)
        await sender.send(done)
    except (WebSocketDisconnect, Ended) as early:
        if not one.is_logged:
            is_spoof = live.running.record["verdict"] == Label.SPOOF.key
            one.outcome = Outcome.FAILED if is_spoof else Outcome.CANNOT_JUDGE
            await one.log(CANNOT_JUDGE, LEFT)
        return early
    finally:
        await live.abandon()
    return ended


async def _take(socket: Socket, live: LiveStream) -> None:
    while True:
        await live.room()
        message = await socket.receive()
        if isinstance(message, bytes):
            live.feed(message)
            continue
        control = control_of(message)
        if control["type"] == "stop":
            return
        if control["type"] != "keepalive":
            raise Ended(1008, "after start there may be keepalive and stop")


def _started(one: Visit, live: LiveStream) -> dict[str, Any]:
    settings = one.service.settings
    return {
        "type": "started",
        "session": one.request_id,
        "window_s": live.window_s,
        "hop_s": live.hop_s,
        "limits": {
            "max_stream_s": settings.max_stream_s,
            "idle_s": settings.stream_idle_s,
            "max_message_bytes": 2**16,
        },
    }


async def _done(one: Visit, live: LiveStream) -> dict[str, Any]:
    """Decide, and return the last message."""
    running, record = live.running, live.running.record
    one.extra |= {"llr": rounded(record["llr"]), "duration_s": round(live.duration_s, 3)}
    found = await one.decide(
        record["verdict"], running.class_of_reason, live.waveform, live.digest.hexdigest()
    )
    said: dict[str, Any] = {"verdict": found.verdict, "reason": found.reason}
    if not one.who.is_gate:
        said = record
    more = {
        "duration_s": round(live.duration_s, 6),
        "scored_s": running.end_s if running.scores else 0.0,
        "num_windows": running.num_windows,
        "session": one.request_id,
        "challenge_id": one.challenge and one.challenge.id,
        "audio_sha256": found.audio_sha256,
        "token": found.token,
    }
    return {"type": "done"} | said | more
