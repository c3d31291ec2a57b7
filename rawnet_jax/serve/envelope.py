"""What surrounds every answer: its number, headers for safety, a count, and the last way out."""

import logging
import uuid
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rawnet_jax.serve.meters import Meters
from rawnet_jax.serve.problems import Problem, place_of

_LOG = logging.getLogger(__name__)

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(), camera=(), geolocation=()",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
}
"""Of every answer, unless the route sets its own."""

_UNKNOWN = "unknown"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Envelope:
    """ASGI middleware, outermost: every HTTP request goes through it."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app = app
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                more = scope["state"].get("more_headers", {})
                _add(message["headers"], {"X-Request-ID": request_id, **more})
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except Exception as error:
            # Names of files stay out of the log: the kind of error and its place are enough.
            place = place_of(error)
            _LOG.error("request %s: %s in %s", request_id, type(error).__name__, place)
            if status:
                raise
            await Problem("internal").response(request_id)(scope, receive, send_on)
        finally:
            route = getattr(scope.get("route"), "path", _UNKNOWN)
            method = scope["method"] if scope["method"] in _METHODS else _UNKNOWN
            self._meters.requests.labels(route, method, str(status)).inc()


def _add(headers: list[tuple[bytes, bytes]], more: Mapping[str, str]) -> None:
    there = {name.lower() for name, _ in headers}
    for name, value in {**HEADERS, **more}.items():
        if name.lower().encode() not in there:
            headers.append((name.encode(), value.encode()))
