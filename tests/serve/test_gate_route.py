"""``POST /v1/gate`` and its neighbours, through a real server and a real upstream."""

import contextlib
import hashlib
import http.server
import json
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from rawnet_jax.errors import DataError
from rawnet_jax.serve.audit import AuditLog, verify_log
from rawnet_jax.serve.decisions import Signer, verify_decision
from rawnet_jax.serve.gate import Gate
from rawnet_jax.serve.keys import ApiKey, KeyRing, Role, add_key
from rawnet_jax.serve.limits import RateLimiter
from rawnet_jax.serve.private_file import Secret
from rawnet_jax.serve.service import Service
from rawnet_jax.serve.settings import Settings
from rawnet_jax.serve.upstream import Upstream
from tests.serve.running import noise, running, stub_detector, wav

PEM = ed25519.Ed25519PrivateKey.generate().private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
QUIET, LOUD = 0.02, 0.2  # the stub calls loud noise bona fide
_SEEDS = iter(range(1_000, 10_000))


def recording(level=LOUD, num_samples=4_000):
    """Return a recording that was never seen."""
    return wav(noise(num_samples, level=level, seed=next(_SEEDS)))


class Backend(http.server.ThreadingHTTPServer):
    """An upstream that answers as it is told, and keeps what it got."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen, self.status, self.wait_s, self.raw = [], 200, 0.0, None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/login"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Backend

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((headers, body))
        time.sleep(self.server.wait_s)
        with contextlib.suppress(OSError):
            if self.server.raw is not None:
                self.wfile.write(self.server.raw)
                return
            self.send_response(self.server.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("X-Session", "s1")
            self.end_headers()
            self.wfile.write(b'{"welcome": true}')

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def backend():
    with Backend() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def make_gate(folder, **more):
    keys = folder / "keys.json"
    texts = {
        role: add_key(keys, ApiKey(role.value, role, "0" * 64))
        for role in (Role.GATE, Role.ANALYST)
    }
    parts: dict[str, Any] = {
        "secret": Secret(b"k" * 32),
        "key_ring": KeyRing(keys),
        "audit": AuditLog(folder / "audit.jsonl"),
        "signer": Signer(PEM),
    }
    return Gate(**(parts | more)), texts


class Caller:
    """Asks with a key."""

    def __init__(self, server, texts):
        self.server, self.texts = server, texts
        self.folder, self.backend = Path(), None

    def __call__(self, method, path, role=Role.GATE, subject="ann", **more):
        headers = {"Authorization": f"Bearer {self.texts[role]}"} if role else {}
        # A source of its own for each subject: tests must not stand in each other's way.
        if subject:
            headers |= {"X-Gate-Subject": subject, "X-Gate-Source": f"of {subject}"}
        headers |= more.pop("headers", {})
        return self.server.client.request(method, path, headers=headers, **more)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A gate without an upstream."""
    folder = tmp_path_factory.mktemp("alone")
    gate, texts = make_gate(folder)
    with running(Service(stub_detector(), Settings(), gate=gate)) as server:
        caller = Caller(server, texts)
        caller.folder = folder
        yield caller


@pytest.fixture(scope="module")
def before(tmp_path_factory, backend):
    """A gate before an upstream."""
    folder = tmp_path_factory.mktemp("before")
    gate, texts = make_gate(folder, upstream=Upstream(backend.url, timeout_s=0.5))
    with running(Service(stub_detector(), Settings(), gate=gate)) as server:
        caller = Caller(server, texts)
        caller.folder, caller.backend = folder, backend
        yield caller


@pytest.fixture(autouse=True)
def honest(backend):
    backend.status, backend.wait_s, backend.raw = 200, 0.0, None
    backend.seen.clear()


def test_keys_are_needed_and_never_in_a_url(alone):
    for path in ("/v1/gate", "/v1/score", "/v1/challenges", "/v1/tickets"):
        answer = alone("POST", path, role=None, content=recording())
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "Bearer"
    wrong = alone("POST", "/v1/gate", headers={"Authorization": "Bearer rj_no"}, content=b"x")
    assert wrong.status_code == 401
    inside = alone("POST", "/v1/gate?key=x", content=recording())
    assert inside.status_code == 400
    by_name = alone("POST", "/v1/challenges", role=None, headers={"X-API-Key": alone.texts["gate"]})
    assert by_name.status_code == 201
    assert alone("DELETE", "/v1/locks").status_code == 403


