"""Additive noise at a drawn signal-to-noise ratio."""

import jax
import jax.numpy as jnp
import numpy as np

from rawnet_jax.augment.bank import NoiseBank
from rawnet_jax.augment.clip import mixed_at_snr, own_samples
from rawnet_jax.augment.draw import Range, integer_below, seeds, uniform, white_noise
from rawnet_jax.contract import SAMPLE_RATE_HZ

_LOWEST_HZ = 20.0  # coloured noise has no more energy below than here


def noise(
    key: jax.Array,
    waveform: jax.Array,
    num_samples: jax.Array,
    bank: NoiseBank,
    *,
    snr_db: Range = (0.0, 20.0),
) -> jax.Array:
    """Add a piece of a recorded noise.

    Noise and place within it are drawn uniformly. Energies are taken over the clip's own samples.

    Args:
        key: of this clip.
        waveform: float32 [T], zeros behind `num_samples`.
        num_samples: int32 scalar.
        bank: made for clips of T samples.
        snr_db: drawn uniformly.

    Returns:
        float32 [T].
    """
    which_seed, where_seed, snr_seed = seeds(key, 3)
    which = integer_below(which_seed, len(bank.length))
    begin, length = jnp.asarray(bank.start)[which], jnp.asarray(bank.length)[which]
    start = begin + integer_below(where_seed, length)
    piece = jax.lax.dynamic_slice(bank.samples, (start,), waveform.shape).astype(jnp.float32)
    return mixed_at_snr(waveform, own_samples(piece, num_samples), uniform(snr_seed, snr_db))


def coloured_noise(
    key: jax.Array,
    waveform: jax.Array,
    num_samples: jax.Array,
    *,
    snr_db: Range = (10.0, 40.0),
    slope_db: Range = (-6.0, 0.0),
) -> jax.Array:
    """Add Gaussian noise with a spectrum that rises or falls evenly.

    Args:
        key: of this clip.
        waveform: float32 [T], zeros behind `num_samples`.
        num_samples: int32 scalar.
        snr_db: drawn uniformly.
        slope_db: power per octave, drawn uniformly: 0 white, -3 pink, -6 brown, 6 violet.

    Returns:
        float32 [T].
    """
    noise_seed, slope_seed, snr_seed = seeds(key, 3)
    length = waveform.shape[0]
    frequency_hz = np.maximum(np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ), _LOWEST_HZ)
    octaves = jnp.asarray(np.log2(frequency_hz / _LOWEST_HZ), jnp.float32)
    shape = 10.0 ** (uniform(slope_seed, slope_db) / 20.0 * octaves)
    # The spectrum of white noise is white noise.
    parts = white_noise(noise_seed, 2 * len(octaves)).reshape(2, -1)
    drawn = jnp.fft.irfft(shape * jax.lax.complex(parts[0], parts[1]), length)
    return mixed_at_snr(waveform, own_samples(drawn, num_samples), uniform(snr_seed, snr_db))
