"""HTTP/1.1 connections that do not wait for ever for the head of a request."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class TimedProtocol(H11Protocol):
    """uvicorn's protocol, which ends connections that send no whole head in time.

    uvicorn alone bounds the time between two requests, and only until the first byte of the next.
    """

    head_s = 10.0
    """Seconds from the connection, or from the last answer, to the end of the next head."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._stop()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Take what was received."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before and not self._is_waiting:
            self._stop()

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Hand the connection over, which has timers of its own."""
        self._stop()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._begin()
        super().on_response_complete()

    @property
    def _is_waiting(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _begin(self) -> None:
        self._stop()
        self._timer = self.loop.call_later(self.head_s, self._end)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        if self._is_waiting and not self.transport.is_closing():
            self.transport.close()
