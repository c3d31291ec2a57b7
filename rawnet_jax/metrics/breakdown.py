"""Metrics by group: by any column, or pair of columns, that a protocol gives for its trials.

A column that bona fide trials have too (codec, speaker, gender …) splits both classes: a group has
its own bona fide and its own spoof trials. A column that only spoof trials have (attack, playback
device …) splits the spoof trials, and each group stands against all bona fide trials. In a pair the
bona fide trials are split by those of the two columns that they have.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rawnet_jax.errors import MetricError
from rawnet_jax.labels import Label
from rawnet_jax.metrics.det import EqualErrorRate, eer
from rawnet_jax.metrics.validation import validate_labelled

UNSTATED = "(not stated)"
"""Name of the group of trials for which the protocol gives no value."""

FEW_TRIALS = 50
"""Below this many trials of a class, single trials move a rate by whole per cents."""

Column = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group of trials.

    Attributes:
        group: the value of each column.
        num_bonafide: bona fide trials that it was measured with.
        num_spoof: its spoof trials.
        shares_bonafide: whether the bona fide trials are those of the whole list.
        eer: tie-grouped, with a threshold of its own; None where a class is missing.
        num_bonafide_rejected: bona fide below the threshold given; None where none was given.
        num_spoof_accepted: spoof at or above it.
    """

    group: tuple[str, ...]
    num_bonafide: int
    num_spoof: int
    shares_bonafide: bool
    eer: EqualErrorRate | None
    num_bonafide_rejected: int | None = None
    num_spoof_accepted: int | None = None

    @property
    def name(self) -> str:
        """The values as one text, such as ``A07 × alaw``."""
        return " × ".join(self.group)

    @property
    def p_miss(self) -> float | None:
        """Share of the bona fide trials that are rejected at the threshold; None if unknown."""
        return _share(self.num_bonafide_rejected, self.num_bonafide)

    @property
    def p_fa(self) -> float | None:
        """Share of the spoof trials that are accepted at the threshold; None if unknown."""
        return _share(self.num_spoof_accepted, self.num_spoof)

    @property
    def is_small(self) -> bool:
        """Whether a class that is there has so few trials that its rates are coarse."""
        return any(0 < count < FEW_TRIALS for count in (self.num_bonafide, self.num_spoof))


def breakdown(
    scores: ArrayLike,
    labels: ArrayLike,
    columns: Mapping[str, Column],
    by: str | tuple[str, ...],
    threshold: float | None = None,
) -> list[GroupRow]:
    """Measure every group of trials.

    Args:
        scores: [N], higher = more bona fide.
        labels: [N], values of `rawnet_jax.labels.Label`.
        columns: N values each, by name; None = not stated.
        by: one column or several.
        threshold: where given, a trial is accepted at ``score >= threshold`` and counted.

    Returns:
        The groups by name (numbers in names by their value), those not stated last.

    Raises:
        MetricError: see `validate_labelled`; or a column is unknown, has another length, or
            states nothing.
    """
    score, label = validate_labelled(scores, labels)
    names = (by,) if isinstance(by, str) else tuple(by)
    is_bonafide = label == Label.BONAFIDE
    coded = [_code(name, columns, is_bonafide) for name in names]
    shared = [column for column in coded if column.bonafide_has_it]
    bonafide_of = _split(score[is_bonafide], [c.codes[is_bonafide] for c in shared])
    spoof_of = _split(score[~is_bonafide], [c.codes[~is_bonafide] for c in coded])
    keys = set(spoof_of)
    if len(shared) == len(coded):
        keys |= set(bonafide_of)
    at_shared = [i for i, column in enumerate(coded) if column.bonafide_has_it]
    nothing = np.empty(0)
    rows = []
    for key in keys:
        group = tuple(column.values[code] for column, code in zip(coded, key, strict=True))
        bonafide = bonafide_of.get(tuple(key[i] for i in at_shared), nothing)
        spoof = spoof_of.get(key, nothing)
        rows.append(_row(group, bonafide, spoof, not shared, threshold))
    return sorted(rows, key=lambda row: [natural_order(value) for value in row.group])


def natural_order(value: str) -> tuple[bool, list[tuple[bool, int, str]]]:
    """Return a key that sorts ``s2`` before ``s10`` and `UNSTATED` last."""
    parts = re.findall(r"\d+|\D+", value)
    return value == UNSTATED, [
        (part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts
    ]


@dataclass(frozen=True, slots=True)
class _Coded:
    codes: np.ndarray
    values: list[str]
    bonafide_has_it: bool


def _code(name: str, columns: Mapping[str, Column], is_bonafide: np.ndarray) -> _Coded:
    if name not in columns:
        raise MetricError(f"there is no column {name!r}; there are {', '.join(columns) or 'none'}")
    column = columns[name]
    if len(column) != is_bonafide.size:
        raise MetricError(
            f"{is_bonafide.size} scores, but column {name!r} has {len(column)} values"
        )
    code_of: dict[str | None, int] = {}
    codes = np.array([code_of.setdefault(value, len(code_of)) for value in column], np.int64)
    if not set(code_of) - {None}:
        raise MetricError(f"column {name!r} states nothing for any trial")
    values = [UNSTATED if value is None else value for value in code_of]
    stated = codes != code_of.get(None, -1)
    return _Coded(codes, values, bool((stated & is_bonafide).any()))


def _split(scores: np.ndarray, codes: Sequence[np.ndarray]) -> dict[tuple[int, ...], np.ndarray]:
    """Return the scores of every combination of codes, in the given order."""
    if not scores.size:
        return {}
    if not codes:
        return {(): scores}
    keys = np.stack(codes)
    order = np.lexsort(keys)
    keys, scores = keys[:, order], scores[order]
    starts = np.flatnonzero((keys[:, 1:] != keys[:, :-1]).any(axis=0)) + 1
    firsts = np.append(0, starts)
    return {
        tuple(keys[:, first].tolist()): part
        for first, part in zip(firsts, np.split(scores, starts), strict=True)
    }


def _row(
    group: tuple[str, ...],
    bonafide: np.ndarray,
    spoof: np.ndarray,
    shares_bonafide: bool,
    threshold: float | None,
) -> GroupRow:
    return GroupRow(
        group=group,
        num_bonafide=bonafide.size,
        num_spoof=spoof.size,
        shares_bonafide=shares_bonafide,
        eer=eer(bonafide, spoof) if bonafide.size and spoof.size else None,
        num_bonafide_rejected=None if threshold is None else int((bonafide < threshold).sum()),
        num_spoof_accepted=None if threshold is None else int((spoof >= threshold).sum()),
    )


def _share(count: int | None, total: int) -> float | None:
    return count / total if count is not None and total else None
