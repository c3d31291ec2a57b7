"""Scores that are kept from one call to the next, so that a long evaluation goes on where it was.

A file's name holds a fingerprint of all that decides its scores: the network, the trials, the
settings. What was scored with others is left alone and not mistaken for it.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rawnet_jax.data.score_file import ScoreTable, read_scores, write_scores
from rawnet_jax.errors import DataError

FINGERPRINT_LENGTH = 12


def fingerprint(*parts: object) -> str:
    """Return a word that stands for all parts, which must be ready for JSON."""
    words = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(words.encode()).hexdigest()[:FINGERPRINT_LENGTH]


class KeptScores:
    """A folder of score files.

    Args:
        folder: made when the first scores are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str, key: str) -> Path:
        """Return the file of the scores of `name` that were made under `key`."""
        return self.folder / f"{name}-{key}.txt"

    def get(self, name: str, key: str, utterance_ids: Sequence[str]) -> np.ndarray | None:
        """Return float64 [N] that were kept; None where there are none for these utterances."""
        path = self.path(name, key)
        if not path.is_file():
            return None
        try:
            table = read_scores(path)
        except DataError:  # damaged: scored again
            return None
        return table.scores if list(table.utterance_ids) == list(utterance_ids) else None

    def put(self, name: str, key: str, table: ScoreTable) -> Path:
        """Keep scores, whole or not at all; returns the file.

        Raises:
            DataError: the file cannot be written.
        """
        path = self.path(name, key)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{self.folder}: {error.strerror}; it must be a folder") from error
        write_scores(path, table)
        return path
