"""What is wrong with a config, before anything is done with it."""

import math
import types
import typing
from typing import Any

from rawnet_jax.config import Config, Section, frozen, streams, walk
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.errors import ConfigError

HIGHEST_WHOLE = 2**31 - 1
"""Of every whole number of a config: what an array can be indexed by on all devices."""

MAX_SAMPLES = 3600 * SAMPLE_RATE_HZ
"""Of a clip or a window: an hour."""

MAX_BATCH_SAMPLES = 2**31
"""Of a batch: 8 GiB of float32."""

_HIGHEST = {
    "config.data.num_samples": MAX_SAMPLES,
    "config.data.num_workers": 1024,
    "config.data.num_threads": 1024,
    "config.data.prefetch_batches": 1024,
    "config.eval.window_samples": MAX_SAMPLES,
    "config.train.num_seeds": 1000,
    "config.train.steps_per_dispatch": 100_000,
}
_BELOW_1 = tuple(
    f"config.optimizer.{name}" for name in ("beta1", "beta2", "momentum", "lora.dropout")
)
_HIGHEST_OF_MODEL = 65_536  # of channels, kernels, features: far above all that was trained
_SIZES = ("channels", "kernel_sizes", "strides", "pool_sizes")  # of a model; at least 1


def checked(config: Config) -> Config:
    """Return a frozen deep copy of a config after checking types, choices and bounds.

    Raises:
        ConfigError: naming the field, what it is and what it must be.
    """
    check_section(config, "config")
    weights = config.loss.class_weights
    if len(weights) != 2 or min(weights) < 0 or not max(weights) > 0:
        raise ConfigError(
            f"config.loss.class_weights is {config.loss.class_weights}; it must be two "
            "numbers of at least 0, one of them above it: (spoof, bonafide)"
        )
    check_buckets(config.data.bucket_samples, config.data.num_samples)
    if config.data.recordings and config.data.audio_dir:
        raise ConfigError(
            "config.data.recordings and audio_dir both say where the audio is; set one of them"
        )
    _check_combinations(config)
    for name, value in config.model.fields.items():
        _check_model_field(f"config.model.fields.{name}", name, value)
    return frozen(config)


def check_section(section: Section, name: str) -> None:
    """Check types, choices and bounds of one part of a config.

    Args:
        section: the part.
        name: what errors call it.

    Raises:
        ConfigError: naming the field, what it is and what it must be.
    """
    for field, inner, f in walk(section, name):
        _check_field(field, getattr(inner, f.name), f)


def check_buckets(bounds: tuple[int, ...], num_samples: int) -> None:
    """Check bounds of buckets against the longest row.

    Raises:
        ConfigError: if they are not whole, positive and ascending, or end elsewhere.
    """
    whole = all(type(bound) is int for bound in bounds)
    if bounds and not (
        whole and bounds[0] > 0 and bounds[-1] == num_samples and bounds == _ascending(bounds)
    ):
        raise ConfigError(
            f"config.data.bucket_samples is {bounds}; it must be whole numbers of at least 1, "
            f"ascending up to config.data.num_samples, {num_samples}"
        )


def _ascending(bounds: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(bounds)))


def _check_combinations(config: Config) -> None:
    """Check fields of which each is possible, but not with the others."""
    data, dispatch = config.data, config.train.steps_per_dispatch
    if data.min_samples > data.num_samples:
        raise ConfigError(
            f"config.data.min_samples is {data.min_samples}; it must be at most "
            f"config.data.num_samples, {data.num_samples}"
        )
    window = config.eval.window_samples or data.num_samples
    for name, batch_size, length in (
        ("config.train.batch_size", config.train.batch_size, data.num_samples),
        ("config.eval.batch_size", config.eval.batch_size, window),
    ):
        if batch_size * length > MAX_BATCH_SAMPLES:
            raise ConfigError(
                f"{name} is {batch_size} of {length} samples each; together it must be at most "
                f"{MAX_BATCH_SAMPLES} samples"
            )
    if not config.eval.outlier_share < 1:
        raise ConfigError(
            f"config.eval.outlier_share is {config.eval.outlier_share:g}; it must be below 1"
        )
    if data.resident == "on" and streams(data):
        raise ConfigError(
            "config.data.resident=on cuts clips on the devices, in rows of one length and as they "
            "were recorded; with config.data.bucket_samples or host_augment use auto or off"
        )
    if data.window_labels and data.pairs:
        raise ConfigError(
            "config.data.window_labels changes the labels of crops, and config.data.pairs sets a "
            "bona fide crop beside a fake one; use one of them"
        )
    if data.unpaired_share > 1:
        raise ConfigError(
            f"config.data.unpaired_share is {data.unpaired_share:g}; it must be at most 1"
        )
    if config.augment.by_pair and not data.pairs:
        raise ConfigError(
            "config.augment.by_pair is set; config.data.pairs must name a column beside it, or "
            "rows that have nothing in common get the same draws"
        )
    _check_tuning(config)
    if data.bucket_samples and dispatch > 1:
        raise ConfigError(
            f"config.train.steps_per_dispatch is {dispatch}; with config.data.bucket_samples a "
            "program is of one step, since batches differ in length: use 0 or 1"
        )


