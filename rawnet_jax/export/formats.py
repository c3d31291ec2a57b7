"""The formats that a run can be exported to."""

from collections.abc import Callable

from rawnet_jax.errors import ConfigError
from rawnet_jax.export.onnx import export_onnx
from rawnet_jax.export.program import Program
from rawnet_jax.export.stablehlo import export_stablehlo
from rawnet_jax.models.registry import spec_of


def _tflite(program: Program) -> bytes:
    from rawnet_jax.export.tflite import export_tflite  # brings the optional LiteRT

    return export_tflite(program)


WRITERS: dict[str, Callable[[Program], bytes]] = {
    "stablehlo": export_stablehlo,
    "onnx": export_onnx,
    "tflite": _tflite,
}
"""What makes the content of a file, for each name of `rawnet_jax.export_formats.FORMATS`; raises
`ExportError` where the network cannot be written so."""


def check_format(kind: str, model: str) -> None:
    """Check that a model goes into a format, before any work is done for it.

    Args:
        kind: of the file.
        model: a row of the registry.

    Raises:
        ConfigError: there is no such format, or the model does not go into it.
    """
    if kind not in WRITERS:
        raise ConfigError(f"export format {kind!r}: must be one of {', '.join(WRITERS)}")
    formats = spec_of(model).formats
    if kind not in formats:
        its = f"must be one of its formats: {', '.join(formats)}" if formats else "it has no format"
        raise ConfigError(f"export format {kind!r}: model {model} does not go into it; {its}")
