"""What was fitted, on disk: JSON with the kind of file and its version in front."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.errors import DataError
from rawnet_jax.json_text import parsed_json
from rawnet_jax.regular_file import read_regular

SCHEMA_VERSION = 1


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
