"""Speakers of a service, by a real client: enrolled, verified, deleted, exported, locked."""

import concurrent.futures
import json

import numpy as np
import pytest

from rawnet_jax.detector import Detector
from rawnet_jax.errors import ConfigError
from rawnet_jax.metrics.calibration import AffineCalibration
from rawnet_jax.scoring.verdict import DecisionRule, OperatingPoint
from rawnet_jax.serve.access import Principal
from rawnet_jax.serve.app import build_app
from rawnet_jax.serve.attempts import Attempt, Attempts, Standing, State
from rawnet_jax.serve.audit import AuditLog
from rawnet_jax.serve.gate import Gate
from rawnet_jax.serve.keys import ApiKey, KeyRing, Role, add_key
from rawnet_jax.serve.private_file import Secret
from rawnet_jax.serve.replayed import Likeness, Replayed, Seen
from rawnet_jax.serve.service import Service
from rawnet_jax.serve.settings import Settings
from rawnet_jax.serve.voices import Voices, open_voices, tenant_of
from rawnet_jax.speaker.sealing import Sealer
from rawnet_jax.speaker.verification import Policy
from tests.serve.running import StubModel, running, wav
from tests.speaker.toy_voices import murmur, tone, tone_encoder

pytest.importorskip("cryptography")
POLICY = Policy(min_speech_s=1.0, enrol_speech_s=6.0)
QUIET = 0.01  # below the stub's threshold: spoof


class Model(StubModel):
    """Loud is bona fide, and surely so."""

    def decision(self, *, prior=0.5, threshold=None):
        point = OperatingPoint(self.threshold, "a rule")
        return DecisionRule(point, AffineCalibration(40.0, -2.0, 0.5, 100, 100), prior)


def detector_of(model=None):
    model = model or Model()
    return Detector(model, model.decision())


def service_of(folder, **parts):
    detector = detector_of()
    gate = Gate(**parts)
    service = Service(detector, Settings(answer_step_s=0.0), gate=gate)
    service.voices = Voices(detector, tone_encoder(), folder, Sealer(b"k" * 32), POLICY)
    return service


class Patient(Attempts):
    """Counts nothing, for tests of other things."""

    def begin(self, subject, source):
        return Standing(State.OPEN), Attempt(())


class Forgetful(Replayed):
    """Knows no recording, for tests that send the same one again."""

    def check(self, waveform):
        return Seen(Likeness.NEW, 0)

    def forget(self, seen):
        pass


def lenient(folder):
    return service_of(folder, attempts=Patient(), replayed=Forgetful(Secret()))


