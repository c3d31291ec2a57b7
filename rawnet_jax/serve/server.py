"""The service on a socket: uvicorn with its limits set, from its start to a quiet end."""

import asyncio
import contextlib
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from rawnet_jax.errors import ConfigError, Interrupted, RawnetError
from rawnet_jax.serve.app import build_app
from rawnet_jax.serve.service import Service
from rawnet_jax.serve.timed_protocol import TimedProtocol

_BACKLOG = 1_024  # where it is full, clients wait for seconds instead of being told 503
_KEEP_ALIVE_S = 5
_MOST_CONNECTIONS = 1_024
_MOST_HEAD_BYTES = 2**15
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Of WebSockets.
_MOST_MESSAGE_BYTES = 2**16
_MESSAGES_WAITING = 8
_PING_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Listening:
    """Where the service listens.

    Attributes:
        host: name or address.
        port: 0 = any that is free.
        tls_certificate: file in PEM form; None = no TLS.
        tls_key: file in PEM form.
        trusted_proxies: addresses, separated by commas, whose X-Forwarded-… headers count.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: str = ""


class _Server(uvicorn.Server):
    """Leaves signals alone, which `run` has taken."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def uvicorn_config(service: Service, where: Listening) -> uvicorn.Config:
    """Return uvicorn's settings for a service."""

    class Protocol(TimedProtocol):
        head_s = service.settings.head_s
        most_connections = _MOST_CONNECTIONS

    return uvicorn.Config(
        build_app(service),
        host=where.host,
        port=where.port,
        http=Protocol,
        ws="websockets-sansio",
        ws_max_size=_MOST_MESSAGE_BYTES,
        ws_max_queue=_MESSAGES_WAITING,
        ws_ping_interval=_PING_S,
        ws_ping_timeout=None,  # pongs starve where the loop is busy
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        log_level="error",  # what strangers send that is not HTTP is not worth a line each
        access_log=False,
        proxy_headers=bool(where.trusted_proxies),
        forwarded_allow_ips=where.trusted_proxies or None,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(service.settings.drain_s),
        h11_max_incomplete_event_size=_MOST_HEAD_BYTES,
        ssl_certfile=None if where.tls_certificate is None else str(where.tls_certificate),
        ssl_keyfile=None if where.tls_key is None else str(where.tls_key),
    )


def bind(where: Listening) -> socket.socket:
    """Return the socket that the service listens on.

    Raises:
        ConfigError: the address cannot be had.
    """
    try:
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(
            where.host, where.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        # asyncio sets TCP_NODELAY only where the protocol is named; without it an answer in two
        # pieces waits 40 ms for the client's delayed acknowledgement.
        found = socket.socket(family, kind, protocol)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
            found.listen(_BACKLOG)  # from now on, clients wait instead of being refused
        except OSError:
            found.close()
            raise
    except OSError as error:
        raise ConfigError(
            f"--host {where.host} --port {where.port}: {error.strerror or error}"
        ) from None
    found.setblocking(False)
    return found


async def serve(
    service: Service,
    where: Listening,
    stop: asyncio.Event,
    on_listening: Callable[[str], None],
) -> None:
    """Serve until told to end; then finish what runs.

    Args:
        service: the service, not started.
        where: where to listen.
        stop: ends it when set.
        on_listening: is told the URL as soon as connections are taken; the service is not ready
            before its network is compiled.

    Raises:
        RawnetError: the address cannot be had, or the service cannot start.
    """
    config = uvicorn_config(service, where)
    try:
        config.load()
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigError(f"TLS: {error}") from None
    listener = bind(where)
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    on_listening(url_of(listener, where))
    starting, stopping = asyncio.create_task(service.start()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done() and starting.exception() is None:
            await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        service.drain()
        # Streams need a moment; requests have the rest.
        await service.streams.finish(service.settings.drain_s / 3)
        server.should_exit = True
        await serving
        failure = await _ended(starting)
        await service.stop()
    if failure is not None:
        raise failure


async def _ended(starting: "asyncio.Task[None]") -> BaseException | None:
    """Wait for the start to end: what it began must be stopped in order."""
    await asyncio.wait({starting})
    return starting.exception()


def url_of(listener: socket.socket, where: Listening) -> str:
    """Return the URL of a socket."""
    host, port = listener.getsockname()[:2]
    scheme = "http" if where.tls_certificate is None else "https"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _allow_files(number: int) -> None:
    """Let this process have so many open, or as many as it may: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def run(service: Service, where: Listening, on_listening: Callable[[str], None]) -> None:
    """Serve until a signal comes, then finish what runs and end; a second one ends it at once.

    Raises:
        KeyboardInterrupt: Ctrl-C.
        Interrupted: SIGTERM.
        RawnetError: as `serve`.
    """
    came: list[int] = []

    async def serve_until_signal() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def end(number: int) -> None:
            if came:  # the second one: at once, whatever runs; decoders end with their pipes
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            came.append(number)
            stop.set()

        for number in _SIGNALS:
            loop.add_signal_handler(number, end, number)
        await serve(service, where, stop, on_listening)

    _allow_files(2 * _MOST_CONNECTIONS)
    asyncio.run(serve_until_signal())
    if not came:
        raise RawnetError("the server ended by itself")
    if came[0] == signal.SIGINT:
        raise KeyboardInterrupt
    raise Interrupted((signal.strsignal(came[0]) or "stopped").lower(), came[0])
