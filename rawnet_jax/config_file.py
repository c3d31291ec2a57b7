"""Configs on disk: a Python file with overrides going in, a JSON file beside the run coming out."""

import contextlib
import dataclasses
import json
import runpy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.config import Config, Section, thawed, unknown_field
from rawnet_jax.config_check import checked
from rawnet_jax.errors import ConfigError
from rawnet_jax.json_text import parsed_json
from rawnet_jax.regular_file import read_regular

FILE_NAME = "config.json"
SOURCE_NAME = "source.json"
"""Tells where imported weights came from; a run that was trained here has none."""
PRESET_NAME = "preset.json"
"""Tells what a preset is; such a folder holds weights, no checkpoints."""

FREE_TO_CHANGE = (
    "config.name",
    "config.note",
    "config.data.root",
    "config.data.recordings",
    "config.data.cache_dir",
    "config.data.num_workers",
    "config.data.num_threads",
    "config.data.prefetch_batches",
    "config.data.resident",
    "config.augment.noise_dir",
    "config.augment.rir_dir",
    "config.train.num_epochs",
    "config.train.save_every_steps",
    "config.train.log_every_steps",
    "config.train.steps_per_dispatch",
    "config.eval",
    "config.gate",
    "config.runtime",
)
"""What may differ when a run resumes: it does not change what the steps compute."""


def load_config(path: str, overrides: Sequence[str] = ()) -> Config:
    """Read a config file and apply overrides.

    Args:
        path: a Python file with ``get_config() -> Config``.
        overrides: such as ``--config.optimizer.learning_rate=3e-4``.

    Returns:
        A checked, frozen config.

    Raises:
        ConfigError: naming the file or the override, and the nearest valid field.
    """
    return with_overrides(_config_of(path), overrides)


def with_overrides(config: Config, overrides: Sequence[str]) -> Config:
    """Return a checked, frozen copy of a config with single fields set.

    Args:
        config: stays as it is.
        overrides: such as ``--config.optimizer.learning_rate=3e-4``.

    Raises:
        ConfigError: naming the override, and the nearest valid field.
    """
    _reject_unknown(config, overrides)
    values = flags.FlagValues()
    arguments = ["rawnet_jax", *overrides]
    config_flags.DEFINE_config_dataclass(
        "config", thawed(config), flag_values=values, sys_argv=arguments
    )
    try:
        values(arguments)
        changed: Any = values["config"].value
        return checked(changed)
    except (flags.Error, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(str(error).replace("\n", " ")) from error


def _config_of(path: str) -> Config:
    try:
        is_file = Path(path).is_file()
    except (OSError, ValueError) as error:  # a name that is too long, or holds a zero byte
        raise ConfigError(f"{_start_of(path)}: {error.args[-1]}; it must be a file") from error
    if not is_file:
        raise ConfigError(
            f"{path}: no such config file; it must be a Python file with get_config()"
        )
    try:
        with _importable(Path(path).absolute().parent.parent):
            get_config = runpy.run_path(path).get("get_config")
            config = get_config() if callable(get_config) else None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    except RecursionError:
        raise ConfigError(f"{path}: refers to itself without an end") from None
    except Exception as error:  # a config file is code: whatever it raises is its own mistake
        raise ConfigError(f"{path}: {type(error).__name__}: {error}") from error
    if not isinstance(config, Config):
        raise ConfigError(f"{path}: it must have a function get_config() that returns a Config")
    return config


def _start_of(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:80]}…"


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let a config import what it shares with others: ``from configs.base.speech import …``."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _reject_unknown(config: Config, overrides: Sequence[str]) -> None:
    for override in overrides:
        value_of(config, override.removeprefix("--").partition("=")[0])


def value_of(config: Config, dotted: str) -> Any:
    """Return the value of one field.

    Args:
        config: where it is.
        dotted: such as ``config.optimizer.learning_rate``.

    Raises:
        ConfigError: if there is no such field, naming the nearest, or it is a group of fields.
    """
    here: Any = config
    for name in dotted.split(".")[1:]:
        if isinstance(here, Section):
            known = [f.name for f in dataclasses.fields(here)]  # type: ignore[arg-type]
        else:
            known = list(here.keys()) if isinstance(here, ConfigDict) else []
        if name not in known:
            raise ConfigError(f"--{dotted}: {unknown_field(name, known)}")
        here = here[name] if isinstance(here, ConfigDict) else getattr(here, name)
    if isinstance(here, Section):
        fields = ", ".join(f.name for f in dataclasses.fields(here))  # type: ignore[arg-type]
        raise ConfigError(f"--{dotted} is a group; set one of its fields: {fields}")
    return here


