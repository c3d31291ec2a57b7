"""What is beyond a limit is refused, at once and with the kind of problem that says it."""

import concurrent.futures as futures
import contextlib
import dataclasses
import socket
import threading
import time

import httpx
import pytest

from rawnet_jax.serve import access
from rawnet_jax.serve.access import Principal
from rawnet_jax.serve.keys import Role
from rawnet_jax.serve.problems import KINDS, MEDIA_TYPE, TYPE
from tests.serve.running import RATE, noise, running, stub_service, wav


@pytest.fixture(scope="module")
def server():
    settings = {"max_body_bytes": 200_000, "max_audio_s": 3.0, "grace_s": 0.3, "body_s": 2.0}
    service = stub_service(
        **settings, head_s=0.5, queue=4, queue_wait_s=1.0, max_jobs=2, job_life_s=60.0
    )
    with running(service) as found:
        yield found


def refused(answer, kind):
    """Hold an answer against what a problem must be."""
    assert answer.status_code == KINDS[kind].status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    said = answer.json()
    assert said["type"] == TYPE.format(kind)
    assert said["status"] == answer.status_code
    assert said["request_id"] == answer.headers["x-request-id"]
    if answer.status_code in (429, 503):
        assert int(answer.headers["retry-after"]) >= 1
    return said


GOOD = wav(noise(6_000))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "bad-request"),
        (b"no audio", "not-audio"),
        (b"%PDF-1.7 and more", "not-audio"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not-audio"),
        (GOOD[:40], "undecodable"),
        (GOOD[: len(GOOD) // 2], "undecodable"),
        (wav(noise(0)), "undecodable"),
        (wav(noise(4 * RATE)), "too-long"),
        (wav(noise(4_000), 4_000), "out-of-bounds"),
        (wav(noise(1_000, 9)), "out-of-bounds"),
        (wav(noise(1_000, 1) * 1e5, subtype="FLOAT"), "out-of-bounds"),
        (bytes(200_001), "too-large"),
    ],
    ids=range(12),
)
def test_a_body_that_is_refused(server, content, kind):
    refused(server.score(content), kind)


def test_a_type_that_lies_changes_nothing(server):
    expected = server.score(GOOD).json()
    for kind in ("text/html", "audio/mpeg", "image/png", "application/json", "x" * 200):
        answer = server.client.post("/v1/score", content=GOOD, headers={"Content-Type": kind})
        assert answer.json()["score"] == expected["score"]
    lie = server.client.post("/v1/score", content=b"<html>", headers={"Content-Type": "audio/wav"})
    refused(lie, "not-audio")


def test_a_body_without_a_length_is_counted_while_it_comes(server):
    pieces = (bytes(20_000) for _ in range(100))
    with contextlib.suppress(httpx.TransportError):  # refused while it is still sent
        refused(server.client.post("/v1/score", content=pieces), "too-large")
    assert server.score(GOOD).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/nothing", "not-found"),
        ("GET", "/docs/../../pyproject.toml", "not-found"),
        ("GET", "/docs/%2e%2e%2fservice.py", "not-found"),
        ("GET", "/v1/score", "method-not-allowed"),
        ("DELETE", "/healthz", "method-not-allowed"),
        ("GET", "/v1/jobs/none", "not-found"),
        ("POST", "/v1/score?channel=0", "bad-parameter"),
        ("POST", "/v1/score?channel=x", "bad-parameter"),
        ("POST", "/v1/score?windows=perhaps", "bad-parameter"),
    ],
)
def test_every_error_is_a_problem(server, method, path, kind):
    refused(server.client.request(method, path, content=GOOD if method == "POST" else None), kind)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"x"),
        ("multipart/form-data; boundary=a", b"no parts"),
        ("multipart/form-data; boundary=a", b"--a\r\nContent-Disposition: form-data\r\n\r\n1\r\n"),
        ("multipart/form-data; boundary=a; charset=none", b"--a\r\n\r\n--a--\r\n"),
        (
            "multipart/form-data; boundary=a",
            b'--a\r\nContent-Disposition: form-data; name="file"\r\n\r\nno file\r\n--a--\r\n',
        ),
        (
            "multipart/form-data; boundary=a",
            b'--a\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n' * 40 + b"--a--\r\n",
        ),
    ],
)
def test_a_form_that_is_none(server, kind, body):
    answer = server.client.post("/v1/score", content=body, headers={"Content-Type": kind})
    refused(answer, "bad-request")


