"""A program in operations that TFLite has, and runs fast.

LiteRT's converter takes whatever JAX lowers to, but some of it ends in operations that no runtime
has, and some in slow ones. So a program is flattened (`rawnet_jax.export.flat`) and carried out
again, equation by equation, with some of them written otherwise, to the same numbers:

    a loop of fixed length   its steps one after the other: each is a few matrix products
    a gather                 without a look at whether an index is within bounds
    a sum over windows       a convolution with ones
    a product of one row     products and a sum
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun

from rawnet_jax.export.flat import Equation, Flat, Ref, flatten, loop_parts
from rawnet_jax.export.program import Outputs, Program

FRONT_END = "front_end"
"""In the name of what follows from the inputs without a trained parameter."""

_Rule = Callable[..., Sequence[Any]]


def rewritten(program: Program) -> Callable[..., Outputs]:
    """Return a function of a program's inputs, in order, to its outputs by name.

    It takes one clip, since TFLite's operations have fixed shapes.
    """

    def scored(variables: dict[str, Any], *rows: jax.Array) -> Outputs:
        return replace(program, variables=variables)(*rows)

    leaves = jax.tree.leaves(program.variables)
    flat = flatten(scored, program.variables, *program.specs(1))
    trained = set(flat.inputs[: len(leaves)])
    # Outputs come in the order of the sorted names.
    names = sorted(program.outputs)

    def evaluated(*rows: jax.Array) -> Outputs:
        return dict(zip(names, _evaluate(flat, [*leaves, *rows], trained), strict=True))

    return evaluated


def _evaluate(flat: Flat, arguments: Sequence[Any], trained: set[Ref]) -> list[Any]:
    values: dict[Ref, Any] = dict(zip(flat.inputs, arguments, strict=True))
    front_end = _front_end(flat, trained)

    def read(ref: Ref) -> Any:
        return values[ref] if ref.value is None else jnp.broadcast_to(ref.value, ref.shape)

    for equation in flat.equations:
        inputs = [read(ref) for ref in equation.inputs]
        with jax.named_scope(FRONT_END) if equation in front_end else nullcontext():
            outputs = _RULES.get(equation.op, _bound)(equation, *inputs)
        values.update(zip(equation.outputs, outputs, strict=True))
    return [read(ref) for ref in flat.outputs]


def _front_end(flat: Flat, trained: set[Ref]) -> set[Equation]:
    """Return the equations of `FRONT_END`.

    Args:
        flat: the program.
        trained: those of its inputs that are trained parameters.
    """
    learned, found = set(trained), set()
    for equation in flat.equations:
        if learned.intersection(equation.inputs):
            learned.update(equation.outputs)
        else:
            found.add(equation)
    return found


def _bound(equation: Equation, *inputs: Any) -> Sequence[Any]:
    """Carry out an equation as it stands."""
    return _bind(equation, inputs, equation.params)


def _bind(equation: Equation, inputs: Sequence[Any], params: Mapping[str, Any]) -> Sequence[Any]:
    outputs = equation.primitive.bind(*inputs, **params)
    return outputs if equation.primitive.multiple_results else [outputs]


def _steps(equation: Equation, *inputs: Any) -> Sequence[Any]:
    """Carry out a loop step by step; one that runs backwards stays as it is."""
    params = equation.params
    if params["reverse"]:
        return _bound(equation, *inputs)
    body = params["jaxpr"]
    consts, carry, sequences = loop_parts(body, inputs, equation.outputs)
    flat = flatten(jaxpr_as_fun(body), *body.in_avals)
    shown: list[list[Any]] = []
    for step in range(params["length"]):
        rows = [sequence[step] for sequence in sequences]
        outputs = _evaluate(flat, [*consts, *carry, *rows], set(flat.inputs))
        carry, rest = outputs[: len(carry)], outputs[len(carry) :]
        shown.append(rest)
    return [*carry, *(jnp.stack(column) for column in zip(*shown, strict=True))]


def _gather(equation: Equation, x: jax.Array, index: jax.Array) -> Sequence[Any]:
    mode = jax.lax.GatherScatterMode.CLIP
    return _bind(equation, (x, index), {**equation.params, "mode": mode, "fill_value": None})


def _product(equation: Equation, x: jax.Array, weight: jax.Array) -> Sequence[Any]:
    """Multiply a single row [1, 1, C] and a matrix; other products stay as they are."""
    (of_x, of_weight), batched = equation.params["dimension_numbers"]
    single = x.ndim > 2 and x.size == x.shape[-1] and of_x == (x.ndim - 1,)
    if not single or weight.ndim != 2 or any(batched):
        return _bound(equation, x, weight)
    # The converter (0.5) gives a product of one row a rank that no runtime makes of it.
    turned = jnp.moveaxis(weight, of_weight[0], 0)
    return [(x[..., None] * turned).sum(axis=-2)]


def _window_sum(equation: Equation, x: jax.Array) -> Sequence[Any]:
    """Sum over windows of [B, H, W, C]; other sums stay as they are."""
    params = equation.params
    window, strides = params["window_dimensions"], params["window_strides"]
    dilated = {*params["base_dilation"], *params["window_dilation"]} != {1}
    if x.ndim != 4 or dilated or (window[0], window[3]) != (1, 1):
        return _bound(equation, x)
    summed = jax.lax.conv_general_dilated(
        x,
        jnp.ones((*window[1:3], 1, x.shape[-1]), x.dtype),
        strides[1:3],
        params["padding"][1:3],
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )
    return [summed]


_RULES: dict[str, _Rule] = {
    "scan": _steps,
    "gather": _gather,
    "dot_general": _product,
    "reduce_window_sum": _window_sum,
}
