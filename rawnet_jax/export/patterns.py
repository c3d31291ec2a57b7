"""Functions that a format has as one operation, found again among a program's equations.

A function is looked for by its own equations: it is traced, and wherever the program has the same
ones, they become one. So nothing has to be said here about how JAX spells it.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from rawnet_jax.export.flat import Equation, Flat, Ref, flatten, without_dead
from rawnet_jax.models.rawnet2 import leaky_relu
from rawnet_jax.nn.batch_norm import selu

_Function = Callable[[jax.Array], jax.Array]


def find_functions(flat: Flat) -> Flat:
    """Return the program with its SELUs, leaky ReLUs and softmaxes as one equation each.

    Their names: ``selu``, ``leaky_relu``, ``softmax`` with the setting ``axis``.
    """
    producers = flat.producers()
    equations = [_replaced(equation, producers) for equation in flat.equations]
    return without_dead(replace(flat, equations=equations))


def _replaced(equation: Equation, producers: dict[Ref, Equation]) -> Equation:
    if equation.op == "reshape":
        return _pooled_as_it_is(equation, producers)
    for name, function, settings in _candidates(equation):
        found = _match(function, equation.outputs[0], producers)
        if found is not None:
            return Equation(name, [found], equation.outputs, settings)
    return equation


def _pooled_as_it_is(equation: Equation, producers: dict[Ref, Equation]) -> Equation:
    """Return a pooling over time of what was only for its sake joined to [rows, T, C] and is split.

    Pooling takes any number of axes before the last two.
    """
    pool = producers.get(equation.inputs[0])
    if pool is None or pool.op != "max_pool_1d":
        return equation
    joined = producers.get(pool.inputs[0])
    output = equation.outputs[0]
    if joined is None or joined.op != "reshape":
        return equation
    (before,) = joined.inputs
    same_rows = before.shape[:-2] == output.shape[:-2]
    same_rest = (before.shape[-2:], output.shape[-2:]) == tuple(
        ref.shape[-2:] for ref in (pool.inputs[0], pool.outputs[0])
    )
    if not (same_rows and same_rest):
        return equation
    return Equation(pool.op, [before], [output], pool.params)


def _candidates(equation: Equation) -> Iterator[tuple[str, _Function, dict[str, Any]]]:
    """Yield the functions of which an equation may be the last."""
    if equation.op == "mul":
        yield "selu", selu, {}
    elif equation.op == "select_n":
        yield "leaky_relu", leaky_relu, {}
    elif equation.op == "div":
        for axis in range(len(equation.outputs[0].shape)):
            yield "softmax", partial(nn.softmax, axis=axis), {"axis": axis}


def _match(function: _Function, output: Ref, producers: dict[Ref, Equation]) -> Ref | None:
    """Return of what an array is the function; None where it is none."""
    if output.dtype != np.float32:
        return None
    pattern = flatten(function, jax.ShapeDtypeStruct(output.shape, output.dtype))
    bound: dict[Ref, Ref] = {}
    makers = pattern.producers()

    def same(wanted: Ref, found: Ref) -> bool:
        if wanted in bound:
            return bound[wanted] is found
        if wanted in pattern.inputs:
            bound[wanted] = found
            return True
        if wanted.value is not None or found.value is not None:
            return _same_value(wanted, found)
        ours, theirs = makers[wanted], producers.get(found)
        if theirs is None or not _same_operation(ours, theirs):
            return False
        bound[wanted] = found
        return all(same(*pair) for pair in zip(ours.inputs, theirs.inputs, strict=True))

    return bound[pattern.inputs[0]] if same(pattern.outputs[0], output) else None


def _same_operation(wanted: Equation, found: Equation) -> bool:
    return (
        wanted.op == found.op
        and len(wanted.inputs) == len(found.inputs)
        and wanted.outputs[0].shape == found.outputs[0].shape
        and wanted.params == found.params
    )


def _same_value(wanted: Ref, found: Ref) -> bool:
    if wanted.value is None or found.value is None:
        return False
    return bool(np.array_equal(np.squeeze(wanted.value), np.squeeze(found.value)))
