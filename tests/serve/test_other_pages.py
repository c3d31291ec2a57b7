"""Scripts of pages elsewhere: those of --origin may ask, and may read what is answered."""

import pytest

from rawnet_jax.errors import ConfigError
from rawnet_jax.serve.gate_options import GateOptions
from rawnet_jax.serve.keys import Role
from tests.serve.running import running, stub_service
from tests.serve.stream_client import PAGE, keyed

ALLOWS = "access-control-allow-origin"
EVIL = "https://evil.example"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization",
}


@pytest.mark.parametrize(("origin", "status"), [(PAGE, 200), (EVIL, 400), (f"{PAGE}.evil", 400)])
def test_a_browser_is_told_who_may_ask(guarded, origin, status):
    headers = PREFLIGHT | {"Origin": origin}
    answer = guarded.client.request("OPTIONS", "/v1/score", headers=headers)
    assert answer.status_code == status
    assert answer.headers.get(ALLOWS) == (PAGE if status == 200 else None)


@pytest.mark.parametrize(("with_key", "status"), [(True, 200), (False, 401)])
def test_answers_and_refusals_can_be_read_by_that_page_alone(guarded, with_key, status):
    key = keyed(Role.ANALYST)["additional_headers"] if with_key else {}
    for origin, allowed in ((PAGE, PAGE), (EVIL, None)):
        answer = guarded.client.get("/v1/model", headers=key | {"Origin": origin})
        assert answer.status_code == status
        assert answer.headers.get(ALLOWS) == allowed
    assert "access-control-allow-credentials" not in answer.headers


def test_without_origins_no_page_may_ask():
    with running(stub_service()) as server:
        answer = server.client.get("/v1/model", headers={"Origin": server.url})
        assert (answer.status_code, answer.headers.get(ALLOWS)) == (200, None)


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "bank.example",
        "https://",
        "https://*.bank.example",
        "https://bank.example/",
        "https://Bank.example",
        "https://bank.example:443",
        "http://localhost:80",
        "https://user@bank.example",
        "https://bank.example:port",
        "https://bank.example ",
        "ftp://bank.example",
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(origin):
    with pytest.raises(ConfigError, match="must be http://HOST or https://HOST"):
        GateOptions(origin=(origin,))


@pytest.mark.parametrize(
    "origin",
    ["https://bank.example", "http://localhost:8000", "http://127.0.0.1:8080", "http://[::1]:9000"],
)
def test_an_origin_as_browsers_send_it_is_taken(origin):
    assert GateOptions(origin=(origin,)).origin == (origin,)
