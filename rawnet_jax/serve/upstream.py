"""The system behind the gate: bona fide audio goes on to it, and nothing else does.

Whatever goes wrong on the way is a refusal. There is no setting by which it is not.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from rawnet_jax.errors import ConfigError, RawnetError
from rawnet_jax.serve.decisions import HEADER

CONNECT_S = 5.0
TIMEOUT_S = 30.0
MOST_ANSWER_BYTES = 2**20

_HOP_BY_HOP = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
    *("te", "trailer", "transfer-encoding", "upgrade"),
}
# The gate's own keys are none of the upstream's business; the rest is set here or by httpx.
_NOT_FORWARDED = _HOP_BY_HOP | {
    *("authorization", "x-api-key", "host", "content-length", "expect", "accept-encoding"),
    *(HEADER.lower(), "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"),
    *("x-real-ip", "x-gate-subject", "x-gate-source", "x-challenge-id", "prefer"),
}
_OTHER = "application/octet-stream"
_AUDIO = ("audio/", "video/", "application/ogg", _OTHER)
_NOT_RETURNED = _HOP_BY_HOP | {"content-length", "content-encoding", "server", "date", "alt-svc"}


class UpstreamError(RawnetError):
    """The upstream gave no answer that can be passed on.

    Attributes:
        is_timeout: whether it took too long.
    """

    def __init__(self, message: str, is_timeout: bool = False) -> None:
        super().__init__(message)
        self.is_timeout = is_timeout


@dataclass(frozen=True, slots=True)
class UpstreamAnswer:
    """What the upstream said.

    Attributes:
        status: HTTP status, 200 to 299 or 400 to 499.
        headers: without those of the connection.
        body: at most 1 MiB.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Upstream:
    """One URL, and the connections to it."""

    def __init__(
        self,
        url: str,
        *,
        audience: str | None = None,
        timeout_s: float = TIMEOUT_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            url: ``http://`` or ``https://``, with its path; each request goes to exactly this one.
            audience: ``aud`` of decisions; None = scheme, host and port of the URL.
            timeout_s: for an answer in all.
            transport: for tests.

        Raises:
            ConfigError: the URL is none that can be used.
        """
        self.url = checked_url(url)
        parts = urlsplit(url)
        self.audience = audience or f"{parts.scheme}://{parts.netloc}"
        self._timeout_s = timeout_s
        self._client = httpx.AsyncClient(
            transport=transport,
            timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s)),
            follow_redirects=False,
            # No proxy and no .netrc of the environment: audio goes where the flag says.
            trust_env=False,
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
        )

    async def forward(
        self,
        body: AsyncIterator[bytes],
        num_bytes: int,
        headers: Iterable[tuple[str, str]],
        token: str,
    ) -> UpstreamAnswer:
        """Send a recording that was called bona fide, with the decision.

        Args:
            body: the bytes as they came, in pieces.
            num_bytes: of all.
            headers: of the request; those of the connection and the gate's own are left out.
            token: the signed decision.

        Raises:
            UpstreamError: there is no answer that can be passed on: no connection, too late, a
                redirect, an error of the server, more than 1 MiB.
        """
        sent = forwarded_headers(headers)
        sent += [("Content-Type", _OTHER)] * (
            "content-type" not in {name.lower() for name, _ in sent}
        )
        sent += [(HEADER, token), ("Content-Length", str(num_bytes))]
        request = self._client.build_request("POST", self.url, content=body, headers=sent)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._answer(request)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise UpstreamError(
                f"upstream: no answer in {self._timeout_s:g} s", is_timeout=True
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError) as error:
            raise UpstreamError(f"upstream: {type(error).__name__}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _answer(self, request: httpx.Request) -> UpstreamAnswer:
        response = await self._client.send(request, stream=True)
        try:
            status = response.status_code
            if not (200 <= status < 300 or 400 <= status < 500):
                raise UpstreamError(f"upstream: status {status}")
            found = bytearray()
            async for part in response.aiter_bytes():
                found += part
                if len(found) > MOST_ANSWER_BYTES:
                    raise UpstreamError("upstream: an answer of more than 1 MiB")
            return UpstreamAnswer(status, _returned(response.headers), bytes(found))
        finally:
            await response.aclose()


def checked_url(url: str) -> str:
    """Return a URL that requests can go to.

    Raises:
        ConfigError: it cannot be used.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises where it is not a number
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as error:
        raise ConfigError(f"--upstream {url!r}: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"--upstream {url!r}: must be http://HOST/… or https://HOST/…")
    if parts.username or parts.password or parts.fragment:
        raise ConfigError("--upstream: must have no user, password or fragment")
    return url


def forwarded_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the header fields of a request that go on to the upstream.

    A content type that is not of audio is left out: what an upstream would read as a form is not
    what was judged.
    """
    given = list(headers)
    named = _named_by_connection(given)
    return [
        (name, value)
        for name, value in given
        # Servers that make variables of names take _ for -.
        if not _is_of_a_form(name, value)
        and not {name.lower(), name.lower().replace("_", "-")} & (_NOT_FORWARDED | named)
    ]


def _is_of_a_form(name: str, value: str) -> bool:
    return name.lower() == "content-type" and not value.lower().startswith(_AUDIO)


def _returned(headers: httpx.Headers) -> tuple[tuple[str, str], ...]:
    given = list(headers.multi_items())
    named = _named_by_connection(given)
    return tuple(
        (name, value)
        for name, value in given
        if name.lower() not in _NOT_RETURNED and name.lower() not in named
    )


def _named_by_connection(headers: Iterable[tuple[str, str]]) -> set[str]:
    values = [value for name, value in headers if name.lower() == "connection"]
    return {word.strip().lower() for value in values for word in value.split(",")}
