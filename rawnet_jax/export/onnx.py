"""A program as an ONNX model, for ONNX Runtime and whatever else reads ONNX.

Written from the equations of the program (`rawnet_jax.export.flat`), each by the handler of its
name. The batch is free; parameters are in the file.
"""

from collections.abc import Mapping

import numpy as np
from jax import export

from rawnet_jax.errors import ExportError
from rawnet_jax.export import onnx_elementwise, onnx_products, onnx_shapes
from rawnet_jax.export.flat import BATCH, Flat, Ref, flatten
from rawnet_jax.export.onnx_elementwise import Handler
from rawnet_jax.export.onnx_graph import Graph, Node, Writer, identity
from rawnet_jax.export.onnx_model import onnx_model
from rawnet_jax.export.onnx_passes import join_scales, without_unused
from rawnet_jax.export.onnx_speech import OUTPUT, add_speech, finds_speech, with_speech
from rawnet_jax.export.patterns import find_functions
from rawnet_jax.export.program import Program

_HANDLERS: Mapping[str, Handler] = {
    **onnx_elementwise.HANDLERS,
    **onnx_products.HANDLERS,
    **onnx_shapes.HANDLERS,
}

WHOLE = ("relu", "silu", "max_pool_1d", "gru_states")
"""Functions that stay one equation."""


def export_onnx(program: Program) -> bytes:
    """Return the content of a file; it takes any batch.

    Where the run's gate asks for Silero, it also has an output for the speech in each row.

    Raises:
        ExportError: the network has an operation that is not written here, or `onnx` or the
            detector of speech is not installed.
    """
    (batch,) = export.symbolic_shape(BATCH)
    equations = flatten(program, *program.specs(batch), whole=WHOLE, unrolled=True)
    flat = find_functions(equations)
    inputs = dict(zip(program.inputs, flat.inputs, strict=True))
    outputs = dict(zip(sorted(program.outputs), flat.outputs, strict=True))  # a dict's leaves
    graph = written(flat, inputs, outputs)
    if finds_speech(program):
        program = with_speech(program)
        add_speech(graph, program)
        outputs[OUTPUT] = Ref((batch,), np.dtype(np.float32))
    return onnx_model(graph, inputs, outputs, program.metadata)


def written(flat: Flat, inputs: Mapping[str, Ref], outputs: Mapping[str, Ref]) -> Graph:
    """Write a program as a graph.

    Args:
        flat: the program.
        inputs: by name.
        outputs: by name.

    Raises:
        ExportError: an operation of it is not written here; the message names all such.
    """
    unknown = sorted({equation.op for equation in flat.equations} - _HANDLERS.keys())
    if unknown:
        raise ExportError(f"onnx: the network has operations that are not written: {unknown}")
    writer = Writer(inputs, flat.producers())
    for equation in flat.equations:
        _HANDLERS[equation.op](writer, equation)
    graph = writer.graph
    for name, ref in outputs.items():
        graph.nodes.append(Node("Identity", [writer.full(ref, identity(ref))], [name]))
    without_unused(graph, list(outputs))
    join_scales(graph, list(outputs))
    without_unused(graph, list(outputs))
    return graph
