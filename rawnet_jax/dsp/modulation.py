"""How fast the fine structure of a spectrum moves: modulation spectra of cepstra below 4 kHz.

After Wu, Xiao, Chng, Li, "Synthetic speech detection using temporal modulation feature", ICASSP
2013: how a spectrum changes over tenths of a second tells synthetic speech where its average does
not. Here of linear-frequency cepstra, of so many that pitch is among them: clip brought to an RMS
of 1 - pre-emphasis .97 - frames of 20 ms every 5 ms - symmetric Hamming window - power of a
512-point DFT - 60 triangles equally spaced from 0 to 4 kHz - natural logarithm - DCT-II. Of every
coefficient the power spectrum over time by Welch's method: segments of 128 frames every 64, their
mean removed, Hann window; averaged over a clip's segments, then over 9 bands; natural logarithm.

Without a coefficient's mean there is no trace of a fixed microphone, and level is divided out.
Above 4 kHz there is nothing, so what a telephone takes away was not there.

All transforms are products with matrices designed on the host, which export to every runtime.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.dsp.dft import EXACT, power, windowed_waves
from rawnet_jax.dsp.lfcc import (
    DFT_SIZE,
    FRAME_LENGTH,
    cosines,
    hamming_waves,
    pre_emphasised,
    triangles,
)

HOP_LENGTH = 80  # samples, 5 ms
NUM_FILTERS = 60
TOP_BIN = DFT_SIZE // 4  # 4 kHz
SEGMENT = 128  # frames, .64 s
BAND_EDGES = (0, 2, 4, 8, 12, 16, 24, 32, 48, 64)  # bins of 1.5625 Hz
NUM_BANDS = len(BAND_EDGES) - 1
# Added to a filter's energy, some 40 dB below a white clip's: what is softer than that belongs to
# the room, and digital silence does not stand out against it.
LOG_FLOOR = 1e-2
_POWER_FLOOR = 1e-6
_SILENCE = 1e-9  # added to the mean square


def modulation_spectrum(waveform: jax.Array, num_samples: jax.Array) -> jax.Array:
    """Compute the modulation spectra of clips, each of its own samples alone.

    A segment counts where all of it is clip; of a shorter clip the one that begins it, with zeros
    behind.

    Args:
        waveform: float32 [B, T], T >= 1.
        num_samples: int32 [B]; samples of a row that are the clip, 0 = filler row.

    Returns:
        float32 [B, 60, 9]: coefficients by bands; of a filler row finite, and meaningless.
    """
    cepstra = _cepstra(waveform, num_samples)
    num_frames = jnp.maximum((num_samples - FRAME_LENGTH) // HOP_LENGTH + 1, 1)
    own = jnp.arange(cepstra.shape[1]) < num_frames[:, None]
    segments, inside = _segments(cepstra), _segments(own)[..., None]
    count = inside.sum(axis=2, keepdims=True)
    mean = jnp.where(inside, segments, 0.0).sum(axis=2, keepdims=True) / jnp.maximum(count, 1)
    centered = jnp.where(inside, segments - mean, 0.0)
    powers = power(jnp.swapaxes(centered, 2, 3), _hann_waves())
    counts = (count[..., 0, 0] == SEGMENT) | (jnp.arange(inside.shape[1]) == 0)
    total = jnp.where(counts[..., None, None], powers, 0.0).sum(axis=1)
    mean_power = total / counts.sum(axis=1)[:, None, None]
    return jnp.log(jnp.dot(mean_power, _bands(), precision=EXACT) + _POWER_FLOOR)


def _cepstra(waveform: jax.Array, num_samples: jax.Array) -> jax.Array:
    """Return [B, F, 60], F of as many frames as a segment takes at least."""
    inside = jnp.arange(waveform.shape[1]) < num_samples[:, None]
    square = jnp.where(inside, jnp.square(waveform), 0.0).sum(axis=1, keepdims=True)
    level = jnp.sqrt(square / jnp.maximum(num_samples, 1)[:, None] + _SILENCE)
    x = pre_emphasised(waveform / level, num_samples)
    overlap = FRAME_LENGTH // HOP_LENGTH
    num_hops = max(-(-x.shape[1] // HOP_LENGTH), SEGMENT + overlap - 1)
    x = jnp.pad(x, ((0, 0), (0, num_hops * HOP_LENGTH - x.shape[1])))
    hops = x.reshape(-1, num_hops, HOP_LENGTH)
    num_frames = num_hops - overlap + 1
    frames = jnp.concatenate([hops[:, i : i + num_frames] for i in range(overlap)], axis=2)
    powers = power(frames, hamming_waves(TOP_BIN))
    energy = jnp.dot(powers, triangles(NUM_FILTERS, TOP_BIN), precision=EXACT)
    return jnp.dot(jnp.log(energy + LOG_FLOOR), cosines(NUM_FILTERS), precision=EXACT)


def _segments(x: jax.Array) -> jax.Array:
    """Cut [B, F, ...] into [B, S, 128, ...], every 64 frames; what is over at the end is left."""
    half = SEGMENT // 2
    num_halves = x.shape[1] // half
    halves = x[:, : num_halves * half].reshape(x.shape[0], num_halves, half, *x.shape[2:])
    return jnp.concatenate([halves[:, :-1], halves[:, 1:]], axis=2)


@functools.cache
def _hann_waves() -> np.ndarray:
    """Return the waves of bins 0 to 63 under a Hann window, [128, 2 * 64]; powers are per Hz."""
    window = np.hanning(SEGMENT + 1)[:-1]  # periodic
    rate_hz = SAMPLE_RATE_HZ / HOP_LENGTH
    window *= np.sqrt(2 / (rate_hz * np.square(window).sum()))
    return windowed_waves(window, SEGMENT, np.arange(BAND_EDGES[-1]))


@functools.cache
def _bands() -> np.ndarray:
    """Return [64, 9]: the mean of each band's bins."""
    bins = np.arange(BAND_EDGES[-1])[:, None]
    low, high = np.array(BAND_EDGES[:-1]), np.array(BAND_EDGES[1:])
    return (((bins >= low) & (bins < high)) / (high - low)).astype(np.float32)