def to_dict(config: Config) -> dict[str, Any]:
    """Return a config as plain dicts, lists and numbers, ready for JSON."""
    plain = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    return {name: _plain(value) for name, value in plain.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Section):
        return to_dict(value)  # type: ignore[arg-type]
    if isinstance(value, ConfigDict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value


def from_dict(values: dict[str, Any], source: str) -> Config:
    """Rebuild a config from `to_dict`'s result.

    Args:
        values: as read from JSON.
        source: named in errors.

    Returns:
        A checked, frozen config; fields that `values` lacks (an older version's file) take their
        defaults.

    Raises:
        ConfigError: for a field that does not exist or has a wrong type.
    """
    config = Config()
    try:
        _fill(config, values)
        return checked(config)
    except (ConfigError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"{source}: {error}") from error


def _fill(section: Section, values: dict[str, Any]) -> None:
    for name, value in values.items():
        current = getattr(section, name, None)
        if isinstance(current, Section):
            _fill(current, value)
        elif isinstance(current, ConfigDict):
            setattr(section, name, ConfigDict({k: _tuples(v) for k, v in value.items()}))
        else:
            setattr(section, name, _tuples(value))


def _tuples(value: Any) -> Any:
    """JSON knows no tuples; configs and Linen fields know no lists."""
    if isinstance(value, dict):
        return {k: _tuples(v) for k, v in value.items()}
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def save_config(config: Config, workdir: Path) -> None:
    """Write ``config.json`` into a work directory, whole or not at all."""
    write_text_atomically(workdir / FILE_NAME, json.dumps(to_dict(config), indent=2) + "\n")


def read_config(workdir: Path) -> Config:
    """Read the config of the run in a work directory.

    Raises:
        ConfigError: if there is none or it is damaged.
    """
    path = workdir / FILE_NAME
    try:
        values = parsed_json(read_regular(path).decode("utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"{workdir}: no run here ({FILE_NAME} is missing); give the --workdir of a training"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: damaged: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: damaged: it must be an object of config sections")
    return from_dict(values, str(path))


def refuse_other_experiment(saved: Config, given: Config, workdir: Path) -> None:
    """Check that `given` continues the experiment `saved`.

    Raises:
        ConfigError: naming every field that differs and would change the computation; for imported
            weights and presets, whatever the settings.
    """
    for name, what in ((SOURCE_NAME, "imported weights"), (PRESET_NAME, "a preset")):
        if (workdir / name).exists():
            raise ConfigError(
                f"{workdir} holds {what}: it stays as it is; to train from it, use another "
                f"--workdir and --config.train.init_from={workdir}"
            )
    free = tuple(name for name in FREE_TO_CHANGE if not _fixed(name, given))
    different = differences(saved, given, free)
    if different:
        raise ConfigError(
            f"{workdir} holds a run with other settings: {'; '.join(different)}; "
            "use another --workdir, or the settings of that run"
        )


def differences(saved: Config, given: Config, free: Sequence[str] = ()) -> list[str]:
    """Name every field in which two configs differ, with both values.

    Args:
        saved: the one that was.
        given: the one that is.
        free: dotted names, such as ``config.eval``, of fields and groups that may differ.
    """
    before, now = _leaves(to_dict(saved)), _leaves(to_dict(given))
    return [
        f"{name} was {before.get(name)!r} and is {now.get(name)!r}"
        for name in sorted(before | now)
        if before.get(name) != now.get(name) and not name.startswith(tuple(free))
    ]


def _leaves(values: dict[str, Any], prefix: str = "config") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for name, value in values.items():
        dotted = f"{prefix}.{name}"
        leaves |= _leaves(value, dotted) if isinstance(value, dict) else {dotted: value}
    return leaves


def _fixed(name: str, config: Config) -> bool:
    """A schedule that is laid over all epochs makes their number a part of the computation."""
    schedule = config.optimizer.schedule
    over_all = {
        "cosine": not schedule.period_epochs,
        "step": not schedule.decay_epochs,
        "exponential": not schedule.decay_epochs,
    }
    return name == "config.train.num_epochs" and over_all.get(schedule.name, False)
