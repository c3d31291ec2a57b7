"""Which vocoders resynthesise a recording, with which settings: drawn before work begins."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rawnet_jax.copy_synthesis.vocoder import Value, Vocoder
from rawnet_jax.errors import DataError
from rawnet_jax.simulate.decks import Deck
from rawnet_jax.simulate.vocode_sources import Source

_MAX_COPIES = 1_000.0


@dataclass(frozen=True, slots=True)
class PlannedCopy:
    """One copy that is to be made.

    Attributes:
        utterance_id: of the copy.
        vocoder: makes it.
        settings: of the vocoder.
        seed: of the chance that the vocoder uses.
    """

    utterance_id: str
    vocoder: Vocoder
    settings: dict[str, Value]
    seed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PlannedSource:
    """One recording with all clips that are made of it.

    Attributes:
        source: the recording.
        utterance_id: of the bona fide clip.
        copies: the spoofed ones; may be none.
        seed: of level and dither of all of them.
    """

    source: Source
    utterance_id: str
    copies: tuple[PlannedCopy, ...]
    seed: tuple[int, ...]


def plan_copies(
    recordings: Sequence[Source],
    vocoders: Sequence[Vocoder],
    *,
    copies: float,
    max_clips: int | None,
    seed: int,
) -> list[PlannedSource]:
    """Give each recording its copies.

    Vocoders are dealt from shuffled decks: they get the same number of copies, or one more or two,
    and no recording has two copies by one while another vocoder has none of it.

    Args:
        recordings: partition by partition.
        vocoders: to draw from.
        copies: for each recording; 1.5 is one for each and a second for every other, drawn.
        max_clips: recordings to take at most, drawn; None = all.
        seed: decides everything.

    Raises:
        DataError: a number cannot be, or there is no vocoder.
    """
    _check(vocoders, copies, max_clips, seed)
    rng = np.random.default_rng((seed, 1))
    if max_clips is not None and max_clips < len(recordings):
        kept = np.sort(rng.permutation(len(recordings))[:max_clips])
        recordings = [recordings[index] for index in kept]
    number = np.full(len(recordings), math.floor(copies))
    num_more = round((copies - math.floor(copies)) * len(recordings))
    number[rng.permutation(len(recordings))[:num_more]] += 1
    deck = Deck(len(vocoders), rng)
    planned = []
    in_partition: dict[str, int] = {}
    for index, source in enumerate(recordings):
        count = in_partition[source.partition] = in_partition.get(source.partition, 0) + 1
        name = f"{source.partition[0].upper()}_{count:07d}"
        made = []
        for copy, which in enumerate(deck.hand(int(number[index])), 1):
            vocoder = vocoders[which]
            settings = vocoder.draw(rng)
            made.append(PlannedCopy(f"{name}_{copy}", vocoder, settings, (seed, 2, index, copy)))
        planned.append(PlannedSource(source, name, tuple(made), (seed, 3, index)))
    return planned


def _check(vocoders: Sequence[Vocoder], copies: float, max_clips: int | None, seed: int) -> None:
    if not vocoders:
        raise DataError("no vocoder to draw from; name one with --vocoder or --model")
    if not 0.0 < copies <= _MAX_COPIES:
        raise DataError(f"--copies is {copies:g}; it must be above 0, at most {_MAX_COPIES:,.0f}")
    if max_clips is not None and max_clips < 1:
        raise DataError(f"--max-clips is {max_clips}; it must be 1 or more")
    if seed < 0:
        raise DataError(f"--seed is {seed}; it must be 0 or more")
