"""``WS /v1/stream`` with clients that mean no good, or leave early."""

import contextlib
import json
import random
import time
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from rawnet_jax.serve.keys import Role
from tests.serve.stream_client import TEXTS, Client, fresh, keyed
from tests.serve.test_gate_route import QUIET


def test_too_many_messages_end_a_stream(guarded, monkeypatch):
    monkeypatch.setattr("rawnet_jax.serve.stream_socket._BURST", 20.0)
    monkeypatch.setattr("rawnet_jax.serve.stream_socket._PER_S", 1.0)
    with Client(guarded, **keyed(Role.ANALYST)) as client:
        client.start()
        with contextlib.suppress(ConnectionClosed):
            for _ in range(60):
                client.send({"type": "keepalive"})
        assert client.rest()[1] == 1008
        assert "messages a second" in client.socket.close_reason


def hostile(rng):
    """Yield the messages of clients that mean no good."""
    start = json.dumps({"type": "start", "encoding": "s16le", "rate": 16_000})
    floats = json.dumps({"type": "start", "encoding": "f32le", "rate": 16_000})
    audio = bytes(640)
    first = [
        *(b"", audio, "", "{", "null", "[]", '"start"', "1e999", "\x00", "{}", '{"type":1}'),
        *('{"type":"stop"}', '{"type":"start"}', "[" * 30_000, '{"type":"start","rate":NaN}'),
        "9" * 60_000,
    ]
    yield from ([one] for one in first)
    wrong: dict[str, list[Any]] = {
        "encoding": ["mp3", None, 3, [], "S16LE", {}],
        "rate": [0, -1, 7_999, 192_001, 16_000.0, "16000", True, 10**400, None],
        "channels": [0, 9, 1.5, "1", -1, None],
        "challenge_id": ["", 5, "x" * 257, {}],
        "subject": ["", [], "x" * 300],
        "evil": [1],
    }
    base = {"type": "start", "encoding": "s16le", "rate": 16_000}
    for name, values in wrong.items():
        yield from ([json.dumps(base | {name: value})] for value in values)
    nan, loud = np.full(160, np.nan, "<f4"), np.full(160, 1e30, "<f4")
    later = [
        *([start, b"x"], [start, bytes(641)], [floats, bytes(3)], [start, start]),
        *([start, audio, "text"], [start, audio, '{"type":"accept"}'], [start, audio, "{}"]),
        *([start, bytes(2**16 + 2)], [start, "x" * (2**16 + 1)], [floats, loud.tobytes()]),
        [floats, nan.tobytes(), '{"type":"stop"}'],
        [floats, np.full(160, np.inf, "<f4").tobytes(), '{"type":"stop"}'],
        *([start, '{"type":"stop"}', audio, audio], [start, *[b""] * 50, '{"type":"stop"}']),
        [start, *[bytes(2)] * 4_000],
    ]
    yield from later
    for _ in range(60):  # frames at random
        kinds = [audio, b"\xff", start, rng.randbytes(64), '{"type":"keepalive"}', "junk"]
        count = rng.randrange(1, 6)
        yield [start] * (rng.random() < 0.7) + [rng.choice(kinds) for _ in range(count)]


def test_hostile_clients_get_nothing_and_harm_nobody(guarded):
    cases, codes = list(hostile(random.Random(3))), set()
    assert len(cases) > 100
    for messages in cases:
        with Client(guarded, **keyed(Role.ANALYST)) as client:
            with contextlib.suppress(ConnectionClosed):
                for message in messages:
                    client.send(message)
            if messages[-1:] == ['{"type":"stop"}'] or client.socket.state.name != "OPEN":
                client.rest()
            else:
                with contextlib.suppress(ConnectionClosed, TimeoutError):
                    while True:
                        client.messages.append(json.loads(client.socket.recv(timeout=0.02)))
            codes.add(client.socket.close_code)
            said = [message.get("verdict") for message in client.messages]
            assert "bonafide" not in said, messages
            assert client.socket.close_code != 1011, messages
    assert {1003, 1008, 1009} <= codes
    assert guarded.client.get("/readyz").status_code == 200
    with Client(guarded, **keyed(Role.ANALYST)) as client:
        assert client.run(fresh())["verdict"] == "bonafide"


def test_broken_handshakes_and_bytes_harm_nobody(guarded):
    import socket

    key = TEXTS[Role.ANALYST]
    head = (
        f"GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Authorization: Bearer {key}\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()
    frames = [
        b"\x81\x05hello",  # not masked
        b"\xf1\x80\0\0\0\0",  # reserved bits
        b"\x83\x80\0\0\0\0",  # reserved opcode
        b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",  # of 2^64 bytes
        b"\x81\x82\0\0\0\0\xff\xfe",  # no UTF-8
        b"\x89\xfe\xff\xff\0\0\0\0" + bytes(65_535),  # a ping that is too long
        b"\x80\x80\0\0\0\0",  # goes on with nothing
        b"\x88\x81\0\0\0\0x",  # a close frame of one byte
        b"",
    ]
    for frame in frames:
        with socket.create_connection(("127.0.0.1", guarded.port), timeout=5) as raw:
            raw.sendall(head + frame)
            raw.settimeout(0.1)
            with contextlib.suppress(TimeoutError, ConnectionError):
                while raw.recv(4_096):
                    pass
    with pytest.raises(InvalidStatus), Client(guarded, "/v1/nowhere"):
        pass
    assert guarded.client.get("/readyz").status_code == 200


def test_leaving_early_counts(guarded):
    for _ in range(5):
        with Client(guarded, **keyed()) as client:
            client.start(subject="eve", source="e")
            client.send(fresh(QUIET))
            while not client.of("verdict"):
                client.messages.append(json.loads(client.socket.recv(timeout=10)))
    time.sleep(0.3)
    with Client(guarded, **keyed()) as client:
        client.start(subject="eve", source="e2")
        assert client.rest()[1] == 4003
