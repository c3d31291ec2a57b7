"""Labels of crops: a crop of a partly fake clip is bona fide where no fake is in it."""

from collections.abc import Sequence

import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.segments import SEGMENTS, segments_of
from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.labels import Label


class WindowLabels:
    """Which crops of a list of clips are fake.

    Args:
        trials: of N clips. Where the list states segments of a spoof clip (metadata ``segments``),
            its crops go by them; all other clips are of one class.
        min_fake_s: fake speech that a crop must hold to be spoof; 0 = any.

    Raises:
        ConfigError: no clip has segments.
        DataError: segments cannot be read.
    """

    def __init__(self, trials: Sequence[Trial], min_fake_s: float = 0.0) -> None:
        self._labels = np.array([-1 if t.label is None else int(t.label) for t in trials], np.int32)
        self._least = max(1, round(min_fake_s * SAMPLE_RATE_HZ))
        self._fake: dict[int, np.ndarray] = {}
        for position, trial in enumerate(trials):
            text = trial.metadata.get(SEGMENTS)
            if text and trial.label == Label.SPOOF:
                self._fake[position] = _fake_samples(text, trial)
        if not self._fake:
            raise ConfigError(
                "config.data.window_labels is set, but the list states no segments of its spoof "
                f"clips; it must have them in a column {SEGMENTS} (docs/datasets.md)"
            )

    def __call__(self, index: np.ndarray, start: np.ndarray, taken: np.ndarray) -> np.ndarray:
        """Return int32 [B], the labels of crops.

        Args:
            index: int [B], positions of clips; -1 = a filler row, of label -1.
            start: int [B], first sample of each crop.
            taken: int [B], samples of each crop.
        """
        labels = np.where(index >= 0, self._labels[index], -1).astype(np.int32)
        for row in np.flatnonzero(labels == Label.SPOOF).tolist():
            fake = self._fake.get(int(index[row]))
            if fake is None:
                continue
            begin, end = int(start[row]), int(start[row] + taken[row])
            inside = np.minimum(fake[:, 1], end) - np.maximum(fake[:, 0], begin)
            if np.maximum(inside, 0).sum() < self._least:
                labels[row] = Label.BONAFIDE
        return labels


def _fake_samples(text: str, trial: Trial) -> np.ndarray:
    """Return int64 [K, 2], first sample and the one behind the last of each fake segment."""
    try:
        segments = segments_of(text)
    except DataError as error:
        raise DataError(f"{trial.source}: {error}") from error
    spans = [(s.start_s, s.end_s) for s in segments if s.label == Label.SPOOF]
    return np.round(np.array(spans, np.float64).reshape(-1, 2) * SAMPLE_RATE_HZ).astype(np.int64)
