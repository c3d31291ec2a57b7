"""What a protocol says of its trials, as columns to break figures down by."""

from collections.abc import Mapping, Sequence

import numpy as np

from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import DataError
from rawnet_jax.evaluation.common_names import (
    common_name,
    length_band,
    names_here,
    under_common_names,
)
from rawnet_jax.labels import Label, label_of_key
from rawnet_jax.metrics.breakdown import Column

By = tuple[str, ...]
"""The columns of one breakdown."""

ATTACK = "attack"
SPEAKER = "speaker"
CODEC = "codec"
LENGTH = "length"

PAIR_SIGNS = "×*:"
"""Each of them joins the two columns of a pair on the command line."""

MAX_GROUPS = 100
"""A column with more values is broken down by only when it is asked for."""

MAX_SPEAKERS = 2000
"""The same for speakers: who is wrongly rejected must be seen in large corpora too."""

# What the trials are listed under, not what they are.
_BOOKKEEPING = frozenset(
    {"subset", "trim", "tmp", "partition", "codec_seed", "phrase", "folder", "segments"}
)


def columns_of(
    trials: Sequence[Trial], lengths_s: Sequence[float] | np.ndarray | None = None
) -> dict[str, Column]:
    """Return attack, speaker and all metadata by name, one value a trial, None = not stated.

    Names and words are common ones, see `rawnet_jax.evaluation.common_names`. A key in the place of
    a value (``bonafide`` as a vocoder) states nothing. Columns that state nothing for any trial are
    left out.

    Args:
        trials: of a list.
        lengths_s: of each recording, in seconds; of a list that states no lengths, they become the
            column `LENGTH`.
    """
    names = dict.fromkeys(name for trial in trials for name in trial.metadata)
    columns: dict[str, Column] = {
        ATTACK: [trial.attack_id for trial in trials],
        SPEAKER: [trial.speaker_id for trial in trials],
    }
    for name in names:
        values = [trial.metadata.get(name) for trial in trials]
        keys = {value for value in set(values) - {None} if label_of_key(str(value)) is not None}
        columns[name] = [None if value in keys else value for value in values] if keys else values
    found = under_common_names({name: column for name, column in columns.items() if any(column)})
    if lengths_s is not None and LENGTH not in found:
        found[LENGTH] = [length_band(float(seconds)) for seconds in lengths_s]
    return found


def default_breakdowns(columns: Mapping[str, Column]) -> list[By]:
    """Return what is worth breaking down by: columns of 2 to `MAX_GROUPS` values, and speakers.

    Also attack × codec where both are known.
    """
    worth: list[By] = [
        (name,)
        for name, column in columns.items()
        if name not in _BOOKKEEPING and 2 <= len(set(column) - {None}) <= _most(name)
    ]
    pair = (ATTACK, CODEC)
    return [*worth, pair] if all((name,) in worth for name in pair) else worth


def _most(name: str) -> int:
    return MAX_SPEAKERS if name == SPEAKER else MAX_GROUPS


def parse_breakdowns(words: Sequence[str], columns: Mapping[str, Column]) -> list[By]:
    """Read breakdowns as a user writes them: ``attack``, or a pair such as ``attack×codec``.

    Raises:
        DataError: a column is not known, or more than two are joined.
    """
    table = str.maketrans(dict.fromkeys(PAIR_SIGNS, "\0"))
    parsed = [
        names_here([part.strip() for part in word.translate(table).split("\0")], columns)
        for word in words
    ]
    for word, by in zip(words, parsed, strict=True):
        unknown = [name for name in by if name not in columns]
        if unknown:
            known = ", ".join(columns) or "none"
            raise DataError(f"--by {word}: no column {unknown[0]!r}; the trials have {known}")
        if len(by) > 2 or len(set(by)) < len(by):
            raise DataError(f"--by {word}: it must be one column, or two different ones")
    return list(dict.fromkeys(parsed))


def of_bonafide(column: Column, labels: np.ndarray) -> bool:
    """Say whether a column states something for bona fide trials."""
    return any(column[i] is not None for i in np.flatnonzero(labels == Label.BONAFIDE).tolist())


def filtered(trials: Sequence[Trial], conditions: Sequence[str]) -> list[Trial]:
    """Keep the trials that fulfil every ``COLUMN=VALUE``.

    Several values of one column are alternatives.

    Raises:
        DataError: a condition is not of that form, names an unknown column, or none is left.
    """
    wanted: dict[str, set[str]] = {}
    for condition in conditions:
        name, sign, value = condition.partition("=")
        if not sign:
            raise DataError(f"--where {condition}: it must be COLUMN=VALUE")
        wanted.setdefault(name, set()).add(value)
    columns = columns_of(trials) if wanted else {}
    for name, values in wanted.items():
        if name not in columns and common_name(name) in columns:
            # As the corpus has it: its own name, and its own words.
            columns[name] = [trial.metadata.get(name) for trial in trials]
        if name not in columns:
            known = ", ".join(columns) or "none"
            raise DataError(f"--where {name}: no such column; the trials have {known}")
        unknown = values - set(columns[name])
        if unknown:
            some = ", ".join(sorted({value for value in columns[name] if value})[:20])
            raise DataError(f"--where {name}={min(unknown)}: no trial has it; there are {some}")
    kept = [
        trial
        for i, trial in enumerate(trials)
        if all(columns[name][i] in values for name, values in wanted.items())
    ]
    if not kept:
        raise DataError(f"--where {' '.join(conditions)}: no trial fulfils all of this")
    return kept
