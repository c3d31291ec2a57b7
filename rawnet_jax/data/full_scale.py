"""The rule for samples beyond full scale: they are clipped, for every reader of recordings."""

import logging
from collections.abc import Callable

import numpy as np

_LOG = logging.getLogger(__name__)
_NOTED_SHARE = 1e-3  # of samples that are clipped; decoders of MP3 and Ogg overshoot now and then

OnClipped = Callable[[int], None]
"""Is told a number of samples that were clipped."""


class FullScale:
    """Clips one recording to full scale, block by block, as 16 bit do.

    Float files, resampling and decoders of MP3 and Ogg leave samples beyond it. A player clips
    them, and so does the cache that a network is trained and evaluated on. Clipped everywhere, a
    file has one score, however it comes to the network.
    """

    def __init__(self, name: object, on_clipped: OnClipped | None = None) -> None:
        """Begin a recording.

        Args:
            name: what the warning at the end calls it.
            on_clipped: is told numbers of samples that were clipped; None = a warning says it.
        """
        self._name = name
        self._on_clipped = on_clipped
        self._num_samples = self._num_clipped = 0

    def __call__(self, block: np.ndarray, peak: float | None = None) -> np.ndarray:
        """Take the next samples.

        Args:
            block: float32 [n].
            peak: no magnitude exceeds it; None = unknown.

        Returns:
            float32 [n], every sample from -1 to 1; NaN where one was not finite.
        """
        self._num_samples += len(block)
        if peak is None and len(block):
            peak = float(max(block.max(), -block.min()))
        if peak is None or peak <= 1:
            return block
        self._num_clipped += int(np.count_nonzero((block > 1) | (block < -1)))
        clipped = np.clip(block, -1, 1)
        if not np.isfinite(peak):
            clipped[~np.isfinite(block)] = np.nan
        return clipped

    def finish(self) -> tuple[str, ...]:
        """Say how many samples were clipped; returns it as a note where they are many."""
        note: tuple[str, ...] = ()
        if self._num_clipped > _NOTED_SHARE * self._num_samples:
            what = f"{self._num_clipped} of {self._num_samples} samples"
            note = (f"{what} are beyond full scale and are clipped",)
        if self._on_clipped is not None:
            self._on_clipped(self._num_clipped)
        elif note:
            _LOG.warning("%s: %s", self._name, *note)
        return note