def clips(hz, count=3, seconds=2.2, **form):
    return [
        ("file", (f"{i}.wav", wav(tone(hz, seconds, seed=i, **form), format="FLAC")))
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(lenient(tmp_path_factory.mktemp("voices"))) as found:
        answer = found.client.put("/v1/speakers/ana", files=clips(600))
        assert answer.status_code == 201, answer.text
        yield found


def verify(server, hz=600.0, seconds=1.5, speaker="ana", level=0.1, seed=9, **params):
    content = wav(tone(hz, seconds, level, seed))
    params = {"speaker_id": speaker, **params}
    answer = server.client.post("/v1/verify", content=content, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_enrolment_says_what_it_found(server):
    answer = server.client.put("/v1/speakers/bea", files=clips(1_500)).json()
    assert answer["enrolled"]
    assert answer["num_clips"] == 3
    assert answer["speech_s"] == pytest.approx(6.6, abs=0.01)
    assert [clip["verdict"] for clip in answer["clips"]] == ["bonafide"] * 3
    about = server.client.get("/v1/speakers/bea").json()
    assert about["created"].endswith("Z")
    assert "clips" not in about


def test_decisions(server):
    assert verify(server)["decision"] == "accept"
    assert verify(server, hz=3_000)["decision"] == "reject"
    assert verify(server, level=QUIET)["decision"] == "reject"
    assert verify(server, speaker="nobody")["decision"] == "not_enrolled"
    assert verify(server, seconds=0.9)["decision"] == "not_enough_speech"
    # Neither of two recordings that the detector cannot judge is let in.
    still = wav(np.zeros(64_000, np.float32))
    answer = server.client.post("/v1/verify?speaker_id=ana", content=still).json()
    assert answer["decision"] in ("not_enough_speech", "inconclusive")


def test_an_analyst_gets_the_parts_of_the_decision(server):
    found = verify(server)
    assert found["llr_asv"] == pytest.approx(20 * found["cosine"] - 10, abs=2e-3)
    assert found["llr_cm"] == pytest.approx(2.0, abs=0.1)
    share = server.service.voices.policy.rule.spoof_share
    slow = -np.log((1 - share) * np.exp(-found["llr_asv"]) + share * np.exp(-found["llr_cm"]))
    assert found["llr_sasv"] == pytest.approx(slow, abs=1e-3)
    assert found["audio"]["rate_hz"] == 16_000
    assert set(found["timing_ms"]) == {"queue", "decode", "score"}


def test_nothing_is_enrolled_by_a_spoofed_short_or_foreign_clip(server):
    bad = clips(600)
    bad[1] = ("file", ("fake.wav", wav(tone(600, 2, QUIET))))
    foreign = [*clips(600), ("file", ("eve.wav", wav(tone(3_000, 2))))]
    for files, reason in (
        (bad, "not bona fide"),
        (clips(600, count=2), "2 clips"),
        (clips(600, seconds=1.0), "3.0 s of speech"),
        (foreign, "another voice"),
    ):
        answer = server.client.put("/v1/speakers/carl", files=files)
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:rawnet-jax:problem:not-enrolled"
        assert reason in answer.json()["detail"]
        assert server.client.get("/v1/speakers/carl").status_code == 404


def test_an_enrolment_is_replaced_only_when_asked(server):
    path = "/v1/speakers/dora"
    assert server.client.put(path, files=clips(600)).status_code == 201
    assert server.client.put(path, files=clips(3_000)).status_code == 409
    assert verify(server, speaker="dora", hz=600)["decision"] == "accept"
    assert server.client.put(f"{path}?replace=true", files=clips(3_000)).status_code == 201
    assert verify(server, speaker="dora", hz=600)["decision"] == "reject"


def test_delete_and_export(server):
    path = "/v1/speakers/emil"
    server.client.put(path, files=clips(2_000))
    record = server.client.get(f"{path}/export").json()
    assert np.linalg.norm(record["vector"]) == pytest.approx(1, abs=1e-3)
    assert record["encoder"] == "d" * 64
    assert server.client.delete(path).status_code == 204
    for answer in (
        server.client.delete(path),
        server.client.get(path),
        server.client.get(f"{path}/export"),
    ):
        assert answer.status_code == 404
    assert verify(server, speaker="emil", hz=2_000)["decision"] == "not_enrolled"


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (lambda c: c.put("/v1/speakers/a%20b", files=clips(600, 1, 0.5)), 422),
        (lambda c: c.put("/v1/speakers/x", content=b"RIFF"), 400),
        (lambda c: c.put("/v1/speakers/x", files=[("other", ("a.wav", b"RIFF"))]), 400),
        (lambda c: c.put("/v1/speakers/x", files=[("file", ("a.wav", b""))]), 400),
        (lambda c: c.put("/v1/speakers/x", files=[("file", ("a.wav", b"no audio"))]), 415),
        (lambda c: c.put("/v1/speakers/x", files=clips(600, 33, 0.01)), 400),
        (lambda c: c.post("/v1/verify", content=b"RIFF"), 422),
        (lambda c: c.post("/v1/verify?speaker_id=../ana", content=b"RIFF"), 422),
        (lambda c: c.post("/v1/verify?speaker_id=ana", content=b"no audio"), 415),
        (lambda c: c.post("/v1/verify?speaker_id=ana&challenge_id=x", content=b"RIFF"), 403),
        (lambda c: c.get("/v1/speakers/nobody/export"), 404),
    ],
)
def test_wrong_requests(server, call, status):
    answer = call(server.client)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"]


def test_many_at_once_get_what_each_gets_alone(server):
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda i: verify(server, hz=600 if i % 2 else 3_000), range(12)))
    assert [one["decision"] for one in found] == ["reject", "accept"] * 6


def test_failures_lock_and_a_challenge_is_used_once(tmp_path):
    attempts = Attempts()
    service = service_of(tmp_path, attempts=attempts, replayed=Forgetful(Secret()))
    with running(service) as server:
        server.client.put("/v1/speakers/ana", files=clips(600))
        for _ in range(5):
            assert verify(server, hz=3_000)["decision"] == "reject"
        locked = verify(server)  # the right voice, too late
        assert locked["decision"] == "locked"
        assert 0 < locked["retry_after_s"] <= 30
        assert locked["llr_sasv"] is None
        attempts._db.execute("DELETE FROM attempts")
        challenge = server.client.post("/v1/challenges").json()["id"]
        assert verify(server, challenge_id=challenge)["decision"] == "accept"
        again = server.client.post(
            "/v1/verify",
            content=wav(tone(600, 4)),
            params={"speaker_id": "ana", "challenge_id": challenge},
        )
        assert again.status_code == 403
        assert again.json()["type"].endswith(":challenge")


def test_clips_are_not_tried_without_end(tmp_path):
    service = service_of(tmp_path, attempts=Attempts(), replayed=Forgetful(Secret()))
    with running(service) as server:
        fakes = clips(600, 1, 0.5, level=QUIET)
        kinds = [
            server.client.put("/v1/speakers/eve", files=fakes).json()["type"] for _ in range(6)
        ]
        assert kinds == ["urn:rawnet-jax:problem:not-enrolled"] * 5 + [
            "urn:rawnet-jax:problem:wait"
        ]


