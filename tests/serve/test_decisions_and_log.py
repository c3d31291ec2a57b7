"""Signed decisions, the audit log, replayed audio and the way to the upstream."""

import asyncio
import hashlib
import json
import os
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from rawnet_jax.cli.main import main
from rawnet_jax.data.codecs import round_trip
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.serve.audit import AuditLog, Head, head_of, verify_log
from rawnet_jax.serve.decisions import DecisionError, Signer, verify_decision
from rawnet_jax.serve.private_file import Secret
from rawnet_jax.serve.replayed import Likeness, Replayed
from rawnet_jax.serve.upstream import MOST_ANSWER_BYTES, Upstream, UpstreamError, checked_url
from tests.serve.clock import Clock
from tests.spoken import noise, spoken

AUDIO = b"RIFF, say"


def pem_of(key):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.fixture(scope="module")
def pem():
    return pem_of(ed25519.Ed25519PrivateKey.generate())


def signed(pem, clock, **changed):
    signer = Signer(pem, wall_clock=clock)
    said: dict[str, Any] = {
        "audience": "https://login",
        "decision": "bonafide",
        "audio_sha256": hashlib.sha256(AUDIO).hexdigest(),
        "model_digest": "0" * 64,
        "challenge_id": "c1",
    }
    return signer.sign(**(said | changed)), signer.key_set


def test_a_decision_is_believed_once(pem):
    clock = Clock()
    token, keys = signed(pem, clock)
    seen: set[str] = set()
    known: dict[str, Any] = {
        "audience": "https://login",
        "audio": AUDIO,
        "wall_clock": clock,
        "challenge_id": "c1",
    }

    def is_new(name):
        is_first = name not in seen
        seen.add(name)
        return is_first

    claims = verify_decision(token, keys, is_new=is_new, **known)
    assert claims["exp"] - claims["iat"] == 60
    with pytest.raises(DecisionError, match="used before"):
        verify_decision(token, keys, is_new=is_new, **known)
    assert "d" not in keys["keys"][0]


@pytest.mark.parametrize(
    ("changed", "checked", "said"),
    [
        ({"decision": "spoof"}, {}, "does not say bonafide"),
        ({}, {"audio": AUDIO + b"!"}, "other audio"),
        ({}, {"audience": "https://bank"}, "another receiver"),
        ({}, {"challenge_id": "c2"}, "another challenge"),
        ({"challenge_id": None}, {}, "another challenge"),
        ({}, {"wall_clock": Clock(Clock().now + 60)}, "expired"),
        ({}, {"wall_clock": Clock(Clock().now - 60)}, "not yet valid"),
    ],
)
def test_a_decision_of_anything_else_is_not(pem, changed, checked, said):
    clock = Clock()
    token, keys = signed(pem, clock, **changed)
    known: dict[str, Any] = {
        "audience": "https://login",
        "audio": AUDIO,
        "wall_clock": clock,
        "challenge_id": "c1",
    }
    with pytest.raises(DecisionError, match=said):
        verify_decision(token, keys, **(known | checked))


def test_a_forged_decision_is_not_believed(pem):
    clock = Clock()
    token, keys = signed(pem, clock)
    other, _ = signed(pem_of(ed25519.Ed25519PrivateKey.generate()), clock)
    head, body, signature = token.split(".")
    none = "eyJhbGciOiJub25lIn0"
    for forged in (other, f"{none}.{body}.", f"{head}.{body}A.{signature}", "x", "", f"{head}..x"):
        with pytest.raises(DecisionError, match="signature does not hold"):
            verify_decision(forged, keys, audience="https://login", audio=AUDIO, wall_clock=clock)


