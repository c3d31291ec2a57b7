"""Trees of arrays as bytes in the safetensors format, each array by its path, joined by ``/``.

Source of the format: github.com/huggingface/safetensors.
"""

from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict


def packed(tree: Any) -> bytes:
    """Return a tree of arrays as the content of a safetensors file.

    Args:
        tree: nested dicts of arrays; empty dicts are left out.
    """
    from safetensors.numpy import save

    flat = {name: np.ascontiguousarray(a) for name, a in flatten_dict(tree, sep="/").items()}
    return save(flat)


def unpacked(content: bytes) -> dict[str, Any]:
    """Return what `packed` packed, as NumPy arrays.

    Raises:
        ValueError: it is no whole safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        found: dict[str, Any] = unflatten_dict(load(content), sep="/")
    except (SafetensorError, LookupError, TypeError) as error:  # names or types that are not ours
        raise ValueError(str(error)) from error
    return found
