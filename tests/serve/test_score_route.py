"""``POST /v1/score`` through a real server: the same answer as the command ``score``."""

import json
import shutil

import httpx
import numpy as np
import pytest
import soundfile

import rawnet_jax
from rawnet_jax.cli.main import main
from rawnet_jax.metrics.source import SourceRule
from rawnet_jax.run import Run
from rawnet_jax.scoring.sources import save_source_rule
from rawnet_jax.serve.service import Service
from tests.serve.running import RATE, noise, running, wav
from tests.small_run import write_run

ROUNDING = 0.51e-4
KEYS = ("request_id", "audio", "model", "timing_ms")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    write_run(folder / "run", num_samples=3_200)
    soundfile.write(folder / "call.wav", noise(9_000), RATE, subtype="FLOAT")
    soundfile.write(folder / "short.flac", noise(1_000), RATE)
    soundfile.write(folder / "stereo.ogg", noise(20_000, 2), 44_100)
    soundfile.write(folder / "low.mp3", noise(40_000), 22_050)
    soundfile.write(folder / "still.wav", np.zeros(8_000), RATE)
    soundfile.write(folder / "half.wav", noise(9_000, 2) * [1, 0], RATE)
    broken = noise(9_000)
    broken[8_000] = np.nan
    soundfile.write(folder / "nan.wav", broken, RATE, subtype="FLOAT")
    (folder / "junk.wav").write_bytes((folder / "call.wav").read_bytes() + b"and more")
    return folder


@pytest.fixture(scope="module", params=["run", "model.onnx"])
def source(request, folder):
    if request.param.endswith(".onnx"):
        pytest.importorskip("onnxruntime")
        rawnet_jax.load(folder / "run").export(folder / request.param)
    return folder / request.param


@pytest.fixture(scope="module")
def detector(source):
    return rawnet_jax.load(source)


@pytest.fixture(scope="module")
def server(detector):
    with running(Service(detector)) as found:
        yield found


def same(found, record):
    """Hold an answer against the record of the command: names, words and, rounded, numbers."""
    assert list(found) == list(record)
    for name, value in record.items():
        if name == "windows":
            for ours, theirs in zip(found[name], value, strict=True):
                same(ours, theirs)
        elif name in ("score", "llr", "p_spoof") and value is not None:
            # A calibration of slope 2 doubles the rounding.
            assert found[name] == pytest.approx(value, abs=2 * ROUNDING)
        elif name != "path":
            assert found[name] == value, name


NAMES = (
    "call.wav",
    "short.flac",
    "stereo.ogg",
    "low.mp3",
    "still.wav",
    "half.wav",
    "junk.wav",
    "nan.wav",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("windows", [False, True])
def test_the_answer_is_the_record_of_score(folder, detector, server, name, windows):
    expected = detector.score(folder / name, windows=windows).to_dict(windows=windows)
    answer = server.score((folder / name).read_bytes(), windows=windows)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert [found.pop(key) for key in KEYS][2]["digest"] == detector.model.fingerprint
    same(found, expected)
    assert found["path"] == "-"
    if found["score"] is not None:
        assert round(found["score"], 4) == found["score"]


def test_the_source_of_a_fake_is_that_of_score(folder, tmp_path):
    shutil.copytree(folder / "run", tmp_path / "run")
    run = Run.open(tmp_path / "run")
    width = run.embed_batch(np.zeros((8, 3_200), np.float32), np.full(8, 3_200)).shape[1] - 1
    rule = SourceRule(("a", "b"), np.eye(2, width), np.eye(width), farthest=99.0, least=0.0)
    save_source_rule(tmp_path / "run", rule, run.step)
    detector = rawnet_jax.load(tmp_path / "run", threshold=1e9)  # all is spoof
    with running(Service(detector)) as server:
        for name in ("call.wav", "low.mp3", "still.wav"):
            expected = detector.score(folder / name).to_dict()
            found = server.score((folder / name).read_bytes()).json()
            assert found.get("source") == expected.get("source")
            assert expected.get("source") in (("a", "b") if expected["score"] else (None,))
            for key in KEYS:
                del found[key]
            same(found, expected)


def test_the_command_and_the_service_agree(folder, server, capsys, source):
    record = rawnet_jax.load(source, channel=2).score(folder / "stereo.ogg").to_dict()
    if source.name == "run":  # the command takes no exported file
        words = [f"--workdir={source}", "--no-progress", "--format=jsonl"]
        assert main(["score", *words, str(folder / "stereo.ogg"), "--channel=2"]) == 0
        assert json.loads(capsys.readouterr().out) == record
    with (folder / "stereo.ogg").open("rb") as file:
        answer = server.client.post("/v1/score?channel=2", files={"file": ("a b.ogg", file)})
    found = answer.json()
    assert found["audio"] == {
        "container": "OGG",
        "codec": "VORBIS",
        "rate_hz": 44_100,
        "channels": 2,
    }
    assert found["path"] == "a b.ogg"
    for key in KEYS:
        del found[key]
    same(found, record)


def test_many_at_once_get_what_each_gets_alone(folder, server):
    contents = [wav(noise(4_000, seed=seed)) for seed in range(24)]
    alone = [server.score(content).json() for content in contents]
    with httpx.Client(base_url=server.url, timeout=30) as client:
        import concurrent.futures as futures

        with futures.ThreadPoolExecutor(12) as pool:
            posted = pool.map(lambda c: client.post("/v1/score", content=c).json(), contents)
            together = list(posted)
    for one, other in zip(alone, together, strict=True):
        assert one["verdict"] == other["verdict"]
        assert other["score"] == pytest.approx(one["score"], abs=1.1e-4)