def test_a_recording_that_was_here_before_is_rejected(tmp_path):
    service = service_of(tmp_path, attempts=Patient(), replayed=Replayed(Secret(b"s" * 32)))
    enrolled = [wav(murmur(600, 4, seed), format="FLAC") for seed in range(3)]
    files = [("file", (f"{i}.flac", content)) for i, content in enumerate(enrolled)]
    with running(service) as server:
        assert server.client.put("/v1/speakers/ana", files=files).status_code == 201
        new = wav(murmur(600, 5, 7))
        # The second is the first once more, the third a stolen clip of the enrolment.
        answers = [
            server.client.post("/v1/verify?speaker_id=ana", content=content).json()
            for content in (new, new, enrolled[1])
        ]
    assert [(a["decision"], a["reason"]) for a in answers] == [
        *(("accept", None), ("reject", "replayed"), ("reject", "replayed"))
    ]


def test_every_decision_is_in_the_log_without_names(tmp_path):
    log = tmp_path / "audit.jsonl"
    service = service_of(tmp_path / "voices", audit=AuditLog(log), replayed=Forgetful(Secret()))
    with running(service) as server:
        server.client.put("/v1/speakers/ana", files=clips(600))
        verify(server)
        verify(server, hz=3_000)
        server.client.get("/v1/speakers/ana/export")
        server.client.delete("/v1/speakers/ana")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line.get("event") for line in lines] == [
        *("enrolment", "verification", "verification", "exported", "deleted")
    ]
    assert [line["decision"] for line in lines[:3]] == ["enrolled", "accept", "reject"]
    assert lines[1]["llr_sasv"] > lines[1]["threshold"]
    assert len({line["subject"] for line in lines}) == 1
    assert "ana" not in log.read_text()


def test_a_gate_gets_the_decision_alone(tmp_path):
    keys = tmp_path / "keys.json"
    gate, analyst = (add_key(keys, ApiKey(f"bank.{role.value}", role, "0" * 64)) for role in Role)
    parts = {"attempts": Patient(), "replayed": Forgetful(Secret())}
    service = service_of(tmp_path / "voices", key_ring=KeyRing(keys), **parts)
    with running(service) as server:
        assert server.client.put("/v1/speakers/ana", files=clips(600)).status_code == 401
        server.client.headers["X-API-Key"] = gate
        said = server.client.put("/v1/speakers/ana", files=clips(600)).json()
        assert said["enrolled"]
        assert "clips" not in said
        for hz in (600, 3_000):
            assert set(verify(server, hz=hz)) == {"decision", "retry_after_s", "request_id"}
        assert server.client.get("/v1/speakers/ana/export").status_code == 403
        about = server.client.get("/v1/model").json()["speakers"]
        assert (about["enrol_clips"], about["threshold"]) == (3, None)
        refused = server.client.put("/v1/speakers/eve", files=clips(600, level=QUIET)).json()
        assert not {"detail", "clips"} & set(refused)
        # Another key of the tenant sees the same speakers.
        assert server.client.delete("/v1/speakers").status_code == 403
        server.client.headers["X-API-Key"] = analyst
        assert len(server.client.get("/v1/speakers/ana/export").json()["vector"]) == 12
        assert server.client.delete("/v1/speakers").json()["num_deleted"] == 1
        assert verify(server)["decision"] == "not_enrolled"


def test_a_service_without_speakers_has_no_such_routes():
    paths = build_app(Service(detector_of())).openapi()["paths"]
    assert "/v1/score" in paths
    assert not [path for path in paths if "speaker" in path or "verify" in path]


def test_tenants_are_what_stands_before_the_first_dot():
    names = ("bank.app", "bank.analyst", "shop", "local")
    found = [tenant_of(Principal(name, Role.GATE)) for name in names]
    assert found == ["bank", "bank", "shop", "local"]


def test_what_is_not_calibrated_does_not_start(tmp_path):
    class Raw(Model):
        def decision(self, **_):
            return DecisionRule(OperatingPoint(0.05, "a rule"))

    with pytest.raises(ConfigError, match="evaluate the run with dev scores"):
        Voices(detector_of(Raw()), tone_encoder(), tmp_path, Sealer(b"k" * 32))
    with pytest.raises(ConfigError, match="speaker-encoder --calibrate"):
        Voices(detector_of(), tone_encoder(calibration=None), tmp_path, Sealer(b"k" * 32))
    with pytest.raises(ConfigError, match="--template-key"):
        open_voices(detector_of(), tmp_path, tmp_path, None, Policy(), speech=None)
