"""What a search may change: fields of a config, and the values that each may take.

A field is declared in one line, ``NAME=VALUES``:

    config.optimizer.learning_rate=log:1e-4..1e-2     a range; log: equal ratios, equally likely
    config.model.fields.hidden_dropout=0.1..0.7       with its ends; whole numbers if it holds one
    config.train.batch_size=16,32,64                  choices
    config.model.fields.channels=(16,32)|(32,64)      choices that hold commas
    config.model.fields.channels.0=16,32,64           one place of a tuple, counted from 0
"""

import ast
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rawnet_jax.config import Config
from rawnet_jax.config_file import value_of, with_overrides
from rawnet_jax.errors import ConfigError
from rawnet_jax.search.optional import optuna_module

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = str | int | float
"""What Optuna keeps of a parameter: a number of a range, or a choice as it is written."""

_PLACE = re.compile(r"(?P<field>.+)\.(?P<place>\d+)")
_RANGE = re.compile(r"(?P<log>log:)?(?P<low>[^.,|]*(?:\.\d*)?)\.\.(?P<high>[^,|]+)")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One field that a search changes.

    Attributes:
        name: dotted, such as ``config.train.batch_size``.
        choices: as they are written on a command line; empty for a range.
        low: lowest value of a range.
        high: highest value of a range.
        log: whether a range is drawn from by its logarithm.
        whole: whether a range is of whole numbers.
    """

    name: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False

    def __str__(self) -> str:
        """Write the declaration."""
        if self.choices:
            return f"{self.name}={'|'.join(self.choices)}"
        return f"{self.name}={'log:' if self.log else ''}{self.low}..{self.high}"

    @property
    def field(self) -> str:
        """Dotted name of the whole field, of which this may be one place."""
        found = _PLACE.fullmatch(self.name)
        return found["field"] if found else self.name

    @property
    def place(self) -> int | None:
        """Place in a tuple, counted from 0; None = the whole field."""
        found = _PLACE.fullmatch(self.name)
        return int(found["place"]) if found else None

    def distribution(self) -> "BaseDistribution":
        """Return what Optuna draws from."""
        distributions = optuna_module().distributions
        if self.choices:
            return distributions.CategoricalDistribution(self.choices)
        if self.whole:
            return distributions.IntDistribution(int(self.low), int(self.high), log=self.log)
        return distributions.FloatDistribution(self.low, self.high, log=self.log)

    def holds(self, value: Value) -> bool:
        """Return whether the search could draw this."""
        if self.choices:
            return value in self.choices
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Space:
    """All that a search changes.

    Attributes:
        parameters: at least one, each of another field, or place of one.
    """

    parameters: tuple[Parameter, ...]

    @property
    def size(self) -> float:
        """Number of combinations; infinite with a range."""
        return math.prod(len(one.choices) or math.inf for one in self.parameters)

    def combinations(self) -> Iterator[dict[str, Value]]:
        """Yield every combination of a space without ranges."""
        for values in itertools.product(*(one.choices for one in self.parameters)):
            yield dict(zip((one.name for one in self.parameters), values, strict=True))

    def distributions(self) -> "dict[str, BaseDistribution]":
        """Return what Optuna draws from, by name."""
        return {one.name: one.distribution() for one in self.parameters}

    def declarations(self) -> list[str]:
        """Write every parameter's declaration, in the order of names."""
        return sorted(map(str, self.parameters))

    def values_in(self, config: Config) -> dict[str, Value] | None:
        """Return a config's own values; None if one of them is outside the space."""
        values = {one.name: _value_in(config, one) for one in self.parameters}
        inside = all(one.holds(values[one.name]) for one in self.parameters)
        return values if inside else None

    def overrides(self, config: Config, values: Mapping[str, Value]) -> list[str]:
        """Return what sets a config to the values of a trial, as for the command line.

        Args:
            config: gives the places of tuples that the space leaves alone.
            values: one for each parameter, by name.
        """
        fields: dict[str, Any] = {}
        for one in self.parameters:
            text = values[one.name] if one.choices else repr(values[one.name])
            if one.place is None:
                fields[one.field] = text
            else:
                members = fields.setdefault(one.field, list(value_of(config, one.field)))
                members[one.place] = _literal(str(text), members[one.place])
        return [
            f"--{field}={tuple(value) if isinstance(value, list) else value}"
            for field, value in fields.items()
        ]


