"""A program as a flat list of equations on arrays: what the converters to other formats read.

JAX's own form, the jaxpr, holds functions within functions and computes with the parameters as with
anything else. Here functions are inlined, whatever follows from constants alone is computed, and
what leads to no output is dropped.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jax.extend import core

from rawnet_jax.errors import ExportError

BATCH = "b"
"""Name of the symbolic dimension that stands for any number of clips."""

_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "remat": "jaxpr",
}
"""Primitives that call a function, and which of their settings it is."""

_IDENTITIES = ("stop_gradient", "optimization_barrier", "copy", "copy_p")


@dataclass(eq=False)
class Ref:
    """An array of the program.

    Attributes:
        shape: numbers, or what follows from a symbolic batch.
        dtype: of its elements.
        value: of a constant, with 1 along every axis that it is only repeated along; None for what
            is computed.
    """

    shape: tuple[Any, ...]
    dtype: np.dtype
    value: np.ndarray | None = None

    @property
    def is_constant(self) -> bool:
        """Whether it is known before anything runs."""
        return self.value is not None


@dataclass(eq=False)
class Equation:
    """One operation.

    Attributes:
        op: name of JAX's primitive, or of a function that is kept whole.
        inputs: what it takes.
        outputs: what it makes.
        params: settings, as JAX has them.
        primitive: JAX's own; None for a function that is kept whole, or found again.
    """

    op: str
    inputs: list[Ref]
    outputs: list[Ref]
    params: Mapping[str, Any] = field(default_factory=dict)
    primitive: Any = None


@dataclass(eq=False)
class Flat:
    """A program as equations.

    Attributes:
        inputs: of the program.
        equations: in an order in which they can be carried out.
        outputs: of the program.
    """

    inputs: list[Ref]
    equations: list[Equation]
    outputs: list[Ref]

    def producers(self) -> dict[Ref, Equation]:
        """Return which equation makes an array."""
        return {ref: equation for equation in self.equations for ref in equation.outputs}


def flatten(
    function: Callable[..., Any],
    *specs: Any,
    whole: Sequence[str] = (),
    unrolled: bool = False,
) -> Flat:
    """Trace a function and flatten it.

    Args:
        function: of arrays, pure.
        specs: `jax.ShapeDtypeStruct` of its arguments, or trees of them; one dimension may be
            symbolic.
        whole: names of functions (with a gradient of their own, or under `jax.jit`) that stay one
            equation; `Equation.op` is then that name, and its setting ``body`` what they do.
        unrolled: whether the steps of a loop of fixed length become equations one after the other.

    Returns:
        Inputs in the order of `specs`; outputs in the order of the leaves of what it returns.
    """
    closed = jax.make_jaxpr(function)(*specs)
    inputs = [_ref(var.aval) for var in closed.jaxpr.invars]
    flattener = _Flattener(frozenset(whole), unrolled)
    outputs = flattener.inline(closed, inputs)
    return without_dead(Flat(inputs, flattener.equations, outputs))


def without_dead(flat: Flat) -> Flat:
    """Return the program without what leads to no output."""
    needed, kept = set(flat.outputs), []
    for equation in reversed(flat.equations):
        if needed.intersection(equation.outputs):
            needed.update(equation.inputs)
            kept.append(equation)
    return Flat(flat.inputs, kept[::-1], flat.outputs)


class _Flattener:
    def __init__(self, whole: frozenset[str], unrolled: bool = False) -> None:
        self.equations: list[Equation] = []
        self._whole = whole
        self._unrolled = unrolled

    def inline(self, closed: Any, arguments: Sequence[Ref]) -> list[Ref]:
        """Add the equations of a function to ours; returns its outputs."""
        jaxpr = closed.jaxpr
        known: dict[Any, Ref] = dict(zip(jaxpr.invars, arguments, strict=True))
        for var, value in zip(jaxpr.constvars, closed.consts, strict=True):
            known[var] = _constant(value)

        def read(atom: Any) -> Ref:
            if isinstance(atom, core.Literal):
                return _constant(np.asarray(atom.val, _ref(atom.aval).dtype))
            return known[atom]

        for equation in jaxpr.eqns:
            outputs = self._add(equation, [read(atom) for atom in equation.invars])
            known.update(zip(equation.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _add(self, equation: Any, inputs: list[Ref]) -> list[Ref]:
        op, params = equation.primitive.name, equation.params
        if op in _IDENTITIES:
            return inputs
        if op in _CALLS:
            return self._call(params[_CALLS[op]], inputs, [var.aval for var in equation.outvars])
        if op == "platform_index":
            return [_constant(np.int32(_default_branch(params["platforms"])))]
        if op == "cond" and inputs[0].value is not None:
            return self.inline(params["branches"][int(inputs[0].value)], inputs[1:])
        if op == "scan" and self._unrolled:
            return self._steps(params, inputs, [_ref(var.aval) for var in equation.outvars])
        outputs = [_ref(var.aval) for var in equation.outvars]
        if all(ref.is_constant for ref in inputs):
            folded = _fold(equation, inputs, outputs)
            if folded is not None:
                return folded
        self.equations.append(Equation(op, inputs, outputs, params, equation.primitive))
        return outputs

    def _call(self, closed: Any, inputs: list[Ref], avals: Sequence[Any]) -> list[Ref]:
        name = closed.jaxpr.debug_info.func_name
        if name not in self._whole or not closed.jaxpr.eqns:
            return self.inline(closed, inputs)
        body = _Flattener(frozenset())
        body.inline(closed, [_ref(var.aval) for var in closed.jaxpr.invars])
        outputs = [_ref(aval) for aval in avals]
        self.equations.append(Equation(name, inputs, outputs, {"body": body.equations}))
        return outputs

    def _steps(
        self, params: Mapping[str, Any], inputs: Sequence[Ref], results: Sequence[Ref]
    ) -> list[Ref]:
        """Add a loop step by step; of a constant sequence each step has its own constant."""
        consts, carry, sequences = loop_parts(params["jaxpr"], inputs, results)
        shown: list[list[Ref]] = []
        steps = range(params["length"])
        for step in reversed(steps) if params["reverse"] else steps:
            rows = [self._entry(sequence, step) for sequence in sequences]
            outputs = self.inline(params["jaxpr"], [*consts, *carry, *rows])
            carry = outputs[: len(carry)]
            shown.append(outputs[len(carry) :])
        shown = shown[::-1] if params["reverse"] else shown
        return [*carry, *(self._made(_stacked, *column) for column in zip(*shown, strict=True))]

    def _entry(self, sequence: Ref, step: int) -> Ref:
        """Return the entry of a sequence for one step."""
        if sequence.value is None:
            return self._made(lambda x: jax.lax.index_in_dim(x, step, keepdims=False), sequence)
        value = sequence.value[min(step, len(sequence.value) - 1)]
        return Ref(sequence.shape[1:], sequence.dtype, value)

    def _made(self, function: Callable[..., Any], *inputs: Ref) -> Ref:
        """Add the equations of a function of arrays."""
        specs = [jax.ShapeDtypeStruct(ref.shape, ref.dtype) for ref in inputs]
        return self.inline(jax.make_jaxpr(function)(*specs), inputs)[0]


def loop_parts(body: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> tuple[list, list, list]:
    """Divide the inputs of a scan into constants, carried values and sequences.

    By their axes: a sequence has one more than its entries in the body. How a scan states the
    numbers differs between versions of JAX.

    Args:
        body: of the scan, a closed jaxpr.
        inputs: of the scan, all with a shape.
        outputs: likewise: carried values, then sequences.
    """
    num_carried = _num_whole(outputs, body.out_avals)
    end = _num_whole(inputs, body.in_avals)
    start = end - num_carried
    return list(inputs[:start]), list(inputs[start:end]), list(inputs[end:])


def _num_whole(outside: Sequence[Any], inside: Sequence[Any]) -> int:
    """Count what enters or leaves the body of a scan whole, not entry by entry."""
    pairs = zip(outside, inside, strict=True)
    return sum(len(x.shape) == len(y.shape) for x, y in pairs)


def _stacked(*rows: jax.Array) -> jax.Array:
    return jnp.stack(rows)


def _ref(aval: Any) -> Ref:
    return Ref(tuple(aval.shape), np.dtype(aval.dtype))


def _constant(value: Any) -> Ref:
    value = np.asarray(value)
    return Ref(value.shape, value.dtype, value)


def _default_branch(platforms: Sequence[Any]) -> int:
    """Return which branch is for any platform that none is written for."""
    return next(i for i, names in enumerate(platforms) if names is None)


_BY_NUMPY: Mapping[str, Callable[..., np.ndarray]] = {
    "abs": np.abs,
    "add": np.add,
    "and": np.bitwise_and,
    "eq": np.equal,
    "exp": np.exp,
    "ge": np.greater_equal,
    "gt": np.greater,
    "le": np.less_equal,
    "log": np.log,
    "lt": np.less,
    "max": np.maximum,
    "min": np.minimum,
    "mul": np.multiply,
    "ne": np.not_equal,
    "neg": np.negative,
    "not": np.invert,
    "or": np.bitwise_or,
    "rsqrt": lambda x: np.reciprocal(np.sqrt(x)),
    "select_n": lambda which, no, yes: np.asarray(np.where(which, yes, no)),
    "sign": np.sign,
    "sqrt": np.sqrt,
    "square": np.square,
    "sub": np.subtract,
    "tanh": np.tanh,
}
"""What NumPy computes as JAX does; JAX compiles each for every shape."""

_ELEMENTWISE = ("convert_element_type", "div", "rem", "integer_pow", "logistic", "floor", "ceil")


def _fold(equation: Any, inputs: Sequence[Ref], outputs: Sequence[Ref]) -> list[Ref] | None:
    """Compute an equation of constants; None where its result differs from clip to clip.

    A batch of any size is computed as one of 1: every clip has the same constants.
    """
    op, params = equation.primitive.name, equation.params
    stored = [ref.value for ref in inputs if ref.value is not None]
    if _is_along_batch(params, (inputs or outputs)[0]):
        return None
    if op == "broadcast_in_dim":
        values = [_with_new_axes(stored[0], params["broadcast_dimensions"], outputs[0])]
    elif op in _BY_NUMPY:
        values = [np.asarray(_BY_NUMPY[op](*stored), outputs[0].dtype)]
    elif op in _ELEMENTWISE:
        values = _bind(equation.primitive, np.broadcast_arrays(*stored), params)
    else:
        full = [np.broadcast_to(v, of_one(r.shape)) for v, r in zip(stored, inputs, strict=True)]
        values = _bind(equation.primitive, full, of_one(params))
    for value, output in zip(values, outputs, strict=True):
        if any(n not in (1, wanted) for n, wanted in zip(value.shape, output.shape, strict=True)):
            return None
    return [Ref(o.shape, o.dtype, v) for v, o in zip(values, outputs, strict=True)]


def _is_along_batch(params: Mapping[str, Any], ref: Ref) -> bool:
    """Whether an equation counts, adds or orders along an axis as long as the batch."""
    axes = [params[name] for name in ("axis", "dimension") if params.get(name) is not None]
    axes += params.get("axes") or ()
    return any(export.is_symbolic_dim(ref.shape[axis]) for axis in axes)


def of_one(setting: Any) -> Any:
    """Return a shape, or settings that hold some, for a batch of one clip.

    Raises:
        ExportError: a dimension is not a multiple of the batch.
    """
    if isinstance(setting, dict):
        return {name: of_one(value) for name, value in setting.items()}
    if type(setting) in (tuple, list):
        return type(setting)(of_one(value) for value in setting)
    return clips_in(setting) if export.is_symbolic_dim(setting) else setting


def clips_in(dimension: Any) -> int:
    """Return k of a dimension k B.

    Raises:
        ExportError: it is none.
    """
    (batch,) = export.symbolic_shape(BATCH, scope=dimension.scope)
    multiple, rest = divmod(dimension, batch)
    if rest or export.is_symbolic_dim(multiple):
        raise ExportError(f"an array with an axis of {dimension} elements cannot be exported")
    return int(multiple)


def _with_new_axes(value: np.ndarray, axes: Sequence[int], output: Ref) -> np.ndarray:
    """Return a constant with axes of size 1 put in; that it is repeated needs no copy."""
    shape = [1] * len(output.shape)
    for size, axis in zip(value.shape, axes, strict=True):
        shape[axis] = size
    return value.reshape(shape)


def _bind(
    primitive: Any, values: Sequence[np.ndarray], params: Mapping[str, Any]
) -> list[np.ndarray]:
    found = primitive.bind(*map(jnp.asarray, values), **params)
    return [np.asarray(v) for v in (found if primitive.multiple_results else [found])]
