"""Operations that move, cut and join arrays, in ONNX."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jax.lax import GatherScatterMode

from rawnet_jax.errors import ExportError
from rawnet_jax.export.flat import Equation, Ref
from rawnet_jax.export.onnx_elementwise import Handler
from rawnet_jax.export.onnx_graph import Order, Writer, identity, with_axes

_LAST = np.iinfo(np.int64).max


def _transpose(writer: Writer, equation: Equation) -> None:
    tensor, turned = writer.tensor(equation.inputs[0]), list(equation.params["permutation"])
    sizes = [tensor.sizes[axis] for axis in turned]
    order = [turned.index(axis) for axis in tensor.order]
    writer.define(equation.outputs[0], tensor.name, order, sizes)


def _broadcast_in_dim(writer: Writer, equation: Equation) -> None:
    """Write new axes; along those that are repeated nothing is copied."""
    (ref, *_), output = equation.inputs, equation.outputs[0]
    tensor, axes = writer.tensor(ref), equation.params["broadcast_dimensions"]
    sizes: list[Any] = [1] * len(output.shape)
    for axis, size in zip(axes, tensor.sizes, strict=True):
        sizes[axis] = size
    new = [axis for axis in range(len(sizes)) if axis not in axes]
    order = with_axes([axes[axis] for axis in tensor.order], new)
    name = writer.placed(ref, tensor.order)
    if new:
        first = tensor.sizes[tensor.order[0]] if tensor.order else 1
        name = writer.reshaped(name, first, [sizes[axis] for axis in order])
    writer.define(output, name, order, sizes)


def _reshape(writer: Writer, equation: Equation) -> None:
    ref, output = equation.inputs[0], equation.outputs[0]
    old = [axis for axis, size in enumerate(ref.shape) if size != 1]
    new = [axis for axis, size in enumerate(output.shape) if size != 1]
    if [ref.shape[axis] for axis in old] != [output.shape[axis] for axis in new]:
        first = ref.shape[0] if ref.shape else 1
        name = writer.reshaped(writer.full(ref, identity(ref)), first, output.shape)
        writer.define(output, name, identity(output))
        return
    # Only axes of size 1 come or go, and the others may lie as they do.
    tensor, becomes = writer.tensor(ref), dict(zip(old, new, strict=True))
    kept = [becomes[axis] for axis in tensor.order if axis in becomes]
    order = with_axes(kept, [axis for axis in range(len(output.shape)) if axis not in new])
    sizes: list[Any] = [1] * len(output.shape)
    for before, after in becomes.items():
        sizes[after] = tensor.sizes[before]
    first = tensor.sizes[tensor.order[0]] if tensor.order else 1
    name = writer.placed(ref, tensor.order)
    name = writer.reshaped(name, first, [sizes[axis] for axis in order])
    writer.define(output, name, order, sizes)


def _concatenate(writer: Writer, equation: Equation) -> None:
    order, axis = writer.common_order(equation.inputs), equation.params["dimension"]
    names = [writer.full(ref, order) for ref in equation.inputs]
    name = writer.graph.emit("Concat", *names, axis=order.index(axis))
    writer.define(equation.outputs[0], name, order)


def _stack(writer: Writer, equation: Equation) -> None:
    output, axis = equation.outputs[0], equation.params["axis"]
    one = (*output.shape[:axis], 1, *output.shape[axis + 1 :])
    parts = [writer.full(ref, identity(ref)) for ref in equation.inputs]
    parts = [writer.reshaped(part, one[1] if axis == 0 else one[0], one) for part in parts]
    writer.define(output, writer.graph.emit("Concat", *parts, axis=axis), identity(output))


def _split(writer: Writer, equation: Equation) -> None:
    ref, axis = equation.inputs[0], equation.params["axis"]
    order = writer.tensor(ref).order
    inputs = [writer.full(ref, order), writer.graph.integers(*equation.params["sizes"])]
    names = writer.graph.emit_all("Split", inputs, len(equation.outputs), axis=order.index(axis))
    for output, name in zip(equation.outputs, names, strict=True):
        writer.define(output, name, order)


def _pad(writer: Writer, equation: Equation) -> None:
    (ref, filler), config = equation.inputs, equation.params["padding_config"]
    if any(between for _, _, between in config):
        raise ExportError("pad: with something between the elements")
    order = writer.tensor(ref).order
    sides = [int(config[axis][side]) for side in (0, 1) for axis in order]
    name = writer.graph.emit(
        "Pad", writer.full(ref, order), writer.graph.integers(*sides), writer.placed(filler, ())
    )
    writer.define(equation.outputs[0], name, order)


def _slice(writer: Writer, equation: Equation) -> None:
    ref, params = equation.inputs[0], equation.params
    steps = params["strides"] or (1,) * len(ref.shape)
    cuts = []
    for axis, size in enumerate(ref.shape):
        start, limit = params["start_indices"][axis], params["limit_indices"][axis]
        if (start, limit, steps[axis]) != (0, size, 1):
            cuts.append((axis, int(start), int(limit), int(steps[axis])))
    order = writer.tensor(ref).order
    writer.define(equation.outputs[0], _cut(writer, ref, order, cuts), order)


def _cut(writer: Writer, ref: Ref, order: Order, cuts: Sequence[tuple[int, int, int, int]]) -> str:
    """Write a part of an array: (axis, start, limit, step) of each axis that is cut."""
    name = writer.full(ref, order)
    if not cuts:
        return name
    axes, starts, limits, steps = zip(*cuts, strict=True)
    places = [order.index(axis) for axis in axes]
    bounds = (starts, limits, places, steps)
    return writer.graph.emit("Slice", name, *(writer.graph.integers(*b) for b in bounds))


def _reverse(writer: Writer, equation: Equation) -> None:
    ref = equation.inputs[0]
    order = writer.tensor(ref).order
    cuts = [(axis, -1, -_LAST, -1) for axis in equation.params["dimensions"]]
    writer.define(equation.outputs[0], _cut(writer, ref, order, cuts), order)


def _gather(writer: Writer, equation: Equation) -> None:
    """Write a gather: a part at a constant place, or places along one axis."""
    index, numbers = equation.inputs[1], equation.params["dimension_numbers"]
    if index.value is not None and len(index.shape) == 1:
        _constant_part(writer, equation)
    elif len(numbers.start_index_map) != 1:
        raise ExportError("gather: places along several axes")
    elif index.value is not None and _same_for_all(index, numbers.start_indices_batching_dims):
        _gather_alike(writer, equation, numbers.start_index_map[0])
    else:
        _gather_own(writer, equation, numbers.start_index_map[0])


def _constant_part(writer: Writer, equation: Equation) -> None:
    """Write one part of an array, without the axes of which it has one element."""
    (ref, index), output = equation.inputs, equation.outputs[0]
    numbers, sizes = equation.params["dimension_numbers"], equation.params["slice_sizes"]
    assert index.value is not None
    pairs = zip(numbers.start_index_map, index.value.tolist(), strict=True)
    cuts = [(axis, start, start + int(sizes[axis]), 1) for axis, start in pairs]
    order = writer.tensor(ref).order
    name = _cut(writer, ref, order, [cut for cut in cuts if sizes[cut[0]] != ref.shape[cut[0]]])
    left = _left(numbers, len(ref.shape))
    if len(left) < len(ref.shape):
        kept = [axis for axis in order if axis in left]
        name = writer.reshaped(name, sizes[order[0]], [sizes[axis] for axis in kept])
        order = tuple(left.index(axis) for axis in kept)
    writer.define(output, name, order)


def _same_for_all(index: Ref, batching: Sequence[int]) -> bool:
    assert index.value is not None
    return all(index.value.shape[axis] == 1 for axis in batching)


def _gather_alike(writer: Writer, equation: Equation, axis: int) -> None:
    """Write a gather along an axis at the same constant places for every clip."""
    (ref, index), output = equation.inputs, equation.outputs[0]
    numbers = equation.params["dimension_numbers"]
    assert index.value is not None
    batching = numbers.start_indices_batching_dims
    kept = [i for i in range(len(index.shape) - 1) if i not in batching]
    places = index.value.reshape([index.shape[i] for i in kept])
    order = writer.tensor(ref).order
    name = _taken(writer, ref, order, axis, places)
    # Of the output: the axes of the operand but this one, and the axes of the places.
    offset = list(numbers.offset_dims)
    others = [i for i in range(len(output.shape)) if i not in offset]
    of_operand = dict(zip(_left(numbers, len(ref.shape)), offset, strict=True))
    pairs = zip(numbers.operand_batching_dims, batching, strict=True)
    of_operand |= {a: others[i] for a, i in pairs}
    of_places = [others[i] for i in kept]
    made: list[int] = []
    for old in order:
        made += of_places if old == axis else [of_operand[old]]
    writer.define(output, name, made)


def _left(numbers: Any, rank: int) -> list[int]:
    gone = {*numbers.collapsed_slice_dims, *numbers.operand_batching_dims}
    return [axis for axis in range(rank) if axis not in gone]


def _taken(writer: Writer, ref: Ref, order: Order, axis: int, places: np.ndarray) -> str:
    """Write what lies at constant places along an axis: as a few parts of it, or one by one."""
    place = order.index(axis)
    runs = _runs(places) if places.ndim == 1 else []
    parts = [_cut(writer, ref, order, [_bounds(axis, *run)]) for run in runs]
    if len(parts) > 1:
        return writer.graph.emit("Concat", *parts, axis=place)
    if parts:
        return parts[0]
    return writer.graph.emit("Gather", writer.full(ref, order), _places(writer, places), axis=place)


_MAX_RUNS = 8


def _runs(places: np.ndarray) -> list[tuple[int, int, int]]:
    """Divide places into runs with a constant step: (first, last, step); many runs are none."""
    runs: list[tuple[int, int, int]] = []
    values = places.tolist()
    start = 0
    while start < len(values):
        end, step = start + 1, 1
        if end < len(values) and values[end] != values[start]:
            step = values[end] - values[start]
            while end < len(values) and values[end] - values[end - 1] == step:
                end += 1
        runs.append((values[start], values[end - 1], step))
        start = end
        if len(runs) > _MAX_RUNS:
            return []
    return runs


def _bounds(axis: int, first: int, last: int, step: int) -> tuple[int, int, int, int]:
    limit = last + (1 if step > 0 else -1)
    # A negative limit would count from the end.
    return axis, first, limit if limit >= 0 else -_LAST, step


def _places(writer: Writer, places: np.ndarray) -> str:
    """Write constant places; a table of sums of two columns as their sum."""
    if places.ndim == 2 and places.size > sum(places.shape):
        rows, columns = places[:, :1], places[:1] - places[0, 0]
        if np.array_equal(rows + columns, places):
            parts = [writer.graph.constant(part, np.int64) for part in (rows, columns)]
            return writer.graph.emit("Add", *parts)
    return writer.graph.constant(places, np.int64)


def _gather_own(writer: Writer, equation: Equation, axis: int) -> None:
    """Write a gather along an axis at places that are computed, or not the same for every clip."""
    (ref, index), output = equation.inputs, equation.outputs[0]
    params = equation.params
    numbers = params["dimension_numbers"]
    batching = list(numbers.operand_batching_dims)
    if axis not in numbers.collapsed_slice_dims or list(
        numbers.start_indices_batching_dims
    ) != list(range(len(batching))):
        raise ExportError("gather: slices at places that are computed")
    left = _left(numbers, len(ref.shape))
    names = [
        writer.full(ref, (*batching, axis, *left)),
        writer.graph.emit("Cast", writer.full(index, identity(index)), to=7),
    ]
    if params["mode"] == GatherScatterMode.CLIP:
        last = writer.graph.constant(ref.shape[axis] - 1, np.int64)
        names[1] = writer.graph.emit("Clip", names[1], writer.graph.constant(0, np.int64), last)
    name = writer.graph.emit("GatherND", *names, batch_dims=len(batching))
    offset = list(numbers.offset_dims)
    others = [i for i in range(len(output.shape)) if i not in offset]
    writer.define(output, name, [*others, *offset])


def _top_k(writer: Writer, equation: Equation) -> None:
    ref, params = equation.inputs[0], equation.params
    order = writer.tensor(ref).order
    k = writer.graph.integers(params["k"])
    axis = order.index(params["axis"])
    values, places = writer.graph.emit_all("TopK", [writer.full(ref, order), k], 2, axis=axis)
    writer.define(equation.outputs[0], values, order)
    writer.define(equation.outputs[1], writer.graph.emit("Cast", places, to=6), order)


HANDLERS: Mapping[str, Handler] = {
    "broadcast_in_dim": _broadcast_in_dim,
    "concatenate": _concatenate,
    "gather": _gather,
    "pad": _pad,
    "reshape": _reshape,
    "rev": _reverse,
    "slice": _slice,
    "split": _split,
    "squeeze": _reshape,
    "expand_dims": _reshape,
    "stack": _stack,
    "top_k": _top_k,
    "transpose": _transpose,
}
"""Name of an equation -> what writes it."""
