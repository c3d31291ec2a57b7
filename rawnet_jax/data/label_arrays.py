"""Reading a pickled dictionary of arrays without running what a pickle may hold.

PartialSpoof publishes its segment labels as ``.npy`` files that hold one Python object. Such a file
is a program; this reader knows the few names that arrays need and refuses all others.
"""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from rawnet_jax.errors import DataError

_ARRAY_NAMES = ("_reconstruct", "scalar")
_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if module in _MODULES and name in _ARRAY_NAMES:
            from numpy._core import multiarray

            return getattr(multiarray, name)
        if (module, name) == ("_codecs", "encode"):  # how old pickles write bytes
            import _codecs

            return _codecs.encode
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def read_label_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read a ``.npy`` file that holds one dictionary from names to arrays.

    Raises:
        DataError: it cannot be read, is no such file, or asks for anything but arrays.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    file = io.BytesIO(data)
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
        if not dtype.hasobject or shape != ():
            raise ValueError(f"an array of {dtype} with shape {shape}")
        held = _Unpickler(file).load()
        found = held.item() if isinstance(held, np.ndarray) else held
    except DataError:
        raise
    except Exception as error:  # a damaged pickle fails in any way
        raise DataError(
            f"{path}: no dictionary of labels ({str(error)[:80] or type(error).__name__}); it must "
            "be a .npy file as PartialSpoof has them"
        ) from error
    if not isinstance(found, dict) or not found:
        raise DataError(f"{path}: holds no dictionary of labels")
    return {str(name): np.asarray(array) for name, array in found.items()}
