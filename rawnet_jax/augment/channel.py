"""What a telephone line does: fewer hertz, fewer samples, eight bits.

Companding is ITU-T G.711 to the bit, on clips of full scale 1.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from rawnet_jax.augment.clip import own_samples
from rawnet_jax.augment.draw import Range, seeds, uniform
from rawnet_jax.augment.fir import filtered, low_pass

NUM_TAPS = 257
"""Of all filters here: the transition between stop band and pass band takes 200 Hz."""

_TELEPHONE_HZ = 3900.0  # at 4 kHz, half of a telephone's sample rate, nothing is left to alias
_INT16_SCALE = 32_768.0
_MU_BIAS = 132.0
_MU_CLIP = 32_635.0
_A_LINEAR = 256.0  # below, A-law's steps are even
_A_STEP = 16.0
# A magnitude keeps the four bits that follow its leading one and then stands in the middle of its
# step: in a float32, the fraction's first four bits, and the fifth set.
_KEPT_BITS = 0xFFF80000
_MIDDLE_BIT = 0x00040000


def band_limit(
    key: jax.Array,
    waveform: jax.Array,
    num_samples: jax.Array,
    *,
    low_hz: Range = (100.0, 300.0),
    high_hz: Range = (3400.0, 7000.0),
) -> jax.Array:
    """Keep what lies between two frequencies.

    Args:
        key: of this clip.
        waveform: float32 [T], zeros behind `num_samples`.
        num_samples: int32 scalar.
        low_hz: lower edge, drawn uniformly; 0 = none.
        high_hz: upper edge, drawn uniformly; 8000 = none.

    Returns:
        float32 [T].
    """
    low_seed, high_seed = seeds(key, 2)
    low, high = uniform(low_seed, low_hz), uniform(high_seed, high_hz)
    passed = low_pass(high, NUM_TAPS) - low_pass(low, NUM_TAPS)
    return own_samples(filtered(waveform[None], passed[None]), num_samples)


def sample_rate_reduction(
    key: jax.Array,
    waveform: jax.Array,
    num_samples: jax.Array,
    *,
    rate_hz: Range = (8000.0, 8000.0),
) -> jax.Array:
    """Resample to a lower rate and back.

    Of a clip that goes through good resamplers, what lies below half the lower rate comes back, so
    that is what is computed.

    Args:
        key: of this clip.
        waveform: float32 [T], zeros behind `num_samples`.
        num_samples: int32 scalar.
        rate_hz: drawn uniformly; 16000 = as it was.

    Returns:
        float32 [T].
    """
    passed = low_pass(uniform(seeds(key, 1)[0], rate_hz) / 2, NUM_TAPS)
    return own_samples(filtered(waveform[None], passed[None]), num_samples)


def mu_law(
    key: jax.Array,  # noqa: ARG001
    waveform: jax.Array,
    num_samples: jax.Array,
    *,
    telephone: bool = True,
) -> jax.Array:
    """Code with mu-law (G.711, North America and Japan) and decode.

    Args:
        key: of this clip; nothing is drawn.
        waveform: float32 [T], zeros behind `num_samples`.
        num_samples: int32 scalar.
        telephone: code at 8 kHz, as telephones do, and come back to 16 kHz; else code at 16 kHz.

    Returns:
        float32 [T].
    """
    return _coded(waveform, num_samples, mu_law_coded, telephone)


def a_law(
    key: jax.Array,  # noqa: ARG001
    waveform: jax.Array,
    num_samples: jax.Array,
    *,
    telephone: bool = True,
) -> jax.Array:
    """Code with A-law (G.711, everywhere else) and decode; arguments as `mu_law`."""
    return _coded(waveform, num_samples, a_law_coded, telephone)


def mu_law_coded(waveform: jax.Array) -> jax.Array:
    """Code every sample with mu-law and decode it, float32 of the same shape."""
    magnitude = jnp.minimum(jnp.abs(waveform) * _INT16_SCALE, _MU_CLIP) + _MU_BIAS
    return jnp.copysign((_in_step(magnitude) - _MU_BIAS) / _INT16_SCALE, waveform)


def a_law_coded(waveform: jax.Array) -> jax.Array:
    """Code every sample with A-law and decode it, float32 of the same shape.

    A-law has no zero: silence becomes 8 of 32768.
    """
    magnitude = jnp.minimum(jnp.abs(waveform) * _INT16_SCALE, _INT16_SCALE - 1)
    even = (jnp.floor(magnitude / _A_STEP) + 0.5) * _A_STEP
    decoded = jnp.where(magnitude < _A_LINEAR, even, _in_step(magnitude))
    return jnp.copysign(decoded / _INT16_SCALE, waveform)


def _in_step(magnitude: jax.Array) -> jax.Array:
    bits = jax.lax.bitcast_convert_type(magnitude, jnp.uint32)
    middle = (bits & jnp.uint32(_KEPT_BITS)) | jnp.uint32(_MIDDLE_BIT)
    return jax.lax.bitcast_convert_type(middle, jnp.float32)


def _coded(
    waveform: jax.Array,
    num_samples: jax.Array,
    coded: Callable[[jax.Array], jax.Array],
    telephone: bool,
) -> jax.Array:
    if not telephone:
        return own_samples(coded(waveform), num_samples)
    passed = low_pass(_TELEPHONE_HZ, NUM_TAPS)[None]
    narrow = filtered(waveform[None], passed)
    # Every other sample is one at 8 kHz; the zeros between them are what a resampler fills.
    at_8_khz = jnp.where(jnp.arange(len(waveform)) % 2 == 0, 2.0 * coded(narrow), 0.0)
    return own_samples(filtered(at_8_khz[None], passed), num_samples)
