"""Vocoders with weights: ONNX files with a description, Lyra's folder."""

import json
from pathlib import Path

import numpy as np
import pytest
import soxr

from rawnet_jax.copy_synthesis import lyra, onnx_models
from rawnet_jax.copy_synthesis.model_files import digests, model_vocoders, try_out
from rawnet_jax.copy_synthesis.onnx_description import OnnxDescription, described
from rawnet_jax.copy_synthesis.onnx_models import log_mel
from rawnet_jax.copy_synthesis.vocoder import copy_of
from rawnet_jax.errors import DataError
from tests.copy_synthesis.voices import voice

onnx = pytest.importorskip("onnx", reason="the extra `export` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `vocode` is not installed")

CODEC = {"kind": "codec", "sample_rate_hz": 16_000}
VOCODER = {"kind": "vocoder", "sample_rate_hz": 22_050, "bands": 8, "hop": 256}


def save(path: Path, nodes, constants, inputs, output_shape) -> Path:
    """Write a graph of nodes from the inputs (by name, shape) to ``y``."""
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, float32, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info("y", float32, output_shape)],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def describe(path: Path, **fields) -> Path:
    path.with_suffix(".json").write_text(json.dumps(fields), encoding="utf-8")
    return path


def write_codec(folder: Path, name: str = "half", shape=(1, 1, "n"), **fields) -> Path:
    """Write a codec that halves its input and delays it by 7 samples."""
    axes = len(shape)
    pads = [0] * (axes - 1) + [7] + [0] * (axes - 1) + [-7]
    nodes = [
        onnx.helper.make_node("Mul", ["x", "half"], ["h"]),
        onnx.helper.make_node("Pad", ["h", "pads"], ["y"]),
    ]
    constants = {"half": np.float32(0.5), "pads": np.array(pads, np.int64)}
    path = save(folder / f"{name}.onnx", nodes, constants, {"x": shape}, shape)
    return describe(path, **{**CODEC, **fields})


def write_vocoder(folder: Path, hop: int = 256, **fields) -> Path:
    """Write a vocoder: a transposed convolution from 8 bands to waveform."""
    weight = np.random.default_rng(0).standard_normal((8, 1, hop)).astype(np.float32)
    node = onnx.helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[hop])
    path = folder / "tiny vocoder.onnx"
    save(path, [node], {"w": weight}, {"x": (1, 8, "t")}, (1, 1, "n"))
    return describe(path, **{**VOCODER, **fields})


def copied(path: Path, waveform: np.ndarray) -> np.ndarray:
    [row] = model_vocoders([path])
    return copy_of(waveform, row, row.draw(np.random.default_rng(0)), np.random.default_rng(0))


@pytest.mark.parametrize("shape", [(1, "n"), (1, 1, "n"), ("n",)])
def test_a_codec_gets_the_waveform_in_its_axes(tmp_path, shape):
    source = voice(num_samples=5_000)
    copy = copied(write_codec(tmp_path, shape=shape, delay=7, multiple=320), source)
    np.testing.assert_allclose(copy, source, atol=1e-5)


def test_a_delay_that_is_not_stated_stays(tmp_path):
    source = voice(num_samples=5_000)
    copy = copied(write_codec(tmp_path), source)
    np.testing.assert_allclose(copy[7:], source[:-7], rtol=1e-2, atol=1e-3)


def test_a_codec_of_another_rate_is_resampled_around(tmp_path):
    source = voice(num_samples=5_000)
    copy = copied(write_codec(tmp_path, delay=7, sample_rate_hz=24_000), source)
    wanted = soxr.resample(soxr.resample(source, 16_000, 24_000), 24_000, 16_000)
    np.testing.assert_allclose(copy[:-50], wanted[:-50], atol=1e-3)


def test_a_vocoder_gets_its_mel_spectrogram(tmp_path):
    source = voice(num_samples=6_001)
    path = write_vocoder(tmp_path)
    [row] = model_vocoders([path])
    assert (row.name, row.family) == ("tiny_vocoder", "neural vocoder")
    first = copied(path, source)
    assert len(first) == 6_001
    np.testing.assert_array_equal(copied(path, source), first)
    assert not np.allclose(copied(path, voice(200.0, 6_001)), first, atol=1e-3)
    try_out(row)


