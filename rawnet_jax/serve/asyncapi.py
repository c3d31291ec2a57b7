"""The AsyncAPI document (3.0) of the socket: what an OpenAPI document has no words for."""

from typing import Any

from rawnet_jax import __version__
from rawnet_jax.serve.settings import Settings
from rawnet_jax.serve.stream_messages import CLOSE_CODES, ENCODINGS

Schema = dict[str, Any]

_NUMBER: Schema = {"type": "number"}
_TEXT: Schema = {"type": "string"}
_VERDICT: Schema = {"enum": ["bonafide", "spoof", "cannot judge"]}


def _or_null(schema: Schema) -> Schema:
    return {"oneOf": [schema, {"type": "null"}]}


_SCORES = {name: _or_null(_NUMBER) for name in ("score", "llr", "p_spoof")}
_REASON = {"reason": _or_null(_TEXT)}


def asyncapi_document(settings: Settings) -> dict[str, Any]:
    """Return the document, ready for JSON."""
    sent, received = _client_messages(settings), _server_messages()
    codes = "; ".join(f"{code} {said}" for code, said in CLOSE_CODES.items())
    names = {name: {"$ref": f"#/components/messages/{name}"} for name in (*sent, *received)}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "rawnet_jax streams", "version": __version__},
        "defaultContentType": "application/json",
        "channels": {
            "stream": {
                "address": "/v1/stream",
                "description": "Begin with start, then binary messages, end with stop. A key "
                "comes in the header Authorization or X-API-Key, a ticket of POST /v1/tickets as "
                f"?ticket=. Close codes: {codes}.",
                "messages": names,
                "bindings": {"ws": {"query": {"type": "object", "properties": {"ticket": _TEXT}}}},
            }
        },
        "operations": {
            "send": _operation("receive", sent),
            "hear": _operation("send", received),
        },
        "components": {"messages": sent | received},
    }


def _operation(action: str, messages: dict[str, Any]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": "#/channels/stream"},
        "messages": [{"$ref": f"#/channels/stream/messages/{name}"} for name in messages],
    }


def _client_messages(settings: Settings) -> dict[str, Any]:
    rate = {"type": "integer", "minimum": settings.min_rate_hz, "maximum": settings.max_rate_hz}
    channels = {"type": "integer", "minimum": 1, "maximum": settings.max_channels, "default": 1}
    name = {"type": "string", "minLength": 1, "maxLength": 256}
    start = {"encoding": {"enum": list(ENCODINGS)}, "rate": rate, "channels": channels}
    start |= dict.fromkeys(("challenge_id", "subject", "source"), name)
    return {
        "start": _message("start", start, ("encoding", "rate"), closed=True),
        "audio": {
            "contentType": "application/octet-stream",
            "payload": {"type": "string", "format": "binary", "maxLength": 2**16},
            "summary": "Whole frames of samples; 20 to 100 ms each are best.",
        },
        "keepalive": _message("keepalive", {}),
        "stop": _message("stop", {}),
    }


def _server_messages() -> dict[str, Any]:
    bounds = {"start_s": _NUMBER, "end_s": _NUMBER}
    verdict = {"verdict": _VERDICT} | _REASON
    last = {
        "duration_s": _NUMBER,
        "scored_s": _NUMBER,
        "num_windows": {"type": "integer"},
        "session": _TEXT,
        "challenge_id": _or_null(_TEXT),
        "audio_sha256": _TEXT,
        "token": _or_null(_TEXT),
    }
    started = {"session": _TEXT, "window_s": _NUMBER, "hop_s": _NUMBER}
    return {
        "started": _message("started", started | {"limits": {"type": "object"}}, tuple(started)),
        "window": _message("window", bounds | verdict | _SCORES, (*bounds, *verdict, *_SCORES)),
        "verdict": _message(
            "verdict", verdict | _SCORES | {"scored_s": _NUMBER}, (*verdict, "scored_s")
        ),
        "warning": _message(
            "warning", {"code": {"const": "falling_behind"}, "lag_s": _NUMBER}, ("code", "lag_s")
        ),
        "done": _message("done", verdict | _SCORES | last, (*verdict, *last)),
    }


def _message(
    kind: str, properties: dict[str, Any], required: tuple[str, ...] = (), *, closed: bool = False
) -> dict[str, Any]:
    payload = {
        "type": "object",
        "properties": {"type": {"const": kind}} | properties,
        "required": ["type", *required],
    }
    return {"payload": payload | ({"additionalProperties": False} if closed else {})}
