"""Operations on one element at a time, and those that ONNX has for a whole axis, in ONNX."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rawnet_jax.export.flat import Equation
from rawnet_jax.export.onnx_graph import Writer
from rawnet_jax.models.rawnet2 import LEAKY_SLOPE

Handler = Callable[[Writer, Equation], None]

_TYPES = {"float32": 1, "int32": 6, "int64": 7, "bool": 9}
"""Numbers of the types in the ONNX file format."""

_LEAKY_SLOPE = float(np.float32(LEAKY_SLOPE))


def _same(op: str, **attributes: Any) -> Handler:
    """Return a handler for what ONNX has too, as one operation on the same inputs."""

    def handle(writer: Writer, equation: Equation) -> None:
        _elementwise(writer, equation, lambda *x: writer.graph.emit(op, *x, **attributes))

    return handle


def _made_of(build: Callable[..., str]) -> Handler:
    """Return a handler that makes an operation of several: ``build(emit, *inputs)``."""

    def handle(writer: Writer, equation: Equation) -> None:
        _elementwise(writer, equation, lambda *x: build(writer.graph.emit, *x))

    return handle


def _elementwise(writer: Writer, equation: Equation, build: Callable[..., str]) -> None:
    tensors = [writer.tensor(ref) for ref in equation.inputs if ref.shape]
    order = writer.common_order([ref for ref in equation.inputs if ref.shape])
    name = build(*(writer.placed(ref, order) for ref in equation.inputs))
    along = zip(*(tensor.sizes for tensor in tensors), strict=True)
    sizes = [next((size for size in axis if size != 1), 1) for axis in along]
    writer.define(equation.outputs[0], name, order, sizes)


def _erfc(writer: Writer, equation: Equation) -> None:
    """Write 1 - erf(x)."""
    one = writer.graph.constant(np.float32(1.0))
    _elementwise(
        writer, equation, lambda x: writer.graph.emit("Sub", one, writer.graph.emit("Erf", x))
    )


def _power(writer: Writer, equation: Equation) -> None:
    """Write a power with a whole exponent."""
    exponent = writer.graph.constant(np.float32(equation.params["y"]))
    _elementwise(writer, equation, lambda x: writer.graph.emit("Pow", x, exponent))


def _cast(writer: Writer, equation: Equation) -> None:
    to = _TYPES[np.dtype(equation.params["new_dtype"]).name]
    _elementwise(writer, equation, lambda x: writer.graph.emit("Cast", x, to=to))


def _softmax(writer: Writer, equation: Equation) -> None:
    axis = writer.tensor(equation.inputs[0]).order.index(equation.params["axis"])
    _elementwise(writer, equation, lambda x: writer.graph.emit("Softmax", x, axis=axis))


def _reduce(op: str) -> Handler:
    """Return a handler for what makes one value of those along some axes."""

    def handle(writer: Writer, equation: Equation) -> None:
        ref, axes = equation.inputs[0], equation.params["axes"]
        tensor = writer.tensor(ref)
        others = [axis for axis in range(len(ref.shape)) if axis not in axes]
        name = writer.full(ref, tensor.order, but=others)
        places = sorted(tensor.order.index(axis) for axis in axes)
        name = writer.graph.emit(op, name, writer.graph.integers(*places), keepdims=0)
        order = [others.index(axis) for axis in tensor.order if axis not in axes]
        sizes = [tensor.sizes[axis] for axis in others]
        writer.define(equation.outputs[0], name, order, sizes)

    return handle


HANDLERS: Mapping[str, Handler] = {
    "abs": _same("Abs"),
    "add": _same("Add"),
    "and": _same("And"),
    "ceil": _same("Ceil"),
    "convert_element_type": _cast,
    "div": _same("Div"),
    "eq": _same("Equal"),
    "erf": _same("Erf"),
    "erfc": _erfc,
    "exp": _same("Exp"),
    "floor": _same("Floor"),
    "ge": _same("GreaterOrEqual"),
    "gt": _same("Greater"),
    "integer_pow": _power,
    "le": _same("LessOrEqual"),
    "leaky_relu": _same("LeakyRelu", alpha=_LEAKY_SLOPE),
    "log": _same("Log"),
    "logistic": _same("Sigmoid"),
    "lt": _same("Less"),
    "max": _same("Max"),
    "min": _same("Min"),
    "mul": _same("Mul"),
    "ne": _made_of(lambda emit, a, b: emit("Not", emit("Equal", a, b))),
    "neg": _same("Neg"),
    "not": _same("Not"),
    "or": _same("Or"),
    "reduce_max": _reduce("ReduceMax"),
    "reduce_min": _reduce("ReduceMin"),
    "reduce_sum": _reduce("ReduceSum"),
    "relu": _same("Relu"),
    "rem": _same("Mod", fmod=1),
    "rsqrt": _made_of(lambda emit, x: emit("Reciprocal", emit("Sqrt", x))),
    "select_n": _made_of(lambda emit, which, no, yes: emit("Where", which, yes, no)),
    "selu": _same("Selu"),
    "sign": _same("Sign"),
    "silu": _made_of(lambda emit, x: emit("Mul", x, emit("Sigmoid", x))),
    "softmax": _softmax,
    "sqrt": _same("Sqrt"),
    "square": _made_of(lambda emit, x: emit("Mul", x, x)),
    "sub": _same("Sub"),
    "tanh": _same("Tanh"),
}
"""Name of an equation -> what writes it."""
