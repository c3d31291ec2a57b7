"""SHA-256 of arrays: what was read must be what was written.

A bit that flips on a disk changes a parameter and no file format notices it: the network still
gives a number, another one.
"""

import hashlib
from typing import Any

import jax
import numpy as np


def digest_of(tree: Any) -> str:
    """Return the SHA-256 of names, shapes, types and values of all arrays, in hexadecimal."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.ascontiguousarray(jax.device_get(leaf))
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
