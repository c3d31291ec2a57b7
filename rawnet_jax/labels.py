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


_OWN_LABEL_OF_KEY = _LABEL_OF_KEY | {
    "real": Label.BONAFIDE,
    "human": Label.BONAFIDE,
    "fake": Label.SPOOF,
    "deepfake": Label.SPOOF,
    "synthetic": Label.SPOOF,
}

OWN_KEYS = tuple(_OWN_LABEL_OF_KEY)
"""Every word for a key that people's own lists, folders and score files use."""

UNSTATED = "unstated"
"""What 1 means in a list whose owner has not said it."""


def label_of_own_key(key: str, one_means: str = UNSTATED) -> Label | None:
    """Return the label that a key of somebody's own list names (any case), or None.

    Args:
        key: a word of `OWN_KEYS`, or 0 or 1.
        one_means: ``bonafide`` or ``spoof``; `UNSTATED` = 0 and 1 name no label.
    """
    if is_number_key(key) and one_means != UNSTATED:
        one = Label[one_means.upper()]
        return one if float(key) else Label(1 - one)
    return _OWN_LABEL_OF_KEY.get(key.strip().lower())


def is_number_key(key: str) -> bool:
    """Return whether a key is 0 or 1, which mean one thing here and the other there."""
    return key.strip() in ("0", "1", "0.0", "1.0")


def spoof_probability(score: np.ndarray) -> np.ndarray:
    """P(spoof) that a score stands for when it is read as the log odds of bona fide speech.

    Args:
        score: any shape, higher = more bona fide.

    Returns:
        float64 of the same shape, in [0, 1]; overflow-free.
    """
    score = np.asarray(score, dtype=np.float64)
    return np.exp(-np.logaddexp(0.0, score))
