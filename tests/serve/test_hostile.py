"""Bodies that want to break the service, and requests that fit its OpenAPI document."""

import shutil
import subprocess
import sys

import httpx
import numpy as np
import pytest
import soundfile

from fuzzing.containers import mutant_of
from fuzzing.material import CONTAINERS, Base
from fuzzing.mutate_bytes import flip_header_bits
from rawnet_jax.errors import AudioError
from rawnet_jax.serve.problems import MEDIA_TYPE
from rawnet_jax.serve.rounding import DIGITS
from tests.conftest import REPO
from tests.serve.document import check_answers
from tests.serve.running import noise, running, stub_service, wav

NUM_MUTANTS = 200
CASES = REPO.parent / "shared" / "cases" / "make_cases.py"


@pytest.fixture(scope="module")
def server():
    with running(stub_service(max_body_bytes=400_000, decode_files=1_000)) as found:
        yield found


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    found = []
    for name, (container, subtype, rate, channels) in CONTAINERS.items():
        path, seconds = folder / f"clip.{name}", 0.4
        samples = noise(int(seconds * rate), channels)
        soundfile.write(path, samples, rate, format=container, subtype=subtype)
        found.append(Base(name, path, seconds, rate, channels))
    return found


def same(answer, detector, path, said):
    """Hold an answer against what the command gives the same file."""
    try:
        expected = detector.score(path)
    except AudioError:
        assert answer.status_code in (415, 422), said
        return
    if answer.status_code != 200:  # bounds that are narrower than those of the command
        assert answer.json()["reason"] in ("sample rate out of bounds", "too many channels"), said
        return
    found = answer.json()
    assert found["verdict"] == expected.verdict, said
    assert found["duration_s"] == expected.duration_s, said
    if expected.score is not None:
        assert found["score"] == pytest.approx(expected.score, abs=10.0**-DIGITS), said


def test_damaged_recordings_get_the_verdict_of_score_or_a_problem(server, bases, tmp_path):
    """No 5xx, no verdict where the command gives none, and the other way round."""
    detector, counts = server.service.detector, dict.fromkeys((200, 413, 415, 422), 0)
    for number in range(NUM_MUTANTS):
        mutant, _ = mutant_of(np.random.default_rng([7, number]), bases)
        if not mutant.content:
            continue
        answer = server.score(mutant.content)
        counts[answer.status_code] += 1  # any other is a KeyError
        if answer.status_code == 413:
            continue
        (tmp_path / "clip").write_bytes(mutant.content)
        same(answer, detector, tmp_path / "clip", mutant.said)
    assert counts[200] > 30
    assert counts[422] > 30
    assert server.service.pool.num_died == 0


def test_recordings_that_people_have(server, tmp_path):
    if not CASES.is_file():
        pytest.skip(f"no {CASES}")
    if shutil.which("ffmpeg") is None:
        pytest.skip("the program ffmpeg, which makes the cases, is not here")
    subprocess.run([sys.executable, str(CASES), str(tmp_path)], check=True, capture_output=True)
    paths = [*tmp_path.glob("*.*"), *(tmp_path / "folder").glob("*")]
    paths = [path for path in paths if path.is_file() and path.stat().st_size < 400_000]
    assert len(paths) > 10
    for path in paths:
        same(server.score(path.read_bytes()), server.service.detector, path, path.name)


def test_random_bytes_behind_every_known_start(server):
    starts = [b"RIFF", b"RF64", b"FORM", b"OggS", b"fLaC", b"ID3", b"\xff\xfb", b"caff", b".snd"]
    starts += [b"\0\0\0\x18ftypM4A ", b"\x1a\x45\xdf\xa3", b"#!AMR\n", b"wvpk", b"MAC \x96\x0f"]
    rng = np.random.default_rng(3)
    for start in starts:
        for size in (3, 5_000):
            answer = server.score(start + rng.bytes(size))
            assert answer.status_code in (415, 422), (start, size, answer.text)
            assert answer.headers["content-type"] == MEDIA_TYPE


def test_headers_that_lie(server):
    good, rng = wav(noise(4_000)), np.random.default_rng(5)
    for _ in range(40):
        answer = server.score(flip_header_bits(good, rng)[0])
        assert answer.status_code in (200, 415, 422)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a\u202egpj.wav", "x" * 1_000, 'a"b', "caf\xe9", "", "-"]
)
def test_names_of_files_are_names(server, name, caplog):
    good = wav(noise(4_000))
    answer = server.client.post("/v1/score", files={"file": (name, good)})
    assert answer.status_code == 200 or (not name and answer.status_code == 400)
    assert len(answer.json().get("path", "")) <= 255
    assert not caplog.records


def test_what_fits_the_document_is_answered_as_it_says(server):
    """Status codes, headers and forms of answers are those of the document; nothing is a 5xx."""
    named = check_answers(server.url, lambda path: path != "/readyz", max_examples=12)
    assert named >= {"/v1/score", "/v1/jobs/{job_id}", "/v1/model", "/healthz", "/metrics"}


def test_the_document_has_every_route_and_every_problem(server):
    document = server.client.get("/openapi.json").json()
    post = document["paths"]["/v1/score"]["post"]
    assert set(post["requestBody"]["content"]) == {
        "audio/*",
        "application/octet-stream",
        "multipart/form-data",
    }
    for status in ("400", "408", "413", "415", "422", "429", "503"):
        assert MEDIA_TYPE in post["responses"][status]["content"]
    answer = httpx.post(f"{server.url}/v1/score", content=wav(noise(4_000))).json()
    properties = document["components"]["schemas"]["ScoreMessage"]["properties"]
    assert set(answer) == set(properties) - {"windows", "spoof_s"}
