"""The formats that a run can be exported to."""

from collections.abc import Callable

from rawnet_jax.errors import ConfigError
from rawnet_jax.export.onnx import export_onnx
from rawnet_jax.export.program import Program
from rawnet_jax.export.stablehlo import export_stablehlo


def _tflite(program: Program) -> bytes:
    from rawnet_jax.export.tflite import export_tflite  # brings the optional LiteRT

    return export_tflite(program)


FORMATS: dict[str, Callable[[Program], bytes]] = {
    "stablehlo": export_stablehlo,
    "onnx": export_onnx,
    "tflite": _tflite,
}


def content_of(kind: str, program: Program) -> bytes:
    """Return the content of a file.

    Raises:
        ConfigError: there is no such format.
        ExportError: the network cannot be written in it.
    """
    if kind not in FORMATS:
        raise ConfigError(f"export format {kind!r}: must be one of {', '.join(FORMATS)}")
    return FORMATS[kind](program)
