"""Windows over clips of any length, as a list of clips of their own.

A window is what a network scores at once. Scores of many clips come out of batches of one shape,
filled across clips; `WindowedClips.clip` says which window is whose.
"""

import numpy as np

from rawnet_jax.data.loader import WaveformSource
from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import ConfigError


def hop_samples(window: int, hop: float) -> int:
    """Return samples from the start of one window to the next.

    Args:
        window: length in samples.
        hop: in windows; above 0 and at most 1, so that nothing falls between two windows.

    Raises:
        ConfigError: it is not.
    """
    if not 0 < hop <= 1:
        raise ConfigError(f"config.eval.window_hop is {hop:g}; above 0 and at most 1 was wanted")
    return max(1, round(hop * window))


def window_starts(num_samples: int, window: int, hop: int) -> np.ndarray:
    """Return where the windows over a waveform start: int64 [K], rising, K >= 1.

    The last one ends with the waveform, so that it is as full as the others and nothing is left
    out; it overlaps more where the hop does not come out even. A waveform shorter than a window is
    in one, which is not full.

    Args:
        num_samples: of the waveform.
        window: length of a window in samples.
        hop: from one to the next in samples.
    """
    last = max(num_samples - window, 0)
    starts = np.arange(0, last + 1, hop, dtype=np.int64)
    return starts if starts[-1] == last else np.append(starts, last)


class WindowedClips:
    """The windows of a list of clips, in order of clips; itself such a list.

    Attributes:
        trials: of each window's clip.
        num_samples: int64 [K], the window's length, or the clip's where that is shorter.
        clip: int64 [K], position of the window's clip in the list; rising, none is left out.
        start: int64 [K], first sample of each window.
    """

    def __init__(self, clips: WaveformSource, window: int, hop: int) -> None:
        """Lay out the windows.

        Args:
            clips: of any lengths.
            window: length of a window in samples.
            hop: from one to the next in samples.
        """
        starts = [window_starts(length, window, hop) for length in clips.num_samples.tolist()]
        self.clip = np.repeat(np.arange(len(starts)), [len(s) for s in starts])
        self.start = np.concatenate(starts) if starts else np.zeros(0, np.int64)
        self.num_samples = np.minimum(clips.num_samples, window)[self.clip]
        self.trials: list[Trial] = [clips.trials[clip] for clip in self.clip.tolist()]
        self._clips = clips

    @property
    def owner(self) -> np.ndarray | None:
        """Return int64 [K], the only process that can read a window; None = all can read all."""
        owner = self._clips.owner
        return None if owner is None else owner[self.clip]

    def __len__(self) -> int:
        return len(self.clip)

    def waveform(self, position: int) -> np.ndarray:
        """Return int16 [num_samples[position]]."""
        start = int(self.start[position])
        waveform = self._clips.waveform(int(self.clip[position]))
        return waveform[start : start + int(self.num_samples[position])]
