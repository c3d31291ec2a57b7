"""``WS /v1/stream`` and ``/v1/twilio`` with real clients."""

import base64
import contextlib
import gc
import json
import random
import threading
import time
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

import rawnet_jax
from rawnet_jax.data.pcm import PcmFormat, decoded
from rawnet_jax.jobs.stream import window_record
from rawnet_jax.serve.audit import AuditLog
from rawnet_jax.serve.decisions import Signer, verify_decision
from rawnet_jax.serve.gate import Gate
from rawnet_jax.serve.keys import ApiKey, KeyRing, Role, add_key
from rawnet_jax.serve.live_stream import LiveStream
from rawnet_jax.serve.private_file import Secret
from rawnet_jax.serve.service import Service
from rawnet_jax.serve.settings import Settings
from rawnet_jax.serve.twilio import Twilio
from tests.serve.running import noise, running, stub_detector
from tests.serve.test_gate_route import LOUD, PEM, QUIET
from tests.small_run import write_run

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


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stream")
    return rawnet_jax.load(write_run(folder / "run", num_samples=3_200))


@pytest.fixture(scope="module")
def real(detector):
    """A service with a network."""
    with running(Service(detector, Settings(stream_hop_s=0.1, batch=1))) as server:
        yield server


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A service with keys and a network that is none."""
    folder = tmp_path_factory.mktemp("guarded")
    texts = {
        role: add_key(folder / "keys.json", ApiKey(role.value, role, "0" * 64)) for role in Role
    }
    gate = Gate(
        secret=Secret(b"k" * 32),
        key_ring=KeyRing(folder / "keys.json"),
        audit=AuditLog(folder / "audit.jsonl"),
        signer=Signer(PEM),
        origins=frozenset({PAGE}),
        twilio=TWILIO,
    )
    settings = Settings(
        stream_idle_s=1.0, max_stream_s=4.0, streams_per_key=3, streams=4, answer_step_s=0
    )
    with running(Service(stub_detector(), settings, gate=gate)) as server:
        TEXTS.update(texts)
        yield server


def keyed(role=Role.GATE):
    return {"additional_headers": {"Authorization": f"Bearer {TEXTS[role]}"}}


FORMS = {
    "s16le": (16_000, 1, 640),
    "f32le": (48_000, 2, 8_000),
    "mulaw": (8_000, 1, 161),
    "alaw": (8_000, 1, 4_000),
}


@pytest.mark.parametrize("encoding", FORMS)
def test_windows_are_those_of_the_streaming_scorer(real, detector, encoding):
    rate, channels, piece = FORMS[encoding]
    rng = np.random.default_rng(5)
    num = int(1.23 * rate) * channels
    data = {
        "s16le": lambda: pcm(0.1 * rng.standard_normal(num)),
        "f32le": lambda: (0.1 * rng.standard_normal(num)).astype("<f4").tobytes(),
    }.get(encoding, lambda: rng.integers(0, 256, num, np.uint8).tobytes())()
    scorer = detector.stream(rate=rate, hop_s=0.1)
    samples = decoded(data, PcmFormat(encoding, rate, channels))
    expected = [*scorer.push(samples), *scorer.finish()]
    with Client(real) as client:
        done = client.run(data, piece, encoding=encoding, rate=rate, channels=channels)
    found = client.of("window")
    assert len(found) == len(expected) > 10
    for ours, theirs in zip(found, expected, strict=True):
        record = {"type": "window"} | window_record(theirs, 0.2, detector.decision)
        for name in ("score", "llr", "p_spoof"):
            assert ours.pop(name) == pytest.approx(record.pop(name), abs=2e-4)
        assert ours == record
    mean = np.mean([one.score for one in expected])
    assert done["score"] == pytest.approx(mean, abs=1e-4)
    assert done["num_windows"] == len(expected)
    assert done["duration_s"] == pytest.approx(1.23)
    assert client.of("started")[0]["window_s"] == 0.2


def test_streams_at_once_do_not_mix(real):
    parts = [pcm(noise(16_000, level=0.05 * (k + 1), seed=k)) for k in range(4)]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(real)) for _ in parts]
        for client in clients:
            client.start()
        for begin in range(0, len(parts[0]), 3_200):
            for client, part in zip(clients, parts, strict=True):
                client.send(part[begin : begin + 3_200])
        for client in clients:
            client.send({"type": "stop"})
        together = [client.rest()[0] for client in clients]
    for part, messages in zip(parts, together, strict=True):
        with Client(real) as client:
            client.run(part)
        alone = [m["score"] for m in client.of("window")]
        assert [m["score"] for m in messages if m["type"] == "window"] == alone


def test_a_model_without_jax_streams_too(guarded):
    with Client(guarded, **keyed(Role.ANALYST)) as client:
        done = client.run(fresh(num_samples=8_000))
    assert [window["end_s"] for window in client.of("window")] == [0.2, 0.4, 0.5]
    assert done["verdict"] == "bonafide"
    assert {"score", "llr", "p_spoof"} <= done.keys()


def test_a_gate_is_told_verdicts_alone(guarded):
    client = Client(guarded, **keyed())
    with client:
        data = fresh(num_samples=40_000)
        done = client.run(data, subject="ann", source="ann's")
    assert {message["type"] for message in client.messages} == {"started", "verdict", "done"}
    assert len(client.of("verdict")) < 4
    for message in client.messages:
        assert not {"score", "llr", "p_spoof"} & message.keys()
    keys = guarded.service.gate.signer.key_set
    claims = verify_decision(done["token"], keys, audience="gate", audio=data)
    assert claims["request_id"] == done["session"]
    with Client(guarded, **keyed()) as client:
        again = client.run(data, subject="ann", source="ann's")
    assert (again["verdict"], again["reason"], again["token"]) == ("spoof", "replayed", None)
    text = guarded.service.gate.audit._path.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["reason_class"] for line in lines if line["request_id"] == again["session"]]


def refused(server, path="/v1/stream", **options):
    with Client(server, path, **options) as client:
        return client.rest()


def test_who_may_open_a_socket(guarded):
    key = TEXTS[Role.GATE]
    assert refused(guarded)[1] == 4001
    assert refused(guarded, "/v1/stream?ticket=x")[1] == 4001
    assert refused(guarded, f"/v1/stream?key={key}")[1] == 4001
    assert refused(guarded, **keyed(), origin="https://evil.example")[1] == 4003
    ask = guarded.client.post("/v1/tickets", headers=keyed()["additional_headers"])
    ticket = ask.json()["ticket"]
    with Client(guarded, f"/v1/stream?ticket={ticket}", origin=PAGE) as client:
        assert client.run(fresh(), subject="t", source="t")["verdict"] == "bonafide"
    assert refused(guarded, f"/v1/stream?ticket={ticket}", origin=PAGE)[1] == 4001


def test_a_page_cannot_use_a_service_without_keys(real):
    assert refused(real, origin="http://localhost:8000")[1] == 4003
    assert refused(real, origin=real.url)[1] == 4003


def test_subjects_and_challenges(guarded):
    for _ in range(5):
        with Client(guarded, **keyed()) as client:
            assert client.run(fresh(QUIET), subject="dan", source="d")["verdict"] == "spoof"
    with Client(guarded, **keyed()) as client:
        client.start(subject="dan", source="other")
        assert client.rest()[1] == 4003
    assert client.socket.close_reason == "wait"
    with Client(guarded, **keyed()) as client:
        client.start(challenge_id="unknown")
        assert client.rest()[1] == 4003
    headers = keyed()["additional_headers"]
    challenge = guarded.client.post("/v1/challenges", headers=headers).json()["id"]
    with Client(guarded, **keyed()) as client:
        assert client.run(fresh(), challenge_id=challenge, source="c")["challenge_id"] == challenge


def test_limits_of_time_and_number(guarded):
    with Client(guarded, **keyed(Role.ANALYST)) as client:
        client.start()
        assert client.rest()[1] == 4008  # silent
    with Client(guarded, **keyed(Role.ANALYST)) as client:
        client.start()
        for _ in range(5):
            client.send(fresh(num_samples=16_000))
        messages, code = client.rest()
        assert code == 4009
        assert messages[-1]["type"] == "done"
        assert messages[-1]["duration_s"] == 4.0
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(Client(guarded, **keyed())).start(source="s")
        time.sleep(0.1)
        assert refused(guarded, **keyed())[1] == 4029
        stack.enter_context(Client(guarded, **keyed(Role.ANALYST))).start()
        time.sleep(0.1)
        assert refused(guarded, **keyed(Role.ANALYST))[1] == 1013
    time.sleep(0.5)
    assert guarded.service.streams.num_open == 0


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


def test_keepalive_keeps_a_socket(guarded):
    with Client(guarded, **keyed(Role.ANALYST)) as client:
        client.start()
        client.send(bytes(640))
        for _ in range(4):
            time.sleep(0.4)
            client.send({"type": "keepalive"})
        client.send({"type": "stop"})
        assert client.rest()[1] == 1000
        assert not client.of("warning")  # who sends nothing does not fall behind
        assert client.messages[-1]["verdict"] == "cannot judge"


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


def test_a_slow_network_holds_the_client_back(detector, monkeypatch):
    monkeypatch.setattr("rawnet_jax.serve.live_stream._BEHIND_S", 0.2)
    model: Any = (stub := stub_detector()).model
    with running(Service(stub, Settings(max_stream_s=300))) as server, Client(server) as client:
        client.start("f32le", channels=8)
        client.messages.append(json.loads(client.socket.recv(timeout=10)))
        model.may_go.clear()
        block, sent = noise(2_048, 8).tobytes(), []

        def flood():
            for _ in range(200):  # more than the buffers of the operating system hold
                client.send(block)
                sent.append(1)

        thread = threading.Thread(target=flood)
        thread.start()
        time.sleep(0.8)
        try:
            num_stuck, waiting_s = len(sent), waiting()
        finally:
            model.may_go.set()
        thread.join(30)
        client.send({"type": "stop"})
        assert client.rest()[1] == 1000
        assert num_stuck < 200
        assert waiting_s < 3
        assert client.of("warning")[0]["code"] == "falling_behind"
        assert client.messages[-1]["duration_s"] == pytest.approx(200 * 0.128)


def waiting():
    """Return how much audio of all streams waits in the service, in seconds."""
    live = [one for one in gc.get_objects() if type(one) is LiveStream]
    return sum(one._num_waiting / one._form.sample_rate_hz for one in live)


def test_open_streams_are_finished_at_the_end():
    with running(Service(stub_detector())) as server, Client(server) as client:
        client.start()
        client.send(fresh())
        client.messages.append(json.loads(client.socket.recv(timeout=10)))
        time.sleep(0.1)
        server.end()
        messages, code = client.rest()
        assert code == 1001
        assert messages[-1]["type"] == "done"
        assert messages[-1]["duration_s"] == 0.5
        server.thread.join(20)
        assert not server.thread.is_alive()


def media(data, **more):
    payload = {"payload": base64.b64encode(data).decode(), "track": "inbound", **more}
    return {"event": "media", "streamSid": "MZ1", "media": payload}


def begin(call="CA1", **parameters):
    form = {"encoding": "audio/x-mulaw", "sampleRate": 8_000, "channels": 1}
    started = {"callSid": call, "streamSid": "MZ1", "mediaFormat": form, "tracks": ["inbound"]}
    return {"event": "start", "start": started | {"customParameters": parameters}}


def dial(server, messages, signature=None):
    signed = {"X-Twilio-Signature": TWILIO.signature() if signature is None else signature}
    with Client(server, "/v1/twilio", additional_headers=signed) as client:
        for message in messages:
            client.send(message)
        return client.rest()[1]


def told(server, call, role=Role.GATE):
    answer = server.client.get(f"/v1/calls/{call}", headers=keyed(role)["additional_headers"])
    return answer.json() if answer.status_code == 200 else answer.status_code


def test_a_call_from_twilio(guarded):
    codes = np.random.default_rng(8).integers(0, 256, 16_000, np.uint8).tobytes()  # loud
    pieces = [media(codes[k : k + 160], chunk=str(k)) for k in range(0, len(codes), 160)]
    other = media(bytes(160), track="outbound")
    connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    stop = {"event": "stop", "stop": {"callSid": "CA1"}}
    call = [connected, begin(source="+1555"), *pieces, other, {"event": "mark"}, stop]
    assert dial(guarded, call) == 1000
    found = told(guarded, "CA1")
    token = found.pop("token")
    assert found == {"call_sid": "CA1", "state": "done", "verdict": "bonafide"}
    keys = guarded.service.gate.signer.key_set
    verify_decision(token, keys, audience="twilio", audio=codes)
    assert told(guarded, "CA1", Role.ANALYST)["duration_s"] == 2.0
    assert told(guarded, "CA9") == 404


def test_calls_that_are_not_from_twilio(guarded):
    assert dial(guarded, [], signature="x") == 4001
    assert dial(guarded, [], signature=TWILIO.signature("wss://evil/v1/twilio")) == 4001
    wrong = [
        [b"\x00"],
        ["{"],
        [{"event": "media"}],
        [{"event": "start"}],
        [begin() | {"start": {"callSid": "CA2"}}],
        [begin("CA3"), {"event": "media", "media": {"payload": "%%"}}],
        [begin("CA3"), {"event": "media", "media": 5}],
        [begin("CA3"), {"event": "surprise"}],
    ]
    for messages in wrong:
        assert dial(guarded, messages) in (1003, 1008), messages
    assert told(guarded, "CA3")["state"] == "failed"
    assert told(guarded, "CA3")["verdict"] == "cannot judge"


def test_the_socket_is_described(guarded):
    document = guarded.client.get("/asyncapi.json").json()
    assert document["asyncapi"] == "3.0.0"
    messages = document["components"]["messages"]
    with Client(guarded, **keyed(Role.ANALYST)) as client:
        client.run(fresh())
    jsonschema = pytest.importorskip("jsonschema")
    for message in client.messages:
        schema = messages[message["type"]]["payload"]
        jsonschema.validate(message, schema | {"additionalProperties": False})
