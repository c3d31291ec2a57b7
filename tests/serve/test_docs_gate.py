"""docs/gate.md and docs/serve_stream.md, typed as they stand there."""

import json
import re
from typing import Any

import numpy as np
import pytest
import soundfile

from rawnet_jax.serve.audit import AuditLog
from rawnet_jax.serve.decisions import LIFE_S, Signer
from rawnet_jax.serve.gate import REQUESTS_PER_MINUTE, Gate
from rawnet_jax.serve.keys import ApiKey, KeyRing, Role, add_key
from rawnet_jax.serve.private_file import Secret
from rawnet_jax.serve.service import Service
from rawnet_jax.serve.settings import Settings
from rawnet_jax.serve.stream_messages import CLOSE_CODES
from tests.docs_examples import DOCS, blocks, run_console, run_python
from tests.serve.running import RATE, noise, running, stub_detector
from tests.serve.test_gate_route import PEM

GATE, STREAM = DOCS / "gate.md", DOCS / "serve_stream.md"


def here(page, folder, url):
    """Return a page that names our service."""
    copy = folder / page.name
    text = page.read_text().replace("http://127.0.0.1:8000", url)
    copy.write_text(text.replace("ws://127.0.0.1:8000", url.replace("http", "ws")))
    return copy


def like(shown):
    """Return the pattern of shown output: … stands for anything."""
    return ".*".join(re.escape(part) for part in shown.split("…"))


def test_the_gate(tmp_path, capsys):
    soundfile.write(tmp_path / "call.wav", noise(9_000, level=0.2), RATE)
    key = add_key(tmp_path / "k.json", ApiKey("login", Role.GATE, "0" * 64))
    gate = Gate(
        secret=Secret(b"k" * 32),
        key_ring=KeyRing(tmp_path / "k.json"),
        signer=Signer(PEM),
        audit=AuditLog(tmp_path / "audit.jsonl"),
    )
    with running(Service(stub_detector(), gate=gate)) as server:
        space = run_python(here(GATE, tmp_path, server.url), tmp_path, {"key": key})
        assert capsys.readouterr().out == "bonafide None\n"
        assert space["claims"]["challenge_id"] == space["challenge"]["id"]
        assert len(gate.challenges._store) == 0
        space["post"]("/v1/gate", space["audio"])  # a second line for the log
    commands = [one for block in blocks(GATE, "console") for one in run_console(block, tmp_path)]
    assert len(commands) == 7
    for one, done in commands:
        assert re.fullmatch(like(one.output), done.stdout.strip(), re.DOTALL), one.command
    assert "does not fit its hash" in commands[-1][1].stderr


def test_the_stream(tmp_path, capsys):
    soundfile.write(tmp_path / "call.wav", noise(9_000, level=0.2), RATE)
    with running(Service(stub_detector())) as server:
        run_python(here(STREAM, tmp_path, server.url), tmp_path)
    said = capsys.readouterr().out.splitlines()
    assert said[0].split() == ["started"]
    assert said[-1] == "done bonafide"


def test_the_pages_say_what_the_code_does():
    text = STREAM.read_text()
    rows = text[text.index("## Close codes") : text.index("## Browsers")]
    assert [int(code) for code in re.findall(r"^\| (\d{4}) \|", rows, re.M)] == list(CLOSE_CODES)
    limits = Settings()
    assert f"longer than {limits.max_stream_s:g} s" in text
    assert f"every {limits.stream_idle_s:g} s" in text
    assert f"{limits.streams_per_key} streams open" in text
    assert f"room for {limits.streams} in all" in text
    text = GATE.read_text()
    assert f"minute ({REQUESTS_PER_MINUTE:g}," in text
    assert f"now, and {LIFE_S} s later" in text


def test_no_conformance_is_claimed():
    for page in (GATE, STREAM):
        assert "conform" not in page.read_text()


@pytest.mark.parametrize(
    "options", [{"upstream": "http://x/"}, {"audit_log": "a"}, {"origin": ("*",)}]
)
def test_options_that_do_not_fit(options):
    from rawnet_jax.errors import ConfigError
    from rawnet_jax.serve.gate_options import GateOptions

    with pytest.raises(ConfigError, match=r"--(upstream|audit-log|origin)"):
        GateOptions(**options)


def test_options_make_a_gate(tmp_path):
    from rawnet_jax.serve.gate_options import GateOptions

    for name, content in (("secret", b"s" * 32), ("pem", PEM), ("token", b"t0k3n\n")):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    add_key(tmp_path / "keys", ApiKey("login", Role.GATE, "0" * 64))
    names = {"keys": "keys", "secret": "secret", "decision_key": "pem", "twilio_token": "token"}
    names |= {"attempts": "a.db", "replayed": "r.db", "audit_log": "log"}
    files: dict[str, Any] = {flag: str(tmp_path / name) for flag, name in names.items()}
    options = GateOptions(
        **files,
        upstream="http://127.0.0.1:9/in",
        audience="login",
        twilio_url="wss://x/v1/twilio",
        origin=("https://a.example",),
    )
    gate = options.gate()
    assert gate.upstream is not None
    assert gate.key_ring is not None
    assert gate.twilio is not None
    assert gate.upstream.audience == "login"
    assert len(gate.key_ring) == 1
    assert gate.twilio.is_signed(gate.twilio.signature())
    gate.replayed.check(np.zeros(100, np.float32))
    import asyncio

    asyncio.run(gate.close())
    assert json.loads((tmp_path / "log.head").read_text())["num_lines"] == 0
