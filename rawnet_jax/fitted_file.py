"""What was fitted, on disk: JSON with the kind of file and its version, or arrays with a digest."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.atomic_file import write_bytes_atomically, write_text_atomically
from rawnet_jax.errors import DataError
from rawnet_jax.json_text import parsed_json
from rawnet_jax.regular_file import read_regular

SCHEMA_VERSION = 1

_VERSION = "schema_version"
_DIGEST = "sha256"


def write_fitted(path: str | Path, content: str, record: Mapping[str, Any]) -> None:
    """Write a record, whole or not at all.

    Args:
        path: file to write; its folder must exist.
        content: what the file holds, such as ``"calibration"``.
        record: plain numbers, strings and lists; every float reads back to the last bit.

    Raises:
        DataError: the file cannot be written.
    """
    whole = {"content": content, "schema_version": SCHEMA_VERSION, **record}
    text = json.dumps(whole, indent=2, allow_nan=False, ensure_ascii=False)
    write_text_atomically(path, text + "\n")


def read_fitted(path: str | Path, content: str) -> dict[str, Any]:
    """Read a record that `write_fitted` wrote under the same `content`.

    Raises:
        DataError: the file cannot be read, is damaged, holds something else or is of a later
            version.
    """
    try:
        record = parsed_json(read_regular(path).decode("utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path}: damaged: {error}; it must be a saved {content}") from error
    if not isinstance(record, dict) or record.get("content") != content:
        raise DataError(f"{path}: is not a saved {content}")
    if record.get("schema_version") != SCHEMA_VERSION:
        raise DataError(
            f"{path}: schema_version {record.get('schema_version')!r}; it must be {SCHEMA_VERSION}"
        )
    return record


def write_arrays(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as safetensors with their SHA-256, whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    from safetensors.numpy import save

    whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    whole[_VERSION] = np.array(SCHEMA_VERSION, np.int64)
    write_bytes_atomically(path, save(whole | {_DIGEST: _digest_of(whole)}))


def read_arrays(path: str | Path, names: Sequence[str], cure: str) -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote.

    Args:
        path: the file.
        names: arrays that it must hold.
        cure: what to do about a damaged file, for the error.

    Raises:
        DataError: the file cannot be read, is damaged, lacks an array or is of a later version.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(read_regular(path))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged: {error}; {cure}") from error
    noted = arrays.pop(_DIGEST, None)
    if noted is None or not np.array_equal(noted, _digest_of(arrays)):
        raise DataError(f"{path}: damaged: its SHA-256 must be the one that it notes; {cure}")
    version = arrays.pop(_VERSION, None)
    if version is None or version.tolist() != SCHEMA_VERSION:
        found = None if version is None else version.tolist()
        raise DataError(f"{path}: schema_version {found}; it must be {SCHEMA_VERSION}")
    missing = [name for name in names if name not in arrays]
    if missing:
        raise DataError(f"{path}: is another kind of file: it has no {missing[0]}; {cure}")
    return arrays


def _digest_of(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the SHA-256 of names, shapes, types and values, uint8 [32]."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return np.frombuffer(digest.digest(), np.uint8)
