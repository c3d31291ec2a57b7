"""The log-mel spectrogram that Whisper takes.

Radford et al., "Robust speech recognition via large-scale weak supervision", 2022 (section 2.2),
in the form of its public code: frames of 25 ms centred at every 10 ms, edges mirrored, periodic
Hann window, power, mel bands of unit area on Slaney's scale from 0 to 8 kHz, log10, everything more
than 8 below the clip's loudest value raised to that, (x + 4) / 4.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.dsp.dft import EXACT, power, windowed_waves
from rawnet_jax.dsp.mel_bank import mel_bank

FRAME_LENGTH = 400  # samples, also the points of the DFT
FRAME_SHIFT = 160
_HALF = FRAME_LENGTH // 2
_LOG_FLOOR = 1e-10
_RANGE = 8.0


def whisper_mel(
    waveform: jax.Array, num_samples: jax.Array, bands: int
) -> tuple[jax.Array, jax.Array]:
    """Compute the spectrogram of clips, each as if nothing stood around it.

    Args:
        waveform: float32 [B, T], full scale = 1, T > 200.
        num_samples: int32 [B], how much of a row is the clip, above 200: mirroring takes so much.
        bands: M.

    Returns:
        float32 [B, T // 160, M], zero behind a clip's own frames, and int32 [B], how many these
        are: ``num_samples // 160``.
    """
    shown = waveform.shape[1] // FRAME_SHIFT
    hops = shown + 2  # a frame is two hops and a half
    position = jnp.arange(hops * FRAME_SHIFT) - _HALF
    mirrored = jnp.take_along_axis(waveform, _mirrored(position, num_samples[:, None]), axis=1)
    parts = mirrored.reshape(-1, hops, FRAME_SHIFT)
    frames = jnp.concatenate([parts[:, :-2], parts[:, 1:-1], parts[:, 2:]], axis=2)
    energy = jnp.dot(power(frames[..., :FRAME_LENGTH], _waves()), _bank(bands), precision=EXACT)
    levels = jnp.log10(jnp.maximum(energy, _LOG_FLOOR))
    num_frames = num_samples // FRAME_SHIFT
    own = (jnp.arange(shown) < num_frames[:, None])[..., None]
    loudest = jnp.where(own, levels, -jnp.inf).max(axis=(1, 2), keepdims=True)
    scaled = (jnp.maximum(levels, loudest - _RANGE) + 4.0) / 4.0
    return jnp.where(own, scaled, 0.0), num_frames


def _mirrored(position: jax.Array, length: jax.Array) -> jax.Array:
    """Fold positions outside [0, length) back in, the end samples not doubled."""
    position = jnp.abs(position)
    folded = jnp.where(position < length, position, 2 * (length - 1) - position)
    return jnp.maximum(folded, 0)  # what is further behind is in no frame of the clip


@functools.cache
def _waves() -> np.ndarray:
    """Return the waves of bins 0 to 200 under the Hann window, [400, 2 * 201]."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME_LENGTH) / FRAME_LENGTH)
    return windowed_waves(window, FRAME_LENGTH, np.arange(_HALF + 1))


@functools.cache
def _bank(bands: int) -> np.ndarray:
    """Return the mel bands, float32 [201, bands]."""
    top_hz = SAMPLE_RATE_HZ / 2
    bank = mel_bank(SAMPLE_RATE_HZ, FRAME_LENGTH, bands, 0.0, top_hz, "slaney", True)
    return bank.T.astype(np.float32)
