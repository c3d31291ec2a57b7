"""``WS /v1/stream`` with real clients."""

import contextlib
import gc
import json
import threading
import time
from typing import Any

import numpy as np
import pytest

import rawnet_jax
from rawnet_jax.data.pcm import PcmFormat, decoded
from rawnet_jax.jobs.stream import window_record
from rawnet_jax.serve.decisions import verify_decision
from rawnet_jax.serve.keys import Role
from rawnet_jax.serve.live_stream import LiveStream
from rawnet_jax.serve.service import Service
from rawnet_jax.serve.settings import Settings
from tests.serve.running import noise, running, stub_detector
from tests.serve.stream_client import PAGE, TEXTS, Client, fresh, keyed, pcm, refused
from tests.serve.test_gate_route import QUIET
from tests.small_run import write_run


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stream")
    return rawnet_jax.load(write_run(folder / "run", num_samples=3_200))


@pytest.fixture(scope="module")
def real(detector):
    """A service with a network."""
    with running(Service(detector, Settings(stream_hop_s=0.1, batch=1))) as server:
        yield server


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