def test_a_decision_is_told_signed_and_logged(alone):
    challenge = alone("POST", "/v1/challenges").json()
    content = recording()
    headers = {"X-Challenge-ID": challenge["id"]}
    answer = alone("POST", "/v1/gate", content=content, headers=headers)
    said = answer.json()
    assert answer.status_code == 200, said
    assert (said["verdict"], said["reason"]) == ("bonafide", None)
    claims = verify_decision(
        said["token"],
        alone("GET", "/v1/keys", role=None).json(),
        audience="gate",
        audio=content,
        challenge_id=challenge["id"],
    )
    assert claims["nonce"] == challenge["nonce"]
    assert alone("POST", "/v1/gate", content=recording(), headers=headers).status_code == 403
    text = (alone.folder / "audit.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    line = next(line for line in lines if line.get("request_id") == said["request_id"])
    assert line["decision"] == "bonafide"
    assert line["challenge_id"] == challenge["id"]
    assert line["network"] == "127.0.0.0/24"
    assert "of ann" not in text
    assert '"ann"' not in text
    verify_log(alone.folder / "audit.jsonl")


def test_a_gate_is_told_no_score(alone):
    for level in (QUIET, LOUD, 0.0):
        content = recording(level)
        said = alone("POST", "/v1/gate", content=content, subject="bob").json()
        keys = {"verdict", "reason", "request_id", "challenge_id", "audio_sha256", "token"}
        assert said.keys() == keys
        assert (said["token"] is not None) == (said["verdict"] == "bonafide")
        told = alone("POST", "/v1/score", content=recording(level), subject="bob").json()
        assert told.keys() == {"verdict", "reason", "request_id"}
        assert told["verdict"] == said["verdict"]
    card = alone("GET", "/v1/model").json()
    assert card["threshold"] is None
    told = alone("POST", "/v1/score", role=Role.ANALYST, content=content)
    assert "score" in told.json()
    later = alone("POST", "/v1/score", content=content, headers={"Prefer": "respond-async"})
    assert later.status_code == 403


def test_answers_to_a_gate_take_multiples_of_a_step(alone):
    def took(level):
        content, begin_s = recording(level), time.perf_counter()
        alone("POST", "/v1/gate", content=content, subject=f"timed {level}")
        return time.perf_counter() - begin_s

    times = np.array([[took(level) for level in (QUIET, LOUD, 0.0)] for _ in range(4)])
    assert times.min() >= 0.05
    assert np.ptp(np.median(times, axis=0)) < 0.025


def test_a_recording_that_comes_back_is_replayed(alone):
    waveform = noise(30_000, level=LOUD, seed=next(_SEEDS))
    ask = {"subject": "cid"}
    assert alone("POST", "/v1/gate", content=wav(waveform), **ask).json()["verdict"] == "bonafide"
    again = alone("POST", "/v1/gate", content=wav(waveform), **ask).json()
    assert (again["verdict"], again["reason"], again["token"]) == ("spoof", "replayed", None)
    near = alone("POST", "/v1/gate", content=wav(0.9 * waveform[777:]), **ask).json()
    assert near["reason"] == "replayed"
    told = alone("POST", "/v1/score", content=wav(waveform, format="FLAC"), **ask).json()
    assert (told["verdict"], told["reason"]) == ("spoof", "replayed")
    analyst = alone("POST", "/v1/score", role=Role.ANALYST, content=wav(waveform)).json()
    assert analyst["verdict"] == "bonafide"


def test_a_subject_waits_is_locked_and_unlocked(alone):
    for _ in range(5):
        answer = alone("POST", "/v1/gate", content=recording(QUIET), subject="dan")
        assert answer.json()["verdict"] == "spoof"
    waiting = alone("POST", "/v1/gate", content=recording(), subject="dan")
    assert waiting.status_code == 429
    assert 25 <= int(waiting.headers["retry-after"]) <= 31
    assert alone("POST", "/v1/score", content=recording(), subject="dan").status_code == 429
    assert alone("POST", "/v1/gate", content=recording(), subject="eve").status_code == 200
    gate = alone.server.service.gate
    tag = gate.secret.tag("subject", "dan")
    gate.attempts._db.execute("UPDATE attempts SET count = 50 WHERE name = ?", (tag,))
    locked = alone("POST", "/v1/gate", content=recording(), subject="dan")
    assert (locked.status_code, "retry-after" in locked.headers) == (403, False)
    assert locked.json()["type"].endswith(":locked")
    assert alone("DELETE", "/v1/locks", role=Role.ANALYST, subject="dan").status_code == 204
    assert alone("DELETE", "/v1/locks", role=Role.ANALYST, subject="dan").status_code == 404


def test_what_cannot_be_read_counts_too(alone):
    for _ in range(10):
        assert alone("POST", "/v1/gate", content=b"no audio", subject="fay").status_code == 415
    assert alone("POST", "/v1/gate", content=recording(), subject="fay").status_code == 429


def test_forms_that_an_upstream_could_read_otherwise_are_refused(alone):
    for headers in (
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Encoding": "gzip"},
    ):
        answer = alone("POST", "/v1/gate", content=recording(), headers=headers, subject="gus")
        assert answer.status_code == 415


def test_a_key_that_asks_too_often_is_told_when(tmp_path):
    gate, texts = make_gate(tmp_path, limiter=RateLimiter(60, 3))
    with running(Service(stub_detector(), gate=gate)) as server:
        ask = Caller(server, texts)
        answers = [ask("GET", "/v1/model") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[0].headers["ratelimit"] == '"key";r=2;t=1'
        assert answers[3].headers["retry-after"] == "1"
        assert ask("GET", "/v1/model", role=Role.ANALYST).status_code == 200


def test_bona_fide_audio_goes_on_with_a_decision(before):
    content = recording()
    answer = before("POST", "/v1/gate", content=content, headers={"X-Session": "mine"})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"welcome": True}
    assert answer.headers["x-session"] == "s1"
    [(headers, body)] = before.backend.seen
    assert body == content
    assert headers["x-session"] == "mine"
    assert not {"authorization", "x-gate-subject", "x-gate-source"} & headers.keys()
    claims = verify_decision(
        headers["authorization-decision"],
        before("GET", "/v1/keys", role=None).json(),
        audience=before.backend.url.removesuffix("/login"),
        audio_sha256=hashlib.sha256(body).hexdigest(),
    )
    assert claims["request_id"] == answer.headers["x-request-id"]


def test_all_else_is_refused(before):
    replayed = recording()
    assert before("POST", "/v1/gate", content=replayed, subject="hal").status_code == 200
    before.backend.seen.clear()
    for content, reason in ((recording(QUIET), "spoof"), (replayed, "replayed")):
        answer = before("POST", "/v1/gate", content=content, subject="hal")
        assert answer.status_code == 403
        assert answer.json()["reason"] == reason
    silent = before("POST", "/v1/gate", content=recording(0.0), subject="hal")
    assert silent.status_code == 403
    assert before("POST", "/v1/gate", content=b"x" * 100, subject="hal").status_code == 415
    assert before.backend.seen == []


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"wait_s": 1.0}, 504),
        ({"status": 500}, 502),
        ({"status": 302}, 502),
        ({"raw": b"junk\r\n\r\n"}, 502),
        ({"raw": b""}, 502),
        ({"raw": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort"}, 502),
    ],
)
def test_a_bad_upstream_lets_nobody_in(before, told, status):
    vars(before.backend).update(told)
    answer = before("POST", "/v1/gate", content=recording(), subject="ida")
    assert answer.status_code == status
    assert "welcome" not in answer.text


