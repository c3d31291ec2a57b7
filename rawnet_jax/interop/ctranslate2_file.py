"""Files of CTranslate2, ``model.bin``: version 6 of its format, read without it.

Little-endian, one thing after the other: version (u32), name of the network, its revision (u32),
number of variables (u32); of each variable its name, number of axes (u8), size of each axis (u32),
type (u8), bytes (u32), data; number of aliases (u32); of each alias its name and that of the
variable. A text is its length (u16) with a final zero, then so many bytes. Source of the format:
github.com/OpenNMT/CTranslate2 (python/ctranslate2/specs/model_spec.py).
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rawnet_jax.errors import CheckpointError
from rawnet_jax.interop.torch_records import shortened
from rawnet_jax.regular_file import check_regular, read_regular

_VERSION = 6
_LATEST = 99  # a first number up to here may be a version
_MOST_AXES = 8
_BFLOAT16 = 5
_TYPES = {0: "<f4", 1: "i1", 2: "<i2", 3: "<i4", 4: "<f2", _BFLOAT16: "<u2"}
_SCALE = "_scale"


@dataclass(frozen=True)
class CTranslate2File:
    """What such a file holds.

    Attributes:
        network: its name, such as ``WhisperSpec``.
        variables: name -> array, read-only, aliases too; bfloat16 as float32, numbers that were
            quantised as float32 in their own scale.
    """

    network: str
    variables: Mapping[str, np.ndarray]


def is_ctranslate2(path: Path) -> bool:
    """Return whether a file begins as CTranslate2's do; False for one that cannot be read."""
    try:
        check_regular(path)
        with path.open("rb") as file:
            start = file.read(80)
    except OSError:
        return False
    if len(start) < 6:
        return False
    version, length = struct.unpack_from("<IH", start)
    name = start[6 : 6 + length]
    return 0 < version <= _LATEST and name.endswith(b"Spec\0")


def read_ctranslate2(path: Path) -> CTranslate2File:
    """Read a ``model.bin``.

    Raises:
        CheckpointError: it cannot be read, is damaged, or is of another version.
    """
    try:
        return _read(_Reader(read_regular(path)))
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from None
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


class _Reader:
    """Bytes, taken from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._at = 0

    def take(self, count: int, what: str) -> memoryview:
        left = len(self._data) - self._at
        if count > left:
            raise CheckpointError(
                f"truncated or damaged: {what} needs {count:,} bytes, {left:,} are left"
            )
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, layout: str, what: str) -> int:
        value: int = struct.unpack(layout, self.take(struct.calcsize(layout), what))[0]
        return value

    def text(self, what: str) -> str:
        content = bytes(self.take(self.number("<H", what), what))
        try:
            if content.endswith(b"\0"):
                return content[:-1].decode("utf-8")
        except UnicodeDecodeError:
            pass
        raise CheckpointError(f"damaged: {what} is not text")

    def end(self) -> None:
        left = len(self._data) - self._at
        if left:
            raise CheckpointError(f"damaged: {left:,} bytes behind its end")


def _read(file: _Reader) -> CTranslate2File:
    version = file.number("<I", "the version")
    if version != _VERSION:
        raise CheckpointError(
            f"version {version} of CTranslate2's format; it must be {_VERSION}, so convert the "
            "model again, with CTranslate2 3 or later"
        )
    network = file.text("the network's name")
    file.number("<I", "the revision")
    variables: dict[str, np.ndarray] = {}
    for _ in range(file.number("<I", "the number of variables")):
        name = _new_name(file, variables)
        variables[name] = _variable(file, shortened(name))
    for _ in range(file.number("<I", "the number of aliases")):
        name, target = _new_name(file, variables), file.text("an alias")
        if target not in variables:
            raise CheckpointError(
                f"damaged: {shortened(name)} stands for {shortened(target)}, which is not there"
            )
        variables[name] = variables[target]
    file.end()
    return CTranslate2File(network, _scaled_back(variables))


def _new_name(file: _Reader, variables: Mapping[str, np.ndarray]) -> str:
    name = file.text("a variable's name")
    if name in variables:
        raise CheckpointError(f"damaged: {shortened(name)} is there twice")
    return name


def _variable(file: _Reader, name: str) -> np.ndarray:
    axes = file.number("<B", f"the shape of {name}")
    if axes > _MOST_AXES:
        raise CheckpointError(f"damaged: {name} has {axes} axes")
    shape = tuple(file.number("<I", f"the shape of {name}") for _ in range(axes))
    kind = file.number("<B", f"the type of {name}")
    if kind not in _TYPES:
        raise CheckpointError(f"{name} has type {kind}, which is not read here")
    size = file.number("<I", f"the size of {name}")
    if size != math.prod(shape) * np.dtype(_TYPES[kind]).itemsize:
        raise CheckpointError(f"damaged: {name} has {size:,} bytes, which is not its shape {shape}")
    values = np.frombuffer(file.take(size, name), _TYPES[kind])
    if kind == _BFLOAT16:
        # bfloat16 is the upper half of float32.
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.reshape(shape)


def _scaled_back(variables: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return variables with those that were quantised divided by their scales.

    A weight of 8 bits has a scale for each entry of its first axis, one of 16 bits has one in all.
    """
    found = {}
    for name, values in variables.items():
        if name.endswith(_SCALE) and name.removesuffix(_SCALE) in variables:
            continue
        scale = variables.get(name + _SCALE)
        if scale is not None and np.issubdtype(values.dtype, np.integer):
            if scale.size not in (1, values.shape[0] if values.ndim else 1) or not scale.all():
                raise CheckpointError(f"damaged: the scale of {shortened(name)} does not fit to it")
            scale = scale.astype(np.float32).reshape(-1, *(1,) * (values.ndim - 1))
            with np.errstate(all="ignore"):  # whoever takes them looks for what is not finite
                values = values.astype(np.float32) / scale
        found[name] = values
    return found
