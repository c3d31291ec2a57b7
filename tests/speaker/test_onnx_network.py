"""Any ONNX file as an encoder of voices: read where it makes vectors, else refused in a line."""

import numpy as np
import pytest

from rawnet_jax.errors import DataError
from rawnet_jax.speaker.encoder_folder import load_encoder, write_encoder
from rawnet_jax.speaker.network import mean_voice, unit
from rawnet_jax.speaker.onnx_network import OnnxNetwork
from rawnet_jax.speaker.published import read_published
from tests.speaker.small_onnx import HELPER, WEIGHT, constant, nodes_of, write_model
from tests.speaker.toy_voices import RATE

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def slow(clip):
    frames = [clip[i : i + 400] for i in range(0, len(clip) - 399, 160)]
    return unit(np.abs(np.array(frames) @ WEIGHT[:, 0].T).mean(axis=0))


def noise(num_samples, seed=5):
    return (0.1 * np.random.default_rng(seed).standard_normal(num_samples)).astype(np.float32)


@pytest.mark.parametrize("shape", [("T",), (1, "T"), ("B", "T")])
def test_vectors_are_the_files_of_length_one(tmp_path, shape):
    network = OnnxNetwork(write_model(tmp_path / "a.onnx", shape))
    clip = noise(9_000)
    np.testing.assert_allclose(network.embed(clip), slow(clip), atol=1e-5)
    assert network.width == 64


def test_fixed_lengths_are_filled_and_cut(tmp_path):
    network = OnnxNetwork(write_model(tmp_path / "a.onnx", (1, 4_000)))
    short, long = noise(1_500), noise(10_500)
    repeated = np.tile(short, 3)[:4_000]
    np.testing.assert_allclose(network.embed(short), slow(repeated), atol=1e-5)
    windows = [slow(long[start : start + 4_000]) for start in (0, 2_000, 4_000, 6_000)]
    np.testing.assert_allclose(network.embed(long), mean_voice(np.stack(windows)), atol=1e-5)


def test_a_file_becomes_a_folder_that_can_be_calibrated(tmp_path):
    path = write_model(tmp_path / "voices.onnx")
    card, content = read_published(path, licence="mine")
    write_encoder(tmp_path / "encoder", card, content)
    folder, file = (load_encoder(tmp_path / name, speech="off") for name in ("encoder", path.name))
    assert folder.digest == file.digest
    clip = noise(RATE)
    np.testing.assert_array_equal(folder.voice(clip).vector, file.voice(clip).vector)
    assert folder.voice(clip).speech_s == 1.0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"shape": ("B", 1, "T"), "nodes": nodes_of("Abs")}, r"float32 \[T\] or \[B, T\]"),
        ({"nodes": nodes_of("Abs")}, "as many for every clip"),
        ({"nodes": nodes_of("ReduceMean", axes=[1], keepdims=1)}, "two or more"),
        (
            {"nodes": [HELPER.make_node("ConstantOfShape", ["axes"], ["y"])]},
            "two or more|do not depend",
        ),
        (
            {"nodes": [HELPER.make_node("Reshape", ["w", "size"], ["y"])],
             "constants": (constant("size", [-1]),)},
            "do not depend on the waveform",
        ),
        (
            {"nodes": [HELPER.make_node("RandomNormal", [], ["y"], shape=[1, 4])]},
            "another vector each time",
        ),
        ({"nodes": [HELPER.make_node("Log", ["x"], ["l"]),
                    HELPER.make_node("ReduceMean", ["l"], ["m"], axes=[1], keepdims=1),
                    HELPER.make_node("Concat", ["m", "m"], ["y"], axis=1)]}, "not finite"),
    ],
)  # fmt: skip
def test_files_that_are_no_encoders(tmp_path, more, message):
    with pytest.raises(DataError, match=message):
        OnnxNetwork(write_model(tmp_path / "a.onnx", **more))


def test_other_files(tmp_path):
    path = tmp_path / "a.onnx"
    with pytest.raises(DataError, match="cannot be read"):
        OnnxNetwork(path)
    path.write_bytes(b"no model")
    with pytest.raises(DataError, match="must be an ONNX file"):
        OnnxNetwork(path)
    with pytest.raises(DataError, match="regular file"):
        OnnxNetwork(tmp_path)
