"""Some clips of a list, read like all of it."""

from collections.abc import Sequence

import numpy as np

from rawnet_jax.data.loader import WaveformSource
from rawnet_jax.data.trial import Trial
from rawnet_jax.labels import Label


class DrawnClips:
    """The clips at some positions of a list.

    Attributes:
        trials: of these clips.
        num_samples: int64 [K], the length of each.
    """

    def __init__(self, clips: WaveformSource, positions: Sequence[int]) -> None:
        self._clips = clips
        self._positions = list(positions)
        self.trials: list[Trial] = [clips.trials[i] for i in self._positions]
        self.num_samples = clips.num_samples[self._positions]

    @property
    def owner(self) -> np.ndarray | None:
        """Return int64 [K], the only process that can read a clip; None = all can read all."""
        owner = self._clips.owner
        return None if owner is None else owner[self._positions]

    def __len__(self) -> int:
        return len(self._positions)

    def waveform(self, position: int) -> np.ndarray:
        """Return [num_samples[position]], as the list that they are drawn from has it."""
        return self._clips.waveform(self._positions[position])


def drawn(clips: WaveformSource, per_class: int, seed: int) -> DrawnClips:
    """Draw at most so many clips of each class; trials without a label are passed over."""
    order = np.random.default_rng(seed).permutation(len(clips)).tolist()
    found: list[int] = []
    for label in Label:
        found += [i for i in order if clips.trials[i].label == label][:per_class]
    return DrawnClips(clips, sorted(found))
