"""Connections that would cost more than they send, or that would never end."""

import contextlib
import socket
import threading
import time

import httpx
import pytest
import uvicorn

from rawnet_jax.serve.timed_protocol import TimedProtocol

LARGE = 64 * 2**20


class Quick(TimedProtocol):
    head_s = 0.8
    most_connections = 20


async def app(scope, receive, send):
    """Read the body; answer with 64 MB at /large."""
    while (await receive()).get("more_body"):
        pass
    content = bytes(LARGE if scope["path"] == "/large" else 2)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    with contextlib.suppress(Exception):
        await send({"type": "http.response.body", "body": content})


@pytest.fixture(scope="module")
def port():
    config = uvicorn.Config(app, port=0, http=Quick, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)


def connected(port):
    found = socket.create_connection(("127.0.0.1", port), timeout=10)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**14)
    return found


def received(connection):
    """Return all that comes until the other side ends."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(2**16):
            found += piece
    return found


HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_body_in_tiny_chunks_is_refused(port):
    with connected(port) as connection:
        begin_s = time.monotonic()
        connection.sendall(HEAD)
        with contextlib.suppress(ConnectionError):
            for _ in range(50):
                connection.sendall(b"1\r\nx\r\n" * 10_000)
        assert time.monotonic() - begin_s < 2
    assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 200


@pytest.mark.parametrize("size", [100, 4_000])
def test_chunks_of_a_common_size_are_read(port, size):
    with connected(port) as connection:
        chunk = b"%x\r\n%s\r\n" % (size, bytes(size))
        connection.sendall(HEAD + chunk * 3_000 + b"0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    with connected(port) as connection:  # a few may be as small as they like
        connection.sendall(HEAD + b"1\r\nx\r\n" * 900 + b"0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_a_client_that_does_not_read_is_dropped(port):
    with connected(port) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(2.0)
        assert len(received(connection)) < LARGE


def test_a_client_that_reads_gets_all(port):
    assert len(httpx.get(f"http://127.0.0.1:{port}/large").content) == LARGE


def test_connections_beyond_the_limit_are_closed_at_once(port):
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(connected(port)) for _ in range(30)]
        time.sleep(0.2)
        begin_s = time.monotonic()
        for one in many[20:]:
            assert received(one) == b""
        assert time.monotonic() - begin_s < 0.5
        many[0].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert many[0].recv(100).startswith(b"HTTP/1.1 200")
