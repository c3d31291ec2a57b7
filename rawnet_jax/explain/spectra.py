"""Short-time spectra."""

import numpy as np
from scipy.fft import rfft

FRAME = 512
HOP = 256


def short_spectra(signal: np.ndarray, hop: int = HOP) -> np.ndarray:
    """Return the spectra of overlapping frames.

    The window is the root of a Hann window: with the default hop its squares sum to 1, so that
    products of spectra sum to products of signals.

    Args:
        signal: float [n].
        hop: samples from one frame to the next.

    Returns:
        complex128 [F, 257]; the first frame is centred at sample 0, the last at or behind the end.
    """
    window = np.sqrt(np.hanning(FRAME + 1)[:-1])
    num_frames = -(-len(signal) // hop) + 1
    padded = np.zeros((num_frames - 1) * hop + FRAME)
    padded[FRAME // 2 : FRAME // 2 + len(signal)] = signal
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::hop]
    return rfft(frames * window)