def _check_tuning(config: Config) -> None:
    """Check the options of fine-tuning against each other."""
    optimizer, train = config.optimizer, config.train
    unit = 2 if config.data.pairs else 1
    if train.accumulate_steps > 1 and train.batch_size % (train.accumulate_steps * unit):
        parts = f"{train.accumulate_steps} parts" + (" of whole pairs" if unit > 1 else "")
        raise ConfigError(
            f"config.train.accumulate_steps is {train.accumulate_steps}; config.train.batch_size, "
            f"{train.batch_size}, must divide into {parts}"
        )
    if not optimizer.layer_decay <= 1:
        raise ConfigError(
            f"config.optimizer.layer_decay is {optimizer.layer_decay:g}; it must be at most 1"
        )
    num_parts, num_factors = len(optimizer.rate_parts), len(optimizer.rate_factors)
    if num_parts != num_factors or min(optimizer.rate_factors, default=0) < 0:
        raise ConfigError(
            f"config.optimizer.rate_factors is {optimizer.rate_factors}; it must be as many "
            f"numbers of at least 0 as there are config.optimizer.rate_parts, {num_parts}"
        )
    if optimizer.lora.rank and not optimizer.lora.targets:
        raise ConfigError("config.optimizer.lora.targets is (); it must name a layer")


def _check_model_field(dotted: str, name: str, value: Any) -> None:
    for number in value if isinstance(value, tuple) else (value,):
        if type(number) not in (int, float):
            continue
        must = ""
        if not math.isfinite(number) or abs(number) > _HIGHEST_OF_MODEL:
            must = f"finite and at most {_HIGHEST_OF_MODEL}"
        elif "dropout" in name and not 0 <= number < 1:
            must = "at least 0 and below 1"
        elif "momentum" in name and not 0 <= number <= 1:
            must = "from 0 to 1"
        elif name in _SIZES and number < 1:
            must = "at least 1"
        if must:
            raise ConfigError(f"{dotted} is {_short(value)}; it must be {must}")


def _check_size(name: str, value: Any) -> None:
    """Check that numbers are finite and can be allocated."""
    highest = _HIGHEST.get(name, HIGHEST_WHOLE)
    for number in value if isinstance(value, tuple) else (value,):
        if type(number) is int and abs(number) > highest:
            raise ConfigError(f"{name} is {_short(value)}; it must be at most {highest}")
        if type(number) is float and not math.isfinite(number):
            raise ConfigError(f"{name} is {_short(value)}; it must be finite")


def _short(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > 200:  # thousands of digits
        return f"a number of {value.bit_length()} bits"
    return f"{value}"[:100]


def _check_field(name: str, value: Any, f: Any) -> None:
    _check_size(name, value)
    wanted = f.type
    if wanted is float and type(value) is int:
        value = float(value)
    if isinstance(wanted, types.GenericAlias):
        members = value if isinstance(value, tuple) else (None,)
        member_type = str if str in typing.get_args(wanted) else int | float
        ok = all(isinstance(member, member_type) for member in members)
    else:
        ok = type(value) is wanted
    if not ok:
        expected = getattr(wanted, "__name__", wanted)
        raise ConfigError(f"{name} is {value!r} ({type(value).__name__}); it must be {expected}")
    choices = f.metadata.get("choices")
    if choices and value not in choices:
        raise ConfigError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")
    members = f.metadata.get("members")
    if members and not set(value) <= set(members):
        raise ConfigError(f"{name} is {value!r}; it must be a tuple of {', '.join(members)}")
    lowest = f.metadata.get("lowest")
    if lowest is not None and not value >= lowest:
        raise ConfigError(f"{name} is {value}; it must be at least {lowest}")
    if name in _BELOW_1 and not value < 1:
        raise ConfigError(f"{name} is {value}; it must be below 1")
