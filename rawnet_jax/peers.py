"""Processes of one run watch each other: when one is lost, all end at once with one clear line.

JAX's own heartbeats notice a lost process too, but later, and end the others by an abort with a
stack trace. Here each process keeps a connection to process 0 that the operating system closes the
moment either end dies. A host that freezes or vanishes without closing anything is left to JAX's
heartbeats.

Process 0 listens for the others only on the coordinator's address and only while the run starts.
Whoever connects must first say its number and a secret that only the processes of this run know.
"""

import atexit
import contextlib
import hmac
import ipaddress
import os
import secrets
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np

from rawnet_jax.errors import Interrupted, RawnetError
from rawnet_jax.mesh import agreed, gathered

EXIT_LOST = 3
"""Exit status of a process that ended because another one was lost."""

_BYE = b"bye\n"
_CONNECT_S = 20.0  # less than the 30 s that a CPU's collectives wait for a process that is late
_LONGEST = 64  # bytes of a line
_SETTLE_S = 5.0


class Peers:
    """The connections of one process: process 0 admits all others, each of which joins it.

    Args:
        own: number of this process.
        count: how many there are.
        token: secret of this run.
        end: ends this process with an exit status.
    """

    def __init__(
        self, own: int, count: int, token: int, end: Callable[[int], object] = os._exit
    ) -> None:
        self._own = own
        self._count = count
        self._token = str(token).encode()
        self._exit = end
        self._links: dict[int, socket.socket] = {}
        self._done = False
        self._lock = threading.Lock()

    def admit(self, server: socket.socket) -> None:
        """Wait on process 0 until every other process is connected; drop whoever else connects.

        Raises:
            RawnetError: one did not come in time.
        """
        waiting = {str(number).encode(): number for number in range(1, self._count)}
        deadline = time.monotonic() + _CONNECT_S
        server.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(server, selectors.EVENT_READ)
            try:
                while waiting:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        missing = ", ".join(str(number) for number in waiting.values())
                        raise RawnetError(
                            f"no connection from process {missing} of {self._count} within "
                            f"{_CONNECT_S:.0f} s"
                        )
                    for key, _ in selector.select(left):
                        if key.fileobj is server:
                            _accept(server, selector)
                        else:
                            self._greet(key, selector, waiting)
            finally:
                for key in list(selector.get_map().values()):
                    if isinstance(key.fileobj, socket.socket) and key.fileobj is not server:
                        key.fileobj.close()

    def join(self, address: str, port: int) -> None:
        """Connect to process 0.

        Raises:
            RawnetError: it cannot be reached.
        """
        try:
            link = socket.create_connection((address, port), _CONNECT_S)
            link.settimeout(None)
            link.sendall(b"%d %s\n" % (self._own, self._token))
        except OSError as error:
            raise RawnetError(
                f"process {self._own} cannot reach process 0 at {address}, port {port}: {error}; "
                "every port of process 0's host must be open to the other hosts"
            ) from error
        self._watch(0, link)

    def finish(self) -> None:
        """Say that this process ends, and that the others need not."""
        self._done = True
        for link in list(self._links.values()):
            with contextlib.suppress(OSError):
                link.sendall(_BYE)

    def _greet(
        self,
        key: selectors.SelectorKey,
        selector: selectors.BaseSelector,
        waiting: dict[bytes, int],
    ) -> None:
        """Read one byte of a first line; at its end, keep or close the connection."""
        link, line = key.fileobj, key.data
        assert isinstance(link, socket.socket)
        try:
            byte = link.recv(1)
        except BlockingIOError:
            return
        except OSError:
            byte = b""
        line += byte
        whole = byte == b"\n"
        if byte and not whole and len(line) < _LONGEST:
            return
        selector.unregister(link)
        number, _, token = bytes(line).removesuffix(b"\n").partition(b" ")
        if whole and number in waiting and hmac.compare_digest(token, self._token):
            link.setblocking(True)
            self._watch(waiting.pop(number), link)
        else:
            link.close()

    def _watch(self, number: int, link: socket.socket) -> None:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._links[number] = link
        name = f"peer-{number}"
        threading.Thread(target=self._listen, args=(number, link), name=name, daemon=True).start()

    def _listen(self, number: int, link: socket.socket) -> None:
        """Read until the other end says goodbye, tells of a loss, or is lost itself."""
        try:
            line = _read_line(link)
        except OSError:
            line = b""
        if line != _BYE.strip():
            # Whatever else it says than a number, this end is the one that is lost.
            self._end(int(line) if line.isdigit() else number)

    def _end(self, lost: int) -> None:
        """Tell the others and end this process."""
        with self._lock:
            if self._done:
                return
            self._done = True
            for link in list(self._links.values()):
                with contextlib.suppress(OSError):
                    link.sendall(f"{lost}\n".encode())
            text = (
                f"error: process {lost} of {self._count} is gone, so process {self._own} ends too; "
                f"the output of process {lost} tells why. Start all of them again with the same "
                "command: a training resumes from its last checkpoint\n"
            )
            # One write of the system, past what other threads do with the stream at this moment.
            try:
                os.write(sys.stderr.fileno(), text.encode())
            except (OSError, ValueError):  # a stream that is not a file, as notebooks have
                sys.stderr.write(text)
            sys.stdout.flush()
            self._exit(EXIT_LOST)


