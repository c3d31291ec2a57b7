"""A program as StableHLO, the form in which XLA takes it: for JAX on any device, without our code.

The file is a zip archive, uncompressed: ``metadata.json``, and ``program.bin`` as `jax.export`
writes it, which JAX promises to read for half a year of its releases at least.
"""

import hashlib
import io
import json
import zipfile

import jax
from jax import export

from rawnet_jax.errors import ExportError
from rawnet_jax.export.program import Program
from rawnet_jax.export.stamp import PROGRAM_FIELD

PLATFORMS = ("cpu", "cuda", "tpu")


def export_stablehlo(program: Program) -> bytes:
    """Return the content of a file; it takes any batch.

    Raises:
        ExportError: jax.export cannot write it, for example since `flatbuffers` is not installed.
    """
    (batch,) = export.symbolic_shape("b")
    try:
        exported = export.export(jax.jit(program), platforms=PLATFORMS)(*program.specs(batch))
        serialized = exported.serialize()
    except ImportError as error:  # JAX imports it here alone, and raises one of its own
        raise ExportError(
            "stablehlo: flatbuffers is not installed; pip install 'rawnet_jax[export]' has it"
        ) from error
    digest = {PROGRAM_FIELD: hashlib.sha256(serialized).hexdigest()}
    metadata = json.dumps(program.metadata | digest, indent=2)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        # A fixed date: the same run gives the same bytes.
        for name, part in (("metadata.json", metadata.encode()), ("program.bin", serialized)):
            archive.writestr(zipfile.ZipInfo(name), bytes(part))
    return content.getvalue()
