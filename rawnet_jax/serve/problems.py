"""Errors as the client sees them: ``application/problem+json`` (RFC 9457) with a stable type."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"

TYPE = "urn:rawnet-jax:problem:{}"
"""What ``type`` says: the name behind it is a key of `KINDS` and stays as it is."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem.

    Attributes:
        status: of HTTP.
        title: one sentence, the same for every problem of the kind.
    """

    status: int
    title: str


KINDS: Mapping[str, Kind] = {
    "bad-request": Kind(400, "The request is not as it must be."),
    "unauthorized": Kind(401, "A key is needed."),
    "forbidden": Kind(403, "This key does not allow it."),
    "locked": Kind(403, "There were too many failed attempts."),
    "challenge": Kind(403, "The challenge is missing, unknown, used or expired."),
    "refused": Kind(403, "The recording is refused."),
    "not-found": Kind(404, "There is nothing here."),
    "method-not-allowed": Kind(405, "This method is not allowed here."),
    "conflict": Kind(409, "It is there already."),
    "too-slow": Kind(408, "The body came too slowly."),
    "too-large": Kind(413, "The body is too large."),
    "not-audio": Kind(415, "The body is not audio in a format that is read here."),
    "bad-parameter": Kind(422, "A parameter is not as it must be."),
    "not-enrolled": Kind(422, "The clips do not make an enrolment."),
    "undecodable": Kind(422, "The audio cannot be decoded."),
    "too-long": Kind(422, "The recording is too long."),
    "out-of-bounds": Kind(422, "Sample rate, channels or level are out of bounds."),
    "too-many-requests": Kind(429, "This key asks too much."),
    "wait": Kind(429, "There were several failed attempts; the next one has to wait."),
    "upstream-failed": Kind(502, "The system behind the gate failed."),
    "upstream-timeout": Kind(504, "The system behind the gate took too long."),
    "not-recorded": Kind(503, "The decision cannot be recorded, so there is none."),
    "internal": Kind(500, "The service failed."),
    "overloaded": Kind(503, "The service is full."),
    "not-ready": Kind(503, "The service is not ready."),
    "http-error": Kind(500, "The request failed."),  # the status is the error's own
}


class Problem(Exception):
    """What ends a request.

    Attributes:
        kind: a key of `KINDS`.
        detail: what is wrong with this request, for people.
        retry_after_s: when to try again; None = there is no use.
        more: fields of the answer beside those of RFC 9457.
        status: of HTTP.
    """

    def __init__(
        self,
        kind: str,
        detail: str = "",
        *,
        retry_after_s: float | None = None,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.more = more
        self.headers = dict(headers or {})
        self.status = status or KINDS[kind].status

    def content(self, request_id: str) -> dict[str, Any]:
        """Return the body of the answer, ready for JSON."""
        return {
            "type": TYPE.format(self.kind),
            "title": KINDS[self.kind].title,
            "status": self.status,
            **({"detail": self.detail} if self.detail else {}),
            "request_id": request_id,
            **self.more,
        }

    def response(self, request_id: str) -> JSONResponse:
        """Return the answer."""
        headers = dict(self.headers)
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after_s)))
        return JSONResponse(self.content(request_id), self.status, headers, MEDIA_TYPE)


def place_of(error: BaseException) -> str:
    """Return where an error was raised; its message may hold what a client sent."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "?"
    return f"{trace.tb_frame.f_code.co_qualname}, line {trace.tb_lineno}"
