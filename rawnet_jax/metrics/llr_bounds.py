"""How strong a likelihood ratio the trials behind a calibration can support.

A straight line through a few hundred trials goes on for ever: far from them it promises ratios of
millions that nobody has tested. The empirical bounds are where the ratios stop to be better than
saying nothing, if one more trial of either class had come out as wrong as can be.

Source: Vergeer, van Es, de Jongh, Alberink, Stoel, "Numerical likelihood ratios outputted by LR
systems are often based on extrapolation: When to stop extrapolating?", Science & Justice 56 (2016),
482-491 (empirical lower and upper bound, one misleading ratio).
"""

import numpy as np
from numpy.typing import ArrayLike

from rawnet_jax.metrics.validation import validate_scores


def llr_bounds(bonafide_llrs: ArrayLike, spoof_llrs: ArrayLike) -> tuple[float, float]:
    """Return the range of log-likelihood ratios that these trials support.

    At prior odds 1 / t the best decision is bona fide where the ratio is t or more. It errs with
    ``(Pmiss(t) + t Pfa(t)) / (1 + t)``; who does not look at the ratio errs with
    ``min(1, t) / (1 + t)``. Pmiss and Pfa count one further trial each, on the wrong side. The
    bounds end the stretch of t around 1 on which looking is better.

    Args:
        bonafide_llrs: [Nb], natural logarithm, bona fide over spoof.
        spoof_llrs: [Ns].

    Returns:
        Lowest (at most 0) and highest (at least 0), in nats; (0, 0) where the ratios are no better
        than saying nothing.

    Raises:
        MetricError: see `validate_scores`.
    """
    bonafide, spoof = validate_scores(bonafide_llrs, spoof_llrs)
    # The same stretch seen from either class: with signs turned, misses become false alarms.
    return -_upper(-spoof, -bonafide), _upper(bonafide, spoof)


def _upper(bonafide: np.ndarray, spoof: np.ndarray) -> float:
    """Return the highest ln t, from 0 on, up to which ``Pmiss(t) + t Pfa(t) < 1``."""
    bonafide, spoof = np.sort(bonafide), np.sort(spoof)
    edges = np.unique(np.concatenate([bonafide, spoof]))
    # Between two ratios that occur, both shares stay as they are: t in (start, end].
    start = np.concatenate([[-np.inf], edges])
    end = np.concatenate([edges, [np.inf]])
    start, end = np.maximum(start[end > 0], 0.0), end[end > 0]
    at = np.nextafter(start, np.inf)
    p_miss = (np.searchsorted(bonafide, at) + 1) / (bonafide.size + 1)
    p_fa = (spoof.size - np.searchsorted(spoof, at) + 1) / (spoof.size + 1)
    with np.errstate(divide="ignore"):
        limit = np.log((1 - p_miss) / p_fa)
    ends_here = np.flatnonzero(limit < end)  # the last one does: its end is infinite
    first = int(ends_here[0])
    return float(max(limit[first], start[first]))
