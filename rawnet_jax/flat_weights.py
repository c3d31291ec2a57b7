"""Trees of arrays as bytes in the safetensors format, each array by its path, joined by ``/``.

Source of the format: github.com/huggingface/safetensors.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict


def packed(tree: Any, metadata: Mapping[str, str] | None = None) -> bytes:
    """Return a tree of arrays as the content of a safetensors file.

    Args:
        tree: nested dicts of arrays; empty dicts are left out.
        metadata: texts for the file's header.
    """
    from safetensors.numpy import save

    # Not `ascontiguousarray`, which makes a list of one number of a number.
    flat = {name: np.asarray(a, order="C") for name, a in flatten_dict(tree, sep="/").items()}
    return save(flat, None if metadata is None else dict(metadata))


def in_16_bit(tree: Any, *, rounded: bool = False) -> Any:
    """Return a tree of arrays with those of float32 in float16 whose values it holds exactly.

    Args:
        tree: nested dicts of arrays.
        rounded: all of float32, rounded.
    """

    def one(leaf: Any) -> np.ndarray:
        array = np.asarray(leaf)
        if array.dtype != np.float32:
            return array
        with np.errstate(over="ignore"):  # an infinity is not the same number
            half = array.astype(np.float16)
        return half if rounded or np.array_equal(half, array) else array

    return jax.tree.map(one, tree)


def unpacked(content: bytes) -> dict[str, Any]:
    """Return what `packed` packed, as NumPy arrays.

    Raises:
        ValueError: it is not a whole safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        found: dict[str, Any] = unflatten_dict(load(content), sep="/")
    except (SafetensorError, LookupError, TypeError) as error:  # names or types that are not ours
        raise ValueError(str(error)) from error
    return found


def published_arrays(content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of a safetensors file that anybody wrote, by their names.

    Args:
        content: of the file.

    Returns:
        Name -> array, read-only. bfloat16 becomes float32, which holds the same values; other types
        stay as they are.

    Raises:
        ValueError: it is not a whole safetensors file, or holds a type that is not read here.
    """
    from safetensors import SafetensorError, deserialize

    try:
        found = deserialize(content)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    return {name: _array(name, entry) for name, entry in found}


def _array(name: str, entry: Mapping[str, Any]) -> np.ndarray:
    if entry["dtype"] not in _DTYPES:
        raise ValueError(f"{name} is {entry['dtype']}, which is not read here")
    values = np.frombuffer(entry["data"], _DTYPES[entry["dtype"]])
    if entry["dtype"] == "BF16":
        # bfloat16 is the upper half of float32.
        values = (values.astype(np.uint32) << 16).view(np.float32)
    values.flags.writeable = False
    return values.reshape(entry["shape"])


_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?"}
_DTYPES |= {f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)}
