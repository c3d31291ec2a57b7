"""Between a PyTorch state dict (names to numpy arrays) and our variables, both ways.

One table of names per family (`rawnet_jax.models.torch_names`) serves both directions, so what was
imported can be exported again bit for bit. Layouts: a convolution's (out, in, …) against our
(…, in, out); a linear layer's (out, in) against (in, out); everything else is as it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from rawnet_jax.errors import CheckpointError
from rawnet_jax.interop.torch_records import first_names
from rawnet_jax.models.torch_names import TorchNames

_COUNTER = "num_batches_tracked"
_ROUNDING = 1e-3


def variables_from_torch(
    state: Mapping[str, np.ndarray],
    names: TorchNames,
    template: Mapping[str, Any],
    listed: Callable[[list[str]], str] | None = None,
) -> dict[str, Any]:
    """Convert a state dict.

    Args:
        state: PyTorch name -> array. BatchNorm's step counters are ignored.
        names: of the family.
        template: our initial variables ``{"params", "batch_stats"}``, for shapes, and for the
            values of what a checkpoint may lack; shapes alone will do where it `lacks` nothing.
        listed: names as text, for the error; None = the first eight.

    Returns:
        Variables of the template's structure, float32 numpy arrays.

    Raises:
        CheckpointError: listing what is missing, left over, of another shape, not finite or given
            twice.
    """
    given = {names.aliases.get(name, name): array for name, array in state.items()}
    wanted = _slots(template, names)
    others = {name: given.pop(name) for name in names.constants if name in given}
    problems = {
        "missing": [n for n in wanted if n not in given and not names.is_optional(n)],
        "left over": [n for n in given if n not in wanted and n.rpartition(".")[2] != _COUNTER],
        "twice": [names.aliases[n] for n in state if names.aliases.get(n) in state],
        "wrong": [
            f"{name} is not the published table"
            for name, array in others.items()
            if not _is_constant(array, _constant(names, name, wanted))
        ],
    }
    leaves = {}
    for name, slot in wanted.items():
        if name not in given:
            leaves[slot.path] = slot.leaf
            continue
        fault = _fault(name, given[name], slot)
        if fault:
            problems["wrong"].append(fault)
        else:
            leaves[slot.path] = slot.ours(given[name]).astype(np.float32)
    text = listed or first_names
    found = [f"{what}: {text(those)}" for what, those in problems.items() if those]
    if found:
        raise CheckpointError("; ".join(found))
    return jax.tree_util.tree_map_with_path(
        lambda path, _: np.asarray(leaves[_name(path)], np.float32), dict(template)
    )


def lacks(
    state: Mapping[str, np.ndarray], names: TorchNames, template: Mapping[str, Any]
) -> list[str]:
    """Return the PyTorch names that a state dict may lack and does lack."""
    given = {names.aliases.get(name, name) for name in state}
    return [n for n in _slots(template, names) if names.is_optional(n) and n not in given]


def torch_names_of(template: Mapping[str, Any], names: TorchNames) -> list[str]:
    """Return the PyTorch names of all variables, and of the tables beside them."""
    return [*_slots(template, names), *names.constants]


def variables_to_torch(variables: Mapping[str, Any], names: TorchNames) -> dict[str, np.ndarray]:
    """Convert our variables to a state dict, with a step counter of 0 for every BatchNorm.

    Args:
        variables: ``{"params", "batch_stats"}``.
        names: of the family.

    Returns:
        PyTorch name -> float32 array (counters: int64 scalars).
    """
    state, slots = {}, _slots(variables, names)
    for name, slot in slots.items():
        state[name] = slot.torch(np.asarray(slot.leaf, np.float32))
        if name.endswith(".running_var"):
            state[name.removesuffix("running_var") + _COUNTER] = np.zeros((), np.int64)
    return state | {name: _constant(names, name, slots) for name in names.constants}


def _constant(names: TorchNames, name: str, slots: Mapping[str, "_Slot"]) -> np.ndarray:
    """Return a table that the published code keeps beside what is trained."""
    trained, made = names.constants[name]
    return made(slots[trained].torch_shape[-1])


def _is_constant(array: np.ndarray, wanted: np.ndarray) -> bool:
    """Return whether a table is that one, but for another machine's rounding."""
    return array.shape == wanted.shape and np.allclose(array, wanted, rtol=0, atol=_ROUNDING)


@dataclass(frozen=True)
class _Slot:
    """Where one tensor stands in our variables.

    Attributes:
        path: with the collection: ``params/block_0/conv1/kernel``.
        leaf: what stands there: an array, or its shape.
        reverse: the first axis of the PyTorch tensor has the classes the other way round.
    """

    path: str
    leaf: Any
    reverse: bool

    def ours(self, array: np.ndarray) -> np.ndarray:
        array = array[::-1] if self.reverse else array
        if self.path.endswith("/kernel"):
            array = np.moveaxis(array, (0, 1), (-1, -2))
        return array

    def torch(self, array: np.ndarray) -> np.ndarray:
        if self.path.endswith("/kernel"):
            array = np.moveaxis(array, (-1, -2), (0, 1))
        return np.ascontiguousarray(array[::-1] if self.reverse else array)

    @property
    def torch_shape(self) -> tuple[int, ...]:
        shape = tuple(self.leaf.shape)
        return (*shape[:-3:-1], *shape[:-2]) if self.path.endswith("/kernel") else shape


def _slots(variables: Mapping[str, Any], names: TorchNames) -> dict[str, _Slot]:
    """Return PyTorch name -> slot."""
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(dict(variables)):
        ours = _name(path)
        name = names.torch_name(ours.partition("/")[2])
        found[name] = _Slot(ours, leaf, names.is_bonafide_first(name))
    return found


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _fault(name: str, array: np.ndarray, slot: _Slot) -> str:
    """Return what is wrong with a tensor; empty if nothing is."""
    if array.shape != slot.torch_shape:
        return f"{name} is {array.shape}, must be {slot.torch_shape}"
    if not np.issubdtype(array.dtype, np.floating):
        return f"{name} is {array.dtype}, must be floats"
    with np.errstate(over="ignore"):
        finite = np.isfinite(array.astype(np.float32)).all()
    return "" if finite else f"{name} is not finite"
