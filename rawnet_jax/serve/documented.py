"""What several routes say of themselves in the OpenAPI document."""

from typing import Any

from rawnet_jax.serve.body import FIELD
from rawnet_jax.serve.messages import ProblemMessage
from rawnet_jax.serve.problems import MEDIA_TYPE

_FILE = {"type": "string", "format": "binary"}

BODY: dict[str, Any] = {
    "required": True,
    "description": "WAV, FLAC, Ogg or MP3, and with the extra `media` m4a, webm and others; what "
    "it is, is told by its first bytes.",
    "content": {
        "application/octet-stream": {"schema": _FILE},
        "audio/*": {"schema": _FILE},
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {FIELD: _FILE}, "required": [FIELD]}
        },
    },
}
"""A request's recording."""

AUDIO_BODY: dict[str, Any] = BODY | {
    "content": {name: form for name, form in BODY["content"].items() if "form" not in name}
}
"""The same where it must be the audio file itself."""

_SAID = {
    400: "The request is not as it must be.",
    401: "A key is needed.",
    403: "This key does not allow it.",
    404: "There is no such thing, or none any more.",
    408: "The body came too slowly.",
    409: "It is there already.",
    413: "The body is too large.",
    415: "The body is not audio in a format that is read here.",
    422: "A parameter is not as it must be, or the audio cannot be decoded.",
    429: "This key asks too much, or attempts have failed; Retry-After says when to try again.",
    502: "The system behind the gate failed.",
    504: "The system behind the gate took too long.",
    503: "The service is full or not ready; Retry-After says when to try again.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what a route says of its errors."""
    schema = {"$ref": "#/components/schemas/ProblemMessage"}
    return {
        status: {"description": _SAID[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def add_problem_schema(document: dict[str, Any]) -> None:
    """Add the form of errors, which no route returns as a model, to an OpenAPI document."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.setdefault("ProblemMessage", ProblemMessage.model_json_schema())
