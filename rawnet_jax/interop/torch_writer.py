"""State dicts written in PyTorch's zip format, without PyTorch.

The pickle is put together opcode by opcode, as ``torch.save`` would write it for contiguous tensors
on the CPU, so that ``torch.load(path, weights_only=True)`` reads the file.
"""

import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from rawnet_jax.atomic_file import refuse_special, temporary_beside
from rawnet_jax.errors import CheckpointError

_FOLDER = "archive"
_ALIGNMENT = 64
_LOCAL_HEADER_BYTES = 30
_EXTRA_HEADER = struct.Struct("<2sH")
_DATE = (1980, 1, 1, 0, 0, 0)
_STORAGES = {
    "f4": "FloatStorage",
    "f8": "DoubleStorage",
    "f2": "HalfStorage",
    "i8": "LongStorage",
    "i4": "IntStorage",
    "i2": "ShortStorage",
    "i1": "CharStorage",
    "u1": "ByteStorage",
    "b1": "BoolStorage",
}

_START, _STOP = b"\x80\x02", b"."
_MARK, _TUPLE, _EMPTY_TUPLE = b"(", b"t", b")"
_CALL, _PERSISTENT_ID, _SET_ITEMS = b"R", b"Q", b"u"
_FALSE = b"\x89"
_EMPTY_ORDERED_DICT = b"ccollections\nOrderedDict\n" + _EMPTY_TUPLE + _CALL
_REBUILD_TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"


def write_state_dict(path: Path, state: Mapping[str, np.ndarray]) -> None:
    """Write a file that ``torch.load(path, weights_only=True)`` reads; whole or not at all.

    Args:
        path: file to write; one that is there is replaced.
        state: PyTorch name -> array of floats, integers or bools.

    Raises:
        CheckpointError: for a type of array that PyTorch does not have, and where the file cannot
            be written.
    """
    arrays = [_portable(name, array) for name, array in state.items()]
    temporary = temporary_beside(path)
    try:
        refuse_special(path)
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            _add(archive, "data.pkl", _pickle(dict(zip(state, arrays, strict=True))))
            _add(archive, "byteorder", b"little")
            for key, array in enumerate(arrays):
                _add(archive, f"data/{key}", array.tobytes())
            _add(archive, "version", b"3\n")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CheckpointError(f"{path}: cannot be written: {error.strerror}") from error


def _portable(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.str[1:] not in _STORAGES:
        raise CheckpointError(f"{name}: PyTorch has no storage for {array.dtype}")
    return array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(f"{_FOLDER}/{name}", _DATE)
    file: IO[bytes] | None = archive.fp
    assert file is not None
    begin = file.tell() + _LOCAL_HEADER_BYTES + len(info.filename) + _EXTRA_HEADER.size
    padding = -begin % _ALIGNMENT
    # PyTorch maps storages into memory where they lie on such a boundary, and pads like this.
    info.extra = _EXTRA_HEADER.pack(b"FB", padding) + bytes(padding)
    archive.writestr(info, data)


def _pickle(state: Mapping[str, np.ndarray]) -> bytes:
    items = [_text(name) + _tensor(str(key), state[name]) for key, name in enumerate(state)]
    return b"".join([_START, _EMPTY_ORDERED_DICT, _MARK, *items, _SET_ITEMS, _STOP])


def _tensor(key: str, array: np.ndarray) -> bytes:
    kind = f"ctorch\n{_STORAGES[array.dtype.str[1:]]}\n".encode()
    storage = _tuple(_text("storage"), kind, _text(key), _text("cpu"), _integer(array.size))
    strides: list[int] = []
    stride = 1
    for size in reversed(array.shape):
        strides.insert(0, stride)
        stride *= max(size, 1)
    arguments = _tuple(
        storage + _PERSISTENT_ID,
        _integer(0),
        _tuple(*map(_integer, array.shape)),
        _tuple(*map(_integer, strides)),
        _FALSE,
        _EMPTY_ORDERED_DICT,
    )
    return _REBUILD_TENSOR + arguments + _CALL


def _tuple(*parts: bytes) -> bytes:
    return b"".join([_MARK, *parts, _TUPLE])


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _integer(number: int) -> bytes:
    if number < 2**31:
        return b"J" + struct.pack("<i", number)
    return b"\x8a\x08" + struct.pack("<q", number)
