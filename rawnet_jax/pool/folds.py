"""Assigns pieces to the parts of the folds; no speaker and no engine family is in two parts.

The group of a fake is that of its engine family. The home of a speaker is the group of their real
speech or, if there is none, the last of the groups of their fakes in the order of `GROUPS`.

- The test part has the pieces whose group and home are both ``test``; no other part has a speaker
  or a family of the test group.
- The dev part of a fold has the pieces whose group and home are both that fold.
- The training part of a fold has every piece whose group and home are neither that fold nor test.

If group and home are two different folds, the piece is used in the training part of the third fold
only. If just one of them is test, the piece is not used.
"""

from collections.abc import Iterable, Mapping, Sequence

from rawnet_jax.pool.plan import Recording
from rawnet_jax.pool.table import FOLDS, GROUPS, REAL

PARTS = ("train", "dev", "test")

NOWHERE = "-"
"""The part of a piece that a fold has no place for."""


def homes(recordings: Iterable[Recording]) -> dict[str, str]:
    """Return the home of every speaker."""
    found: dict[str, tuple[bool, int]] = {}
    for each in recordings:
        rank = (each.label == REAL, GROUPS.index(each.group))
        found[each.speaker] = max(found.get(each.speaker, rank), rank)
    return {speaker: GROUPS[group] for speaker, (_, group) in found.items()}


def part_in(fold: str, group: str, home: str) -> str:
    """Return the part of a piece in a fold: train, dev, test or `NOWHERE`."""
    sides = {group, home}
    if "test" in sides:
        return "test" if sides == {"test"} else NOWHERE
    if fold in sides:
        return "dev" if sides == {fold} else NOWHERE
    return "train"


def parts_of(recording: Recording, home_of: Mapping[str, str]) -> dict[str, str]:
    """Return the part in each fold."""
    return {fold: part_in(fold, recording.group, home_of[recording.speaker]) for fold in FOLDS}


def used(recordings: Sequence[Recording]) -> list[Recording]:
    """Return the recordings that have a place in some fold."""
    home_of = homes(recordings)
    return [each for each in recordings if set(parts_of(each, home_of).values()) != {NOWHERE}]
