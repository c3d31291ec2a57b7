"""Who asks: the one place that reads a key. It comes in a header, never in a URL: those are logged.

A service without a key ring listens on this machine alone, or behind a proxy that knows its
clients; whoever reaches it is an analyst.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from rawnet_jax.serve.admission import LOCAL_KEY
from rawnet_jax.serve.keys import ApiKey, Role
from rawnet_jax.serve.problems import Problem
from rawnet_jax.serve.service import Service


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        key_id: names the key and tells nothing of it.
        role: what it is for.
        streams: that the key may have open; None = as the settings say.
    """

    key_id: str
    role: Role
    streams: int | None = None

    @property
    def is_gate(self) -> bool:
        """Whether it gets decisions alone."""
        return self.role == Role.GATE


_IN_URL = {"key", "api_key", "apikey", "api-key", "x-api-key", "token", "access_token"}

LOCAL = Principal(LOCAL_KEY, Role.ANALYST)
"""Whoever asks a service without keys."""


def service_of(connection: HTTPConnection) -> Service:
    """Return the service that a request came to."""
    found: Service = connection.app.state.service
    return found


def principal(connection: HTTPConnection) -> Principal:
    """Return who asks.

    Raises:
        Problem: the request has no key, or one that is not known; or the key has asked too often.
    """
    gate = service_of(connection).gate
    if _IN_URL & {name.lower() for name in connection.query_params}:
        raise Problem("bad-request", "a key must come in a header, never in a URL")
    if gate.key_ring is None:
        return LOCAL
    presented = _presented(connection)
    key = None if presented is None else gate.key_ring.find(presented)
    if key is None:
        raise Problem("unauthorized", headers={"WWW-Authenticate": "Bearer"})
    allowance = gate.limiter.take(key.id, per_minute=key.requests_per_minute)
    connection.state.more_headers = allowance.headers
    if not allowance.allowed:
        said = f"{allowance.limit} requests a minute are allowed"
        raise Problem("too-many-requests", said, retry_after_s=allowance.retry_after_s)
    return of_key(key)


def socket_principal(connection: HTTPConnection) -> Principal | None:
    """Return who opens a socket; None = it has no key, ticket or ticket's key that is known.

    A browser can send no header: a ticket in the URL, which is good for one socket and a minute,
    stands for the key that it was issued to.
    """
    gate = service_of(connection).gate
    if gate.key_ring is None:
        return LOCAL
    ticket = connection.query_params.get("ticket")
    if ticket is not None:
        key_id = gate.tickets.use(ticket)
        key = None if key_id is None else gate.key_ring.by_id(key_id)
    else:
        presented = _presented(connection)
        key = None if presented is None else gate.key_ring.find(presented)
    return None if key is None else of_key(key)


def of_key(key: ApiKey) -> Principal:
    """Return who has a key."""
    return Principal(key.id, key.role, key.streams)


def _presented(connection: HTTPConnection) -> str | None:
    scheme, _, key = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key:
        return key.strip()
    return connection.headers.get("x-api-key")


def analyst(who: Annotated[Principal, Depends(principal)]) -> Principal:
    """Return who asks, who must be an analyst.

    Raises:
        Problem: it is a gate.
    """
    if who.is_gate:
        raise Problem("forbidden", "a gate's key gets decisions alone")
    return who


Caller = Annotated[Principal, Depends(principal)]
"""Of a route: who asks."""

Analyst = Annotated[Principal, Depends(analyst)]
"""Of a route for analysts alone: who asks."""

TheService = Annotated[Service, Depends(service_of)]
"""Of a route: the service."""
