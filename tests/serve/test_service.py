"""Roles, readiness, and an end that loses no request."""

import asyncio
import concurrent.futures as futures
import contextlib
import datetime
import ipaddress
import math
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rawnet_jax.cli.main import main
from rawnet_jax.errors import ConfigError, RawnetError
from rawnet_jax.serve import access, start
from rawnet_jax.serve.access import Principal
from rawnet_jax.serve.gate import Gate
from rawnet_jax.serve.keys import Role
from rawnet_jax.serve.problems import TYPE
from rawnet_jax.serve.server import Listening
from rawnet_jax.serve.settings import Settings
from tests.conftest import REPO
from tests.serve.running import RATE, noise, running, stub_service, wav
from tests.small_run import write_run

GOOD = wav(noise(6_000))


@pytest.fixture(scope="module")
def server():
    with running(stub_service(max_audio_gate_s=1.0, self_test_s=0.05)) as found:
        yield found


@pytest.fixture
def gate(monkeypatch, server):
    """Whoever asks is a gate, of whose attempts and recordings nothing is known yet."""
    monkeypatch.setattr(access, "LOCAL", Principal("door", Role.GATE))
    fresh = Gate()
    monkeypatch.setattr(server.service, "gate", fresh)
    yield
    asyncio.run(fresh.close())


SPOOF, SILENT = wav(noise(6_000, level=0.01)), wav(np.zeros(6_000))


@pytest.mark.usefixtures("gate")
def test_a_gate_gets_a_decision_and_a_class_of_reason_alone(server):
    expected: dict = {GOOD: ("bonafide", None), SPOOF: ("spoof", None)}
    expected[SILENT] = ("cannot judge", "digital silence")
    for content, (verdict, reason) in expected.items():
        found = server.score(content).json()
        assert set(found) == {"verdict", "reason", "request_id"}
        assert (found["verdict"], found["reason"]) == (verdict, reason)
    assert server.score(GOOD, windows=True).status_code == 403
    longer = server.score(wav(noise(2 * RATE)))
    assert longer.json()["type"] == TYPE.format("too-long")
    assert server.score(GOOD, channel=3).json()["reason"] == "wrong channel"
    card = server.client.get("/v1/model").json()
    assert card["threshold"] is card["calibration"] is card["self_test_score"] is None


@pytest.mark.usefixtures("gate")
def test_answers_to_a_gate_leave_at_steps_of_time(server):
    step_s = server.service.settings.answer_step_s
    server.score(GOOD)
    for content in (GOOD, SPOOF, SILENT, b"no audio"):
        begin_s = time.monotonic()
        server.score(content)
        passed_s = time.monotonic() - begin_s
        assert passed_s >= step_s
        assert passed_s % step_s < 0.6 * step_s  # the way there and back is short


def test_an_analyst_does_not_wait(server):
    server.score(GOOD)
    times_s = []
    for _ in range(5):
        begin_s = time.monotonic()
        server.score(GOOD)
        times_s.append(time.monotonic() - begin_s)
    assert min(times_s) < 0.04


