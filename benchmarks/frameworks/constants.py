"""Fixed filters and matrices of the compared networks, in numpy for every framework but ours.

The project's own stand in `rawnet_jax.dsp`; that scores agree shows that the two are the same.
"""

import numpy as np

SAMPLE_RATE_HZ = 16_000
FRAME_LENGTH, HOP_LENGTH, DFT_SIZE = 320, 160, 512
NUM_TRIANGLES = 20
NUM_FRAMES = 750  # of LFCC-ResNet18's input
LOG_FLOOR = 2.0**-52


def sinc_filters(num_filters: int, num_taps: int) -> np.ndarray:
    """Return band-pass filters between mel-spaced edges from 0 to 8 kHz, float32 [F, taps]."""
    mel = np.linspace(0.0, 2595.0 * np.log10(1.0 + SAMPLE_RATE_HZ / 2 / 700.0), num_filters + 1)
    cutoff = 2.0 * 700.0 * (10.0 ** (mel / 2595.0) - 1.0) / SAMPLE_RATE_HZ
    n = np.arange(num_taps) - num_taps // 2
    ideal = np.diff(cutoff[:, None] * np.sinc(np.outer(cutoff, n)), axis=0)
    return (np.hamming(num_taps) * ideal).astype(np.float32)


def triangles() -> np.ndarray:
    """Return the filter bank of LFCC: [257, 20] float32, peaks of 1."""
    bin_hz = np.fft.rfftfreq(DFT_SIZE, 1 / SAMPLE_RATE_HZ)
    edges = np.linspace(0.0, SAMPLE_RATE_HZ / 2, NUM_TRIANGLES + 2)
    rows = [np.interp(bin_hz, edges[i : i + 3], [0.0, 1.0, 0.0]) for i in range(NUM_TRIANGLES)]
    return np.stack(rows, axis=1).astype(np.float32)


def dct() -> np.ndarray:
    """Return the orthonormal DCT-II as a product from the right, [20, 20] float32."""
    n = np.arange(NUM_TRIANGLES)
    basis = np.cos(np.pi / NUM_TRIANGLES * np.outer(n + 0.5, n)) * np.sqrt(2 / NUM_TRIANGLES)
    basis[:, 0] /= np.sqrt(2)
    return basis.astype(np.float32)


def window() -> np.ndarray:
    """Return the symmetric Hamming window of a frame, float32 [320]."""
    return np.hamming(FRAME_LENGTH).astype(np.float32)
