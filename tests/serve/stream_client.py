"""A client of `WS /v1/stream`, and the keys of the service that it talks to."""

import contextlib
import json

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from rawnet_jax.serve.keys import Role
from rawnet_jax.serve.twilio import Twilio
from tests.serve.running import noise
from tests.serve.test_gate_route import LOUD

PAGE = "https://bank.example"


TWILIO = Twilio("token", "wss://gate.example/v1/twilio")


TEXTS: dict[Role, str] = {}  # the keys of `guarded`


_SEEDS = iter(range(20_000, 30_000))


def pcm(waveform):
    return (32_767 * np.clip(waveform, -1, 1)).astype("<i2").tobytes()


def fresh(level=LOUD, num_samples=8_000):
    return pcm(noise(num_samples, level=level, seed=next(_SEEDS)))


class Client:
    """A socket of the service."""

    def __init__(self, server, path="/v1/stream", **options):
        url = server.url.replace("http", "ws") + path
        self._connect = connect(url, open_timeout=20, proxy=None, **options)
        self.messages = []

    def __enter__(self):
        self.socket = self._connect.__enter__()
        return self

    def __exit__(self, *error):
        self._connect.__exit__(*error)

    def send(self, message):
        self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    def start(self, encoding="s16le", rate=16_000, **more):
        self.send({"type": "start", "encoding": encoding, "rate": rate, **more})

    def rest(self):
        """Return all messages until the service closes, and the code."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.messages.append(json.loads(self.socket.recv(timeout=30)))
        return self.messages, self.socket.close_code

    def of(self, kind):
        return [message for message in self.messages if message["type"] == kind]

    def run(self, data, piece=640, **start):
        """Send a whole stream and return its last message."""
        self.start(**start)
        for begin in range(0, len(data), piece):
            self.send(data[begin : begin + piece])
        self.send({"type": "stop"})
        _, code = self.rest()
        assert code == 1000, self.socket.close_reason
        assert self.messages[-1]["type"] == "done"
        return self.messages[-1]


def keyed(role=Role.GATE):
    return {"additional_headers": {"Authorization": f"Bearer {TEXTS[role]}"}}


def refused(server, path="/v1/stream", **options):
    with Client(server, path, **options) as client:
        return client.rest()
