"""``WS /v1/twilio``: Twilio Media Streams; ``GET /v1/calls/{sid}``: what was found."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from rawnet_jax.data.pcm import PcmFormat
from rawnet_jax.json_text import parsed_json
from rawnet_jax.serve.access import Caller, Principal, TheService, service_of
from rawnet_jax.serve.documented import problems
from rawnet_jax.serve.keys import Role
from rawnet_jax.serve.live_stream import LiveStream
from rawnet_jax.serve.messages import CallMessage
from rawnet_jax.serve.problems import Problem
from rawnet_jax.serve.routes_stream import judged
from rawnet_jax.serve.service import Service
from rawnet_jax.serve.stream_messages import Ended
from rawnet_jax.serve.stream_socket import Socket, attend
from rawnet_jax.serve.twilio import RATE_HZ, SIGNATURE, is_known_form, samples_of
from rawnet_jax.serve.visit import Claims, visit

router = APIRouter(tags=["stream"])

_MOST_LETTERS = 256
_PASSED_OVER = {"mark", "dtmf"}
_TRACK = "inbound"  # what the caller says; the other one is what he is told


@router.websocket("/v1/twilio")
async def twilio(websocket: WebSocket) -> None:
    """Judge the caller's side of a call that Twilio streams."""
    service = service_of(websocket)

    def authorise() -> Principal:
        known = service.gate.twilio
        if known is None or not known.is_signed(websocket.headers.get(SIGNATURE)):
            raise Ended(4001, "Twilio's signature is needed")
        return Principal("twilio", Role.GATE, service.settings.streams)

    async def converse(socket: Socket, who: Principal) -> None:
        begun = await _begun(socket)
        call = begun["callSid"]
        parameters = begun.get("customParameters") or {}
        claims = Claims(
            _name(parameters, "challenge_id"),
            _name(parameters, "subject"),
            # Without it, the address would be Twilio's, the same for every caller.
            _name(parameters, "source") or call,
        )
        service.calls.put(call, {"state": "refused"})
        ended = None
        async with visit(websocket, service, who, "/v1/twilio", claims) as one:
            recording = _Call(service, call)
            live = LiveStream(
                service,
                PcmFormat("mulaw", RATE_HZ),
                recording.send,
                is_gate=False,
                keeps=one.counts,
            )
            recording.put("running", live.said())
            ended = await judged(one, live, recording, lambda: _take(socket, live))
        if recording.state != "done":
            recording.put("failed", {"verdict": "cannot judge", "reason": "the call broke off"})
        if ended is not None:
            raise ended

    await attend(websocket, service, authorise, converse)


@router.get(
    "/v1/calls/{call_sid}",
    summary="Ask for a call",
    response_model=CallMessage,
    response_model_exclude_none=True,
    responses=problems(401, 404, 422),
)
async def get_call(call_sid: str, service: TheService, who: Caller) -> Response:
    """Tell the verdict on a call so far, or in the end, for ten minutes."""
    said = service.calls.get(call_sid)
    if said is None:
        raise Problem("not-found", "no such call, or none any more")
    if who.is_gate:
        said = {name: said[name] for name in ("state", "verdict", "token") if name in said}
    return JSONResponse({"call_sid": call_sid} | said)


class _Call:
    """Stands for the socket where messages are for whoever asks later, not for Twilio."""

    def __init__(self, service: Service, name: str) -> None:
        self._service, self._name = service, name
        self.state = "running"

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] in ("verdict", "done"):
            said = {name: value for name, value in message.items() if name != "type"}
            self.put("done" if message["type"] == "done" else "running", said)

    def put(self, state: str, said: dict[str, Any]) -> None:
        self.state = state
        self._service.calls.put(self._name, {"state": state} | said)


async def _begun(socket: Socket) -> dict[str, Any]:
    """Return what the message ``start`` says; ``connected`` comes before it."""
    event = await _event(socket)
    if event["event"] == "connected":
        event = await _event(socket)
    begun = event.get("start")
    if event["event"] != "start" or not isinstance(begun, dict):
        raise Ended(1008, "the first messages must be connected and start")
    if _name(begun, "callSid") is None or not is_known_form(begun.get("mediaFormat")):
        raise Ended(1008, "start must have callSid, and mediaFormat audio/x-mulaw, 8000, 1")
    if not isinstance(begun.get("customParameters") or {}, dict):
        raise Ended(1008, "customParameters must be an object")
    return begun


async def _take(socket: Socket, live: LiveStream) -> None:
    while True:
        await live.room()
        event = await _event(socket)
        if event["event"] == "stop":
            return
        if event["event"] in _PASSED_OVER:
            continue
        media = event.get("media")
        if event["event"] != "media" or not isinstance(media, dict):
            raise Ended(1008, "after start there may be media, mark, dtmf and stop")
        if media.get("track", _TRACK) != _TRACK:
            continue
        samples = samples_of(media.get("payload"))
        if samples is None:
            raise Ended(1008, "media must have a payload in base64")
        live.feed(samples)


async def _event(socket: Socket) -> dict[str, Any]:
    message = await socket.receive()
    try:
        found = parsed_json(message) if isinstance(message, str) else None
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("event"), str):
        raise Ended(1003, "a message must be JSON, an object with an event")
    return found


def _name(given: dict[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is not None and not (isinstance(value, str) and 0 < len(value) <= _MOST_LETTERS):
        raise Ended(1008, f"{name} must be a string of 1 to {_MOST_LETTERS} characters")
    return value
