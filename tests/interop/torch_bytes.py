"""Checkpoints for tests, made without PyTorch: zip archives and old streams around any pickle."""

import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rawnet_jax.errors import CheckpointError
from rawnet_jax.interop.torch_file import read_state_dict

MAGIC = 0x1950A86A20F9469CFC6C


def storage(kind: bytes, key: bytes, numel: int) -> bytes:
    """The opcodes of a persistent id in protocol 0 and 1 words."""
    return (
        b"(X\x07\x00\x00\x00storagec" + kind + b"\nX" + struct.pack("<I", len(key)) + key
        + b"X\x03\x00\x00\x00cpuJ" + struct.pack("<i", numel) + b"tQ"
    )  # fmt: skip


def tensor(
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *,
    kind: bytes = b"torch\nFloatStorage",
    key: bytes = b"0",
    numel: int = 12,
    offset: int = 0,
) -> bytes:
    """The opcodes of a tensor."""
    numbers = [b"(" + b"".join(integer(n) for n in row) + b"t" for row in (shape, strides)]
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage(kind, key, numel)
        + integer(offset)
        + numbers[0]
        + numbers[1]
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )


def integer(number: int) -> bytes:
    return pickle.dumps(number, 2)[2:-1]


def dict_of(**values: bytes) -> bytes:
    """A whole pickle of a dict."""
    items = b"".join(pickle.dumps(name, 2)[2:-1] + value for name, value in values.items())
    return b"\x80\x02}(" + items + b"u."


def write_zip(
    path: Path,
    pickled: bytes,
    storages: dict[str, bytes] | None = None,
    *,
    top: str = "archive/",
    compression: int = zipfile.ZIP_STORED,
    byteorder: bytes | None = b"little",
) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{top}data.pkl", pickled)
        if byteorder is not None:
            archive.writestr(f"{top}byteorder", byteorder)
        for key, data in (storages or {}).items():
            archive.writestr(f"{top}data/{key}", data)
        archive.writestr(f"{top}version", "3\n")
    return path


def write_legacy(
    path: Path, pickled: bytes, storages: dict[str, tuple[int, bytes]] | None = None
) -> Path:
    """Write the old format; a storage is (number of values, bytes)."""
    stream = io.BytesIO()
    for part in (MAGIC, 1001, {"protocol_version": 1001, "little_endian": True}):
        stream.write(pickle.dumps(part, 2))
    stream.write(pickled)
    stream.write(pickle.dumps(list(storages or {}), 2))
    for numel, data in (storages or {}).values():
        stream.write(struct.pack("<q", numel) + data)
    path.write_bytes(stream.getvalue())
    return path


VALUES = np.arange(12, dtype=np.float32)
BLOCK = {"0": VALUES.tobytes()}
PLAIN = dict_of(w=tensor((3, 4), (4, 1)))
STATE = {
    "conv.weight": VALUES.reshape(2, 3, 2),
    "double": np.array([1.5, -2.0]),
    "half": np.array([[0.5]], np.float16),
    "counter": np.array(7),
    "int32": np.array([-1, 2], np.int32),
    "int16": np.array([-300], np.int16),
    "int8": np.array([-3], np.int8),
    "uint8": np.array([200], np.uint8),
    "flags": np.array([True, False]),
    "none": np.zeros((0, 3), np.float32),
    "scalar": np.array(2.5, np.float32),
    "turned": np.asfortranarray(VALUES.reshape(3, 4)),
    "big_endian": VALUES.astype(">f4"),
}


def message_of(path) -> str:
    """Return the one line that refuses a file."""
    with pytest.raises(CheckpointError) as caught:
        read_state_dict(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 600
    return message
