"""Processes of one run watch each other: when one is lost, all end at once with one clear line.

A collective waits for every process, so that a run that lost one hangs until JAX notices (about two
minutes), and then aborts with a stack trace. Here each process keeps a connection to process 0 that
the operating system closes the moment either end dies. A host that vanishes without closing
anything is left to JAX's own heartbeats.
"""

import atexit
import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator

import jax

from rawnet_jax.errors import Interrupted, RawnetError
from rawnet_jax.mesh import agreed

EXIT_LOST = 3
"""Exit status of a process that ended because another one was lost."""

_BYE = b"bye\n"
_CONNECT_S = 30.0
_SETTLE_S = 5.0


class Peers:
    """The connections of one process.

    Args:
        host: where process 0 is.
    """

    def __init__(self, host: str) -> None:
        self._own = jax.process_index()
        self._count = jax.process_count()
        self._links: dict[int, socket.socket] = {}
        self._done = False
        self._lock = threading.Lock()
        if self._own == 0:
            self._serve()
        else:
            self._connect(host)

    def finish(self) -> None:
        """Say that this process ends because its work is done."""
        self._done = True
        for link in self._links.values():
            with contextlib.suppress(OSError):
                link.sendall(_BYE)

    def _serve(self) -> None:
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        with socket.create_server(("", 0), family=family, dualstack_ipv6=both) as server:
            server.settimeout(_CONNECT_S)
            agreed(server.getsockname()[1])
            for _ in range(self._count - 1):
                link, _ = server.accept()
                link.settimeout(_CONNECT_S)
                number = int(_read_line(link))
                link.settimeout(None)
                self._watch(number, link)

    def _connect(self, host: str) -> None:
        port = agreed(0)
        link = socket.create_connection((host, port), _CONNECT_S)
        link.settimeout(None)
        link.sendall(f"{self._own}\n".encode())
        self._watch(0, link)

    def _watch(self, number: int, link: socket.socket) -> None:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._links[number] = link
        name = f"peer-{number}"
        threading.Thread(target=self._listen, args=(number, link), name=name, daemon=True).start()

    def _listen(self, number: int, link: socket.socket) -> None:
        """Read until the other end says goodbye, tells of a loss, or is lost itself."""
        while True:
            try:
                line = _read_line(link)
            except OSError:
                line = b""
            if line == _BYE.strip():
                return
            if not line:
                self._end(number)
                return
            self._end(int(line))

    def _end(self, lost: int) -> None:
        """Tell the others and end this process."""
        with self._lock:
            if self._done:
                return
            self._done = True
            for link in self._links.values():
                with contextlib.suppress(OSError):
                    link.sendall(f"{lost}\n".encode())
            print(
                f"error: process {lost} of {self._count} is gone, so process {self._own} ends too; "
                "its own output tells why. Start all of them again with the same command: a "
                "training goes on from its last checkpoint",
                file=sys.stderr,
                flush=True,
            )
            sys.stdout.flush()
            os._exit(EXIT_LOST)


def _read_line(link: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        byte = link.recv(1)
        if not byte:
            return b""
        line += byte
    return line.strip()


@contextlib.contextmanager
def watching_peers(host: str) -> Iterator[None]:
    """While this context is open, the loss of another process ends this one.

    Leaving it with an error ends this process without JAX's shutdown, which would wait for the
    others; they notice, and end too. Nothing happens where there is one process only.

    Args:
        host: where process 0 is.
    """
    if jax.process_count() == 1:
        yield
        return
    peers = Peers(host)
    try:
        yield
    except Interrupted:  # all stop at the same step
        peers.finish()
        raise
    except BaseException as error:
        if isinstance(error, jax.errors.JaxRuntimeError):
            time.sleep(_SETTLE_S)  # most likely a peer was lost; then this process ends meanwhile
        # Registered last, so it runs first, before JAX waits for processes that are gone.
        atexit.register(_leave, 2 if isinstance(error, RawnetError) else 1)
        raise
    peers.finish()


def _leave(status: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