def test_what_the_upstream_says_of_the_speaker_counts(before):
    before.backend.status = 401
    for _ in range(5):
        assert before("POST", "/v1/gate", content=recording(), subject="joe").status_code == 401
    assert before("POST", "/v1/gate", content=recording(), subject="joe").status_code == 429


def test_a_dead_upstream_lets_nobody_in(tmp_path):
    gate, texts = make_gate(tmp_path, upstream=Upstream("http://127.0.0.1:9/", timeout_s=0.5))
    with running(Service(stub_detector(), gate=gate)) as server:
        answer = Caller(server, texts)("POST", "/v1/gate", content=recording())
        assert answer.status_code == 502


def test_nothing_is_decided_that_cannot_be_recorded(tmp_path):
    gate, texts = make_gate(tmp_path, needs_challenge=True)

    def full(record):
        raise DataError("no space")

    with running(Service(stub_detector(), gate=gate)) as server:
        ask = Caller(server, texts)
        assert ask("POST", "/v1/gate", content=recording()).status_code == 403
        gate.audit.append = full
        for path in ("/v1/gate", "/v1/score"):
            headers = {"X-Challenge-ID": ask("POST", "/v1/challenges").json()["id"]}
            answer = ask("POST", path, content=recording(), headers=headers)
            assert answer.status_code == 503
            assert answer.json()["type"].endswith(":not-recorded")


def test_many_tries_at_once_gain_nothing(alone):
    with httpx.Client(base_url=alone.server.url, timeout=30) as client:
        headers = {
            "Authorization": f"Bearer {alone.texts[Role.GATE]}",
            "X-Gate-Subject": "kim",
            "X-Gate-Source": "kim's",
        }
        found = []

        def ask():
            answer = client.post("/v1/gate", content=recording(QUIET), headers=headers)
            found.append(answer.status_code)

        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found) == [200] * 5 + [429] * 7
