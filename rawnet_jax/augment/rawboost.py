"""RawBoost: noise that depends on the signal and noise that does not, without recordings.

Tak et al., RawBoost: a raw data boosting and augmentation method applied to automatic speaker
verification anti-spoofing, ICASSP 2022 (arXiv 2111.04433). Each algorithm is a draw and a
computation that follows from what was drawn. The published recipe runs on a whole utterance before
it is cut; here the clip is what the batch holds.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rawnet_jax.augment.clip import mixed_at_snr, own_samples
from rawnet_jax.augment.draw import Range, distinct_positions, seeds, uniform, white_noise
from rawnet_jax.augment.fir import (
    BLOCK_LENGTH,
    MAX_HALF_WIDTH,
    NYQUIST_HZ,
    filtered,
    hamming,
    ideal_band_stop,
    response,
)

ALGORITHMS: dict[int, tuple[str, ...]] = {
    0: (),
    1: ("LnL",),
    2: ("ISD",),
    3: ("SSI",),
    4: ("LnL", "ISD", "SSI"),
    5: ("LnL", "ISD"),
    6: ("LnL", "SSI"),
    7: ("ISD", "SSI"),
    8: ("LnL", "ISD"),
}
"""The published code's number of each algorithm and combination; in series but for 8."""

IN_PARALLEL = 8
MAX_DRAWN_TAPS = 100
MAX_BANDS = 2 * MAX_HALF_WIDTH // MAX_DRAWN_TAPS

_EDGE_HZ = 0.001  # band edges stay so far inside 0 to 8 kHz
_EARLY = 1  # samples by which the published filters' output comes early
_PEAK_STEP = BLOCK_LENGTH // 1024  # the peak gain is looked for at 512 frequencies


class NotchBands(NamedTuple):
    """Bands that a filter stops, and its gain; F filters of N bands."""

    center_hz: jax.Array  # float32 [F, N]
    bandwidth_hz: jax.Array  # float32 [F, N]
    num_taps: jax.Array  # int32 [F, N]; an even number counts as the next odd one
    gain_db: jax.Array  # float32 [F], of the largest response


def rawboost(
    key: jax.Array,
    waveform: jax.Array,
    num_samples: jax.Array,
    *,
    algorithm: int = 5,
    num_bands: int = 5,
    center_hz: Range = (20.0, 8000.0),
    bandwidth_hz: Range = (100.0, 1000.0),
    num_taps: Range = (10.0, 100.0),
    gain_db: Range = (0.0, 0.0),
    order: int = 5,
    nonlinear_gain_db: Range = (-20.0, -5.0),
    impulse_percent: Range = (0.0, 10.0),
    impulse_gain: float = 2.0,
    snr_db: Range = (10.0, 40.0),
) -> jax.Array:
    """Apply one of the algorithms of RawBoost.

    Args:
        key: of this clip.
        waveform: float32 [T], zeros behind `num_samples`.
        num_samples: int32 scalar.
        algorithm: a key of `ALGORITHMS`.
        num_bands: stop bands of a filter.
        center_hz: of a band.
        bandwidth_hz: of a band.
        num_taps: of a band's filter; at most `MAX_DRAWN_TAPS`.
        gain_db: of the filters of LnL's linear part and of SSI.
        order: LnL: highest power of the signal.
        nonlinear_gain_db: LnL: of the filters of the powers from 2 on.
        impulse_percent: ISD: share of samples with an impulse.
        impulse_gain: ISD: impulses are at most so many times the sample.
        snr_db: SSI: signal-to-noise ratio.

    Returns:
        float32 [T].
    """
    lnl_seeds, isd_seeds, ssi_seeds = seeds(key, 18).reshape(3, 6)

    def bands(own_seeds: jax.Array, gain_bounds: list[Range]) -> NotchBands:
        return draw_bands(own_seeds, num_bands, center_hz, bandwidth_hz, num_taps, gain_bounds)

    def lnl(x: jax.Array) -> jax.Array:
        drawn = bands(lnl_seeds, [gain_db] + [nonlinear_gain_db] * (order - 1))
        return linear_nonlinear(x, num_samples, drawn)

    def isd(x: jax.Array) -> jax.Array:
        positions, factors = draw_impulses(isd_seeds, len(x), num_samples, impulse_percent)
        return impulsive(x, positions, impulse_gain * factors)

    def ssi(x: jax.Array) -> jax.Array:
        noise = white_noise(ssi_seeds[4], len(x))
        drawn = bands(ssi_seeds, [gain_db])
        return stationary(x, num_samples, noise, drawn, uniform(ssi_seeds[5], snr_db))

    if algorithm == IN_PARALLEL:
        return within_full_scale(lnl(waveform) + isd(waveform))
    parts = {"LnL": lnl, "ISD": isd, "SSI": ssi}
    for name in ALGORITHMS[algorithm]:
        waveform = parts[name](waveform)
    return waveform


