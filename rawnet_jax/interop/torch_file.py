"""State dicts in PyTorch's file formats, read without PyTorch and without running anything.

Two formats exist: the zip archive (PyTorch 1.6 and later) and the older stream. In both, a pickle
(`rawnet_jax.interop.torch_pickle` reads it as data) describes tensors as views of storages, whose
bytes stand beside it.
"""

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rawnet_jax.errors import CheckpointError
from rawnet_jax.interop.torch_pickle import load
from rawnet_jax.interop.torch_records import Opaque, StorageRecord, TensorRecord, shortened
from rawnet_jax.regular_file import check_regular

_ZIP = b"PK\x03\x04"
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_COUNT = struct.Struct("<q")
_LOCAL_HEADER = struct.Struct("<26xHH")
_MOST_PICKLE_BYTES = 64 * 2**20
_MOST_BYTES = 2**62
_MOST_LEVELS = 4
ByteOrder = Literal["<", ">"]
_WRAPPERS = ("model", "state_dict", "model_state_dict", "model_state", "net")
_PARALLEL = "module."
_DTYPES = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "u1",
}


def read_state_dict(path: Path, *, opaque: bool = False) -> dict[str, np.ndarray]:
    """Read a published checkpoint.

    A dict that holds the state dict under ``model``, ``state_dict``, ``model_state_dict``,
    ``model_state`` or ``net`` is unwrapped, and what is beside it left out; the prefix ``module.``
    of a network wrapped in ``DataParallel`` is removed.

    Args:
        path: a ``.pth`` file of either format.
        opaque: what is beside the state dict may be objects of any class, as in the files of
            fairseq: they are passed over, and still nothing is run.

    Returns:
        PyTorch name -> array, read-only; tensors that shared memory still do. bfloat16 becomes
        float32, which holds the same values; other types stay as they are.

    Raises:
        CheckpointError: if the file cannot be read, is damaged, is not a state dict, or holds
            anything that would have to be run.
    """
    try:
        content, blocks = _read(path, opaque)
        return {name: _array(name, t, blocks) for name, t in _state_dict(content).items()}
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from None
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _read(path: Path, opaque: bool) -> tuple[Any, dict[str, np.ndarray]]:
    """Return what the pickle holds, and the values of every storage, [numel]."""
    check_regular(path)
    with path.open("rb") as file:
        start = file.read(16)
        _refuse_other_formats(path, start)
        file.seek(0)
        data = file.read()
    return (_read_zip if start.startswith(_ZIP) else _read_legacy)(data, opaque)


def _refuse_other_formats(path: Path, start: bytes) -> None:
    if not start:
        raise CheckpointError("empty file")
    if path.suffix == ".safetensors" or (start[5:9] == b"\0\0\0{"):
        raise CheckpointError(
            "a safetensors file, which is not read here; load it where safetensors is installed "
            "and write it with torch.save(state_dict, 'FILE.pth')"
        )
    if not start.startswith(_ZIP) and not start.startswith(b"\x80"):
        raise CheckpointError("not a PyTorch checkpoint (neither its zip nor its older format)")


@dataclass(frozen=True, slots=True)
class _Archive:
    """The records of a zip archive, by their names without the top folder."""

    data: bytes
    records: Mapping[str, zipfile.ZipInfo]

    def read(self, name: str) -> memoryview:
        if name not in self.records:
            raise CheckpointError(f"damaged: no record {shortened(name)!r} in the archive")
        info = self.records[name]
        begin = info.header_offset
        if (
            not 0 <= begin <= len(self.data) - _LOCAL_HEADER.size
            or self.data[begin : begin + 4] != _ZIP
        ):
            raise CheckpointError(
                f"damaged: the record {shortened(name)!r} is not where it should be"
            )
        begin += _LOCAL_HEADER.size + sum(_LOCAL_HEADER.unpack_from(self.data, begin))
        record = memoryview(self.data)[begin : begin + info.file_size]
        # PyTorch can be told to leave check sums out; it writes 0 then.
        damaged = info.CRC and zlib.crc32(record) != info.CRC
        if len(record) != info.file_size or damaged:
            raise CheckpointError(
                f"damaged: the record {shortened(name)!r} has changed since saving"
            )
        return record


def _open_archive(data: bytes) -> _Archive:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error):
        raise CheckpointError("truncated or damaged zip archive") from None
    records = {_inner_name(info): info for info in infos}
    if "constants.pkl" in records:
        raise CheckpointError(
            "a TorchScript archive (torch.jit.save), not a state dict; where PyTorch is, "
            "torch.save(torch.jit.load(FILE).state_dict(), 'FILE.pth')"
        )
    if "data.pkl" not in records:
        raise CheckpointError("a zip archive, but not a PyTorch checkpoint (it has no data.pkl)")
    if len(records) != len(infos):
        raise CheckpointError("records of the same name, which PyTorch does not write; refused")
    if any(info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 for info in infos):
        raise CheckpointError(
            "compressed or encrypted records, which PyTorch does not write; refused"
        )
    if sum(info.file_size for info in infos) > len(data):
        raise CheckpointError("truncated, or its records lie over each other; refused")
    return _Archive(data, records)


def _inner_name(info: zipfile.ZipInfo) -> str:
    return info.filename.partition("/")[2] or info.filename


