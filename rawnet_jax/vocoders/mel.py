"""Log-mel spectrograms as the neural vocoders of this field take them.

The form of Kong, Kim, Bae, "HiFi-GAN", NeurIPS 2020 (section 3 and its public settings): periodic
Hann window, reflected edges such that a clip has T / hop frames, magnitudes, mel bands of unit area
(Slaney), natural logarithm floored at 1e-5.
"""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.dsp.mel_bank import mel_bank

LOG_FLOOR = 1e-5


@dataclass(frozen=True, slots=True)
class MelSetting:
    """Size of a spectrogram.

    Attributes:
        num_bands: mel bands M.
        hop: samples from one frame to the next.
        size: samples of the window and points of the DFT.
        low_hz: lower edge of the first band.
        high_hz: upper edge of the last band; at most 8000.
    """

    num_bands: int = 80
    hop: int = 256
    size: int = 1024
    low_hz: float = 0.0
    high_hz: float = 8000.0

    def __post_init__(self) -> None:
        """Refuse what no spectrogram can have.

        Raises:
            ValueError: naming the field.
        """
        if not 0 < self.hop <= self.size // 2 or (self.size - self.hop) % 2:
            raise ValueError(
                f"hop is {self.hop}; it must be 1 to {self.size // 2}, and even like the size"
            )
        if not 0 <= self.low_hz < self.high_hz <= SAMPLE_RATE_HZ / 2:
            raise ValueError(
                f"bands from {self.low_hz:g} to {self.high_hz:g} Hz; they must rise within 0 to "
                f"{SAMPLE_RATE_HZ // 2} Hz"
            )
        if not 1 <= self.num_bands <= self.size // 2:
            raise ValueError(f"num_bands is {self.num_bands}; it must be 1 to {self.size // 2}")


def log_mel(waveform: jax.Array, setting: MelSetting) -> jax.Array:
    """Return the log-mel spectrogram of clips.

    Args:
        waveform: float32 [B, T], full scale = 1; T a multiple of the hop and above size / 2.
        setting: sizes.

    Returns:
        float32 [B, T / hop, M].
    """
    magnitude = stft_magnitude(waveform, setting.size, setting.hop)
    energy = jnp.dot(magnitude, filter_bank(setting), precision=jax.lax.Precision.HIGHEST)
    return jnp.log(jnp.maximum(energy, LOG_FLOOR))


def stft_magnitude(waveform: jax.Array, size: int, hop: int) -> jax.Array:
    """Return magnitudes [B, T / hop, size / 2 + 1] of [B, T]; edges are reflected."""
    spectrum = stft(waveform, size, hop)
    # The root has no gradient at 0, which silence would hit.
    return jnp.sqrt(jnp.square(spectrum.real) + jnp.square(spectrum.imag) + 1e-9)


def stft(waveform: jax.Array, size: int, hop: int) -> jax.Array:
    """Return spectra complex64 [B, T / hop, size / 2 + 1] of [B, T]; edges are reflected."""
    edge = (size - hop) // 2
    padded = jnp.pad(waveform, ((0, 0), (edge, edge)), mode="reflect")
    return jnp.fft.rfft(frames_of(padded, size, hop) * hann(size))


def frames_of(waveform: jax.Array, size: int, hop: int) -> jax.Array:
    """Cut [B, T] into overlapping frames [B, (T - size) / hop + 1, size]."""
    count = (waveform.shape[1] - size) // hop + 1
    at = np.arange(count)[:, None] * hop + np.arange(size)
    return waveform[:, at]


@functools.cache
def hann(size: int) -> np.ndarray:
    """Return the periodic Hann window, float32 [size]."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)


@functools.cache
def filter_bank(setting: MelSetting) -> np.ndarray:
    """Return float32 [size / 2 + 1, M]: triangles of unit area between edges on Slaney's scale."""
    low_hz, high_hz = setting.low_hz, setting.high_hz
    sizes = (SAMPLE_RATE_HZ, setting.size, setting.num_bands)
    return mel_bank(*sizes, low_hz, high_hz, "slaney", True).T.astype(np.float32)
