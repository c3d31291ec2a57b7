"""The table of sources: which files of which repositories, under which licence, in which fold."""

import hashlib
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from rawnet_jax.errors import ConfigError
from rawnet_jax.labels import Label

OWN_TABLE = Path(__file__).with_name("pool.toml")
"""The table of the project's own training pool."""

FOLDS = ("fold1", "fold2", "fold3")
"""Groups that are the dev part of one fold and in the training part of the others."""

GROUPS = ("train", *FOLDS, "test")
"""Every group, from the one that every fold trains on to the one that none sees."""

REAL, FAKE = Label.BONAFIDE.key, Label.SPOOF.key
"""Labels of rules and pieces."""

NOISE, RESPONSE = "noise", "response"
BACKGROUNDS = (NOISE, RESPONSE)
"""Labels of rules whose files are not speech: training adds them, or convolves with them."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
_NAME = re.compile(r"[^a-z0-9_.]+")

_Made = TypeVar("_Made")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What files of a source are, by their path.

    Attributes:
        path: searched in the path of a file; its groups fill the templates below.
        skip: why such files are left out; "" = they are taken.
        label: ``bonafide``, ``spoof``, ``noise`` or ``response``; the two last need path alone.
        system: template of the system that made a fake.
        family: engine family of that system.
        speaker: template of the speaker; "" = not known.
        language: template of the language.
        group: of real speech; fakes have that of their family.
        channel: what the recording went through; equal names share a channel.
        licence: "" = that of the source.
        pieces: taken of one file at most.
        join: this many files of a speaker make one recording, where single ones are too short.
        per_speaker: pieces of one speaker at most; 0 = the table's number.
    """

    path: re.Pattern[str]
    skip: str = ""
    label: str = ""
    system: str = "-"
    family: str = "-"
    speaker: str = ""
    language: str = "-"
    group: str = ""
    channel: str = "-"
    licence: str = ""
    pieces: int = 2
    join: int = 1
    per_speaker: int = 0


@dataclass(frozen=True, kw_only=True)
class Source:
    """One repository at one commit.

    Attributes:
        repository: ``owner/name`` on GitHub.
        commit: 40 hexadecimal digits.
        branch: that the commit is on; "" = the default branch.
        licence: of the recordings.
        licence_file: path or glob pattern of the files that say so.
        licence_commit: where those are; "" = at `commit`.
        attribution: whom to name.
        files: number of files that the rules take, so that a clone that lacks some is noticed.
        rule: the first that matches decides.
    """

    repository: str
    commit: str
    branch: str = ""
    licence: str
    licence_file: str
    licence_commit: str = ""
    attribution: str
    files: int
    rule: tuple[Rule, ...]


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """Speakers that are left out in both classes."""

    speaker: re.Pattern[str]
    reason: str