def draw_bands(
    own_seeds: jax.Array,
    num_bands: int,
    center_hz: Range,
    bandwidth_hz: Range,
    num_taps: Range,
    gain_db: list[Range],
) -> NotchBands:
    """Draw the bands of as many filters as gains are given, all uniformly, from four seeds."""
    shape = (len(gain_db), num_bands)
    lowest, highest = (jnp.array(bounds) for bounds in zip(*gain_db, strict=True))
    return NotchBands(
        uniform(own_seeds[0], center_hz, shape),
        uniform(own_seeds[1], bandwidth_hz, shape),
        uniform(own_seeds[2], num_taps, shape).astype(jnp.int32),
        lowest + (highest - lowest) * uniform(own_seeds[3], (0.0, 1.0), (len(gain_db),)),
    )


def draw_impulses(
    own_seeds: jax.Array, length: int, num_samples: jax.Array, percent: Range
) -> tuple[jax.Array, jax.Array]:
    """Draw where impulses are and how strong.

    Args:
        own_seeds: uint32 [3 or more].
        length: T.
        num_samples: int32 scalar.
        percent: share of the clip's samples, drawn uniformly.

    Returns:
        Positions int32 [K], distinct where they are used; T marks those that are not. Factors
        float32 [K] between -1 and 1, products of two uniform numbers.
    """
    share = uniform(own_seeds[0], percent) / 100.0
    count = jnp.floor(num_samples * share).astype(jnp.int32)
    most = int(length * percent[1] / 100.0)
    positions = distinct_positions(own_seeds[1], most, num_samples)
    factors = uniform(own_seeds[2], (-1.0, 1.0), (2, most))
    return jnp.where(jnp.arange(most) < count, positions, length), factors[0] * factors[1]


def notch_response(bands: NotchBands) -> jax.Array:
    """Design filters that stop bands, scaled to a peak gain.

    One filter per band (Hamming window), multiplied; the largest response at 512 frequencies from 0
    Hz to below 8 kHz is the gain.

    Args:
        bands: of F filters.

    Returns:
        float32 [F, fir.NUM_BINS], without delay.
    """
    half_width = MAX_DRAWN_TAPS // 2
    low_hz = jnp.maximum(bands.center_hz - bands.bandwidth_hz / 2, _EDGE_HZ)
    high_hz = jnp.minimum(bands.center_hz + bands.bandwidth_hz / 2, NYQUIST_HZ - _EDGE_HZ)
    num_taps = bands.num_taps + (bands.num_taps % 2 == 0)
    taps = ideal_band_stop(low_hz, high_hz, half_width) * hamming(num_taps, half_width)
    # The published design makes every response 1 at 0 Hz. Only its sign outlives the scaling below.
    at_zero_hz = taps[..., :1] + 2 * jnp.sum(taps[..., 1:], axis=-1, keepdims=True)
    product = jnp.prod(response(jnp.where(at_zero_hz < 0, -taps, taps)), axis=-2)
    peak = jnp.max(jnp.abs(product[..., :-1:_PEAK_STEP]), axis=-1)
    return product * (10.0 ** (bands.gain_db / 20.0) / peak)[..., None]


def linear_nonlinear(waveform: jax.Array, num_samples: jax.Array, bands: NotchBands) -> jax.Array:
    """Algorithm 1, LnL: add up powers of the signal, each through a filter of its own.

    Args:
        waveform: float32 [T], zeros behind `num_samples`.
        num_samples: int32 scalar.
        bands: of F filters: for the signal, its square, ...

    Returns:
        float32 [T] of mean 0, within full scale.
    """
    powers = [waveform]
    for _ in range(len(bands.gain_db) - 1):
        powers.append(powers[-1] * waveform)
    summed = filtered(jnp.stack(powers), notch_response(bands), _EARLY)
    summed = own_samples(summed, num_samples)
    centred = summed - jnp.sum(summed) / jnp.maximum(num_samples, 1)
    return within_full_scale(own_samples(centred, num_samples))


def impulsive(waveform: jax.Array, positions: jax.Array, factors: jax.Array) -> jax.Array:
    """Algorithm 2, ISD: add to some samples a multiple of themselves.

    Args:
        waveform: float32 [T].
        positions: int32 [K], distinct but for those from T on, which are left out.
        factors: float32 [K].

    Returns:
        float32 [T], within full scale.
    """
    changed = waveform.at[positions].multiply(1.0 + factors, mode="drop")
    return within_full_scale(changed)


def stationary(
    waveform: jax.Array,
    num_samples: jax.Array,
    noise: jax.Array,
    bands: NotchBands,
    snr_db: jax.Array,
) -> jax.Array:
    """Algorithm 3, SSI: add filtered white noise.

    Args:
        waveform: float32 [T], zeros behind `num_samples`.
        num_samples: int32 scalar.
        noise: float32 [T].
        bands: of one filter.
        snr_db: float32 scalar.

    Returns:
        float32 [T].
    """
    # The published code also scales the noise to a peak of 1, which the ratio makes void.
    own = own_samples(noise, num_samples)
    coloured = own_samples(filtered(own[None], notch_response(bands), _EARLY), num_samples)
    return mixed_at_snr(waveform, coloured, snr_db)


def within_full_scale(waveform: jax.Array) -> jax.Array:
    """Divide a waveform [T] by its peak if that exceeds 1."""
    return waveform / jnp.maximum(jnp.max(jnp.abs(waveform)), 1.0)
