"""Fields of an augmentation: those given, checked, and the defaults of the others. No JAX."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from rawnet_jax.config import unknown_field
from rawnet_jax.errors import ConfigError

PROBABILITY = "probability"

Limits = Mapping[str, tuple[float, float]]
"""Field -> lowest and highest value that its numbers may have."""


def keyword_fields(function: Callable[..., Any]) -> dict[str, Any]:
    """Return name and default of every keyword field of an augmentation, ``probability`` first."""
    parameters = inspect.signature(function).parameters.values()
    own = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    return {PROBABILITY: 1.0, **own}


def complete(
    name: str, known: Mapping[str, Any], given: Mapping[str, Any], limits: Limits
) -> dict[str, Any]:
    """Return all fields of an augmentation after checking those given.

    Args:
        name: for messages.
        known: of `keyword_fields`.
        given: the fields that differ from the defaults.
        limits: of its fields.

    Raises:
        ConfigError: for an unknown field or a wrong value.
    """
    for field_name in given:
        if field_name not in known:
            raise ConfigError(f"augmentation {name}: {unknown_field(field_name, known)}")
    limits = {PROBABILITY: (0.0, 1.0), **limits}
    return {
        field_name: _checked(
            f"augmentation {name}: {field_name}",
            given.get(field_name, default),
            default,
            limits.get(field_name, (-math.inf, math.inf)),
        )
        for field_name, default in known.items()
    }


def _checked(what: str, value: Any, default: Any, limits: tuple[float, float]) -> Any:
    """Return a value in the type of the field's default."""
    if isinstance(default, tuple):
        return _checked_range(what, value, limits)
    fits = type(value) is type(default) or (type(value) is int and type(default) is float)
    if not fits:
        raise ConfigError(f"{what} is {value!r}; it must be {type(default).__name__}")
    if not limits[0] <= value <= limits[1]:
        raise ConfigError(f"{what} is {value!r}; it must be from {limits[0]:g} to {limits[1]:g}")
    return type(default)(value)


def _checked_range(what: str, value: Any, limits: tuple[float, float]) -> tuple[float, float]:
    is_range = (
        isinstance(value, tuple | list)
        and len(value) == 2
        and all(isinstance(number, int | float) for number in value)
        and limits[0] <= value[0] <= value[1] <= limits[1]
    )
    if not is_range:
        bounds = "" if math.isinf(limits[1]) else f" within {limits[0]:g} to {limits[1]:g}"
        raise ConfigError(f"{what} is {value!r}; it must be (lowest, highest){bounds}")
    return float(value[0]), float(value[1])