def _read_zip(data: bytes, opaque: bool) -> tuple[Any, dict[str, np.ndarray]]:
    archive = _open_archive(data)
    order: ByteOrder = "<"
    if "byteorder" in archive.records:
        word = bytes(archive.read("byteorder")[:16])
        if word not in (b"little", b"big"):
            raise CheckpointError("damaged: its byte order is neither little nor big")
        order = "<" if word == b"little" else ">"
    record = archive.read("data.pkl")
    if len(record) > _MOST_PICKLE_BYTES:
        raise CheckpointError(f"its pickle has {len(record):,} bytes, too many for a state dict")
    pickle = load(io.BytesIO(record), opaque=opaque)
    return pickle.content, {
        key: _values(storage, archive.read(f"data/{key}"), order)
        for key, storage in pickle.storages.items()
    }


def _read_legacy(data: bytes, opaque: bool) -> tuple[Any, dict[str, np.ndarray]]:
    stream = io.BytesIO(data)
    magic = load(stream).content
    if type(magic) is not int or magic != _LEGACY_MAGIC:
        raise CheckpointError("a pickle, but not one that torch.save wrote")
    protocol, system = load(stream).content, load(stream).content
    if type(protocol) is not int or protocol != _LEGACY_PROTOCOL or type(system) is not dict:
        raise CheckpointError("damaged, or an unknown version of PyTorch's older format")
    pickle = load(stream, opaque=opaque)
    keys = load(stream).content
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise CheckpointError("damaged: its list of storages cannot be read")
    if set(keys) != set(pickle.storages):
        raise CheckpointError("damaged: its list of storages is not that of its tensors")
    blocks = {}
    position = stream.tell()
    for key in keys:
        storage = pickle.storages[key]
        end = position + _COUNT.size + storage.numel * _dtype(storage).itemsize
        block = memoryview(data)[position:end]
        if len(block) != end - position or _COUNT.unpack_from(block)[0] != storage.numel:
            raise CheckpointError("truncated, or damaged among its storages")
        # This format is little-endian, whatever the machine.
        blocks[key] = _values(storage, block[_COUNT.size :], "<")
        position = end
    return pickle.content, blocks


def _dtype(storage: StorageRecord) -> np.dtype:
    if storage.kind not in _DTYPES:
        raise CheckpointError(f"holds a {shortened(storage.kind)}, which is not read here")
    return np.dtype(_DTYPES[storage.kind])


def _values(storage: StorageRecord, block: memoryview, order: ByteOrder) -> np.ndarray:
    dtype = _dtype(storage)
    if len(block) != storage.numel * dtype.itemsize:
        raise CheckpointError(
            f"damaged: storage {shortened(storage.key)!r} has {len(block):,} bytes, its tensors "
            f"need {storage.numel:,} values of {dtype.itemsize}"
        )
    values = np.frombuffer(block, dtype.newbyteorder(order))
    values = values.astype(dtype, copy=False)
    if storage.kind == "BFloat16Storage":
        # bfloat16 is the upper half of float32.
        values = (values.astype(np.uint32) << 16).view(np.float32)
    elif storage.kind == "BoolStorage":
        values = values != 0
    values.flags.writeable = False
    return values


def _array(name: str, tensor: TensorRecord, blocks: Mapping[str, np.ndarray]) -> np.ndarray:
    values = blocks[tensor.storage.key]
    if tensor.storage.view is not None:
        begin, numel = tensor.storage.view
        values = values[begin : begin + numel]
    empty = 0 in tensor.shape
    steps = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((size - 1) * stride for size, stride in steps)
    if not empty and last >= len(values):
        raise CheckpointError(
            f"damaged: {shortened(name)!r} reaches value {last:,} of a storage of {len(values):,}"
        )
    if math.prod(size for size in tensor.shape if size) * values.itemsize > _MOST_BYTES:
        raise CheckpointError(f"damaged: {shortened(name)!r} has an impossible shape")
    if empty:
        return np.empty(tensor.shape, values.dtype)
    strides = tuple(stride * values.itemsize for stride in tensor.strides)
    return np.lib.stride_tricks.as_strided(
        values[tensor.offset :], tensor.shape, strides, writeable=False
    )


def _state_dict(content: Any) -> dict[str, TensorRecord]:
    for _ in range(_MOST_LEVELS):
        inner = _wrapped(content)
        if inner is None:
            break
        content = inner
    if type(content) is not dict:
        words = {TensorRecord: "one tensor", Opaque: "an object of a class"}
        what = words.get(type(content), f"a {type(content).__name__}")
        raise CheckpointError(f"holds {what}; it must be a state dict, names with their tensors")
    if not content:
        raise CheckpointError("holds an empty state dict")
    other = [key for key, value in content.items() if type(value) is not TensorRecord]
    if other or not all(type(key) is str for key in content):
        names = ", ".join(map(_key_text, (other or list(content))[:8]))
        raise CheckpointError(
            f"not a state dict: these are not tensors with a name: {names}; a state dict may "
            f"stand under {', '.join(_WRAPPERS)}"
        )
    if all(name.startswith(_PARALLEL) for name in content):
        content = {name.removeprefix(_PARALLEL): tensor for name, tensor in content.items()}
    return content


def _key_text(key: Any) -> str:
    try:
        return shortened(str(key), 30)
    except (ValueError, RecursionError):  # a number of thousands of digits; tuples in tuples
        return f"one {type(key).__name__}"


def _wrapped(content: Any) -> dict[Any, Any] | None:
    """Return the dict inside a dict that a training script saved, or None."""
    if type(content) is not dict:
        return None
    found = [key for key in _WRAPPERS if type(content.get(key)) is dict]
    if len(found) > 1:
        raise CheckpointError(
            f"holds several state dicts ({', '.join(found)}); save the one that is meant, with "
            "torch.save(checkpoint[NAME], 'FILE.pth')"
        )
    return content[found[0]] if found else None