def test_a_form_with_two_files_is_refused(server):
    files = [("file", ("a", GOOD)), ("file", ("b", GOOD))]
    refused(server.client.post("/v1/score", files=files), "bad-request")


def raw(server, head, *pieces, wait_s=0.0):
    """Send bytes by hand; returns all that comes back until the service closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head)
        for piece in pieces:
            time.sleep(wait_s)
            try:
                connection.sendall(piece)
            except OSError:
                break
        answer = b""
        while piece := _received(connection):
            answer += piece
        return answer


def _received(connection):
    try:
        return connection.recv(65_536)
    except ConnectionResetError:
        return b""


POST = b"POST /v1/score HTTP/1.1\r\nHost: x\r\n"


def test_a_body_that_stalls_is_dropped(server):
    begin_s = time.monotonic()
    answer = raw(server, POST + b"Content-Length: 50000\r\n\r\nRIFF")
    assert answer.startswith(b"HTTP/1.1 408")
    assert TYPE.format("too-slow").encode() in answer
    assert time.monotonic() - begin_s < 1.5
    assert server.score(GOOD).status_code == 200


def test_a_body_that_drips_is_dropped(server):
    head = POST + b"Content-Length: 50000\r\n\r\n"
    answer = raw(server, head, *[b"x" * 50] * 40, wait_s=0.05)
    assert answer.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("head", [b"", b"POST /v1/sc", POST, POST + b"X-Long: " + b"y" * 60])
def test_a_head_that_does_not_end_is_dropped(server, head):
    begin_s = time.monotonic()
    assert raw(server, head) == b""
    assert time.monotonic() - begin_s < 2


def test_after_an_answer_the_next_head_must_come(server):
    answer = raw(server, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /hea")
    assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "request_text",
    [
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        POST + b"Content-Length: -5\r\n\r\n",
        POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nzz\r\n",
        POST + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
    ids=range(6),
)
def test_what_is_no_http_gets_a_4xx(server, request_text):
    assert raw(server, request_text)[:10] in (b"HTTP/1.1 4", b"")
    assert server.client.get("/healthz").status_code == 200


def test_a_full_queue_is_503_at_once_and_what_waits_too_long_too(server):
    stub = server.stub
    stub.may_go.clear()
    with futures.ThreadPoolExecutor(12) as pool:
        found = [pool.submit(httpx.post, f"{server.url}/v1/score", content=GOOD, timeout=30)]
        while server.service.engine.depth or not server.service.admission.num_working:
            time.sleep(0.01)
        time.sleep(0.2)  # the first is being scored
        found += [
            pool.submit(httpx.post, f"{server.url}/v1/score", content=GOOD, timeout=30)
            for _ in range(3)
        ]
        while server.service.admission.num_working < 4:
            time.sleep(0.01)
        begin_s = time.monotonic()
        for _ in range(5):
            said = refused(httpx.post(f"{server.url}/v1/score", content=GOOD), "overloaded")
            assert "4 at once" in said["detail"]
        assert time.monotonic() - begin_s < 1.0
        refused(server.client.get("/readyz"), "not-ready")
        assert server.client.get("/healthz").status_code == 200
        time.sleep(1.0)
        stub.may_go.set()
        answers = [one.result() for one in found]
    assert answers[0].status_code == 200
    for answer in answers[1:]:
        assert "too long" in refused(answer, "overloaded")["detail"]
    assert server.client.get("/readyz").status_code == 200


def test_one_key_cannot_take_the_whole_queue(monkeypatch):
    monkeypatch.setattr(access, "LOCAL", Principal("a key", Role.ANALYST))
    with running(stub_service(queue=8, queue_per_key=2)) as server:
        stub = server.stub
        stub.may_go.clear()
        with futures.ThreadPoolExecutor(4) as pool:
            url = f"{server.url}/v1/score"
            found = [pool.submit(httpx.post, url, content=GOOD, timeout=30) for _ in range(2)]
            while server.service.admission.num_working < 2:
                time.sleep(0.01)
            refused(server.score(GOOD), "too-many-requests")
            stub.may_go.set()
            assert [one.result().status_code for one in found] == [200, 200]


def test_bytes_that_are_held_are_bounded(server, monkeypatch):
    admission = server.service.admission
    assert admission._held == 0
    few = dataclasses.replace(server.service.settings, held_bytes=len(GOOD) - 1)
    monkeypatch.setattr(admission, "_settings", few)
    assert "memory" in refused(server.score(GOOD), "overloaded")["detail"]
    assert server.score(GOOD[:200]).status_code == 422
    assert admission._held == 0


def test_a_defect_in_a_job_is_its_problem(server, monkeypatch, caplog):
    async def broken(*_, **__):
        raise RuntimeError("secret.wav")

    monkeypatch.setattr(server.service, "judge", broken)
    later = {"Prefer": "respond-async"}
    place = server.client.post("/v1/score", content=GOOD, headers=later).headers["location"]
    while (said := server.client.get(place).json())["state"] != "failed":
        threading.Event().wait(0.01)
    assert said["problem"]["type"] == TYPE.format("internal")
    assert [place.rpartition("/")[2] in one.getMessage() for one in caplog.records] == [True]
    assert "secret" not in caplog.text
    assert server.client.delete(place).status_code == 204


def test_jobs_end_are_bounded_and_forgotten(server):
    later = {"Prefer": "respond-async"}
    expected = server.score(GOOD).json()
    answer = server.client.post("/v1/score", content=GOOD, headers=later)
    assert answer.status_code == 202
    place = answer.headers["location"]
    while (said := server.client.get(place).json())["state"] != "done":
        assert said["state"] in ("queued", "running")
        threading.Event().wait(0.01)
    assert said["result"]["score"] == expected["score"]
    bad = server.client.post("/v1/score", content=b"no audio", headers=later)
    while (said := server.client.get(bad.headers["location"]).json())["state"] != "failed":
        threading.Event().wait(0.01)
    assert said["problem"]["type"] == TYPE.format("not-audio")
    refused(server.client.post("/v1/score", content=GOOD, headers=later), "overloaded")
    assert server.client.delete(place).status_code == 204
    refused(server.client.get(place), "not-found")
    refused(server.client.delete(place), "not-found")
    assert server.client.delete(bad.headers["location"]).status_code == 204


def test_a_job_that_is_running_can_be_ended(server):
    stub = server.stub
    stub.may_go.clear()
    later = {"Prefer": "respond-async"}
    try:
        place = server.client.post("/v1/score", content=GOOD, headers=later).headers["location"]
        while server.client.get(place).json()["state"] != "running":
            threading.Event().wait(0.01)
        assert server.client.delete(place).status_code == 204
    finally:
        stub.may_go.set()
    while server.service.admission.num_working:
        threading.Event().wait(0.01)
    assert server.score(GOOD).status_code == 200


def test_headers_of_every_answer(server):
    for path in ("/healthz", "/docs", "/nothing", "/metrics", "/openapi.json"):
        headers = server.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "server" not in headers


def test_the_page_of_the_routes_loads_nothing_from_elsewhere(server):
    page = server.client.get("/docs").text
    parts = [server.client.get(f"/docs/{name}") for name in ("page.js", "page.css")]
    assert [part.status_code for part in parts] == [200, 200]
    for text in (page, *(part.text for part in parts)):
        assert "://" not in text
        assert "innerHTML" not in text
        assert "onclick" not in text
    assert page.count("<script") == page.count('<script src="/docs/page.js"') == 1
    assert "style=" not in page


def test_meters_count(server):
    before = server.service.meters.registry.get_sample_value
    verdict = {"verdict": "bonafide"}
    count = before("rawnet_jax_verdicts_total", verdict) or 0
    assert server.score(GOOD).json()["verdict"] == "bonafide"
    assert before("rawnet_jax_verdicts_total", verdict) == count + 1
    text = server.client.get("/metrics").text
    for name in ("queue_seconds", "decode_seconds", "score_seconds"):
        assert f"rawnet_jax_{name}_bucket" in text
    # What a stranger writes must not make a new series each time.
    server.client.get("/nothing/a")
    server.client.request("STRANGE", "/nothing/b")
    server.client.request("STRANGE", "/healthz")
    text = server.client.get("/metrics").text
    assert "nothing" not in text
    assert "STRANGE" not in text
