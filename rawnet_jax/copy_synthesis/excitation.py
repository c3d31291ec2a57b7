"""What drives a source-filter vocoder: a pulse per period where there is a voice, noise elsewhere.

As in LPC-10; noise above a frequency in voiced speech, too: mixed excitation (McCree and Barnwell,
"A mixed excitation LPC vocoder model for low bit rate speech coding", IEEE TSAP 3 (1995)).
"""

import numpy as np
from scipy.signal import firwin, oaconvolve

from rawnet_jax.contract import SAMPLE_RATE_HZ

_TAPS = 65


def excitation(
    f0: np.ndarray, hop: int, num_samples: int, noise_from_hz: float, rng: np.random.Generator
) -> np.ndarray:
    """Return an excitation of power 1, pulses or noise.

    Args:
        f0: float [F], pitch in Hz every `hop` samples; 0 = no voice.
        hop: samples.
        num_samples: n; at most F hop.
        noise_from_hz: above it voiced speech is noise, too; 8,000 = nowhere.
        rng: draws the noise.

    Returns:
        float64 [n].
    """
    frame = np.minimum((np.arange(num_samples) + hop // 2) // hop, len(f0) - 1)
    voiced = f0[frame] > 0.0
    noise = rng.standard_normal(num_samples)
    if not np.any(voiced):
        return noise
    known = np.flatnonzero(f0 > 0.0)
    pitch = np.interp(np.arange(num_samples) / hop, known, f0[known])
    turns = np.cumsum(pitch / SAMPLE_RATE_HZ)
    is_pulse = np.diff(np.floor(turns), prepend=0.0) > 0.0
    # Without a mean, which an all-pole filter would make a rumble of.
    pulses = np.where(is_pulse, np.sqrt(SAMPLE_RATE_HZ / pitch), 0.0)
    pulses -= np.sqrt(pitch / SAMPLE_RATE_HZ)
    if noise_from_hz < 0.5 * SAMPLE_RATE_HZ:
        low_pass = firwin(_TAPS, noise_from_hz, fs=SAMPLE_RATE_HZ)
        high_pass = -low_pass
        high_pass[_TAPS // 2] += 1.0
        pulses = oaconvolve(pulses, low_pass, "same") + oaconvolve(noise, high_pass, "same")
    return np.where(voiced, pulses, noise)
