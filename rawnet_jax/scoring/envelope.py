"""The outline of a waveform that comes in blocks, for pictures."""

import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ

_MAX_BINS = 4096
_FIRST_BIN = 64  # samples


class Envelope:
    """The lowest and highest sample of every stretch of a recording that comes in blocks.

    Stretches double in length when there are too many of them, so an hour takes as little memory
    as a second.
    """

    def __init__(self, max_bins: int = _MAX_BINS) -> None:
        """Start a recording.

        Args:
            max_bins: even; so many stretches at most.
        """
        self.bin_samples = _FIRST_BIN
        self.num_samples = 0
        self._max_bins = max_bins
        self._bins = np.zeros((0, 2), np.float32)
        self._rest = np.zeros(0, np.float32)

    def add(self, block: np.ndarray) -> None:
        """Take the next float [n]."""
        self.num_samples += len(block)
        samples = np.concatenate((self._rest, block))
        full = len(samples) // self.bin_samples * self.bin_samples
        self._rest = samples[full:].copy()
        self._bins = np.concatenate((self._bins, _extremes(samples[:full], self.bin_samples)))
        while len(self._bins) > self._max_bins:
            self._halve()

    def _halve(self) -> None:
        if len(self._bins) % 2:  # its samples are gone; the two extremes stand for them
            whole, last = self._bins[:-1], self._bins[-1]
            filler = np.resize(last, self.bin_samples)
            self._rest = np.concatenate((filler, self._rest))
            self._bins = whole
        low, high = self._bins.reshape(-1, 2, 2).transpose(2, 0, 1)
        self._bins = np.stack((low.min(axis=1), high.max(axis=1)), axis=1)
        self.bin_samples *= 2

    def lines(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return time in s of the middle of each stretch, its lowest and its highest sample."""
        bins = self._bins
        if len(self._rest):
            bins = np.concatenate((bins, _extremes(self._rest, len(self._rest))))
        middle_s = (np.arange(len(bins)) + 0.5) * self.bin_samples / SAMPLE_RATE_HZ
        return middle_s, bins[:, 0], bins[:, 1]


def _extremes(samples: np.ndarray, size: int) -> np.ndarray:
    rows = samples.reshape(-1, size)
    return np.stack((rows.min(axis=1), rows.max(axis=1)), axis=1).astype(np.float32)
