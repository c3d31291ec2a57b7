"""Convolutions, matrix products, pooling and recurrence, in ONNX."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rawnet_jax.errors import ExportError
from rawnet_jax.export.flat import Equation, Ref
from rawnet_jax.export.onnx_elementwise import Handler
from rawnet_jax.export.onnx_graph import Order, Writer, identity


def _convolution(writer: Writer, equation: Equation) -> None:
    """Write a convolution, channels first."""
    (x, kernel), params = equation.inputs, equation.params
    numbers = params["dimension_numbers"]
    if any(step != 1 for step in params["lhs_dilation"]) or params["batch_group_count"] != 1:
        raise ExportError("convolution: spread input or groups of a batch")
    low, high = zip(*params["padding"], strict=True)
    name = writer.full(x, tuple(numbers.lhs_spec))
    if min(*low, *high) < 0:
        name = _cropped(writer, name, low, high)
    name = writer.graph.emit(
        "Conv",
        name,
        writer.full(kernel, tuple(numbers.rhs_spec)),
        strides=_integers(params["window_strides"]),
        pads=[max(int(pad), 0) for pad in (*low, *high)],
        dilations=_integers(params["rhs_dilation"]),
        group=int(params["feature_group_count"]),
    )
    writer.define(equation.outputs[0], name, numbers.out_spec)


def _cropped(writer: Writer, name: str, low: Sequence[int], high: Sequence[int]) -> str:
    """Cut off what a convolution with a negative padding leaves out."""
    integers = writer.graph.integers
    starts = integers(*(max(-int(pad), 0) for pad in low))
    ends = integers(*(int(pad) if pad < 0 else np.iinfo(np.int64).max for pad in high))
    return writer.graph.emit("Slice", name, starts, ends, integers(*range(2, 2 + len(low))))


def _integers(values: Sequence[Any]) -> list[int]:
    return [int(value) for value in values]


def _product(writer: Writer, equation: Equation) -> None:
    """Write a product of matrices, or of many."""
    left, right = equation.inputs
    (left_by, right_by), (left_batch, right_batch) = equation.params["dimension_numbers"]
    if len(left_by) != 1:
        raise ExportError("dot_general: a sum over several axes")
    is_layer = right.is_constant and not left_batch and len(right.shape) == 2
    if is_layer and len(left.shape) > 1:
        _layer(writer, equation, left_by[0], right_by[0])
        return
    left_free = _free(left, left_by, left_batch)
    right_free = _free(right, right_by, right_batch)
    if len(left_free) > 1 or len(right_free) > 1:
        raise ExportError("dot_general: several axes on one side")
    names = [
        writer.full(left, (*left_batch, *left_free, *left_by), but=left_batch),
        writer.full(right, (*right_batch, *right_by, *right_free), but=right_batch),
    ]
    summed = left.shape[left_by[0]]
    # A vector is a matrix with one row or column.
    if not left_free:
        sizes = [*_sizes(writer, left, left_batch), 1, summed]
        names[0] = writer.reshaped(names[0], sizes[0], sizes)
    if not right_free:
        sizes = [*_sizes(writer, right, right_batch), summed, 1]
        names[1] = writer.reshaped(names[1], sizes[0], sizes)
    name, output = writer.graph.emit("MatMul", *names), equation.outputs[0]
    if not (left_free and right_free):
        name = writer.reshaped(name, output.shape[0] if output.shape else 1, output.shape)
    writer.define(output, name, identity(output))


def _free(ref: Ref, by: Sequence[int], batch: Sequence[int]) -> list[int]:
    return [axis for axis in range(len(ref.shape)) if axis not in (*by, *batch)]


def _sizes(writer: Writer, ref: Ref, axes: Sequence[int]) -> list[Any]:
    return [writer.tensor(ref).sizes[axis] for axis in axes]


def _layer(writer: Writer, equation: Equation, axis: int, weight_axis: int) -> None:
    """Write the product with a constant matrix along one axis, wherever that lies."""
    x, weight = equation.inputs
    order = writer.tensor(x).order
    place = order.index(axis)
    rows_first: Order = (weight_axis, 1 - weight_axis)
    if place == len(order) - 2 and writer.tensor(x).num_true > 1:
        inputs = [writer.full(weight, rows_first[::-1]), writer.full(x, order)]
    else:
        order = (*(a for a in order if a != axis), axis)
        inputs = [writer.full(x, order), writer.full(weight, rows_first)]
    name = writer.graph.emit("MatMul", *inputs)
    # The axis that comes out is the last one.
    moved = [len(order) - 1 if a == axis else a - (a > axis) for a in order]
    writer.define(equation.outputs[0], name, moved)


def _average_windows(writer: Writer, equation: Equation) -> None:
    """Write sums over windows."""
    ref, params = equation.inputs[0], equation.params
    window, padding = params["window_dimensions"], params["padding"]
    if {*params["base_dilation"], *params["window_dilation"]} != {1}:
        raise ExportError("reduce_window_sum: with gaps")
    axes = [axis for axis, size in enumerate(window) if size != 1]
    others = [axis for axis in range(len(ref.shape)) if axis not in axes]
    if len(others) != 2 or any(padding[axis] != (0, 0) for axis in others):
        raise ExportError("reduce_window_sum: over the batch")
    order = (*others, *axes)
    name = writer.graph.emit(
        "AveragePool",
        writer.full(ref, order),
        kernel_shape=_integers([window[axis] for axis in axes]),
        strides=_integers([params["window_strides"][axis] for axis in axes]),
        pads=_integers([padding[axis][side] for side in (0, 1) for axis in axes]),
        count_include_pad=1,
    )
    count = writer.graph.constant(np.float32(np.prod(window)))
    writer.define(equation.outputs[0], writer.graph.emit("Mul", name, count), order)


def _max_pool(writer: Writer, equation: Equation) -> None:
    """Write `layers.max_pool_1d`: along the one axis that gets shorter, window = stride."""
    ref, output = equation.inputs[0], equation.outputs[0]
    size = sum(inner.op in ("gather", "slice") for inner in equation.params["body"])
    order = writer.tensor(ref).order
    pairs = zip(ref.shape, output.shape, strict=True)
    (axis,) = [axis for axis, (before, after) in enumerate(pairs) if before != after]
    name, place = writer.full(ref, order), order.index(axis)
    sizes = [ref.shape[axis] for axis in order]
    if place == 1:  # ONNX has the channels there
        sizes.insert(1, 1)
        name = writer.reshaped(name, sizes[0], sizes)
    shape = [1] * (len(sizes) - 2)
    shape[max(place, 2) - 2] = size
    name = writer.graph.emit("MaxPool", name, kernel_shape=shape, strides=shape)
    if place == 1:
        name = writer.reshaped(name, sizes[0], [output.shape[axis] for axis in order])
    writer.define(output, name, order)


_TURNED_GATES = (1, 0, 2)
"""ONNX has a GRU's gates in the order z, r, n; PyTorch, and so ours, r, z, n."""


