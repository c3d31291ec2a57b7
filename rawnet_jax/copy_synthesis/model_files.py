"""From a model that a user names to a row of the table: Lyra's folder, an ONNX file."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.copy_synthesis.lyra import FILES, lyra_row
from rawnet_jax.copy_synthesis.onnx_models import onnx_row
from rawnet_jax.copy_synthesis.table import require_package
from rawnet_jax.copy_synthesis.trained_vocoder import is_trained_vocoder, trained_row
from rawnet_jax.copy_synthesis.vocoder import Vocoder, copy_of
from rawnet_jax.errors import DataError


@dataclass(frozen=True, slots=True)
class ModelKind:
    """One kind of model.

    Attributes:
        what: how its files look, for people.
        package: that runs it.
        is_it: whether a path is one.
        row: makes the row of a path.
    """

    what: str
    package: str
    is_it: Callable[[Path], bool]
    row: Callable[[Path], Vocoder]


MODEL_KINDS = (
    ModelKind(
        f"a folder with Lyra v2's {', '.join(FILES)}",
        "ai_edge_litert",
        lambda path: path.is_dir() and any((path / name).exists() for name in FILES),
        lyra_row,
    ),
    ModelKind(
        "an .onnx file with a .json file beside it",
        "onnxruntime",
        lambda path: path.is_file() and path.suffix.lower() == ".onnx",
        onnx_row,
    ),
    ModelKind("a folder that train-vocoder left", "jax", is_trained_vocoder, trained_row),
)
"""What ``--model`` takes."""


def model_vocoders(paths: Iterable[Path]) -> list[Vocoder]:
    """Return a row for each model.

    Raises:
        DataError: a path is not a model, or its description is wrong.
    """
    return [_row(path) for path in paths]


def digests(row: Vocoder) -> dict[str, str]:
    """Return the SHA-256 of each model file of a row, by its name.

    Raises:
        DataError: one cannot be read.
    """
    found = {}
    for path in row.files:
        try:
            with open(path, "rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    return found


def try_out(row: Vocoder) -> None:
    """Make a copy of half a second of noise: a model that does not fit shows before work begins.

    Raises:
        DataError: it does not fit, or its package is missing.
    """
    require_package(row)
    rng = np.random.default_rng(0)
    noise = 0.05 * rng.standard_normal(SAMPLE_RATE_HZ // 2)
    copy_of(noise.astype(np.float32), row, row.draw(rng), rng)


def _row(path: Path) -> Vocoder:
    path = path.expanduser().resolve()
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; --model must be a vocoder's")
    for kind in MODEL_KINDS:
        if kind.is_it(path):
            row = kind.row(path)
            missing = [file for file in row.files if not file.is_file()]
            if missing:
                raise DataError(f"{missing[0]}: no such file; {row.name} needs it")
            return row
    kinds = "; or ".join(kind.what for kind in MODEL_KINDS)
    raise DataError(f"{path}: is not a vocoder; it must be {kinds}")
