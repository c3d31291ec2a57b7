"""Shuffled decks, so that all that is drawn from gets the same share."""

import numpy as np


class Deck:
    """Deals card after card; a hand has none twice before it has all.

    Args:
        num_cards: cards are the numbers from 0.
        rng: shuffles.
    """

    def __init__(self, num_cards: int, rng: np.random.Generator) -> None:
        self._num_cards = num_cards
        self._rng = rng
        self._cards: list[int] = []

    def hand(self, size: int) -> list[int]:
        """Return the next cards; one that must wait is the first for the next hand."""
        taken: list[int] = []
        while len(taken) < size:
            held = set(taken[len(taken) - len(taken) % self._num_cards :])
            at = next((i for i, card in enumerate(self._cards) if card not in held), None)
            if at is None:
                self._cards += map(int, self._rng.permutation(self._num_cards))
            else:
                taken.append(self._cards.pop(at))
        return taken