def _gru(writer: Writer, equation: Equation) -> None:
    """Write `recurrent.gru_states` and the layer before it, which is a part of ONNX's GRU."""
    inputs, weight_hh, bias_hh = equation.inputs
    added = writer.producers.get(inputs)
    product = writer.producers.get(added.inputs[0]) if added is not None else None
    if added is None or product is None or (added.op, product.op) != ("add", "dot_general"):
        raise ExportError("gru_states: without a layer before it")
    x, weight_ih = product.inputs
    bias_ih = added.inputs[1]
    values = [_value(ref) for ref in (weight_ih, weight_hh, bias_ih, bias_hh)]
    values[0], values[2] = values[0].T, values[2].reshape(-1)
    weight_ih_, weight_hh_, *biases = map(_turned, values)
    constants = (weight_ih_[None], weight_hh_[None], np.concatenate(biases)[None])
    output = equation.outputs[0]
    name, _ = writer.graph.emit_all(
        "GRU",
        [writer.full(x, identity(x)), *map(writer.graph.constant, constants)],
        2,
        hidden_size=int(output.shape[2]),
        linear_before_reset=1,
    )
    # [T, directions, B, H]
    name = writer.graph.emit("Squeeze", name, writer.graph.integers(1))
    writer.define(output, name, identity(output))


def _value(ref: Ref) -> np.ndarray:
    if ref.value is None:
        raise ExportError("gru_states: with weights that are computed")
    return ref.value


def _turned(weight: np.ndarray) -> np.ndarray:
    gates = weight.reshape(3, -1, *weight.shape[1:])
    return gates[list(_TURNED_GATES)].reshape(weight.shape)


HANDLERS: Mapping[str, Handler] = {
    "conv_general_dilated": _convolution,
    "dot_general": _product,
    "gru_states": _gru,
    "max_pool_1d": _max_pool,
    "reduce_window_sum": _average_windows,
}
"""Name of an equation -> what writes it."""