def _accept(server: socket.socket, selector: selectors.BaseSelector) -> None:
    with contextlib.suppress(OSError):  # whoever it was has gone again
        link, _ = server.accept()
        link.setblocking(False)
        selector.register(link, selectors.EVENT_READ, bytearray())


def _read_line(link: socket.socket) -> bytes:
    """Return a line without its end; b"" where there is none, or one that is too long."""
    line = b""
    while not line.endswith(b"\n"):
        byte = link.recv(1)
        if not byte or len(line) >= _LONGEST:
            return b""
        line += byte
    return line.strip()


def listen_on(addresses: Sequence[str]) -> tuple[int, socket.socket | None]:
    """Listen on the first address that is one of this machine; returns its place in the list."""
    for place, address in enumerate(addresses):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with contextlib.suppress(OSError):
            return place, socket.create_server((address, 0), family=family)
    return 0, None


def _addresses(host: str) -> list[str]:
    """Return the addresses that `host` has in any process, the same list in all of them.

    Loopback addresses come last: a host's own name often means 127.0.1.1 to itself, where no other
    host could reach it.
    """
    rows = [bytes(16)]  # never empty, for a process that cannot resolve the name
    with contextlib.suppress(OSError):
        for _, _, _, _, place in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
            address = ipaddress.ip_address(str(place[0]).partition("%")[0])
            v4 = isinstance(address, ipaddress.IPv4Address)
            rows.append(ipaddress.IPv6Address(f"::ffff:{address}" if v4 else str(address)).packed)
    table = np.frombuffer(b"".join(rows), np.int64).reshape(-1, 2)
    found = [ipaddress.IPv6Address(row.tobytes()) for row in np.concatenate(gathered(table))]
    known = dict.fromkeys(six.ipv4_mapped or six for six in found)
    usable = [address for address in known if not address.is_unspecified]
    return [str(address) for address in sorted(usable, key=lambda address: address.is_loopback)]


def _meet(peers: Peers, own: int, host: str) -> None:
    """Connect all processes with process 0.

    Raises:
        RawnetError: in every process, if that failed in one.
    """
    addresses = _addresses(host)
    place, server = listen_on(addresses) if own == 0 else (0, None)
    place, port = divmod(agreed(place << 16 | (server.getsockname()[1] if server else 0)), 1 << 16)
    if port == 0:
        raise RawnetError(
            f"--coordinator: no address of {host} ({', '.join(addresses) or 'none is known'}) is "
            "one of the machine on which process 0 runs"
        )
    failure = None
    try:
        if server is None:
            peers.join(addresses[place], port)
        else:
            with server:
                peers.admit(server)
    except RawnetError as error:
        failure = error
    # Nobody leaves before all know how it went: JAX takes a process that leaves for a lost one.
    failed = np.concatenate(gathered(np.array([[failure is not None]], np.int64)))[:, 0]
    if failed.any():
        peers.finish()
        raise failure or RawnetError(
            f"process {', '.join(str(number) for number in np.flatnonzero(failed))} could not "
            "connect; its own output tells why"
        )


@contextlib.contextmanager
def watching_peers(host: str) -> Iterator[None]:
    """While this context is open, the loss of another process ends this one.

    Leaving it with an error ends this process without JAX's shutdown, which would wait for the
    others; they notice, and end too. Nothing happens where there is one process only.

    Args:
        host: where process 0 is.

    Raises:
        RawnetError: the processes cannot reach each other.
    """
    if jax.process_count() == 1:
        yield
        return
    own = jax.process_index()
    peers = Peers(own, jax.process_count(), agreed(secrets.randbits(63)))
    try:
        _meet(peers, own, host)
        yield
    except Interrupted:  # all stop at the same step
        peers.finish()
        raise
    except BaseException as error:
        if isinstance(error, Exception) and not isinstance(error, RawnetError):
            time.sleep(_SETTLE_S)  # most likely a peer was lost; then this process ends meanwhile
        # Registered last, so it runs first, before JAX waits for processes that are gone.
        atexit.register(_leave, 2 if isinstance(error, RawnetError) else 1)
        raise
    peers.finish()


def _leave(status: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
