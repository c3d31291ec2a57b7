"""What is left of a waveform where a part of it is taken away.

Digital silence and an empty band are sounds that no microphone makes, and a network may take them
for a sign of either class. So what is taken away falls back to the clip's own noise floor.
"""

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import uniform_filter1d

from rawnet_jax.errors import ConfigError

FLOOR, SILENCE = "floor", "silence"
FILLS = (FLOOR, SILENCE)

QUIETEST_SHARE = 0.1
"""Of the frames, whose level at a frequency is taken for the floor there."""
MIN_DROP_DB = 20.0
"""How far the floor lies at least below the mean power at a frequency, so that what never pauses is
taken away too."""

_FRAME = 512
_SMOOTHED_BINS = 9  # of 31 Hz: the quietest frame of a single bin is quiet by chance


def make_baseline(waveform: np.ndarray, fill: str = FLOOR, seed: int = 0) -> np.ndarray:
    """Return what is left when all of a waveform is taken away.

    Args:
        waveform: float [n], full scale = 1.
        fill: "floor" (see `noise_floor`) or "silence" (zeros).
        seed: of the noise.

    Returns:
        float32 [n].

    Raises:
        ConfigError: `fill` is neither.
    """
    if fill not in FILLS:
        raise ConfigError(f"fill is {fill!r}; it must be one of {', '.join(FILLS)}")
    if fill == SILENCE:
        return np.zeros(len(waveform), np.float32)
    return noise_floor(waveform, seed)


def noise_floor(waveform: np.ndarray, seed: int = 0) -> np.ndarray:
    """Make steady noise as loud as the clip is where it is quietest, frequency by frequency.

    Args:
        waveform: float [n], full scale = 1.
        seed: of the noise; the same seed, the same samples.

    Returns:
        float32 [n], Gaussian noise whose spectrum is, at each frequency, the level that
        `QUIETEST_SHARE` of the frames do not exceed, and `MIN_DROP_DB` or more below the mean.
    """
    window = np.hanning(_FRAME + 1)[:-1]
    padded = np.pad(np.asarray(waveform, np.float64), (0, max(0, _FRAME - len(waveform))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[:: _FRAME // 2]
    power = np.abs(rfft(frames * window)) ** 2 / np.sum(window**2)
    # A running sum leaves rounding below 0 beside a strong tone.
    power = np.maximum(uniform_filter1d(power, _SMOOTHED_BINS, axis=1, mode="nearest"), 0)
    quiet = np.quantile(power, QUIETEST_SHARE, axis=0)
    floor = np.minimum(quiet, power.mean(axis=0) * 10 ** (-MIN_DROP_DB / 10))
    length = next_fast_len(len(waveform), real=True)
    noise = np.random.default_rng(seed).standard_normal(length)
    place = np.linspace(0, len(floor) - 1, length // 2 + 1)
    gain = np.sqrt(np.interp(place, np.arange(len(floor)), floor))
    return irfft(rfft(noise) * gain, length)[: len(waveform)].astype(np.float32)
