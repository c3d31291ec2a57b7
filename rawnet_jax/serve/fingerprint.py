"""A keyed fingerprint of a recording, which outlives gain, codecs, trimming and some noise.

After Haitsma and Kalker, "A highly robust audio fingerprinting system" (ISMIR 2002): every 16 ms a
few bits say how the spectrum moves. Here each bit is the sign of a sum over bands that a secret key
draws, so that nobody without the key can compute a fingerprint, or find audio that has another one.
Levels of 18 bands between 200 and 3,400 Hz, blurred over 128 ms, are not audio.
"""

import numpy as np
import scipy.fft

from rawnet_jax.contract import SAMPLE_RATE_HZ

WORD_BITS = 24
HOP = 256
"""Samples between two words."""

_FRAME = 2_048
_LAG = 5  # words, 80 ms: over which the spectrum moves
_NUM_BANDS = 18
_LOW_HZ, _HIGH_HZ = 200.0, 3_400.0
_FLOOR_DB = 35.0  # below the loudest band of the recording: what is lower is noise or silence
_STRONG_DB = 25.0  # words of frames this far below the loudest are not compared
_BITS = (1 << np.arange(WORD_BITS - 1, -1, -1)).astype(np.uint32)


class Fingerprint:
    """The words of one recording.

    Attributes:
        words: uint32 [n], one every 16 ms.
        strong: bool [n], whether there is sound at the word.
        weakest: uint32 [n, 3], the bits of a word that would turn over first.
    """

    __slots__ = ("strong", "weakest", "words")

    def __init__(self, words: np.ndarray, strong: np.ndarray, weakest: np.ndarray) -> None:
        self.words, self.strong, self.weakest = words, strong, weakest

    def __len__(self) -> int:
        return len(self.words)


class Fingerprinter:
    """Computes fingerprints under one key."""

    def __init__(self, key: bytes) -> None:
        """Draw the bits.

        Args:
            key: secret, any length.
        """
        rng = np.random.default_rng(list(key))
        self._rows = _drawn_rows(rng)
        self._bank = _bank()
        self._window = np.hanning(_FRAME + 1)[:-1].astype(np.float32)

    def __call__(self, waveform: np.ndarray) -> Fingerprint:
        """Return the fingerprint of a recording.

        Args:
            waveform: float32 [n] at 16 kHz. What is not finite counts as 0. With fewer than 0.21 s
                there are no words.
        """
        waveform = np.nan_to_num(np.asarray(waveform, np.float32), posinf=0.0, neginf=0.0)
        num_frames = (len(waveform) - _FRAME) // HOP + 1
        if num_frames <= _LAG:
            empty = np.zeros(0, np.uint32)
            return Fingerprint(empty, np.zeros(0, bool), np.zeros((0, 3), np.uint32))
        levels = self._levels(waveform, num_frames)
        loudness = levels.max(axis=1)
        levels = np.maximum(levels, loudness.max() - _FLOOR_DB)
        moved = (levels[_LAG:] - levels[:-_LAG]) @ self._rows.T
        words = ((moved > 0) * _BITS).sum(axis=1, dtype=np.uint32)
        least = np.argpartition(np.abs(moved), 3, axis=1)[:, :3]
        strong = loudness > loudness.max() - _STRONG_DB
        return Fingerprint(words, strong[_LAG:] | strong[:-_LAG], _BITS[least])

    def _levels(self, waveform: np.ndarray, num_frames: int) -> np.ndarray:
        """Return float32 [frames, bands] in dB."""
        frames = np.lib.stride_tricks.sliding_window_view(waveform, _FRAME)[::HOP][:num_frames]
        found = np.empty((num_frames, _NUM_BANDS), np.float32)
        for start in range(0, num_frames, 512):  # a minute at a time would be 60 MB
            block = frames[start : start + 512] * self._window
            power = np.abs(scipy.fft.rfft(block, axis=1)) ** 2
            found[start : start + 512] = power @ self._bank
        return 10 * np.log10(found + np.float32(1e-10))


def difference(one: Fingerprint, other: Fingerprint, shift: int) -> tuple[float, int]:
    """Compare two fingerprints at one place.

    Args:
        one: from here,
        other: and from here.
        shift: word k of `one` lies at word k + shift of `other`.

    Returns:
        The share of bits that differ where both have sound, 0 to 1 (0.5 = nothing in common), and
        the number of words that it is of.
    """
    start, end = max(0, -shift), min(len(one), len(other) - shift)
    if end <= start:
        return 0.5, 0
    here, there = slice(start, end), slice(start + shift, end + shift)
    both = one.strong[here] & other.strong[there]
    num_words = int(both.sum())
    if not num_words:
        return 0.5, 0
    turned = (one.words[here] ^ other.words[there])[both]
    num_turned = int(np.unpackbits(turned.view(np.uint8)).sum())
    return num_turned / (num_words * WORD_BITS), num_words


def _drawn_rows(rng: np.random.Generator) -> np.ndarray:
    """Return float32 [bits, bands]: three bands against three, so that a gain falls out."""
    rows = np.zeros((WORD_BITS, _NUM_BANDS), np.float32)
    for row in rows:
        chosen = rng.permutation(_NUM_BANDS)
        row[chosen[:3]], row[chosen[3:6]] = 1, -1
    return rows


def _bank() -> np.ndarray:
    """Return float32 [bins, bands]: bands of equal width in the logarithm of frequency."""
    edges = np.geomspace(_LOW_HZ, _HIGH_HZ, _NUM_BANDS + 1)
    bins = np.arange(_FRAME // 2 + 1) * SAMPLE_RATE_HZ / _FRAME
    return ((bins[:, None] >= edges[:-1]) & (bins[:, None] < edges[1:])).astype(np.float32)
