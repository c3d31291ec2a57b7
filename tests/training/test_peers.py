"""Who is admitted to the connections between processes, and what ends them; threads stand in."""

import contextlib
import ipaddress
import socket
import threading
import time

import jax
import numpy as np
import pytest
from jax.experimental import multihost_utils

from rawnet_jax import mesh, peers
from rawnet_jax.errors import RawnetError
from rawnet_jax.peers import EXIT_LOST, Peers, listen_on

HERE = "127.0.0.1"
TOKEN = 8_070_450_532_247_928_832
BOTH = {1, 2}


class Run:
    """Process 0 of three, admitting in a thread; its exit statuses go to a list."""

    def __init__(self):
        self.ends: list[int] = []
        self.failure: RawnetError | None = None
        self.links: list[socket.socket] = []
        self.zero = Peers(0, 3, TOKEN, self.ends.append)
        _, server = listen_on([HERE])
        assert server is not None
        self.server = server
        self.port = self.server.getsockname()[1]
        self.thread = threading.Thread(target=self._admit)
        self.thread.start()

    def _admit(self):
        with self.server:
            try:
                self.zero.admit(self.server)
            except RawnetError as error:
                self.failure = error

    def call(self, first: bytes = b"") -> socket.socket:
        link = socket.create_connection((HERE, self.port), 5)
        self.links.append(link)
        link.sendall(first)
        return link

    def join(self, number: int) -> Peers:
        peer = Peers(number, 3, TOKEN, self.ends.append)
        peer.join(HERE, self.port)
        self.links.append(peer._links[0])
        return peer

    def admitted(self) -> set[int]:
        self.thread.join(5)
        assert not self.thread.is_alive()
        return set(self.zero._links)

    def close(self):
        self.zero.finish()
        for link in (*self.links, *self.zero._links.values()):
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
        self.thread.join(30)
        for thread in threading.enumerate():
            if thread.name.startswith("peer-"):
                thread.join(5)
        for link in (*self.links, *self.zero._links.values()):
            link.close()


@pytest.fixture
def run():
    started = Run()
    yield started
    started.close()


def dropped(link: socket.socket) -> bool:
    """Wait until the other end has closed the connection."""
    try:
        return link.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def wait_for(things, count: int):
    deadline = time.monotonic() + 5
    while len(things) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return things


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="rubbish"),
        pytest.param(b"\n", id="empty line"),
        pytest.param(b"\xff" * 1000, id="no end of line"),
        pytest.param(b"1\n", id="no token"),
        pytest.param(b"1 %d\n" % (TOKEN + 1), id="wrong token"),
        pytest.param(b"1 %d\n" % (TOKEN // 10), id="part of the token"),
        pytest.param(b"0 %d\n" % TOKEN, id="process 0"),
        pytest.param(b"3 %d\n" % TOKEN, id="number too high"),
        pytest.param(b"-1 %d\n" % TOKEN, id="number below 0"),
        pytest.param(b"01 %d\n" % TOKEN, id="number in another form"),
        pytest.param(b" 1 %d \n" % TOKEN, id="blanks around"),
    ],
)
def test_a_stray_connection_is_dropped_and_the_peers_still_join(run, first):
    assert dropped(run.call(first))
    run.join(2)
    run.join(1)
    assert run.admitted() == BOTH
    assert run.ends == []


def test_a_number_joins_once(run):
    first = run.call(b"1 %d\n" % TOKEN)
    wait_for(run.zero._links, 1)
    assert dropped(run.call(b"1 %d\n" % TOKEN))
    run.join(2)
    assert run.admitted() == BOTH
    assert run.zero._links[1].getpeername() == first.getsockname()


def test_who_says_nothing_or_leaves_keeps_nobody_waiting(run):
    silent, half = run.call(), run.call(b"1 ")
    run.call(b"1 %d" % TOKEN).close()  # all but the end of the line
    real = run.join(1)
    run.join(2)
    assert run.admitted() == BOTH
    assert run.zero._links[1].getpeername() == real._links[0].getsockname()
    assert dropped(silent)
    assert dropped(half)


