"""The one place that fixes label values and the direction of scores.

A countermeasure score is a float, and **higher means more bona fide**. Anything that comes from
elsewhere with another convention is flipped where it enters, by its converter, and nowhere else.
The notebook's report (spoof is the positive class, threshold .5 on P(spoof)) is derived from that
score by `spoof_probability`; it is not a second convention.
"""

import enum

import numpy as np


class Label(enum.IntEnum):
    """Class of a trial. The values index ``[spoof, bonafide]`` logits and class weights."""

    SPOOF = 0
    BONAFIDE = 1

    @property
    def key(self) -> str:
        """The word that is written to protocols and score files."""
        return self.name.lower()


_LABEL_OF_KEY = {
    "genuine": Label.BONAFIDE,  # ASVspoof 2017
    "bonafide": Label.BONAFIDE,  # ASVspoof 2019, 2021, 5
    "bona-fide": Label.BONAFIDE,  # In-the-Wild
    "bona_fide": Label.BONAFIDE,
    "spoof": Label.SPOOF,
}

KNOWN_KEYS = tuple(_LABEL_OF_KEY)
"""Every spelling of a key that protocols use."""


def label_of_key(key: str) -> Label | None:
    """Return the label that a protocol's key names (any case), or None for an unknown key."""
    return _LABEL_OF_KEY.get(key.strip().lower())


def spoof_probability(score: np.ndarray) -> np.ndarray:
    """P(spoof) that a score stands for when it is read as the log odds of bona fide speech.

    Args:
        score: any shape, higher = more bona fide.

    Returns:
        float64 of the same shape, in [0, 1]; overflow-free.
    """
    score = np.asarray(score, dtype=np.float64)
    return np.exp(-np.logaddexp(0.0, score))
