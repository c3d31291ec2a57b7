"""A server of one folder to browsers on this machine, with the headers that the page needs."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rawnet_jax.errors import ConfigError

LOOPBACK = "127.0.0.1"

_OWN = "connect-src 'self'"

_CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "worker-src 'self'",
        _OWN,
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)

HEADERS = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    # Both let the page have threads, which need shared memory.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
"""Of every answer."""


def policy_with(policy: str, origin: str | None) -> str:
    """Return a content security policy that lets the page ask one server more.

    Args:
        policy: text that holds the policy of the page.
        origin: of the server that scores; None = the policy as it is.
    """
    return policy if origin is None else policy.replace(_OWN, f"{_OWN} {origin}", 1)


_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".gz": "application/gzip",
    ".onnx": "application/octet-stream",
    ".txt": "text/plain; charset=utf-8",
}


class _Handler(SimpleHTTPRequestHandler):
    """Files of the folder; no list of them, nothing outside."""

    scoring_server: str | None = None
    server_version = "rawnet_jax"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    extensions_map = SimpleHTTPRequestHandler.extensions_map | _TYPES

    def parse_request(self) -> bool:
        """Refuse what was sent to another name: a page elsewhere may have pointed it here."""
        if not super().parse_request():
            return False
        host = self.headers.get("Host", "").rsplit(":", 1)[0]
        if host not in (LOOPBACK, "localhost"):
            self.send_error(421)
            return False
        return True

    def end_headers(self) -> None:
        """Add the headers that every answer has."""
        for name, value in HEADERS.items():
            self.send_header(name, policy_with(value, self.scoring_server))
        super().end_headers()

    def list_directory(self, path: Any) -> None:  # noqa: ARG002
        """Refuse to list a folder."""
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what a user looks at is nobody's business."""


def make_server(folder: Path, port: int, scoring_server: str | None = None) -> ThreadingHTTPServer:
    """Return a server of a folder on the loopback address; it has its port already.

    Args:
        folder: what is served.
        port: 0 = any that is free.
        scoring_server: origin of the server that the page may ask; None = none.

    Raises:
        ConfigError: the port cannot be had.
    """
    handler = type("_Handler", (_Handler,), {"scoring_server": scoring_server})
    try:
        return ThreadingHTTPServer((LOOPBACK, port), partial(handler, directory=str(folder)))
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"--port {port}: {said}; --port 0 takes one that is free") from error
