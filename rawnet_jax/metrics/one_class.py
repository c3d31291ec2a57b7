"""A threshold from bona fide scores alone: a boundary around genuine speech.

Attacks of tomorrow are in no development set, so a threshold that depends on today's attacks is
fitted to them. One that is chosen by how much genuine speech it may reject is not; what it does to
attacks is then measured, not promised.
"""

import numpy as np
from numpy.typing import ArrayLike

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.bootstrap import Interval
from rawnet_jax.metrics.thresholds import Threshold, check_rate
from rawnet_jax.metrics.validation import validate_class_scores


def at_one_class(bonafide_scores: ArrayLike, rate: float) -> Threshold:
    """Choose the highest bona fide score below which no more than `rate` of them lie.

    A rate of 0 gives the lowest bona fide score, a rate of 1 the next number above the highest.

    Args:
        bonafide_scores: [Nb], higher = more bona fide.
        rate: highest share of bona fide trials to reject, from 0 to 1.

    Returns:
        The threshold; its `p_fa` is None, since no spoof score was looked at.

    Raises:
        MetricError: see `validate_class_scores`; or `rate` is not in [0, 1].
    """
    check_rate(rate)
    ascending = np.sort(validate_class_scores(bonafide_scores, "bona fide"))
    num = ascending.size
    # Compared as fractions: 0.29 * 100 is below 29.
    num_allowed = int(np.flatnonzero(np.arange(num + 1) / num <= rate)[-1])
    above_all = np.nextafter(ascending[-1], np.inf)
    value = float(ascending[num_allowed] if num_allowed < num else above_all)
    p_miss = np.count_nonzero(ascending < value) / num
    words = f"one-class: at most {rate:g} of bona fide speech rejected"
    return Threshold(value, words, p_miss)


def clopper_pearson(num_hits: int, num_trials: int, level: float = 0.95) -> Interval:
    """Return the exact interval of a rate that was seen as `num_hits` of `num_trials`.

    It also holds for a threshold that was chosen on these very trials: between the (k)th and the
    (k + 1)th lowest of N scores the true rate has the same two beta distributions. Trials count as
    independent; many by few speakers tell less of new speakers than their number promises.

    Args:
        num_hits: k.
        num_trials: N, at least 1.
        level: between 0 and 1.

    Raises:
        MetricError: the numbers make no sense.

    Source: Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case
    of the binomial", Biometrika 26, 1934.
    """
    # Only this function needs SciPy, which takes a while to import.
    from scipy.special import betaincinv

    if not 0 <= num_hits <= num_trials or num_trials < 1 or not 0 < level < 1:
        raise MetricError(f"{num_hits} of {num_trials} at level {level}: not a rate and its level")
    tail, k, n = (1 - level) / 2, num_hits, num_trials
    low = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(betaincinv(k + 1, n - k, 1 - tail))
    return Interval(low, high, level)
