"""Reading a clip faster or slower: speed, and pitch.

Factors are whole hundredths. So after every 100 output samples the filters that make them come
again, 100 input samples times the factor further on: resampling is one product of a matrix with
frames of the clip.
"""

import math

import jax
import jax.numpy as jnp

from rawnet_jax.augment.clip import own_samples
from rawnet_jax.augment.draw import Range, seeds, uniform
from rawnet_jax.contract import SAMPLE_RATE_HZ

PERIOD = 100
"""Output samples of a frame; a factor is a whole number of input samples over this."""

_REACH = 16  # input samples to either side of which an output sample is made
_PASSED = 0.94  # share of the lower bandwidth below the point of -6 dB
# Products of samples, not of features: TF32 or bfloat16 would add noise.
_EXACT = jax.lax.Precision.HIGHEST


def speed(
    key: jax.Array,
    waveform: jax.Array,
    num_samples: jax.Array,
    *,
    factor: Range = (0.9, 1.1),
) -> tuple[jax.Array, jax.Array]:
    """Play faster or slower; pitch goes along with it.

    A clip that filled its T samples still does: what a faster one lacks is its own beginning over
    again. What of a slower one lies beyond T is cut off.

    Args:
        key: of this clip.
        waveform: float32 [T], zeros behind `num_samples`.
        num_samples: int32 scalar.
        factor: drawn uniformly, to the nearest hundredth; 1.1 is a tenth faster and higher.

    Returns:
        float32 [T], and the new `num_samples`.
    """
    length = len(waveform)
    step = _drawn_step(uniform(seeds(key, 1)[0], factor))
    widest = _widest_step(factor[1])
    num_frames = -(-length // PERIOD)
    full = num_samples == length
    behind = max(0, num_frames * widest + _REACH - length)
    again = jnp.where(full, jnp.resize(waveform, (behind,)), 0.0)
    padded = jnp.concatenate([jnp.zeros(_REACH), waveform, again])
    changed = _read(padded, jnp.arange(num_frames) * step, step, widest).reshape(-1)[:length]
    shorter = jnp.rint(num_samples * PERIOD / step).astype(jnp.int32)
    after = jnp.where(full, length, jnp.clip(shorter, jnp.minimum(num_samples, 1), length))
    return own_samples(jnp.where(step == PERIOD, waveform, changed), after), after


def pitch(
    key: jax.Array,
    waveform: jax.Array,
    num_samples: jax.Array,
    *,
    semitones: Range = (-2.0, 2.0),
    grain_s: float = 0.05,
) -> jax.Array:
    """Raise or lower pitch and formants; duration stays.

    Overlapping grains of the clip are resampled, each about its own centre, and cross-faded: every
    output sample is a mean of two places at most `grain_s` times the change apart. Cheap, and as
    rough as harmonisers that work that way: a steady tone gets side tones 1 / `grain_s` apart.

    Args:
        key: of this clip.
        waveform: float32 [T], zeros behind `num_samples`.
        num_samples: int32 scalar.
        semitones: drawn uniformly; 12 is an octave up. The factor is rounded to hundredths.
        grain_s: distance of the grains' centres, rounded to 1/160 s.

    Returns:
        float32 [T].
    """
    length = len(waveform)
    step = _drawn_step(2.0 ** (uniform(seeds(key, 1)[0], semitones) / 12.0))
    widest = _widest_step(2.0 ** (semitones[1] / 12.0))
    frames_a_grain = max(1, round(grain_s * SAMPLE_RATE_HZ / PERIOD))
    grain = frames_a_grain * PERIOD
    num_grains = -(-length // grain)
    margin = _REACH + frames_a_grain * widest
    padded = jnp.pad(waveform, (margin, (num_grains + 1) * grain + margin - length))
    centre = jnp.arange(num_grains)[:, None] * grain + margin - _REACH
    frame = jnp.arange(frames_a_grain)
    share = jnp.sin(math.pi / 2 / grain * jnp.arange(grain)) ** 2  # of the later grain
    earlier = (centre + frame * step).reshape(-1)
    later = (centre + grain + (frame - frames_a_grain) * step).reshape(-1)
    first, second = (
        _read(padded, starts, step, widest).reshape(num_grains, grain)
        for starts in (earlier, later)
    )
    shifted = (first + share * (second - first)).reshape(-1)[:length]
    return own_samples(jnp.where(step == PERIOD, waveform, shifted), num_samples)


def _drawn_step(factor: jax.Array) -> jax.Array:
    return jnp.rint(PERIOD * factor).astype(jnp.int32)


def _widest_step(factor: float) -> int:
    return math.ceil(PERIOD * factor)


def _read(padded: jax.Array, starts: jax.Array, step: jax.Array, widest: int) -> jax.Array:
    """Read frames of a clip faster or slower.

    Args:
        padded: float32 [S], the clip behind at least `_REACH` other samples.
        starts: int32 [N], where each frame begins in the clip without those `_REACH` samples.
        step: int32 scalar, input samples that make PERIOD output samples.
        widest: the largest `step` that can be.

    Returns:
        float32 [N, PERIOD].
    """
    width = widest + 2 * _REACH
    frames = jax.vmap(lambda start: jax.lax.dynamic_slice(padded, (start,), (width,)))(starts)
    return jnp.matmul(frames, _interpolator(step, width).T, precision=_EXACT)


def _interpolator(step: jax.Array, width: int) -> jax.Array:
    """Return the weights of the `width` samples of a frame in each output sample.

    Sinc functions under a Hann window, low-pass where the clip is read faster; the weights of an
    output sample add up to 1. float32 [PERIOD, width].
    """
    place = jnp.arange(PERIOD)[:, None] * (step / PERIOD)
    distance = place - (jnp.arange(width) - _REACH)
    cutoff = _PASSED * jnp.minimum(1.0, PERIOD / step)
    window = jnp.cos(math.pi / 2 / _REACH * distance) ** 2
    weights = jnp.where(jnp.abs(distance) < _REACH, jnp.sinc(cutoff * distance) * window, 0.0)
    return weights / jnp.sum(weights, axis=1, keepdims=True)
