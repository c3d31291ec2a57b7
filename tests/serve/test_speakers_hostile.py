"""Routes of speakers: what fits the OpenAPI document, and bodies that want to break them."""

import httpx
import numpy as np
import pytest

from rawnet_jax.serve.problems import MEDIA_TYPE
from tests.serve.document import check_answers
from tests.serve.running import running, wav
from tests.serve.test_speakers import clips, lenient
from tests.speaker.toy_voices import tone

pytest.importorskip("cryptography")
ONE = "/v1/speakers/{speaker_id}"
ROUTES = {"/v1/speakers", ONE, f"{ONE}/export", "/v1/verify"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(lenient(tmp_path_factory.mktemp("voices"))) as found:
        assert found.client.put("/v1/speakers/ana", files=clips(600)).status_code == 201
        yield found


def test_what_fits_the_document_is_answered_as_it_says(server):
    """Status codes and forms of answers are those of the document; nothing is a 5xx."""
    named = check_answers(server.url, ROUTES.__contains__, max_examples=10)
    assert named == ROUTES


def test_recordings_with_changed_bytes_let_nobody_in(server):
    server.client.put("/v1/speakers/ana?replace=true", files=clips(600))  # if it was deleted
    good = wav(tone(3_000, 2))
    rng = np.random.default_rng(0)
    for _ in range(40):
        content = bytearray(good[: rng.integers(60, len(good))])
        for at in rng.integers(0, min(len(content), 400), 8):
            content[at] = rng.integers(256)
        answer = server.client.post("/v1/verify?speaker_id=ana", content=bytes(content))
        assert answer.status_code in (200, 415, 422), answer.text
        assert answer.json().get("decision") != "accept"


def test_forms_with_changed_bytes_enrol_nobody(server):
    request = httpx.Request("PUT", server.url, files=clips(600, 2, 0.3))
    good, kind = request.read(), request.headers["content-type"]
    rng = np.random.default_rng(1)
    for _ in range(40):
        content = bytearray(good)
        for at in rng.integers(0, 300, 6):
            content[at] = rng.integers(256)
        answer = server.client.put(
            "/v1/speakers/eve", content=bytes(content), headers={"Content-Type": kind}
        )
        assert answer.status_code in (400, 415, 422), answer.text
        assert answer.headers["content-type"] == MEDIA_TYPE
    assert server.client.get("/v1/speakers/eve").status_code == 404