def test_a_signer_takes_ed25519_only(tmp_path, pem):
    path = tmp_path / "key.pem"
    for content in (pem_of(ec.generate_private_key(ec.SECP256R1())), b"nothing"):
        path.write_bytes(content)
        os.chmod(path, 0o600)
        with pytest.raises(ConfigError, match="--decision-key"):
            Signer.read(str(path))
    path.write_bytes(pem)
    os.chmod(path, 0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        Signer.read(str(path))


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "audit.jsonl"
    writer = AuditLog(path)
    for number in range(6):
        writer.append({"request_id": f"r{number}", "decision": "spoof", "llr": -1.5, "codec": None})
    writer.close()
    return path


def put(path, lines):
    path.write_bytes(b"".join(lines))


TAMPERED = {
    "changed": lambda rows: [*rows[:2], rows[2].replace(b"spoof", b"bonaf"), *rows[3:]],
    "number changed": lambda rows: [rows[0].replace(b"-1.5", b"-1.50"), *rows[1:]],
    "removed": lambda rows: [*rows[:2], *rows[3:]],
    "first removed": lambda rows: rows[1:],
    "moved": lambda rows: [rows[0], rows[2], rows[1], *rows[3:]],
    "added": lambda rows: [*rows[:3], rows[2], *rows[3:]],
    "cut off": lambda rows: rows[:4],
    "emptied": lambda rows: [],
    "torn": lambda rows: [*rows[:5], rows[5][:-9]],
    "not JSON": lambda rows: [*rows[:5], b"hello\n"],
    "a name twice": lambda rows: [rows[0].replace(b'{"dec', b'{"hash":"a","dec'), *rows[1:]],
    "blank line": lambda rows: [*rows, b"\n"],
}


@pytest.mark.parametrize("kind", TAMPERED)
def test_tampering_is_found(log, kind, capsys):
    assert main(["verify-log", str(log)]) == 0
    assert "6 lines, nothing changed" in capsys.readouterr().out
    put(log, TAMPERED[kind](log.read_bytes().splitlines(keepends=True)))
    assert main(["verify-log", str(log)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(log) in said
    if kind != "torn":  # which is what a power cut leaves
        with pytest.raises(DataError):
            AuditLog(log)


def test_a_log_that_was_written_anew_shows_against_a_kept_head(log, tmp_path, capsys):
    kept = tmp_path / "kept.head"
    kept.write_bytes(log.with_name("audit.jsonl.head").read_bytes())
    for path in tmp_path.glob("audit.jsonl*"):
        path.unlink()
    forger = AuditLog(log)
    for number in range(9):
        forger.append({"request_id": f"r{number}", "decision": "bonafide"})
    forger.close()
    assert main(["verify-log", str(log)]) == 0
    assert main(["verify-log", str(log), "--head", str(kept)]) == 1
    assert "line 6: is not the one that the head file has" in capsys.readouterr().err
    assert main(["verify-log", str(tmp_path / "none")]) == 1
    kept.write_text("{}")
    assert main(["verify-log", str(log), "--head", str(kept)]) == 2


def test_a_log_goes_on_after_a_power_cut(log):
    with open(log, "ab") as file:
        file.write(b'{"decision":"bona')
    writer = AuditLog(log)
    writer.append({"request_id": "after"})
    writer.close()
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [row.get("event") for row in rows[6:]] == ["recovered", None]
    assert verify_log(log, head_of(log)) == Head(8, rows[-1]["hash"])


def test_a_line_is_on_disk_or_nothing_is_decided(tmp_path):
    synced: list[int] = []
    writer = AuditLog(tmp_path / "audit.jsonl", sync=synced.append)
    writer.append({"request_id": "a"})
    assert len(synced) == 1
    with pytest.raises(ValueError, match="not for the audit log: path"):
        writer.append({"path": "ann.wav"})

    def full(handle):
        raise OSError(28, "No space left on device")

    writer._sync = full
    with pytest.raises(DataError, match="No space left"):
        writer.append({"request_id": "b"})
    writer._sync = synced.append
    with pytest.raises(DataError, match="before"):
        writer.append({"request_id": "c"})
    writer.close()


VOICE = spoken(3.0)
AGAIN = {
    "gain": lambda x: 0.4 * x,
    "trimmed": lambda x: x[1_237:-2_000],
    "led in": lambda x: np.concatenate([np.zeros(5_000, np.float32), x]),
    "mp3": lambda x: round_trip("mp3", x, 48),
    "noise": lambda x: x + noise(len(x) / 16_000, 0.1 * float(np.sqrt(np.mean(x**2)))),
    "gain, trimmed, noise": lambda x: 0.5 * x[3_001:] + noise(3, 0.003)[: len(x) - 3_001],
}


@pytest.mark.parametrize("how", AGAIN)
def test_a_recording_is_known_again(how):
    seen = Replayed(Secret())
    assert not seen.check(VOICE).is_replayed
    found = seen.check(AGAIN[how](VOICE).astype(np.float32))
    assert found.likeness is Likeness.NEAR


def test_other_speech_is_new_and_silence_says_nothing():
    seen = Replayed(Secret())
    for seed in range(4):
        assert seen.check(spoken(3.0, seed=seed)).likeness is Likeness.NEW
    assert seen.check(spoken(3.0, seed=2)).likeness is Likeness.EXACT
    for length in (0, 1, 500, 16_000):
        assert seen.check(np.zeros(length, np.float32)).likeness is Likeness.NEW
        seen.check(np.full(length, np.nan, np.float32))


def test_what_is_kept_is_bounded_forgotten_and_survives(tmp_path):
    clock, secret, path = Clock(), Secret(b"k" * 32), tmp_path / "replayed.db"
    seen = Replayed(secret, path, kept_s=100, most=3, wall_clock=clock)
    failed = seen.check(VOICE)
    seen.forget(failed)
    assert not seen.check(VOICE).is_replayed
    seen.close()
    seen = Replayed(secret, path, kept_s=100, most=3, wall_clock=clock)
    assert seen.check(VOICE).likeness is Likeness.EXACT
    clock.now += 101
    assert seen.check(VOICE).likeness is Likeness.NEW
    for seed in range(1, 7):
        seen.check(spoken(1.5, seed=seed))
    assert len(seen) == 3
    assert seen._db.execute("SELECT COUNT(DISTINCT number) FROM words").fetchone()[0] == 3
    seen.close()
    assert VOICE[8_000:8_064].tobytes() not in path.read_bytes()


def test_real_recordings(shared_data):
    """Bounds on what was measured on all of them; docs/gate.md has the figures."""
    files = sorted((shared_data / "speech" / "flac").glob("*.flac"))[:20]
    clips = [soundfile.read(file, dtype="float32")[0] for file in files]
    seen = Replayed(Secret(b"k" * 32))
    assert not any(seen.check(clip).is_replayed for clip in clips)
    again = [seen.check(round_trip("mp3", 0.5 * clip[1_000:], 32)) for clip in clips]
    assert sum(found.is_replayed for found in again) >= 19


def sent(handler, body=AUDIO, headers=(), timeout_s=0.3):
    async def pieces():
        yield body

    async def send():
        upstream = Upstream(
            "http://login/verify", timeout_s=timeout_s, transport=httpx.MockTransport(handler)
        )
        try:
            return await upstream.forward(pieces(), len(body), headers, "TOKEN")
        finally:
            await upstream.close()

    return asyncio.run(send())


def test_the_upstream_gets_the_body_and_no_secrets():
    def handler(request):
        return httpx.Response(200, json={"h": dict(request.headers), "b": request.content.decode()})

    given = [
        ("Content-Type", "audio/wav"),
        ("Authorization", "Bearer rj_secret"),
        ("X-API-Key", "rj_secret"),
        ("Authorization-Decision", "forged"),
        ("Authorization_Decision", "forged"),
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "1"),
        ("Transfer-Encoding", "chunked"),
        ("X-Session", "s1"),
    ]
    said = json.loads(sent(handler, headers=given).body)
    assert said["b"] == AUDIO.decode()
    assert said["h"]["content-type"] == "audio/wav"
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    said_of_form = json.loads(sent(handler, headers=form).body)
    assert said_of_form["h"]["content-type"] == "application/octet-stream"
    assert said["h"]["authorization-decision"] == "TOKEN"
    assert said["h"]["x-session"] == "s1"
    assert said["h"]["content-length"] == str(len(AUDIO))
    assert "authorization_decision" not in said["h"]
    assert not {"authorization", "x-api-key", "x-hop", "transfer-encoding"} & said["h"].keys()


async def slow(request):
    await asyncio.sleep(5)


def dead(request):
    raise httpx.ConnectError("refused")


LYING = {
    "slow": slow,
    "dead": dead,
    "redirect": lambda request: httpx.Response(302, headers={"Location": "http://evil/"}),
    "error": lambda request: httpx.Response(500),
    "huge": lambda request: httpx.Response(200, content=b"x" * (MOST_ANSWER_BYTES + 1)),
    "switching": lambda request: httpx.Response(101),
    "not gzip": lambda request: httpx.Response(
        200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"no")
    ),
}


@pytest.mark.parametrize("kind", LYING)
def test_an_upstream_that_fails_gives_no_answer(kind):
    with pytest.raises(UpstreamError) as caught:
        sent(LYING[kind])
    assert caught.value.is_timeout == (kind == "slow")


def test_answers_of_the_upstream_are_passed_on():
    found = sent(lambda request: httpx.Response(401, text="no", headers={"Keep-Alive": "x"}))
    assert (found.status, found.body) == (401, b"no")
    assert not {"keep-alive", "content-length"} & {name.lower() for name, _ in found.headers}


@pytest.mark.parametrize("url", ["ftp://x/", "http://", "http://a:b@x/", "http://x:y/", "x", ""])
def test_a_wrong_url_is_refused(url):
    with pytest.raises(ConfigError, match="--upstream"):
        checked_url(url)
