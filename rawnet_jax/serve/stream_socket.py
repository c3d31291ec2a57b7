"""A WebSocket with its limits: how long it may be silent, how much it may send, how it ends."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from rawnet_jax.serve.access import Principal
from rawnet_jax.serve.problems import Problem
from rawnet_jax.serve.service import Service
from rawnet_jax.serve.stream_messages import Ended

_LOG = logging.getLogger(__name__)

SEND_S = 10.0
_PER_S, _BURST = 1_000.0, 2_000.0  # messages: 20 ms of audio each at twenty times real time
_OF_PROBLEM = {"not-recorded": 1011, "internal": 1011, "not-ready": 1013, "overloaded": 1013}
# All other problems of a socket are of a challenge, a subject or a source.
_NOT_ALLOWED = 4003


class Socket:
    """Receives and sends messages of one stream."""

    def __init__(self, websocket: WebSocket, service: Service) -> None:
        """Take a socket that was accepted."""
        self._websocket, self._idle_s = websocket, service.settings.stream_idle_s
        self._stopping = asyncio.create_task(service.streams.stopping.wait())
        self._tokens, self._then_s = _BURST, time.monotonic()

    async def receive(self) -> str | bytes:
        """Return the next message of the client.

        Raises:
            Ended: none came in time, too many did, or the service ends.
            WebSocketDisconnect: the client went away.
        """
        receiving = asyncio.ensure_future(self._websocket.receive())
        try:
            await asyncio.wait(
                {receiving, self._stopping},
                timeout=self._idle_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if self._stopping.done() and not receiving.done():
                raise Ended(1001, "the service ends", is_judged=True)
            if not receiving.done():
                raise Ended(4008, f"nothing came for {self._idle_s:g} s")
        finally:
            receiving.cancel()
        message = receiving.result()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        self._count()
        data = message.get("bytes")
        return message["text"] if data is None else data

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message.

        Raises:
            Ended: the client does not read.
            WebSocketDisconnect: the client went away.
        """
        text = json.dumps(message, allow_nan=False)
        try:
            await asyncio.wait_for(self._websocket.send_text(text), SEND_S)
        except TimeoutError:
            raise Ended(4008, f"nothing was read for {SEND_S:g} s") from None
        except RuntimeError:  # what Starlette says of a socket that is closed
            raise WebSocketDisconnect(1006) from None

    async def close(self, code: int, reason: str) -> None:
        """Close the socket, if it is open."""
        self._stopping.cancel()
        if self._websocket.application_state is not WebSocketState.CONNECTED:
            return
        try:
            await asyncio.wait_for(self._websocket.close(code, reason), SEND_S)
        except (TimeoutError, RuntimeError, WebSocketDisconnect):
            return

    def _count(self) -> None:
        now_s = time.monotonic()
        self._tokens = min(_BURST, self._tokens + (now_s - self._then_s) * _PER_S) - 1
        self._then_s = now_s
        if self._tokens < 0:
            raise Ended(1008, f"more than {_PER_S:g} messages a second")


async def attend(
    websocket: WebSocket,
    service: Service,
    authorise: Callable[[], Principal],
    converse: Callable[[Socket, Principal], Awaitable[None]],
) -> None:
    """Accept a socket, hold a conversation on it, and close it with the code that fits.

    Args:
        websocket: not accepted yet: a client that is refused is told by a close code, which
            browsers show to scripts, unlike the status of a refused handshake.
        service: the service.
        authorise: returns who it is; raises `Ended`.
        converse: the conversation.
    """
    await websocket.accept()
    socket, code, reason = Socket(websocket, service), 1000, ""
    try:
        who = authorise()
        with service.streams.room(who.key_id, who.streams):
            await converse(socket, who)
    except Ended as ended:
        code, reason = ended.code, ended.reason
    except Problem as problem:
        code = _OF_PROBLEM.get(problem.kind, _NOT_ALLOWED)
        reason = problem.kind
    except WebSocketDisconnect:
        code = 1006
    except Exception as error:
        _LOG.error("stream: %s", type(error).__name__)
        code, reason = 1011, "the service failed"
    finally:
        service.meters.streams.labels(str(code)).inc()
        await asyncio.shield(socket.close(code if code != 1006 else 1000, reason))