def parse_space(declarations: Sequence[str], config: Config) -> Space:
    """Read a search space.

    Args:
        declarations: see the module's docstring; at least one.
        config: whose fields they are; every end of a range and every choice is tried on it.

    Raises:
        ConfigError: naming the declaration and what it must be; for a field that does not exist,
            the nearest that does.
    """
    parameters: list[Parameter] = []
    for declaration in declarations:
        try:
            parameter = _parse(declaration, config)
        except ConfigError as error:
            raise ConfigError(f"--search {declaration}: {error}") from error
        for other in parameters:
            whole = None in (parameter.place, other.place)
            if parameter.field == other.field and (whole or parameter.place == other.place):
                raise ConfigError(f"--search {declaration}: {other.name} is searched already")
        parameters.append(parameter)
    return Space(tuple(parameters))


def _parse(declaration: str, config: Config) -> Parameter:
    name, equals, text = declaration.strip().removeprefix("--").partition("=")
    if not equals or not name.startswith("config.") or not text:
        raise ConfigError(
            "it must be config.GROUP.FIELD=VALUES, VALUES such as 0.1..0.7, log:1e-4..1e-2, "
            "16,32,64 or (16,32)|(32,64)"
        )
    now = _at_place(config, Parameter(name))
    found = _RANGE.fullmatch(text)
    parameter = _range(name, found, now) if found else _choices(name, text, now, config)
    for value in parameter.choices or (parameter.low, parameter.high):
        space = Space((parameter,))
        with_overrides(config, space.overrides(config, {name: value}))
    return parameter


def _at_place(config: Config, parameter: Parameter) -> Any:
    """Return the value that a parameter has in a config."""
    value = value_of(config, parameter.field)
    if parameter.place is None:
        return value
    if not isinstance(value, tuple) or parameter.place >= len(value):
        raise ConfigError(
            f"{parameter.field} is {value!r}; place {parameter.place}, counted from 0, is not there"
        )
    return value[parameter.place]


def _value_in(config: Config, parameter: Parameter) -> Value:
    value = _at_place(config, parameter)
    return _written(value) if parameter.choices else value


def _range(name: str, found: re.Match[str], now: Any) -> Parameter:
    if isinstance(now, bool) or not isinstance(now, int | float):
        raise ConfigError(f"it is {now!r}; give choices such as A|B, not a range")
    kind = type(now)
    try:
        low, high = kind(found["low"]), kind(found["high"])
    except ValueError as error:
        wanted = "whole numbers" if kind is int else "numbers"
        raise ConfigError(f"the ends of its range, LOW..HIGH, must be {wanted}") from error
    log = bool(found["log"])
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or (log and low <= 0):
        raise ConfigError(f"its range must be LOW..HIGH, from low to high{', above 0' * log}")
    return Parameter(name, low=low, high=high, log=log, whole=kind is int)


def _choices(name: str, text: str, now: Any, config: Config) -> Parameter:
    words = [word.strip() for word in (text.split("|") if "|" in text else _at_commas(text))]
    parameter = Parameter(name, tuple(words))
    if not all(words):
        raise ConfigError("one of its choices is empty")
    if parameter.place is not None:
        members = [_literal(word, now) for word in words]
    else:
        members = [_typed(config, name, word, now) for word in words]
    choices = tuple(dict.fromkeys(_written(member) for member in members))
    if len(choices) < 2:
        raise ConfigError(f"one value is not a search; set it by --{name}={choices[0]}")
    return Parameter(name, choices)


def _typed(config: Config, name: str, word: str, now: Any) -> Any:
    """Return a choice as the config holds it, so that it is written in one way only."""
    value = value_of(with_overrides(config, [f"--{name}={word}"]), name)
    if isinstance(now, tuple) and now:
        return tuple(_literal(repr(member), now[0]) for member in value)
    return value


def _literal(word: str, like: Any) -> Any:
    """Read a member of a tuple as the type that the tuple's members have."""
    try:
        value = ast.literal_eval(word)
    except (ValueError, SyntaxError):
        value = word
    if type(like) is float and type(value) is int:
        return float(value)
    if type(value) is not type(like):
        raise ConfigError(f"{word} is not of the type of {like!r} ({type(like).__name__})")
    return value


def _written(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _at_commas(text: str) -> list[str]:
    """Divide at commas that are in no brackets."""
    depth, words = 0, [""]
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            words.append("")
        else:
            words[-1] += letter
    return words
