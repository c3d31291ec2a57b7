"""An ONNX graph while it is written, and how the axes of its tensors lie in memory.

JAX's networks have their channels last, ONNX's convolutions want them first. A `Tensor` therefore
says which axis of the program lies where; axes that the program turns round stay where they are,
and only an operation that cares brings them into its order. So an activation is hardly ever copied
for its order alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jax import export

from rawnet_jax.export.flat import Equation, Ref, clips_in

Order = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """What an array of the program is in the graph.

    Attributes:
        sizes: by axis of the program; 1 along an axis that it is only repeated along.
        order: ``order[place]`` is the axis of the program that lies there.
        name: in the graph; "" for a constant, which is written where it is used.
        value: of a constant, axes in the order of the program.
    """

    sizes: tuple[Any, ...]
    order: Order
    name: str = ""
    value: np.ndarray | None = None

    @property
    def num_true(self) -> int:
        """Number of axes along which it is more than 1."""
        return sum(size != 1 for size in self.sizes)


@dataclass(eq=False)
class Node:
    """One operation of the graph; inputs and outputs by name."""

    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)


class Graph:
    """Nodes and constants; what is written twice alike is there once.

    Attributes:
        nodes: in an order in which they can be carried out.
        constants: by name.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix  # of every name, so that two graphs can be put together
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}
        self._known: dict[Any, list[str]] = {}
        self._count = 0

    def emit_all(
        self, op: str, inputs: Sequence[str], num_outputs: int, **attributes: Any
    ) -> list[str]:
        """Add a node; returns the names of its outputs."""
        key = (op, tuple(inputs), num_outputs, repr(sorted(attributes.items())))
        if key not in self._known:
            outputs = [self._new_name(op.lower()) for _ in range(num_outputs)]
            self.nodes.append(Node(op, list(inputs), outputs, attributes))
            self._known[key] = outputs
        return self._known[key]

    def emit(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output; returns its name."""
        return self.emit_all(op, inputs, 1, **attributes)[0]

    def constant(self, value: Any, dtype: Any = None) -> str:
        """Add a constant; returns its name."""
        array = np.array(value, dtype, order="C")
        key = ("", array.shape, array.dtype.str, array.tobytes())
        if key not in self._known:
            name = self._new_name("constant")
            self.constants[name] = array
            self._known[key] = [name]
        return self._known[key][0]

    def integers(self, *values: int) -> str:
        """Add a constant int64 [n]."""
        return self.constant(values, np.int64)

    def _new_name(self, stem: str) -> str:
        self._count += 1
        return f"{self._prefix}{stem}_{self._count}"


class Writer:
    """Writes the equations of a program into a graph.

    Attributes:
        graph: what is written.
        producers: which equation makes an array.
    """

    def __init__(self, inputs: Mapping[str, Ref], producers: Mapping[Ref, Equation]) -> None:
        """Begin.

        Args:
            inputs: of the program, by name; the first axis of the first is the batch.
            producers: which equation makes an array.
        """
        self.graph = Graph()
        self.producers = producers
        self._tensors: dict[Ref, Tensor] = {}
        self._batch = next(iter(inputs))
        for name, ref in inputs.items():
            self.define(ref, name, identity(ref))

    def define(
        self, ref: Ref, name: str, order: Sequence[int], sizes: Sequence[Any] | None = None
    ) -> None:
        """Say which tensor of the graph an array of the program is."""
        self._tensors[ref] = Tensor(
            tuple(ref.shape if sizes is None else sizes), tuple(order), name
        )

    def tensor(self, ref: Ref) -> Tensor:
        """Return what an array of the program is in the graph."""
        if ref.value is not None and ref not in self._tensors:
            order = tuple(range(len(ref.shape)))
            self._tensors[ref] = Tensor(ref.value.shape, order, value=ref.value)
        return self._tensors[ref]

    def common_order(self, refs: Sequence[Ref]) -> Order:
        """Return the order of the largest of some arrays; a constant's only if all are."""
        found = [self.tensor(ref) for ref in refs]
        return max(found, key=lambda t: (t.value is None, t.num_true)).order

    def placed(self, ref: Ref, order: Order) -> str:
        """Return the name of an array with its axes in an order; it may be copied for that."""
        tensor = self.tensor(ref)
        if tensor.value is not None:
            if not tensor.num_true:
                return self.graph.constant(tensor.value.reshape(()))
            return self.graph.constant(tensor.value.transpose(order))
        if tensor.order == order:
            return tensor.name
        if _true_axes(tensor, tensor.order) == _true_axes(tensor, order):
            first, *_ = (tensor.sizes[axis] for axis in tensor.order)
            return self.reshaped(tensor.name, first, [tensor.sizes[axis] for axis in order])
        perm = [tensor.order.index(axis) for axis in order]
        return self.graph.emit("Transpose", tensor.name, perm=perm)

    def full(self, ref: Ref, order: Order, but: Sequence[int] = ()) -> str:
        """Return the name of an array with its axes in an order, repeated to its whole size.

        Args:
            ref: the array.
            order: of its axes.
            but: axes along which it need not be repeated.
        """
        tensor = self.tensor(ref)
        pairs = enumerate(zip(tensor.sizes, ref.shape, strict=True))
        short = {axis: whole for axis, (size, whole) in pairs if size != whole and axis not in but}
        if tensor.value is None:
            name = self.placed(ref, order)
        else:
            known = {axis: n for axis, n in short.items() if not export.is_symbolic_dim(n)}
            sizes = [known.get(axis, size) for axis, size in enumerate(tensor.sizes)]
            name = self.graph.constant(np.broadcast_to(tensor.value, sizes).transpose(order))
            short = {axis: n for axis, n in short.items() if axis not in known}
        if not short:
            return name
        return self.graph.emit("Expand", name, self.shape([short.get(axis, 1) for axis in order]))

    def reshaped(self, name: str, first: Any, sizes: Sequence[Any]) -> str:
        """Return the name of a tensor with other sizes; the batch may be in one of them.

        Args:
            name: of the tensor.
            first: its first size. Where that stays, whoever reads the graph can tell that it does,
                and that tensors have the same sizes.
            sizes: that it gets.
        """
        shape = [-1 if export.is_symbolic_dim(size) else int(size) for size in sizes]
        if shape and shape[0] == -1 and first == sizes[0]:
            shape[0] = 0
        return self.graph.emit("Reshape", name, self.graph.integers(*shape))

    def shape(self, sizes: Sequence[Any]) -> str:
        """Return the name of an int64 [n] that holds sizes, of which some follow from the batch."""
        emit, integers = self.graph.emit, self.graph.integers
        if not any(export.is_symbolic_dim(size) for size in sizes):
            return integers(*map(int, sizes))
        batch = emit("Shape", self._batch, start=0, end=1)
        parts = []
        for size in sizes:
            if export.is_symbolic_dim(size):
                parts.append(emit("Mul", batch, integers(clips_in(size))))
            else:
                parts.append(integers(int(size)))
        return emit("Concat", *parts, axis=0)


def _true_axes(tensor: Tensor, order: Order) -> list[int]:
    return [axis for axis in order if tensor.sizes[axis] != 1]


def identity(ref: Ref) -> Order:
    """Return the order in which the axes lie as in the program."""
    return tuple(range(len(ref.shape)))


def with_axes(order: Sequence[int], new: Sequence[int]) -> Order:
    """Return an order of axes with further ones put in, each behind the axis before it."""
    found = list(order)
    for axis in sorted(new):
        found.insert(found.index(axis - 1) + 1 if axis - 1 in found else 0, axis)
    return tuple(found)
