"""HTTP/1.1 connections that neither wait for ever nor cost more than they send."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_FREE_PIECES = 1_000
_LEAST_PIECE_BYTES = 64
_CLOSE_S = 0.5


class _Connection(h11.Connection):
    """Refuses bodies in tiny chunks, each of which takes as long as a large one."""

    _num_pieces = _num_bytes = 0

    def next_event(self) -> Any:
        """See `h11.Connection.next_event`."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._num_pieces = self._num_bytes = 0
        elif isinstance(event, h11.Data):
            self._num_pieces += 1
            self._num_bytes += len(event.data)
            few = max(self._num_pieces - _FREE_PIECES, 0) * _LEAST_PIECE_BYTES
            if self._num_bytes < few:
                raise h11.RemoteProtocolError("the chunks of its body are too small")
        return event


class TimedProtocol(H11Protocol):
    """uvicorn's protocol, which ends connections that send no whole head in time, or do not read.

    uvicorn alone bounds the time between two requests, and only until the first byte of the next.
    """

    head_s = 10.0
    """Seconds from the connection, or from the last answer, to the end of the next head; and for
    which a client may read nothing of its answer."""

    most_connections = 1_024
    """Of all clients; those beyond it are closed at once."""

    _head_timer: asyncio.TimerHandle | None = None
    _reading_timer: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        size = self.config.h11_max_incomplete_event_size
        self.conn = _Connection(h11.SERVER, size or 2**14)

    def connection_made(self, transport: Any) -> None:
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            transport.abort()
            return
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._stop()
        self.resume_writing()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close the connection, at once where it is idle.

        Over TLS, asyncio waits 30 s for a client that does not close its side.
        """
        super().shutdown()
        if self.transport.is_closing():
            self.loop.call_later(_CLOSE_S, self.transport.abort)

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

    def pause_writing(self) -> None:
        """Wait for the client, which reads too slowly."""
        super().pause_writing()
        self._reading_timer = self.loop.call_later(self.head_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client reads."""
        super().resume_writing()
        if self._reading_timer is not None:
            self._reading_timer.cancel()
            self._reading_timer = None

    @property
    def _is_waiting(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _begin(self) -> None:
        self._stop()
        self._head_timer = self.loop.call_later(self.head_s, self._end)

    def _stop(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _end(self) -> None:
        if not self._is_waiting:
            return
        if self.transport.get_write_buffer_size():  # of an answer that nobody reads
            self.transport.abort()
        elif not self.transport.is_closing():
            self.transport.close()
