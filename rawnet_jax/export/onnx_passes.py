"""What a written ONNX graph can do without: unused nodes, and layers that join another."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from rawnet_jax.export.onnx_graph import Graph, Node


def without_unused(graph: Graph, outputs: Sequence[str]) -> None:
    """Drop nodes and constants that lead to no output."""
    needed, kept = set(outputs), []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            needed.update(node.inputs)
            kept.append(node)
    graph.nodes = kept[::-1]
    graph.constants = {k: value for k, value in graph.constants.items() if k in needed}


def join_scales(graph: Graph, outputs: Sequence[str]) -> None:
    """Put a channel's factor and offset into the convolution before it, where there is one.

    That is what is left of a BatchNorm behind a convolution; one that is not gets to be one node.
    """
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    uses.update(outputs)
    made: dict[str, Node] = {}
    kept: list[Node] = []
    for node in graph.nodes:
        before = next((made[name] for name in node.inputs if name in made), None)
        join = _JOINED.get((before.op, node.op)) if before is not None else None
        if before is None or join is None or uses[before.outputs[0]] != 1:
            joined = False
        else:
            joined = join(graph, before, node)
        if joined and before is not None:
            before.outputs = node.outputs
            made[node.outputs[0]] = before
            continue
        kept.append(node)
        made[node.outputs[0]] = node
    graph.nodes = kept


def _per_channel(graph: Graph, node: Node, before: Node, rank: int) -> np.ndarray | None:
    """Return the constant of a node [C] or [1] if it has one value a channel; else None."""
    (name,) = [name for name in node.inputs if name != before.outputs[0]] or [""]
    value = graph.constants.get(name)
    if value is None or (value.ndim not in (0, rank)):
        return None
    others = [size for place, size in enumerate(value.shape) if place != 1]
    return value.reshape(-1) if all(size == 1 for size in others) else None


def _conv_scale(graph: Graph, conv: Node, node: Node) -> bool:
    weight = graph.constants[conv.inputs[1]]
    factor = _per_channel(graph, node, conv, weight.ndim)
    if factor is None:
        return False
    scaled = weight * factor.reshape(-1, *(1,) * (weight.ndim - 1))
    conv.inputs = [conv.inputs[0], graph.constant(scaled), *conv.inputs[2:]]
    if len(conv.inputs) > 2:
        conv.inputs[2] = graph.constant(graph.constants[conv.inputs[2]] * factor)
    return True


def _conv_shift(graph: Graph, conv: Node, node: Node) -> bool:
    weight = graph.constants[conv.inputs[1]]
    offset = _per_channel(graph, node, conv, weight.ndim)
    if offset is None:
        return False
    before = graph.constants[conv.inputs[2]] if len(conv.inputs) > 2 else np.float32(0)
    total = np.broadcast_to(before + offset, weight.shape[:1])
    conv.inputs = [*conv.inputs[:2], graph.constant(total)]
    return True


def _affine(graph: Graph, scale: Node, node: Node) -> bool:
    """Make a factor and an offset a channel one node."""
    constant = next((graph.constants[n] for n in scale.inputs if n in graph.constants), None)
    if constant is None or constant.ndim < 3 or constant.size == 1:
        return False
    x = next(name for name in scale.inputs if name not in graph.constants)
    factor = _per_channel(graph, scale, Node("", [], [x]), constant.ndim)
    offset = _per_channel(graph, node, scale, constant.ndim)
    if factor is None or offset is None:
        return False
    offset = np.broadcast_to(offset, factor.shape)
    zeros, ones = np.zeros_like(factor), np.ones_like(factor)
    constants = [graph.constant(value) for value in (factor, offset, zeros, ones)]
    scale.op, scale.inputs = "BatchNormalization", [x, *constants]
    scale.attributes = {"epsilon": 0.0}
    return True


_JOINED: dict[tuple[str, str], Callable[[Graph, Node, Node], bool]] = {
    ("Conv", "Mul"): _conv_scale,
    ("Conv", "Add"): _conv_shift,
    ("Mul", "Add"): _affine,
}
