"""Two spectrograms of the EABN system: Kaldi's log power, and a constant-Q transform.

Pure jnp; windows and kernels are designed on the host in float64, and all transforms are products
with them, which export to every runtime, where an FFT does not. Both take clips of unlike length
in one array, ``waveform [B, T]`` and ``num_samples [B]``, treat every clip as if nothing followed
its own samples, and tell how many of the returned frames are its own. What stands in the other
frames means nothing (but is finite).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ, is_real
from rawnet_jax.dsp.dft import EXACT, power, windowed_waves

PRE_EMPHASIS = 0.97

# Kaldi's log-power spectrogram: 64 ms frames, 10 ms shift.
FRAME_LENGTH = 1024
FRAME_SHIFT = 160
# Kaldi reads audio as 16-bit integers and floors powers at float32's epsilon.
_KALDI_FULL_SCALE = 32768.0
_KALDI_FLOOR = float(np.finfo(np.float32).eps)

CQT_BINS = 432
CQT_BINS_PER_OCTAVE = 48
CQT_LOWEST_HZ = 15.0
CQT_HOP = 256
_CQT_FLOOR = 1e-30
_HALF_BAND_TAPS = 63
_KAISER_BETA = 12.0  # 118 dB: the aliases of decimation drown in float32's rounding
# Zeros around a clip before it is decimated, so that no tail of a half-band filter is cut off:
# more than 31 samples at each of the rates 16 kHz to 250 Hz, and a multiple of every factor.
_CQT_MARGIN = 4096


def log_power_spectrogram(
    waveform: jax.Array, num_samples: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Compute Kaldi's ``compute-spectrogram-feats`` with 64 ms frames and ``snip-edges=false``.

    Kaldi's defaults: samples on the 16-bit scale, mean of the frame removed, pre-emphasis .97,
    Povey window, natural logarithm of the power, log energy of the frame in place of bin 0. A clip
    is mirrored beyond its ends. Kaldi's dither is left out, so that a clip always gives the same.

    Args:
        waveform: float32 [B, T], full scale = 1.
        num_samples: int32 [B]; 0 = filler row.

    Returns:
        Features float32 [B, 513, F] and the frames of each clip, int32 [B], with
        F = (T + 80) // 160, but at least 1; 0 for a filler row.
    """
    num_frames = max((waveform.shape[1] + FRAME_SHIFT // 2) // FRAME_SHIFT, 1)
    first = (FRAME_SHIFT - FRAME_LENGTH) // 2  # the middle of frame 0 is that of its shift
    positions = first + jnp.arange((num_frames - 1) * FRAME_SHIFT + FRAME_LENGTH)
    mirrored = jnp.take_along_axis(waveform, _mirrored(positions, num_samples[:, None]), axis=1)
    starts = FRAME_SHIFT * np.arange(num_frames)
    frames = mirrored[:, starts[:, None] + np.arange(FRAME_LENGTH)] * _KALDI_FULL_SCALE
    frames -= frames.mean(axis=-1, keepdims=True)
    energy = jnp.square(frames).sum(axis=-1)
    # The first sample of a frame is its own predecessor.
    before = jnp.concatenate([frames[..., :1], frames[..., :-1]], axis=-1)
    emphasised = frames - PRE_EMPHASIS * before
    powers = jnp.concatenate([energy[..., None], power(emphasised, _povey_waves())], axis=-1)
    features = jnp.log(jnp.maximum(powers, _KALDI_FLOOR))
    # Kaldi has no frame for a clip of less than 80 samples; here it has one.
    own = jnp.maximum((num_samples + FRAME_SHIFT // 2) // FRAME_SHIFT, 1)
    return features.swapaxes(1, 2), jnp.where(is_real(num_samples), own, 0)


def _mirrored(position: jax.Array, length: jax.Array) -> jax.Array:
    """Fold positions outside [0, length) back in, the end samples doubled."""
    length = jnp.maximum(length, 1)
    position = position % (2 * length)
    return jnp.where(position < length, position, 2 * length - 1 - position)


@functools.cache
def _povey_waves() -> np.ndarray:
    """Return the waves of bins 1 to 512 under the Povey window, [1024, 2 * 512]."""
    n = np.arange(FRAME_LENGTH)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * n / (FRAME_LENGTH - 1))) ** 0.85
    return windowed_waves(window, FRAME_LENGTH, np.arange(1, FRAME_LENGTH // 2 + 1))


def cqt_hz() -> np.ndarray:
    """Return the centre frequencies of the constant-Q transform in Hz, float64 [432]."""
    return CQT_LOWEST_HZ * 2.0 ** (np.arange(CQT_BINS) / CQT_BINS_PER_OCTAVE)


def log_power_cqt(waveform: jax.Array, num_samples: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Compute a constant-Q power spectrogram in dB.

    Bin k at frame t is the product of the pre-emphasised clip with a Hann-windowed complex tone of
    f_k, Q / f_k seconds long (Q = 1 / (2^(1/48) - 1)) and centred at sample 256 t; its absolute
    values sum to the square root of its length, as in librosa. Outside of the clip there are zeros.

    Octaves are computed at the lowest rate that leaves them in the lower half of the band. The
    longest kernel, 4.6 s, has then as few taps as the others, and memory stays that of a few
    hundred values per frame.

    Args:
        waveform: float32 [B, T], full scale = 1.
        num_samples: int32 [B]; 0 = filler row.

    Returns:
        Features float32 [B, 432, F], rising in frequency, and the frames of each clip, int32 [B],
        with F = 1 + T // 256; 0 for a filler row.
    """
    emphasised = waveform - PRE_EMPHASIS * jnp.pad(waveform[:, :-1], ((0, 0), (1, 0)))
    inside = jnp.arange(waveform.shape[1]) < num_samples[:, None]
    x = jnp.pad(jnp.where(inside, emphasised, 0.0), ((0, 0), (_CQT_MARGIN, _CQT_MARGIN)))
    num_frames = 1 + waveform.shape[1] // CQT_HOP
    octaves: list[jax.Array] = []
    factor = 1
    for kernels in _cqt_kernels():
        if len(octaves) > 1:
            x = _correlate(x, _half_band()[:, None], 0, 2, (x.shape[1] + 1) // 2)[..., 0]
            factor *= 2
        first = _CQT_MARGIN // factor
        parts = _correlate(x, kernels, first, CQT_HOP // factor, num_frames)
        square = jnp.square(parts).reshape(*parts.shape[:2], 2, CQT_BINS_PER_OCTAVE)
        octaves.append(square.sum(axis=2))
    powers = jnp.concatenate(octaves[::-1], axis=-1)
    features = 10.0 * jnp.log10(jnp.maximum(powers, _CQT_FLOOR))
    own = jnp.where(is_real(num_samples), 1 + num_samples // CQT_HOP, 0)
    return features.swapaxes(1, 2), own


def _correlate(
    x: jax.Array, kernels: np.ndarray, first: int, stride: int, num_outputs: int
) -> jax.Array:
    """Correlate with kernels centred at ``first`` and every ``stride`` samples from there.

    Args:
        x: [B, T].
        kernels: [taps, C], odd number of taps.
        first: sample below the middle of the first output's kernel.
        stride: samples between outputs.
        num_outputs: N.

    Returns:
        [B, N, C].
    """
    half = len(kernels) // 2
    last = first + (num_outputs - 1) * stride
    return jax.lax.conv_general_dilated(
        x[..., None],
        jnp.asarray(kernels[:, None]),
        (stride,),
        [(half - first, last + half + 1 - x.shape[1])],
        dimension_numbers=("NTC", "TIO", "NTC"),
        precision=EXACT,
    )


def _half_band() -> np.ndarray:
    """Return a zero-phase low-pass filter at half the band, float32 [63]."""
    n = np.arange(_HALF_BAND_TAPS) - _HALF_BAND_TAPS // 2
    taps = np.sinc(n / 2) * np.kaiser(_HALF_BAND_TAPS, _KAISER_BETA)
    return (taps / taps.sum()).astype(np.float32)


@functools.cache
def _cqt_kernels() -> tuple[np.ndarray, ...]:
    """Design each octave's kernels, the highest octave first, at the rate it is computed at.

    Returns:
        Octave by octave float32 [taps, 2 * 48], cosines before sines.
    """
    quality = 1.0 / (2.0 ** (1.0 / CQT_BINS_PER_OCTAVE) - 1.0)
    octaves = []
    for octave, hz in enumerate(cqt_hz().reshape(-1, CQT_BINS_PER_OCTAVE)[::-1]):
        factor = 2 ** max(octave - 1, 0)
        length = quality * SAMPLE_RATE_HZ / hz
        half = int(length.max() / 2 / factor)
        n = factor * np.arange(-half, half + 1)[:, None]
        window = np.where(abs(n) < length / 2, 0.5 + 0.5 * np.cos(2 * np.pi * n / length), 0.0)
        window *= np.sqrt(length) / window.sum(axis=0)
        phase = 2 * np.pi * hz * n / SAMPLE_RATE_HZ
        kernels = np.concatenate([window * np.cos(phase), window * np.sin(phase)], axis=1)
        octaves.append(kernels.astype(np.float32))
    return tuple(octaves)