def test_without_a_known_key_there_is_nothing(server, monkeypatch):
    nobody = SimpleNamespace(find=lambda key: None)
    monkeypatch.setattr(server.service.gate, "key_ring", nobody)
    for method, path in (("POST", "/v1/score"), ("GET", "/v1/model"), ("GET", "/v1/jobs/x")):
        answer = server.client.request(method, path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert server.client.get("/healthz").status_code == 200


def test_the_card_names_model_and_limits(server):
    card = server.client.get("/v1/model").json()
    assert card["digest"] == server.service.detector.model.fingerprint
    assert card["limits"] == Settings(max_audio_gate_s=1.0, self_test_s=0.05).to_dict()
    assert card["threshold"] == server.service.detector.model.threshold
    assert card["self_test_score"] == server.service.engine.golden


def test_not_ready_where_the_network_is_not_what_it_was(server, monkeypatch):
    model = server.service.detector.model
    with monkeypatch.context() as patch:
        patch.setattr(model, "shift", 7.0)
        until(lambda: server.client.get("/readyz").status_code == 503)
        assert "self-test" in server.client.get("/readyz").json()["detail"]
        answer = server.score(GOOD)
        assert answer.json()["type"] == TYPE.format("not-ready")  # it fails closed
    until(lambda: server.client.get("/readyz").status_code == 200)
    assert server.score(GOOD).status_code == 200


def test_not_ready_without_decoders(server, monkeypatch):
    monkeypatch.setattr(type(server.service.pool), "is_alive", False)
    assert server.client.get("/readyz").status_code == 503


def test_a_defect_is_a_500_that_tells_nothing(server, monkeypatch, caplog):
    def broken(*_, **__):
        raise RuntimeError("secret.wav")

    monkeypatch.setattr(server.service, "judge", broken)
    answer = server.score(GOOD)
    assert answer.status_code == 500
    assert answer.json()["type"] == TYPE.format("internal")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "secret" not in answer.text
    [record] = caplog.records
    assert answer.json()["request_id"] in record.getMessage()
    assert "secret" not in record.getMessage()


def until(condition, most_s=10.0):
    end_s = time.monotonic() + most_s
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_what_runs_is_finished_when_the_service_ends():
    with running(stub_service()) as server:
        server.stub.may_go.clear()
        url = f"{server.url}/v1/score"
        pids = server.service.pool.pids
        with futures.ThreadPoolExecutor(4) as pool:
            found = [pool.submit(httpx.post, url, content=GOOD, timeout=30) for _ in range(4)]
            until(lambda: server.service.admission.num_working == 4)
            server.end()
            until(lambda: server.service.not_ready == "it is ending")
            until(lambda: refuses(server.port))
            server.stub.may_go.set()
            assert [one.result().status_code for one in found] == [200] * 4
        server.thread.join(10)
        assert not [pid for pid in pids if lives(pid)]


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return True
    return False


def lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def certificate(folder):
    """Write a key and its own certificate for 127.0.0.1; returns both paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    place = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(place, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    kind = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(pem, kind, plain))
    return folder / "cert.pem", folder / "key.pem"


def test_tls(tmp_path):
    public, private = certificate(tmp_path)
    where = Listening(port=0, tls_certificate=public, tls_key=private)
    trusting = ssl.create_default_context(cafile=str(public))
    with running(stub_service(), where=where, verify=trusting) as server:
        assert server.url.startswith("https://")
        assert server.score(GOOD).json()["verdict"] == "bonafide"
        trusting.maximum_version = ssl.TLSVersion.TLSv1_2
        assert httpx.get(f"{server.url}/healthz", verify=trusting).status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(server.url.replace("https", "http"))


def test_a_service_that_cannot_start_ends():
    service = stub_service()
    model: Any = service.detector.model
    model.shift = math.nan
    with running(service, ready=False) as server:
        server.thread.join(20)
        [error] = server.errors
        assert isinstance(error, RawnetError)
        assert "self-test" in str(error)


def test_a_port_that_is_taken_is_one_line(capsys, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(start, "_detector", lambda _: stub_service().detector)
        assert main(["serve", f"--port={taken.getsockname()[1]}"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("error: --host 127.0.0.1 --port ")
    assert "in use" in said[-1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host=0.0.0.0"], "there are no keys"),
        (["--host=192.0.2.1"], "there are no keys"),
        (["--host=no.such.host.invalid"], "there are no keys"),
        (["--port=70000"], "at most 65,535"),
        (["--queue=0"], "must be 1 or more"),
        (["--max-body=0"], "above 0"),
        (["--queue-wait=nan"], "above 0"),
        (["--tls-key=key.pem"], "give both"),
        (["--tls-key=key.pem", "--tls-certificate=none.pem"], "TLS: "),
        (["--workdir=none"], "no such"),
        (["--workdir=none.onnx"], "no such file"),
        (["--workdir=none.onnx", "--seed=1"], "an .onnx file has none"),
    ],
)
def test_wrong_options_are_one_line(words, said, capsys, monkeypatch):
    if not any("workdir" in word for word in words):
        monkeypatch.setattr(start, "_detector", lambda _: stub_service().detector)
    assert main(["serve", *words]) == 2
    [line] = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error")]
    assert said in line


def test_loopback_is_known():
    assert start.is_loopback("127.0.0.1")
    assert start.is_loopback("localhost")
    assert start.is_loopback("::1")
    assert not start.is_loopback("0.0.0.0")
    assert not start.is_loopback("::")


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ConfigError, match=r"pip install 'rawnet_jax\[serve\]'"):
        start.check_installed()


@contextlib.contextmanager
def killed_on_failure(process):
    """Kill a process whose test fails, or the test would wait for it."""
    try:
        yield
    except BaseException:
        process.kill()
        raise


@pytest.mark.slow
def test_ctrl_c_under_load(tmp_path):
    """As a user starts it: nothing accepted is lost, no process stays, the status is 130."""
    run = write_run(tmp_path / "run", num_samples=3_200)
    words = ["serve", f"--workdir={run}", "--port=0", "--metrics-port=0"]
    started = subprocess.Popen(
        [sys.executable, "-m", "rawnet_jax", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    with started as process, killed_on_failure(process):
        assert process.stderr is not None
        said = ""
        while not (found := re.search(r"listens on (http://\S+)", said)):
            said += (line := process.stderr.readline())
            assert line, said
        url = found[1]
        metrics = re.search(r"metrics on (http://\S+)", said)
        until(lambda: httpx.get(f"{url}/readyz").status_code == 200, 60)
        assert metrics is not None
        assert "rawnet_jax_ready 1.0" in httpx.get(metrics[1]).text
        assert httpx.get(f"{url}/metrics").status_code == 404
        statuses: list[int] = []
        lost: list[str] = []

        def load():
            with httpx.Client(timeout=30) as client:
                while True:
                    try:
                        statuses.append(client.post(f"{url}/v1/score", content=GOOD).status_code)
                    except httpx.ConnectError:
                        return
                    except httpx.TransportError as error:
                        lost.append(repr(error))
                        return

        with futures.ThreadPoolExecutor(6) as pool, killed_on_failure(process):
            running_ = [pool.submit(load) for _ in range(6)]
            until(lambda: len(statuses) > 40)
            workers = children(process.pid)
            os.killpg(process.pid, signal.SIGINT)
            for one in running_:
                one.result(30)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert rest.splitlines()[-1] == "interrupted"
    assert "Traceback" not in rest
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) > 40
    assert len(workers) >= 1
    assert not [pid for pid in workers if lives(pid)]


STUCK = """
import threading, time
from rawnet_jax.serve.server import Listening, run
from tests.serve.running import stub_service
service = stub_service(decode_workers=1)
def hold():
    while service.not_ready:
        time.sleep(0.01)
    service.detector.model.may_go.clear()
    print("held", flush=True)
threading.Thread(target=hold, daemon=True).start()
run(service, Listening(port=0), lambda url: print(url, flush=True))
"""


@pytest.mark.slow
def test_a_second_signal_ends_it_at_once():
    with subprocess.Popen(
        [sys.executable, "-c", STUCK],
        cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert process.stdout.readline() == "held\n"
            workers = children(process.pid)
            with futures.ThreadPoolExecutor(1) as pool:
                stuck = pool.submit(httpx.post, f"{url}/v1/score", content=GOOD, timeout=20)
                until(lambda: "working 1.0" in httpx.get(f"{url}/metrics").text)
                process.terminate()
                until(lambda: refuses(httpx.URL(url).port))
                assert process.poll() is None
                process.terminate()
                assert process.wait(5) == -signal.SIGTERM
                with pytest.raises(httpx.TransportError):
                    stuck.result()
            until(lambda: not [pid for pid in workers if lives(pid)])
        finally:
            process.kill()


def children(pid):
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(word) for word in done.stdout.split()]
