"""A finished graph as the content of an ONNX file."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jax import export

from rawnet_jax.errors import ExportError
from rawnet_jax.export.flat import Ref
from rawnet_jax.export.metadata_strings import as_strings
from rawnet_jax.export.onnx_graph import Graph
from rawnet_jax.export.stamp import BLANK, FIELD, stamped

OPSET = 18
"""ONNX Runtime reads it from 1.14 (2023) on."""

IR_VERSION = 8


def onnx_model(
    graph: Graph,
    inputs: Mapping[str, Ref],
    outputs: Mapping[str, Ref],
    metadata: Mapping[str, Any],
) -> bytes:
    """Return the content of a file.

    Args:
        graph: of the model.
        inputs: by name; a symbolic dimension becomes "batch".
        outputs: by name.
        metadata: see `rawnet_jax.export.metadata.describe`.

    Raises:
        ExportError: `onnx` is not installed.
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise ExportError(
            f"onnx: {error.name} is not installed; pip install 'rawnet_jax[export]' has it"
        ) from error
    helper = onnx.helper
    nodes = [helper.make_node(n.op, n.inputs, n.outputs, **n.attributes) for n in graph.nodes]
    constants = [onnx.numpy_helper.from_array(v, name) for name, v in graph.constants.items()]
    starts, ends = (
        [_value(helper, name, ref) for name, ref in refs.items()] for refs in (inputs, outputs)
    )
    model = helper.make_model(
        helper.make_graph(nodes, "rawnet_jax", starts, ends, constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="rawnet_jax",
    )
    helper.set_model_props(model, as_strings({**metadata, FIELD: BLANK}))
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # the checker and the inference of shapes raise kinds of their own
        reason = " ".join(str(error).split())[:200]
        raise ExportError(f"onnx: no valid file for this network and length: {reason}") from None
    return stamped(bytes(model.SerializeToString()))


def _value(helper: Any, name: str, ref: Ref) -> Any:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(ref.dtype))
    shape = ["batch" if export.is_symbolic_dim(size) else size for size in ref.shape]
    return helper.make_tensor_value_info(name, kind, shape)
