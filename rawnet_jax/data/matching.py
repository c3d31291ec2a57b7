"""Trials under the names that score files have for them, with other folders and extensions."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rawnet_jax.data.protocols import without_extension
from rawnet_jax.data.score_file import ScoreTable

_Parts = tuple[str, ...]


def named_as(table: ScoreTable, utterance_ids: Sequence[str]) -> tuple[ScoreTable, int]:
    """Return scores under the names of a protocol, and how many of them had another one.

    A name stands for an utterance that it equals. Any other name, without its audio extension and
    with ``_`` for blanks, stands for the one utterance that ends in the same folders and file as it
    does, as far as both go. Where several could be meant, the name stays.
    """
    name_of = _matches(table.utterance_ids, utterance_ids)
    if not name_of:
        return table, 0
    names = [name_of.get(name, name) for name in table.utterance_ids]
    return replace(table, utterance_ids=names), len(name_of)


def _matches(names: Sequence[str], utterance_ids: Sequence[str]) -> dict[str, str]:
    """Return the utterances that names stand for which none equals."""
    unnamed = set(utterance_ids).difference(names)
    listed = set(utterance_ids)
    others = [name for name in names if name not in listed]
    if not unnamed or not others:
        return {}
    whole, ends = _index(listed)
    claims: dict[str, list[str]] = {}
    for name in others:
        parts = _parts(name)
        found = [whole[parts[-n:]] for n in range(1, len(parts) + 1) if parts[-n:] in whole]
        found += [ends[parts]] if parts in ends else []
        if len(found) == 1 and found[0] in unnamed:
            claims.setdefault(found[0], []).append(name)
    return {claimed[0]: utterance for utterance, claimed in claims.items() if len(claimed) == 1}


def _index(utterance_ids: Iterable[str]) -> tuple[dict[_Parts, str], dict[_Parts, str]]:
    """Return utterances by all their parts, and by the last ones; "" = several."""
    whole: dict[_Parts, str] = {}
    ends: dict[_Parts, str] = {}
    for utterance in utterance_ids:
        parts = _parts(utterance)
        whole[parts] = "" if parts in whole else utterance
        for n in range(1, len(parts)):
            ends[parts[-n:]] = "" if parts[-n:] in ends else utterance
    return whole, ends


def _parts(name: str) -> _Parts:
    # Blanks first, as a list of one's own turns its paths into ids.
    path = "_".join(without_extension(name).replace("\\", "/").split())
    return tuple(part for part in path.split("/") if part not in ("", "."))
