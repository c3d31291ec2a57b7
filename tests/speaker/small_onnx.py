"""An ONNX file that makes vectors of waveforms, for tests."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
HELPER, FLOAT = onnx.helper, onnx.TensorProto.FLOAT
TIME = np.arange(400) - 200
HZ = np.linspace(50, 4_000, 64)[:, None]
# Short waves of 64 frequencies.
WEIGHT = np.exp(-((TIME / 30) ** 2)) * np.cos(2 * np.pi * HZ * TIME / 16_000 + HZ)
WEIGHT = WEIGHT[:, None].astype(np.float32)


def write_model(path, shape=("B", "T"), nodes=None, output="y", constants=()):
    """A bank of 64 filters over the waveform, mean of their absolute values over time."""
    rank = len(shape)
    axes = [np.array([0, 1] if rank == 1 else [1], np.int64), np.array([0], np.int64)]
    nodes = nodes or [
        HELPER.make_node("Unsqueeze", ["x", "axes"], ["a"]),
        HELPER.make_node("Conv", ["a", "w"], ["b"], strides=[160]),
        HELPER.make_node("Abs", ["b"], ["c"]),
        HELPER.make_node("ReduceMean", ["c"], ["y"], axes=[2], keepdims=0),
    ]
    graph = HELPER.make_graph(
        nodes,
        "voices",
        [HELPER.make_tensor_value_info("x", FLOAT, list(shape))],
        [HELPER.make_tensor_value_info(output, FLOAT, None)],
        [
            onnx.numpy_helper.from_array(WEIGHT, "w"),
            onnx.numpy_helper.from_array(axes[0], "axes"),
            *constants,
        ],
    )
    model = HELPER.make_model(graph, opset_imports=[HELPER.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def nodes_of(kind, **more):
    return [HELPER.make_node(kind, ["x"], ["y"], **more)]


def constant(name, values):
    return onnx.numpy_helper.from_array(np.array(values), name)
