"""Who asks: the one place that reads a key.

A service without a key ring listens on this machine alone, or behind a proxy that knows its
clients; whoever reaches it is an analyst.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from rawnet_jax.serve.admission import LOCAL_KEY
from rawnet_jax.serve.problems import Problem
from rawnet_jax.serve.service import Service


class Role(StrEnum):
    """What a key is for."""

    GATE = "gate"
    ANALYST = "analyst"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        key_id: names the key and tells nothing of it.
        role: what it is for.
    """

    key_id: str
    role: Role

    @property
    def is_gate(self) -> bool:
        """Whether it gets decisions alone."""
        return self.role == Role.GATE


LOCAL = Principal(LOCAL_KEY, Role.ANALYST)
"""Whoever asks a service without keys."""


def service_of(connection: HTTPConnection) -> Service:
    """Return the service that a request came to."""
    found: Service = connection.app.state.service
    return found


def principal(connection: HTTPConnection) -> Principal:
    """Return who asks.

    Raises:
        Problem: the request has no key, or one that is not known.
    """
    service = service_of(connection)
    if service.key_ring is None:
        return LOCAL
    raise Problem("unauthorized", headers={"WWW-Authenticate": "Bearer"})


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
