"""The pickle inside a PyTorch checkpoint, read as data.

A pickle is a program: Python's unpickler imports and calls what it names. This module has an
interpreter of its own for the few opcodes that a state dict needs. It imports nothing and calls
nothing: a tensor becomes a `TensorRecord`, an ``OrderedDict`` a dict, and every other name that a
program calls ends the reading.
"""

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rawnet_jax.errors import CheckpointError
from rawnet_jax.interop.torch_records import (
    Name,
    Opaque,
    StorageRecord,
    call,
    is_known,
    refusal,
    shortened,
    storage_of,
    whole_module,
)

MOST_OPCODES = 5_000_000
"""A state dict of ten thousand tensors with its optimiser's state has under a million."""


@dataclass(frozen=True, slots=True)
class Pickle:
    """What a pickle holds.

    Attributes:
        content: dicts, lists, tuples, strings, numbers and `TensorRecord`; `Opaque` where that was
            asked for.
        storages: all that it names, by key.
    """

    content: Any
    storages: dict[str, StorageRecord]


def load(stream: io.BytesIO, *, opaque: bool = False) -> Pickle:
    """Read the pickle at a stream's position; the stream ends up behind it.

    Args:
        stream: with the whole pickle in memory, so that no length in it can ask for more.
        opaque: objects of other classes become `Opaque`, and do not end the reading.

    Raises:
        CheckpointError: for a damaged pickle, and for one that asks for anything else.
    """
    machine = _Machine(opaque)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count >= MOST_OPCODES:
                raise CheckpointError(f"its pickle has more than {MOST_OPCODES:,} steps")
            machine.step(opcode.name, argument)
        return machine.result()
    except (ValueError, IndexError, OverflowError) as error:
        raise CheckpointError(f"damaged pickle ({shortened(str(error))})") from None


class _Machine:
    """Stack and memo of one pickle."""

    def __init__(self, opaque: bool) -> None:
        self._opaque = opaque
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._storages: dict[str, StorageRecord] = {}
        self._foreign: Name | None = None

    def step(self, opcode: str, argument: Any) -> None:
        if opcode in _LITERALS:
            self._stack.append(argument)
        elif opcode in _CONSTANTS:
            self._stack.append(_CONSTANTS[opcode]())
        elif opcode in _STEPS:
            _STEPS[opcode](self, argument)
        elif opcode not in _NOTHING:
            raise CheckpointError(f"its pickle has the step {opcode}, which no state dict needs")

    def result(self) -> Pickle:
        if self._foreign is not None:
            raise refusal(self._foreign, "names")
        if self._outer or len(self._stack) != 1:
            raise ValueError("no single result")
        return Pickle(self._stack[0], self._storages)

    def _pop(self, kind: type) -> Any:
        value = self._stack.pop()
        if type(value) is not kind:
            raise ValueError(f"{type(value).__name__} instead of {kind.__name__}")
        return value

    def _top(self, kind: type) -> Any:
        value = self._stack[-1]
        if type(value) is not kind:
            raise ValueError(f"{type(value).__name__} instead of {kind.__name__}")
        return value

    def _pop_mark(self) -> list[Any]:
        items = self._stack
        self._stack = self._outer.pop()
        return items

    def mark(self, _: Any) -> None:
        self._outer.append(self._stack)
        self._stack = []

    def pop(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def pop_mark(self, _: Any) -> None:
        self._pop_mark()

    def duplicate(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def get(self, index: int) -> None:
        if index not in self._memo:
            raise ValueError("unknown memo entry")
        self._stack.append(self._memo[index])

    def append(self, _: Any) -> None:
        self._extend([self._stack.pop()])

    def appends(self, _: Any) -> None:
        self._extend(self._pop_mark())

    def _extend(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is not Opaque:
            self._top(list).extend(items)

    def make_list(self, _: Any) -> None:
        items = self._pop_mark()
        self._stack.append(items)

    def make_tuple(self, _: Any) -> None:
        items = self._pop_mark()
        self._stack.append(tuple(items))

    def make_short_tuple(self, size: int) -> None:
        if len(self._stack) < size:
            raise IndexError("stack is empty")
        items = tuple(self._stack[-size:])
        del self._stack[-size:]
        self._stack.append(items)

    def make_dict(self, _: Any) -> None:
        items = self._pop_mark()
        self._stack.append({})
        self._set(items)

    def set_item(self, _: Any) -> None:
        value = self._stack.pop()
        key = self._stack.pop()
        self._set([key, value])

    def set_items(self, _: Any) -> None:
        self._set(self._pop_mark())

    def _set(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is Opaque:
            return
        mapping = self._top(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Other keys, such as nested tuples, could exhaust the C stack when hashed.
            if type(key) not in (str, int):
                if self._opaque:
                    continue
                raise ValueError(f"{type(key).__name__} as a key")
            mapping[key] = value

    def name(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._push_name(Name(module, name))

    def stack_name(self, _: Any) -> None:
        name = self._pop(str)
        self._push_name(Name(self._pop(str), name))

    def _push_name(self, name: Name) -> None:
        if not self._opaque and not is_known(name) and self._foreign is None:
            self._foreign = name
        self._stack.append(name)

    def persistent(self, _: Any) -> None:
        storage = storage_of(self._pop(tuple))
        known = self._storages.setdefault(storage.key, storage)
        if (known.kind, known.numel) != (storage.kind, storage.numel):
            raise ValueError("a storage of two kinds")
        self._stack.append(storage)

    def reduce(self, _: Any) -> None:
        if self._opaque and not self._is_known_call():
            self._make_opaque(2)
            return
        arguments = self._pop(tuple)
        called = self._pop(Name)
        if called.name == "_reconstructor" and called.module in ("copyreg", "copy_reg"):
            raise whole_module(next((a for a in arguments if type(a) is Name), called))
        self._stack.append(call(called, arguments))

    def _is_known_call(self) -> bool:
        """Return whether what lies under the arguments is called in a state dict."""
        return type(self._stack[-2]) is Name and is_known(self._stack[-2])

    def _make_opaque(self, count: int) -> None:
        """Put one opaque object in the place of the last so many values."""
        if len(self._stack) < count:
            raise IndexError("stack is empty")
        self._stack[-count:] = [Opaque()]

    def new_object(self, _: Any) -> None:
        if self._opaque:
            self._make_opaque(2)
            return
        self._stack.pop()
        raise whole_module(self._pop(Name))

    def build(self, _: Any) -> None:
        # The state of an OrderedDict: PyTorch keeps version numbers of modules there.
        self._stack.pop()
        if type(self._stack[-1]) is not Opaque:
            self._top(dict)


_NOTHING = ("PROTO", "FRAME", "STOP")
_LITERALS: tuple[str, ...] = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4")
_LITERALS += ("FLOAT", "BINFLOAT")
_LITERALS += ("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE")
_LITERALS += ("SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8")
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
}
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.pop_mark,
    "DUP": _Machine.duplicate,
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.memoize,
    "GET": _Machine.get,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "LIST": _Machine.make_list,
    "TUPLE": _Machine.make_tuple,
    "TUPLE1": lambda machine, _: machine.make_short_tuple(1),
    "TUPLE2": lambda machine, _: machine.make_short_tuple(2),
    "TUPLE3": lambda machine, _: machine.make_short_tuple(3),
    "DICT": _Machine.make_dict,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.stack_name,
    "BINPERSID": _Machine.persistent,
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.new_object,
    "BUILD": _Machine.build,
}