def test_a_peer_that_never_comes_is_one_error_line(monkeypatch):
    monkeypatch.setattr(peers, "_CONNECT_S", 1.0)
    with contextlib.closing(Run()) as run:
        run.join(1)
        stray = run.call()
        run.admitted()
        assert "no connection from process 2 of 3" in str(run.failure)
        assert dropped(stray)


def test_a_closed_peer_is_noticed_and_the_others_are_told(run, capfd):
    lost = run.call(b"1 %d\n" % TOKEN)
    run.join(2)
    assert run.admitted() == BOTH
    lost.close()
    assert wait_for(run.ends, 2) == [EXIT_LOST] * 2
    lines = sorted(capfd.readouterr().err.splitlines())
    assert len(lines) == 2
    assert lines[0].startswith("error: process 1 of 3 is gone, so process 0 ends too")
    assert lines[1].startswith("error: process 1 of 3 is gone, so process 2 ends too")
    assert "the same command: a training resumes" in lines[0]


@pytest.mark.parametrize(
    "line", [b"x\n", b"-2\n", b"\xff\n", b"7" * 5000, b"\n", b"9" * 5000 + b"\n"]
)
def test_a_peer_that_says_something_else_is_the_lost_one(run, capfd, line):
    peer = run.call(b"1 %d\n" % TOKEN)
    run.join(2)
    assert run.admitted() == BOTH
    with contextlib.suppress(OSError):  # closed before it was through
        peer.sendall(line)
    assert wait_for(run.ends, 2) == [EXIT_LOST] * 2
    lines = sorted(capfd.readouterr().err.splitlines())
    assert len(lines) == 2, lines
    assert lines[0].startswith("error: process 1 of 3 is gone, so process 0 ends too")


def test_a_loss_is_noticed_while_others_are_awaited(run):
    run.call(b"1 %d\n" % TOKEN).close()
    assert wait_for(run.ends, 1) == [EXIT_LOST]
    run.join(2)


def test_a_goodbye_is_no_loss(run):
    peer = run.join(1)
    run.join(2)
    assert run.admitted() == BOTH
    peer.finish()
    peer._links[0].shutdown(socket.SHUT_RDWR)
    time.sleep(0.2)
    assert run.ends == []


def test_a_process_0_that_cannot_be_reached_is_one_error_line():
    with socket.socket() as deaf:
        deaf.bind((HERE, 0))
        with pytest.raises(RawnetError, match="process 1 cannot reach process 0 at 127"):
            Peers(1, 2, TOKEN).join(HERE, deaf.getsockname()[1])


def test_process_0_listens_on_its_own_address_alone():
    place, server = listen_on(["192.0.2.1", HERE])  # the first is reserved for documentation
    assert server is not None
    with server:
        assert (place, server.getsockname()[0]) == (1, HERE)
    assert listen_on(["192.0.2.1"]) == (0, None)


def test_addresses_are_those_of_all_processes_loopback_last(monkeypatch):
    def packed(*addresses):
        rows = b"".join(ipaddress.IPv6Address(a).packed for a in ("::", *addresses))
        return np.frombuffer(rows, np.int64).reshape(-1, 2)

    others = [packed("::ffff:10.1.2.3", "fd00::7"), packed()]
    monkeypatch.setattr(peers, "gathered", lambda own: [own, *others])
    assert peers._addresses("127.0.1.1") == ["10.1.2.3", "fd00::7", "127.0.1.1"]


@pytest.mark.parametrize("value", [0, -1, 2**31, TOKEN])
def test_agreed_keeps_64_bits(monkeypatch, value):
    def over_the_wire(halves):
        assert halves.dtype == np.int32
        return halves

    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(multihost_utils, "broadcast_one_to_all", over_the_wire)
    assert mesh.agreed(value) == value


def test_the_heartbeat_is_short_where_jax_can_be_told(monkeypatch):
    calls = []

    def today(coordinator_address, num_processes, process_id, heartbeat_timeout_seconds=100):
        calls.append(heartbeat_timeout_seconds)

    def jax_0_6(coordinator_address, num_processes, process_id):
        calls.append(None)

    for initialize in (today, jax_0_6):
        monkeypatch.setattr(jax.distributed, "initialize", initialize)
        assert mesh.start_distributed("host0:1234", 2, 1) == "host0"
    assert calls == [mesh.HEARTBEAT_S, None]
