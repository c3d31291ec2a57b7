"""A program as a TFLite file, for LiteRT and TensorFlow Lite on phones and small computers.

The file takes one clip at a time and holds TFLite's own operations alone. Its metadata is a buffer
of the name `METADATA_NAME`, JSON, in the place that the format has for metadata.
"""

import json
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax import export

from rawnet_jax.errors import ExportError
from rawnet_jax.export.program import Program
from rawnet_jax.export.stamp import BLANK, FIELD, stamped
from rawnet_jax.export.tflite_program import rewritten

METADATA_NAME = "rawnet_jax"
"""Of the buffer that holds the metadata."""

SIGNATURE = "serving_default"
"""Name of the file's one signature, as TFLite's tools look for it."""

_IDENTIFIER = b"TFL3"


def export_tflite(
    program: Program,
    *,
    quantize: str = "",
    representative: tuple[np.ndarray, np.ndarray] | None = None,
) -> bytes:
    """Return the content of a file.

    Args:
        program: what the file is to compute.
        quantize: "int8" for weights and activations of 8 bits; "" = float32.
        representative: for int8: clips by which the ranges of activations are chosen, waveform
            float32 [N, T] and num_samples int32 [N].

    Raises:
        ExportError: the extra ``tflite`` is not installed, the network cannot be converted, or
            there is no clip for int8.
    """
    try:
        content = with_metadata(_converted(program), {**program.metadata, FIELD: BLANK})
        if not quantize:
            return stamped(content)
        from rawnet_jax.export.tflite_int8 import quantized

        return stamped(quantized(content, program, SIGNATURE, representative))
    except ModuleNotFoundError as error:
        raise ExportError(
            f"tflite: {error.name} is not installed; pip install 'rawnet_jax[tflite]' has it"
        ) from error


def _converted(program: Program) -> bytes:
    """Return a file of float32 without metadata."""
    from litert_converter import converter_api_ext as converter
    from litert_converter.mlir import ir, passmanager

    lowered = export.export(jax.jit(rewritten(program)), platforms=("cpu",))(*program.specs(1))
    context = ir.Context()
    converter.prepare_mlir_context(context)
    try:
        with context:
            module = ir.Module.parse(lowered.mlir_module())
            converter.set_signature(
                module.operation,
                signature_name=SIGNATURE,
                input_names=list(program.inputs),
                output_names=sorted(program.outputs),
            )
            passes = passmanager.PassManager()
            converter.run_convert_to_tfl_passes(module, passes, converter.ConvertToTFLConfig())
            content: bytes = converter.export_flatbuffer_to_bytes(module.operation)
    except (ValueError, RuntimeError, ir.MLIRError) as error:
        reason = next(iter(str(error).splitlines()), "")
        name = program.metadata["model"]
        raise ExportError(f"tflite: model {name} cannot be converted: {reason}") from error
    return content


def with_metadata(content: bytes, metadata: Mapping[str, Any]) -> bytes:
    """Return a file with metadata put in."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA_NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    model.description = f"{metadata['producer']}: {metadata['model']}"
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def read_metadata(content: bytes) -> dict[str, Any]:
    """Return the metadata of a file.

    Raises:
        ExportError: it is not a TFLite file, or not one that was made here.
    """
    from ai_edge_litert import schema_py_generated as schema

    if content[4:8] != _IDENTIFIER:
        raise ExportError("this is not a TFLite file")
    model = schema.Model.GetRootAs(content)
    for number in range(model.MetadataLength()):
        entry = model.Metadata(number)
        if entry.Name().decode() == METADATA_NAME:
            metadata: dict[str, Any] = json.loads(
                model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
            )
            return metadata
    raise ExportError(f"the file has no metadata of the name {METADATA_NAME!r}")