@dataclass(frozen=True, kw_only=True)
class VocoderRow:
    """A vocoder that copies bona fide pieces.

    Attributes:
        name: system of its copies. Without a model, one of `copy_synthesis.table.VOCODERS`.
        family: engine family of its copies.
        model: folder of a trained vocoder, below the folder that the user names; "" = none.
        part: of which recordings: each has a number drawn from 0 to 1, the same for all vocoders,
            and those within these bounds are copied.
    """

    name: str
    family: str
    model: str = ""
    part: tuple[float, ...] = (0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A whole table.

    Attributes:
        version: of the table.
        seed: of every draw.
        max_file_bytes: files of this size and more are left out.
        per_speaker: pieces of one speaker at most.
        families: group of each engine family.
        left_out: speakers that are left out.
        aliases: other names of speakers.
        source: the repositories.
        vocoder: what copies bona fide pieces.
        digest: SHA-256 of the text.
    """

    version: int
    seed: int
    max_file_bytes: int
    per_speaker: int
    families: Mapping[str, str]
    left_out: tuple[LeftOut, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    source: tuple[Source, ...]
    vocoder: tuple[VocoderRow, ...] = ()
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a table says of one file.

    Attributes:
        skip: why it is left out; "" = it is taken.
        rule: that decided.
        system: "-" for real speech.
        speaker: "" = not known.
        language: of the speech.
    """

    skip: str
    rule: Rule
    system: str = "-"
    speaker: str = ""
    language: str = "-"


def read_table(path: Path = OWN_TABLE) -> Table:
    """Read and check a table.

    Raises:
        ConfigError: it cannot be read, or something in it is wrong; says which and what must be.
    """
    try:
        text = path.read_bytes()
        content = tomllib.loads(text.decode("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from None
    content["source"] = tuple(
        _source(f"{path}: source {number}", each)
        for number, each in _tables(path, content, "source")
    )
    content["left_out"] = tuple(
        _made(LeftOut, f"{path}: left_out {number}", each)
        for number, each in _tables(path, content, "left_out")
    )
    content["vocoder"] = tuple(
        _made(VocoderRow, f"{path}: vocoder {number}", each)
        for number, each in _tables(path, content, "vocoder")
    )
    table = _made(Table, str(path), {**content, "digest": hashlib.sha256(text).hexdigest()})
    _check(path, table)
    return table


def group_of(table: Table, rule: Rule) -> str:
    """Return the group of the files that a rule matches."""
    return rule.group if rule.label == REAL else table.families[rule.family]


def choose(table: Table, source: Source, path: str) -> Choice | None:
    """Return how a table classifies a file; None = no rule of its source matches."""
    for rule in source.rule:
        found = rule.path.search(path)
        if found is None:
            continue
        if rule.skip:
            return Choice(rule.skip, rule)
        groups = {name: value or "" for name, value in found.groupdict().items()}
        speaker = speaker_name(table, rule.speaker.format(**groups))
        system = rule.system.format(**groups)
        for each in table.left_out:
            if speaker and each.speaker.search(speaker):
                return Choice(each.reason, rule, system, speaker)
        return Choice("", rule, system, speaker, rule.language.format(**groups))
    return None


def speaker_name(table: Table, name: str) -> str:
    """Return the one name of a speaker: lower case, no blanks, through the aliases."""
    plain = _NAME.sub("_", name.lower()).strip("_")
    return table.aliases.get(plain, plain)


def _tables(path: Path, content: Mapping[str, Any], key: str) -> Sequence[tuple[int, Any]]:
    found = content.get(key, [])
    if not isinstance(found, list):
        raise ConfigError(f"{path}: {key} must be a list of tables, written [[{key}]]")
    return list(enumerate(found, 1))


def _source(place: str, content: Any) -> Source:
    if isinstance(content, dict):
        place = f"{place} ({content.get('repository', 'no repository')})"
        rules = content.get("rule", [])
        content = {
            **content,
            "rule": tuple(
                _made(Rule, f"{place}, rule {n}", each) for n, each in enumerate(rules, 1)
            ),
        }
    return _made(Source, place, content)


def _made(kind: type[_Made], place: str, content: Any) -> _Made:
    """Make a part of a table from what TOML gave, or say what is wrong with it."""
    if not isinstance(content, dict):
        raise ConfigError(f"{place}: must be a table")
    known = {each.name: each.type for each in fields(kind)}  # type: ignore[arg-type]
    values = {}
    for key, value in content.items():
        if key not in known:
            raise ConfigError(f"{place}: {key} is not known; there are {', '.join(known)}")
        values[key] = _checked(f"{place}: {key}", known[key], value)
    try:
        return kind(**values)
    except TypeError as error:
        missing = ", ".join(re.findall(r"'(\w+)'", str(error)))
        raise ConfigError(f"{place}: must have {missing}") from None


def _checked(place: str, kind: Any, value: Any) -> Any:
    if kind == re.Pattern[str]:
        try:
            return re.compile(value)
        except (re.error, TypeError) as error:
            raise ConfigError(f"{place} is not a regular expression: {error}") from None
    if kind is int and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise ConfigError(f"{place} is {value!r}; it must be a whole number, 0 or more")
    if kind == tuple[float, ...]:
        if not isinstance(value, list) or not all(isinstance(x, int | float) for x in value):
            raise ConfigError(f"{place} is {value!r}; it must be a list of numbers")
        return tuple(map(float, value))
    if kind is str and not isinstance(value, str):
        raise ConfigError(f"{place} is {value!r}; it must be text")
    if kind == Mapping[str, str] and not (
        isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
    ):
        raise ConfigError(f"{place} must be a table of texts")
    return value


_GROUP_LIST = ", ".join(GROUPS)


def _check(path: Path, table: Table) -> None:
    for family, group in table.families.items():
        if group not in GROUPS:
            raise ConfigError(f"{path}: family {family} is in {group!r}, none of {_GROUP_LIST}")
    vocoders = Counter(each.name for each in table.vocoder)
    for each in table.vocoder:
        if each.family not in table.families:
            raise ConfigError(
                f"{path}: vocoder {each.name}: family {each.family!r} is not in [families]"
            )
        if len(each.part) != 2 or not 0 <= each.part[0] < each.part[1] <= 1:
            raise ConfigError(
                f"{path}: vocoder {each.name}: part is {each.part}; it must be two numbers that "
                "rise from 0 to 1"
            )
        if vocoders[each.name] > 1 or len(each.name.split()) != 1:
            raise ConfigError(
                f"{path}: vocoder {each.name!r}: the name must be one word, and there once"
            )
    names = Counter(source.repository for source in table.source)
    for source in table.source:
        if names[source.repository] > 1:
            raise ConfigError(f"{path}: source {source.repository}: is there twice")
        _check_source(f"{path}: source {source.repository}", table, source)


def _check_source(place: str, table: Table, source: Source) -> None:
    if not _REPOSITORY.fullmatch(source.repository):
        raise ConfigError(f"{place}: must be owner/name")
    for commit in (source.commit, source.licence_commit or source.commit):
        if not _COMMIT.fullmatch(commit):
            raise ConfigError(f"{place}: commit {commit!r}: must be 40 hexadecimal digits")
    if not source.licence or not source.licence_file:
        raise ConfigError(f"{place}: licence and licence_file must not be blank")
    for number, rule in enumerate(source.rule, 1):
        if not rule.skip:
            _check_rule(f"{place}, rule {number}", table, rule)


def _check_rule(place: str, table: Table, rule: Rule) -> None:
    if rule.label in BACKGROUNDS:
        _check_background(place, rule)
        return
    if rule.label not in (REAL, FAKE):
        raise ConfigError(
            f"{place}: label is {rule.label!r}; it must be bonafide, spoof, "
            f"{' or '.join(BACKGROUNDS)}, or skip"
        )
    if rule.label == REAL and rule.group not in GROUPS:
        raise ConfigError(f"{place}: group is {rule.group!r}, none of {_GROUP_LIST}")
    if rule.label == FAKE and rule.family not in table.families:
        raise ConfigError(f"{place}: family {rule.family!r} is not in [families]")
    if rule.label == FAKE and rule.system in ("", "-"):
        raise ConfigError(f"{place}: a fake must have a system")
    if rule.pieces < 1 or rule.join < 1:
        raise ConfigError(f"{place}: pieces and join must be 1 or more")
    groups = dict.fromkeys(rule.path.groupindex, "")
    for template in (rule.system, rule.speaker, rule.language):
        try:
            template.format(**groups)
        except (KeyError, IndexError, ValueError) as error:
            raise ConfigError(f"{place}: {template!r} names no group of path: {error}") from None


def _check_background(place: str, rule: Rule) -> None:
    for each in fields(rule):
        value = getattr(rule, each.name)
        if each.name not in ("path", "label", "licence") and value != each.default:
            raise ConfigError(
                f"{place}: {each.name} is {value!r}; a rule with the label {rule.label} has path, "
                "label and licence alone"
            )
