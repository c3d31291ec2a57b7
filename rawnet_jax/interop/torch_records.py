"""What the names in a state dict's pickle stand for: records of numbers, checked as they are made.

A `ValueError` here means a damaged pickle; `rawnet_jax.interop.torch_pickle` reports it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rawnet_jax.errors import CheckpointError

_LARGEST = 2**48
_MOST_AXES = 32
_MOST_NAMES = 8
_HOW_TO_SAVE = (
    "where its code is, save its weights alone: torch.save(model.state_dict(), 'FILE.pth')"
)


@dataclass(frozen=True, slots=True)
class StorageRecord:
    """A block of memory that tensors look into.

    Attributes:
        kind: PyTorch's name without its module, such as ``FloatStorage``.
        key: name of the block in the file.
        numel: values in it.
        view: ``(offset, numel)`` in values where only a part is meant (old files), or None.
    """

    kind: str
    key: str
    numel: int
    view: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """A tensor as the pickle describes it; offset and strides count values."""

    storage: StorageRecord
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Name:
    """A global name in the pickle; never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return shortened(f"{self.module}.{self.name}")


@dataclass(frozen=True, slots=True)
class Opaque:
    """An object of a class that is not read: nothing of it is kept, and nothing of it was run."""


def shortened(text: str, most: int = 80) -> str:
    """Return text of a file as one printable line of bounded length."""
    text = text if len(text) <= most else text[:most] + "…"
    return "".join(c if c.isprintable() else "?" for c in text)


def first_names(names: list[str]) -> str:
    """Return the first names of tensors or files, as text, and how many more there are."""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(map(shortened, names[:_MOST_NAMES])) + more


def refusal(name: Name, what: str) -> CheckpointError:
    """Return the error for a name that does not belong here; `what` the file does with it."""
    return CheckpointError(
        f"{what} {name}, which does not belong in a state dict; it was refused, and nothing ran. "
        f"If this is a model of yours, {_HOW_TO_SAVE}"
    )


def whole_module(name: Name) -> CheckpointError:
    """Return the error for an object of a class."""
    return CheckpointError(
        f"holds an object of the class {name}, so a whole module was pickled (torch.save(model)), "
        f"which only its own code can read, by running it; {_HOW_TO_SAVE}"
    )


def is_known(name: Name) -> bool:
    """Return whether a state dict may have that name."""
    return (
        (name.module, name.name) in _CALLS
        or _is_storage(name)
        or (name.module == "torch" and name.name in _DTYPES)
    )


def _is_storage(name: Name) -> bool:
    return name.module in ("torch", "torch.cuda") and name.name.endswith("Storage")


def call(called: Name, arguments: tuple[Any, ...]) -> Any:
    """Return the record that a name makes of arguments.

    Raises:
        CheckpointError: for a name that no state dict calls.
    """
    if (called.module, called.name) not in _CALLS:
        raise refusal(called, "asks to call")
    make, fewest, most = _CALLS[called.module, called.name]
    if not fewest <= len(arguments) <= most:
        raise ValueError(f"{len(arguments)} arguments of {called}")
    return make(*arguments)


def _count(value: Any, what: str) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise ValueError(f"impossible {what}")
    return value


def _counts(values: Any, what: str) -> tuple[int, ...]:
    if type(values) not in (tuple, list) or len(values) > _MOST_AXES:
        raise ValueError(f"impossible {what}")
    return tuple(_count(value, what) for value in values)


def storage_of(described: tuple[Any, ...]) -> StorageRecord:
    """Return the storage that a persistent id describes.

    Raises:
        CheckpointError: for an id of another thing.
    """
    if described and described[0] == "module" and type(described[1]) is Name:
        raise whole_module(described[1])
    if len(described) not in (5, 6) or described[0] != "storage":
        raise ValueError("unknown persistent id")
    _, kind, key, _, numel, *view = described
    if type(kind) is not Name or type(key) is not str:
        raise ValueError("unknown kind of storage")
    if not _is_storage(kind):
        raise CheckpointError(f"holds a {kind}, a type of tensor that is not read here")
    part = None
    if view and view[0] is not None:
        if type(view[0]) is not tuple or len(view[0]) != 3:
            raise ValueError("unknown view of a storage")
        part = (_count(view[0][1], "storage offset"), _count(view[0][2], "storage size"))
    return StorageRecord(kind.name, key, _count(numel, "storage size"), part)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> TensorRecord:
    if type(storage) is not StorageRecord:
        raise ValueError("tensor without a storage")
    sizes, steps = _counts(shape, "shape"), _counts(strides, "strides")
    if len(sizes) != len(steps):
        raise ValueError("there must be as many strides as axes")
    return TensorRecord(storage, _count(offset, "storage offset"), sizes, steps)


def _parameter(tensor: Any, *_: Any) -> TensorRecord:
    if type(tensor) is not TensorRecord:
        raise ValueError("parameter without a tensor")
    return tensor


def _size(sizes: Any) -> tuple[int, ...]:
    return _counts(sizes, "shape")


def _ordered_dict(items: Any = ()) -> dict[str | int, Any]:
    found: dict[str | int, Any] = {}
    if type(items) not in (tuple, list):
        raise ValueError("OrderedDict of no pairs")
    for pair in items:
        if type(pair) not in (tuple, list) or len(pair) != 2 or type(pair[0]) not in (str, int):
            raise ValueError("OrderedDict of no pairs")
        found[pair[0]] = pair[1]
    return found


_CALLS: dict[tuple[str, str], tuple[Callable[..., Any], int, int]] = {
    ("collections", "OrderedDict"): (_ordered_dict, 0, 1),
    ("torch._utils", "_rebuild_tensor_v2"): (_tensor, 4, 7),
    ("torch._utils", "_rebuild_parameter"): (_parameter, 1, 3),
    ("torch", "Size"): (_size, 1, 1),
}
_DTYPES: tuple[str, ...] = ("float32", "float64", "float16", "bfloat16", "bool")
_DTYPES += ("int64", "int32", "int16", "int8", "uint8")
