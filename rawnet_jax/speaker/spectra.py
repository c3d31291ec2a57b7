"""Spectra of whole clips in NumPy, framed around every hop: what the encoders take.

A clip of n samples has 1 + n // hop frames, the first of them centred on its first sample.
"""

import numpy as np


def power_spectra(
    waveform: np.ndarray, window: np.ndarray, hop: int, *, mirrored: bool
) -> np.ndarray:
    """Return the power of a clip's frames.

    Args:
        waveform: float [n], n >= 1.
        window: float [N], N even; also the points of the DFT.
        hop: samples from one frame to the next.
        mirrored: whether the clip is mirrored beyond its ends, without doubling the end samples,
            or followed by zeros.

    Returns:
        float64 [1 + n // hop, N // 2 + 1].
    """
    half = len(window) // 2
    if mirrored:
        # NumPy mirrors again and again where a clip is shorter than half a window.
        padded = np.pad(waveform, half, "reflect" if len(waveform) > 1 else "edge")
    else:
        padded = np.pad(waveform, half)
    frames = np.lib.stride_tricks.sliding_window_view(padded, len(window))[::hop]
    return np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
