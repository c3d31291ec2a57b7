"""Which voice speaks which sentence, with which settings: drawn before work begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rawnet_jax.errors import DataError
from rawnet_jax.simulate.decks import Deck
from rawnet_jax.simulate.sentences import Sentence
from rawnet_jax.text_to_speech.engine import Voice, Words
from rawnet_jax.text_to_speech.table import Found

_MAX_COPIES = 1_000


@dataclass(frozen=True, slots=True)
class PlannedClip:
    """One sentence by one voice.

    Attributes:
        utterance_id: of the clip.
        sentence: what is spoken.
        voice: by whom.
        program: how the engine is started.
        settings: of the engine.
        seed: of level and dither.
    """

    utterance_id: str
    sentence: Sentence
    voice: Voice
    program: Words
    settings: Mapping[str, float]
    seed: tuple[int, ...]


def plan_clips(
    sentences: Sequence[Sentence],
    engines: Sequence[Found],
    *,
    copies: int,
    partition: str,
    seed: int,
) -> list[PlannedClip]:
    """Give each sentence its voices.

    Engines are dealt from shuffled decks, and so are the voices of each: engines get the same
    number of clips whatever the number of their voices, and a sentence has no two clips by one
    engine while another has none of it.

    Args:
        sentences: to speak.
        engines: with at least one voice each.
        copies: clips of each sentence.
        partition: train, dev or eval; gives the letter of the ids.
        seed: decides everything.

    Raises:
        DataError: a number cannot be.
    """
    if not 1 <= copies <= _MAX_COPIES:
        raise DataError(f"--copies is {copies}; it must be 1 to {_MAX_COPIES:,}")
    if seed < 0:
        raise DataError(f"--seed is {seed}; it must be 0 or more")
    rng = np.random.default_rng((seed, 4))
    deck = Deck(len(engines), rng)
    of_engine = [Deck(len(one.voices), rng) for one in engines]
    planned = []
    for index, sentence in enumerate(sentences):
        for copy, which in enumerate(deck.hand(copies), 1):
            found = engines[which]
            voice = found.voices[of_engine[which].hand(1)[0]]
            assert found.program is not None
            planned.append(
                PlannedClip(
                    f"{partition[0].upper()}_{index + 1:07d}_{copy}",
                    sentence,
                    voice,
                    found.program,
                    found.engine.draw(rng),
                    (seed, 5, index, copy),
                )
            )
    return planned