def test_log_mel_has_the_frames_and_the_levels_of_its_description():
    # A sine of amplitude 1 at 1 kHz: the window of 1,024 sums to 512, half of which is a side.
    time_s = np.arange(16_000) / 16_000
    sine = np.sin(2 * np.pi * 1_000 * time_s)
    plain = OnnxDescription(kind="vocoder", sample_rate_hz=16_000, equal_area=False)
    mel = log_mel(sine, plain)
    assert mel.shape == (80, 16_000 // 256)
    assert mel.dtype == np.float32
    loudest = np.argmax(mel[:, 30])
    # 1 kHz is 15 of 45.2456 mel in 81 steps.
    assert loudest == round(15 / 45.245640471924965 * 81) - 1
    assert np.exp(mel[loudest, 30]) == pytest.approx(256, rel=0.5)
    centred = OnnxDescription("vocoder", 16_000, equal_area=False, centred=True)
    assert log_mel(sine, centred).shape == (80, 1 + 16_000 // 256)
    decibel = OnnxDescription("vocoder", 16_000, equal_area=False, log="decibel", mean=1.0)
    np.testing.assert_allclose(log_mel(sine, decibel), 20 / np.log(10) * mel - 1.0, rtol=1e-4)
    assert np.min(log_mel(0 * sine, plain)) == pytest.approx(np.log(1e-5))


def test_the_hop_of_another_model_is_told(tmp_path):
    with pytest.raises(DataError, match=r"gives \d+ samples for \d+ .* hop and sample_rate_hz"):
        copied(write_vocoder(tmp_path, hop=100), voice(num_samples=16_000))


def test_bands_of_another_model_are_told(tmp_path):
    path = write_vocoder(tmp_path, bands=80)
    [row] = model_vocoders([path])
    with pytest.raises(DataError, match=r"tiny vocoder\.onnx: cannot run on input of shape"):
        try_out(row)


def test_a_model_with_two_inputs_is_refused(tmp_path):
    node = onnx.helper.make_node("Add", ["x", "z"], ["y"])
    path = save(tmp_path / "a.onnx", [node], {}, {"x": (1, "n"), "z": (1, "n")}, (1, "n"))
    [row] = model_vocoders([describe(path, **CODEC)])
    with pytest.raises(DataError, match="has the inputs x, z; it must have one"):
        try_out(row)


def test_what_is_no_model_is_told(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: no such file"):
        model_vocoders([tmp_path / "nowhere"])
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(
        DataError, match=r"a\.txt: is not a vocoder; it must be a folder .* .onnx file"
    ):
        model_vocoders([tmp_path / "a.txt"])
    (tmp_path / "b.onnx").write_text("x")
    with pytest.raises(DataError, match=r"b\.json: is missing; it must say what b\.onnx takes"):
        model_vocoders([tmp_path / "b.onnx"])
    [row] = model_vocoders([describe(tmp_path / "b.onnx", **CODEC)])
    with pytest.raises(DataError, match=r"b\.onnx: is not an ONNX model that can be run"):
        try_out(row)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([], "must be a JSON object"),
        ({"kind": "codec"}, "sample_rate_hz is missing"),
        ({**CODEC, "hopp": 1}, "unknown field 'hopp'"),
        ({**CODEC, "kind": "tts"}, "kind is 'tts'; it must be 'vocoder' or 'codec'"),
        ({**CODEC, "kind": []}, "it must be 'vocoder' or 'codec'"),
        ({**CODEC, "sample_rate_hz": 1}, "8,000 to 48,000"),
        ({**CODEC, "hop": True}, "hop is True; it must be a whole number"),
        ({**CODEC, "hop": 10**30}, "must be a whole number"),
        ({**CODEC, "floor": float("nan")}, "floor is nan; it must be a number"),
        ({**CODEC, "window": 2_048}, "hop <= window <= fft"),
        ({**CODEC, "bands": 0}, "bands must be 1"),
        ({**CODEC, "top_hz": 9_000}, "half the sample rate"),
        ({**CODEC, "floor": 0}, "above 0"),
        ({**CODEC, "name": "a b"}, "without blanks"),
        ({**CODEC, "name": "a\nb"}, "text of one line"),
    ],
)
def test_descriptions_that_cannot_be(fields, message):
    with pytest.raises(DataError, match=message):
        described(fields, "a.json")


def test_a_damaged_description_is_told(tmp_path):
    path = write_codec(tmp_path)
    for text in ("{", "[" * 100_000):
        path.with_suffix(".json").write_text(text)
        with pytest.raises(DataError, match=r"half\.json: is not JSON"):
            model_vocoders([path])


def test_digests_tell_models_apart(tmp_path):
    [row] = model_vocoders([write_codec(tmp_path)])
    before = digests(row)
    assert sorted(before) == ["half.json", "half.onnx"]
    describe(tmp_path / "half.onnx", **CODEC, delay=7)
    assert {name for name, digest in digests(row).items() if digest != before[name]} == {
        "half.json"
    }


class FakeInterpreter:
    """Halves each frame; its quantiser lets everything through."""

    def get_input_details(self):
        return [{"index": 0}]

    get_output_details = get_input_details

    def set_tensor(self, _index, value):
        assert value.shape == (1, 320)
        self.value = value

    def invoke(self):
        self.value = 0.5 * self.value

    def get_tensor(self, _index):
        return self.value

    def get_signature_runner(self, name):
        def run(input_frames=None, num_quantizers=None, encoding_indices=None):
            assert num_quantizers is None or int(num_quantizers) in (16, 30, 46)
            return {"output_0": input_frames if name == "encode" else encoding_indices}

        return run


def test_lyra_goes_frame_by_frame(tmp_path, monkeypatch):
    for name in lyra.FILES:
        (tmp_path / name).write_bytes(b"")
    monkeypatch.setattr(lyra, "_interpreter", lambda path: FakeInterpreter())
    [row] = model_vocoders([tmp_path])
    source = voice(num_samples=5_001)
    copy = copy_of(source, row, {"kbit_s": 6.0}, np.random.default_rng(0))
    np.testing.assert_allclose(copy, source, rtol=1e-5)


def test_lyra_without_a_file_or_with_a_damaged_one_is_told(tmp_path):
    pytest.importorskip("ai_edge_litert", reason="the extra `vocode` is not installed")
    for name in lyra.FILES[:2]:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=r"lyragan\.tflite: no such file; lyra needs it"):
        model_vocoders([tmp_path])
    (tmp_path / lyra.FILES[2]).write_bytes(b"x")
    [row] = model_vocoders([tmp_path])
    with pytest.raises(DataError, match=r"soundstream_encoder\.tflite: is not a TFLite model"):
        try_out(row)


def test_sessions_are_opened_once(tmp_path):
    path = write_codec(tmp_path)
    onnx_models._session.cache_clear()
    copied(path, voice(num_samples=3_000))
    copied(path, voice(num_samples=3_000))
    assert onnx_models._session.cache_info().misses == 1
