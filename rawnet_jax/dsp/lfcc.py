"""Linear-frequency cepstral coefficients (LFCC) as the AIR systems take them.

Sahidullah, Kinnunen, Hanilçi, "A comparison of features for synthetic speech detection",
Interspeech 2015, in the form of Zhang, Jiang, Duan, "One-class learning towards synthetic voice
spoofing detection", 2021: pre-emphasis .97 - frames of 20 ms every 10 ms - symmetric Hamming window
- power of a 512-point DFT - 20 triangles equally spaced from 0 to 8 kHz - log10 - DCT-II - deltas
and deltas of deltas.

Three things set it apart from the textbook, and change numbers: coefficient 0 is kept as it is (no
frame energy in its place), deltas are plain differences that nothing divides, and the last frame is
filled with zeros where the clip ends inside it.

Window, filter bank and DCT are designed on the host in float64. The DFT is a matrix product: that
exports to every runtime, where an FFT does not, and is as exact in float32.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ, is_real
from rawnet_jax.dsp.dft import EXACT, power, windowed_waves

PRE_EMPHASIS = 0.97
FRAME_LENGTH = 320  # samples, 20 ms
HOP_LENGTH = 160  # samples, 10 ms
DFT_SIZE = 512
NUM_FILTERS = 20
NUM_FEATURES = 3 * NUM_FILTERS  # static, delta, delta of delta
LOG_FLOOR = 2.0**-52  # MATLAB's eps, added to a filter's energy


def lfcc(waveform: jax.Array, num_samples: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Compute the LFCC of clips.

    A clip's features depend on its own samples alone: what fills its row does not enter its frames,
    and deltas repeat its own last frame.

    Args:
        waveform: float32 [B, T], T >= 1, full scale = 1.
        num_samples: int32 [B]; samples of a row that are the clip, 0 = filler row.

    Returns:
        features: float32 [B, 60, F] with F = ceil((T - 160) / 160), but at least 1: 20 static
            coefficients, 20 deltas, 20 deltas of deltas. Frames from ``num_frames`` on are finite
            and mean nothing.
        num_frames: int32 [B]; the same of ``num_samples``, 0 for a filler row.
    """
    frames = _frames(pre_emphasised(waveform, num_samples))
    # The published extractor has no frame for a clip of up to 160 samples; here it has one.
    num_frames = jnp.clip((num_samples - 1) // HOP_LENGTH, 1, frames.shape[1])
    num_frames = jnp.where(is_real(num_samples), num_frames, 0)
    energy = jnp.dot(power(frames, hamming_waves()), triangles(), precision=EXACT)
    static = jnp.dot(jnp.log10(energy + LOG_FLOOR), cosines(), precision=EXACT)
    static = jnp.swapaxes(static, 1, 2)
    delta = _delta(static, num_frames)
    return jnp.concatenate([static, delta, _delta(delta, num_frames)], axis=1), num_frames


def tile_frames(features: jax.Array, num_frames: jax.Array, wanted: int) -> jax.Array:
    """Bring features to a fixed number of frames: a short clip's repeat, a long one's are cut.

    The first frames are kept of a long clip. The published code takes a window at random, when
    scoring too, so that its scores differ from run to run; here the loader crops the waveform at
    random in training, and a score is a function of the clip.

    Args:
        features: float32 [B, D, F].
        num_frames: int32 [B]; frames of a row that are the clip's, 0 = filler row.
        wanted: W.

    Returns:
        float32 [B, D, W]; a filler row repeats its first frame.
    """
    frame = jnp.arange(wanted) % jnp.maximum(num_frames, 1)[:, None]
    return jnp.take_along_axis(features, frame[:, None, :], axis=2)


def pre_emphasised(waveform: jax.Array, num_samples: jax.Array) -> jax.Array:
    """Return x[n] - .97 x[n - 1], zero from the clip's end on (where x[n - 1] would still ring)."""
    before = jnp.pad(waveform[:, :-1], ((0, 0), (1, 0)))
    inside = jnp.arange(waveform.shape[1]) < num_samples[:, None]
    return jnp.where(inside, waveform - PRE_EMPHASIS * before, 0.0)


def _frames(waveform: jax.Array) -> jax.Array:
    """Cut [B, T] into [B, F, 320]; a frame is two neighbouring hops."""
    num_hops = max(-(-waveform.shape[1] // HOP_LENGTH), 2)
    missing = num_hops * HOP_LENGTH - waveform.shape[1]
    hops = jnp.pad(waveform, ((0, 0), (0, missing))).reshape(-1, num_hops, HOP_LENGTH)
    return jnp.concatenate([hops[:, :-1], hops[:, 1:]], axis=2)


def _delta(features: jax.Array, num_frames: jax.Array) -> jax.Array:
    """Return x[t + 1] - x[t - 1] of [B, D, F]; the clip's first and last frames repeat."""
    before = jnp.concatenate([features[:, :, :1], features[:, :, :-1]], axis=2)
    after = jnp.concatenate([features[:, :, 1:], features[:, :, -1:]], axis=2)
    at_end = jnp.arange(features.shape[2]) >= (num_frames - 1)[:, None]
    return jnp.where(at_end[:, None, :], features, after) - before


@functools.cache
def hamming_waves(top_bin: int = DFT_SIZE // 2) -> np.ndarray:
    """Return the waves of bins 0 to top_bin under the Hamming window, [320, 2 (top_bin + 1)]."""
    return windowed_waves(np.hamming(FRAME_LENGTH), DFT_SIZE, np.arange(top_bin + 1))


@functools.cache
def triangles(num_filters: int = NUM_FILTERS, top_bin: int = DFT_SIZE // 2) -> np.ndarray:
    """Return [top_bin + 1, filters]: triangles of height 1 between equally spaced edges.

    Args:
        num_filters: of them.
        top_bin: where the last one ends; each bin of the DFT is 31.25 Hz.
    """
    bin_hz = np.arange(top_bin + 1)[:, None] * SAMPLE_RATE_HZ / DFT_SIZE
    edges_hz = np.linspace(0.0, top_bin * SAMPLE_RATE_HZ / DFT_SIZE, num_filters + 2)
    distance = np.abs(bin_hz - edges_hz[1:-1]) / edges_hz[1]
    return np.maximum(0.0, 1.0 - distance).astype(np.float32)


@functools.cache
def cosines(size: int = NUM_FILTERS) -> np.ndarray:
    """Return [size, size]: the orthonormal DCT-II as a product from the right."""
    import scipy.fft  # takes long to import, and few networks need it

    return scipy.fft.dct(np.eye(size), norm="ortho", axis=1).astype(np.float32)
