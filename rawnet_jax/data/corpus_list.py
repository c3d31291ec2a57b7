"""Lists of corpora that a run is evaluated on: one flag per corpus, or a TOML or JSON file."""

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rawnet_jax.config import Config, DataConfig, ProblemPolicy, thawed, unknown_field
from rawnet_jax.config_check import checked
from rawnet_jax.data.manifests import PARTITIONS
from rawnet_jax.data.recognise import settled
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.json_text import parsed_json
from rawnet_jax.regular_file import read_file_or_pipe

PLACE_FIELDS = (
    *("corpus", "root", "train_protocol", "dev_protocol", "eval_protocol", "audio_dir", "subset"),
    *("recordings", "one_means"),
)
"""Fields of `DataConfig` that tell where a corpus is; all others stay those of the run."""

_OWN_FIELDS = ("partitions", "problems", "same_attacks")
_FORM = "NAME=CORPUS:ROOT[,FIELD=VALUE…]"


@dataclass(frozen=True)
class ListedCorpus:
    """One corpus of a list.

    Attributes:
        name: in tables.
        place: values of some of `PLACE_FIELDS`.
        partitions: that are scored, each as the corpus lists it.
        problems: "error" or "warn" for all of `ProblemPolicy`; "" = as the run has it.
        same_attacks: whether its attack ids mean the same as those that the run was trained with;
            None = only where it is the corpus of the run.
    """

    name: str
    place: Mapping[str, str]
    partitions: tuple[str, ...] = ("eval",)
    problems: str = ""
    same_attacks: bool | None = field(default=None)


def parse_corpus_flag(text: str) -> ListedCorpus:
    """Read ``NAME=CORPUS:ROOT[,FIELD=VALUE…]``; several partitions are joined by ``+``.

    Raises:
        ConfigError: it has another form, or a field is unknown.
    """
    name, has_name, rest = text.partition("=")
    corpus, has_root, rest = rest.partition(":")
    root, *settings = rest.split(",")
    pairs = [setting.partition("=") for setting in settings]
    if not (name and has_name and corpus and has_root and root) or not all(p[1] for p in pairs):
        raise ConfigError(
            f"--corpus {text}: it must be {_FORM}, such as "
            "itw=in_the_wild:/data/release_in_the_wild; a root with a comma goes into a --list"
        )
    values: dict[str, Any] = {"corpus": corpus, "root": root}
    for key, _, value in pairs:
        if key == "partitions":
            values[key] = value.split("+")
        elif key == "same_attacks":
            values[key] = {"true": True, "false": False}.get(value.lower(), value)
        else:
            values[key] = value
    return _listed(name, values, f"--corpus {text}")


def read_corpus_list(path: Path) -> list[ListedCorpus]:
    """Read a list: a table per corpus, under its name; TOML, or JSON where the name ends in .json.

    Raises:
        DataError: the file cannot be read or is neither.
        ConfigError: a field is unknown or of a wrong type.
    """
    try:
        text = read_file_or_pipe(path).decode("utf-8")
        values = parsed_json(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise DataError(f"--list {path}: {error.strerror}") from error
    except ValueError as error:  # both decoders' own errors
        raise DataError(f"--list {path}: {error}; it must be TOML or .json") from error
    if not isinstance(values, dict) or not values:
        raise DataError(f"--list {path}: no corpus in it; give one table per corpus: [name]")
    return [_listed(name, table, f"--list {path}: {name}") for name, table in values.items()]


def config_on(config: Config, corpus: ListedCorpus) -> Config:
    """Return the config of a run as it is on another corpus.

    Raises:
        ConfigError: a value is not possible.
        DataError: the corpus is to be recognised, and none is, or several are.
    """
    changed = thawed(config)
    defaults = DataConfig()
    for name in PLACE_FIELDS:
        setattr(changed.data, name, corpus.place.get(name, getattr(defaults, name)))
    if corpus.problems:
        names = [f.name for f in dataclasses.fields(ProblemPolicy)]
        changed.data.problems = ProblemPolicy(**dict.fromkeys(names, corpus.problems))
    changed.data, _ = settled(changed.data)
    try:
        return checked(changed)
    except ConfigError as error:
        raise ConfigError(f"{corpus.name}: {error}") from error


def unique_names(corpora: Sequence[ListedCorpus]) -> list[ListedCorpus]:
    """Return the list as it is.

    Raises:
        ConfigError: two corpora have the same name.
    """
    names = [corpus.name for corpus in corpora]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"corpus {name!r} is named twice; each needs a name of its own")
    return list(corpora)


def _listed(name: str, values: Any, source: str) -> ListedCorpus:
    if not isinstance(values, dict):
        raise ConfigError(f"{source}: it must be a table with corpus and root")
    known = (*PLACE_FIELDS, *_OWN_FIELDS)
    for key in values:
        if key not in known:
            raise ConfigError(f"{source}: {unknown_field(key, known)}")
    place = {key: values[key] for key in PLACE_FIELDS if key in values}
    if not all(isinstance(value, str) for value in place.values()):
        raise ConfigError(f"{source}: {', '.join(PLACE_FIELDS)} must be text")
    if not place.get("corpus") or not place.get("root"):
        raise ConfigError(f"{source}: corpus and root are both needed")
    partitions = values.get("partitions", ["eval"])
    if isinstance(partitions, str):
        partitions = [partitions]
    if not isinstance(partitions, list) or not partitions or set(partitions) - set(PARTITIONS):
        raise ConfigError(f"{source}: partitions are some of {', '.join(PARTITIONS)}")
    problems, same = values.get("problems", ""), values.get("same_attacks")
    if problems not in ("", "error", "warn"):
        raise ConfigError(f"{source}: problems is 'error' or 'warn'")
    if not isinstance(same, bool | None):
        raise ConfigError(f"{source}: same_attacks is true or false")
    return ListedCorpus(name, place, tuple(partitions), problems, same)
