"""What an encoder of voices is: a waveform goes in, a vector of length 1 comes out."""

from typing import Protocol

import numpy as np

_LEAST_LENGTH = 1e-12


class VoiceNetwork(Protocol):
    """A network that tells voices apart, with all that is done to a waveform before it.

    Attributes:
        width: length of its vectors.
    """

    @property
    def width(self) -> int:
        """Length of a vector."""

    def prepared(self, waveform: np.ndarray) -> np.ndarray:
        """Return a whole clip as the network wants it before silence is cut out of it.

        Args:
            waveform: float32 [n] at 16 kHz, full scale = 1.
        """

    def embed(self, waveform: np.ndarray) -> np.ndarray:
        """Return the vector of a clip, float32 [width], of length 1.

        Args:
            waveform: float32 [n] at 16 kHz, prepared; n >= 1.
        """


def unit(vector: np.ndarray) -> np.ndarray:
    """Return a vector [D], or vectors [N, D], scaled to length 1; zeros stay zeros. float32."""
    length = np.linalg.norm(np.asarray(vector, np.float64), axis=-1, keepdims=True)
    return (vector / np.maximum(length, _LEAST_LENGTH)).astype(np.float32)


def mean_voice(vectors: np.ndarray) -> np.ndarray:
    """Return the mean of unit vectors [N, D], scaled to length 1, float32 [D]."""
    return unit(unit(np.asarray(vectors)).mean(axis=0, dtype=np.float64))
