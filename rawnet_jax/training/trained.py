"""Which parameters a run trains, by patterns of their paths.

A pattern is names joined by ``/``, as they follow each other anywhere in a parameter's path:
``encoder`` is all that the encoder has, ``attention/q_proj`` the query projections of all layers. A
name may have ``*`` and ``?``. Layers of an encoder are stacked, a layer per entry of the first
axis; ``layers/layer[:9]`` is the first 9 of them, ``encoder[:9]`` these and all of the encoder that
is in no stack.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import flax.linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict

from rawnet_jax.encoders.transformer import Layers
from rawnet_jax.errors import ConfigError
from rawnet_jax.nn.layers import BatchNorm

Path = tuple[str, ...]

ENCODER = "encoder"
"""Name of the sub-module that is a detector's encoder."""

STACK = ("layers", "layer")
"""Names behind which parameters are stacked, a layer per entry of their first axis."""

_FIRST = re.compile(r"(.*)\[:(\d{1,5})\]")


def is_stacked(path: Path) -> bool:
    """Return whether a parameter has an entry per layer."""
    return _has(path, STACK)


def matching(patterns: Iterable[str], tree: Any, where: str) -> dict[str, list[Path]]:
    """Return the parameters that each pattern names.

    Args:
        patterns: without ``[:n]``.
        tree: parameters, or their shapes.
        where: the config field, for errors.

    Raises:
        ConfigError: a pattern names none; the nearest names are in it.
    """
    paths = list(flatten_dict(tree))
    found = {p: [path for path in paths if _has(path, p.split("/"))] for p in patterns}
    for pattern, matched in found.items():
        if not matched:
            raise ConfigError(
                f"{where}: {pattern!r} names no parameter; {_nearest(pattern, paths)}"
            )
    return found


def _has(path: Path, names: Iterable[str]) -> bool:
    """Return whether names that fit follow each other in a path."""
    wanted = tuple(names)
    starts = range(len(path) - len(wanted) + 1)
    return any(all(map(fnmatchcase, path[i : i + len(wanted)], wanted)) for i in starts)


def _nearest(pattern: str, paths: Iterable[Path]) -> str:
    known = {name for path in paths for name in path}
    known |= {"/".join(path[:end]) for path in paths for end in range(1, len(path) + 1)}
    near = difflib.get_close_matches(pattern, sorted(known), n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return f"the network has {', '.join(sorted({path[0] for path in paths}))}"


@dataclass(frozen=True)
class Trained:
    """What is trained; by default everything.

    Attributes:
        frozen: path of each parameter that is not trained -> how many of its first entries are not;
            None = all of it.
        first_layers: how many layers of the encoder are frozen, with all that is before them.
    """

    frozen: Mapping[Path, int | None] = field(default_factory=dict)
    first_layers: int = 0

    def part(self, tree: Any) -> Any:
        """Return what is trained of a tree like the parameters; of stacks, the later entries."""
        if not self.frozen:
            return tree
        flat = {}
        for path, leaf in flatten_dict(tree).items():
            first = self.frozen.get(path, 0)
            if first is not None:
                flat[path] = leaf[first:] if first else leaf
        return unflatten_dict(flat)

    def whole(self, tree: Any, part: Any) -> Any:
        """Put a part back; the inverse of `part`."""
        if not self.frozen:
            return part
        flat = flatten_dict(tree)
        for path, leaf in flatten_dict(part).items():
            first = self.frozen.get(path)
            flat[path] = flat[path].at[first:].set(leaf) if first else leaf
        return unflatten_dict(flat)

    def as_it_is(self) -> AbstractContextManager[None]:
        """Return a context in which a network is trained around what is frozen.

        BatchNorm there does as in scoring: it normalises by its running statistics, which stay as
        they are. Where an encoder is frozen from its input on, its first layers have no backward
        pass; the parameters alone would not tell, since all layers are one loop.
        """
        return nn.intercept_methods(self._call) if self.frozen else nullcontext()

    def _call(
        self,
        method: Callable[..., Any],
        args: Any,
        kwargs: Any,
        context: nn.module.InterceptorContext,
    ) -> Any:
        module = context.module
        is_norm = isinstance(module, BatchNorm) and context.method_name == "__call__"
        if is_norm and self.frozen.get((*module.path, "scale"), 0) is None:
            x, mask, *_ = args
            return method(x, mask, train=False)
        if isinstance(module, Layers) and context.method_name == "__call__":
            kwargs = {**kwargs, "frozen": self.first_layers}
        return method(*args, **kwargs)


def all_but(patterns: Iterable[str], params: Any, where: str) -> Trained:
    """Return what is trained if these are not.

    Args:
        patterns: of parameters that stay as they are.
        params: of the network, or their shapes.
        where: the config field, for errors.

    Raises:
        ConfigError: a pattern names no parameter, or more layers than there are; or nothing is
            left to train.
    """
    flat = flatten_dict(params)
    frozen: dict[Path, int | None] = {}
    for pattern in patterns:
        sliced = _FIRST.fullmatch(pattern)
        names, first = (sliced[1], int(sliced[2])) if sliced else (pattern, None)
        matched = matching([names], params, where)[names]
        if first is not None:
            depths = [flat[path].shape[0] for path in matched if is_stacked(path)]
            _check_first(first, depths, f"{where}: {pattern!r}")
        for path in matched:
            own, before = first if is_stacked(path) else None, frozen.get(path, 0)
            frozen[path] = None if None in (own, before) else max(own or 0, before or 0)
    for path, first in frozen.items():
        if first == flat[path].shape[0]:
            frozen[path] = None
    if len(frozen) == len(flat) and set(frozen.values()) == {None}:
        raise ConfigError(f"{where}: all parameters are frozen; some must be left to train")
    return Trained(frozen, _first_layers(frozen, flat))


def _first_layers(frozen: Mapping[Path, int | None], flat: Mapping[Path, Any]) -> int:
    """Return `Trained.first_layers`; 0 where all of the encoder is frozen."""
    counts = []
    for path in flat:
        if path[0] == ENCODER and is_stacked(path):
            first = frozen.get(path, 0)
            counts.append(0 if first is None else first)
        elif path[0] == ENCODER and frozen.get(path, 0) is not None:
            return 0
    return min(counts, default=0)


def _check_first(first: int, depths: list[int], what: str) -> None:
    if not depths:
        raise ConfigError(f"{what}: no layers are stacked there; leave [:{first}] out")
    if not 1 <= first <= min(depths):
        raise ConfigError(
            f"{what}: there are {min(depths)} layers; it must be [:1] to [:{min(depths)}]"
        )
