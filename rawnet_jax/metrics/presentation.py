"""Presentation attacks, counted for each kind of attack: APCER, BPCER, IAPAR, RIAPAR, and claims.

ISO/IEC 30107-3:2023 asks for error rates for each *species* of attack (here: the attack of a trial)
at one fixed threshold, and the worst of them is the result. A trial without an answer ("cannot
judge") is not a success: such trials have a share of their own, and error rates are of the trials
with an answer.

- **APCER**: share of a species' attacks that the countermeasure takes for bona fide speech;
- **APNRR**: share of a species' attacks without an answer;
- **BPCER**: share of bona fide presentations taken for attacks; **BPNRR**: without an answer;
- **BPCER10** is the BPCER where no species has an APCER above 1 / 10; 5, 20 and 100 likewise;
- **IAPAR**: share of a species' attacks on a speaker that the whole system, countermeasure and
  verification, accepts;
- **RIAPAR** = IAPAR + FRR = 1 + (IAPAR − (1 − FRR)): an IAPAR is not a merit where genuine speakers
  are rejected too.

**Claims.** That a rate is below a limit is shown only by enough trials: with k errors in n trials
the exact one-sided upper bound (Clopper and Pearson, 1934) must be at most the limit. 42 attacks
without an error show an APCER of less than 7 % at 95 % confidence, 41 do not.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.breakdown import UNSTATED, natural_order

CONFIDENCE = 0.95
BPCER_AT = {5: 0.2, 10: 0.1, 20: 0.05, 100: 0.01}
"""Number in the name -> highest APCER of any species."""

LIMITS = (0.07, 0.15)
"""Rates that a species' APCER or IAPAR is held against: levels of FIDO's certification."""


class Claim(StrEnum):
    """Whether trials show that a rate is below a limit."""

    SHOWN = "shown"
    NOT_SHOWN = "not shown: too few trials"
    NOT_MET = "not met"


@dataclass(frozen=True, slots=True)
class Count:
    """How often something happened that should not.

    Attributes:
        name: of the species, or of the class.
        num_trials: with an answer.
        num_errors: those of them that were decided wrongly.
        num_without_answer: further trials.
    """

    name: str
    num_trials: int
    num_errors: int
    num_without_answer: int = 0

    @property
    def rate(self) -> float | None:
        """Share of errors; None where no trial has an answer."""
        return self.num_errors / self.num_trials if self.num_trials else None

    @property
    def share_without_answer(self) -> float:
        """Share of all trials that have no answer (APNRR, BPNRR)."""
        total = self.num_trials + self.num_without_answer
        return self.num_without_answer / total if total else 0.0

    @property
    def upper(self) -> float:
        """Exact one-sided upper bound of the rate at `CONFIDENCE`."""
        return upper_bound(self.num_errors, self.num_trials)

    def claim(self, limit: float) -> Claim:
        """Return whether the trials show a rate below a limit.

        `Claim.NOT_MET` where the rate itself is not below it.
        """
        if self.num_trials and self.upper <= limit:
            return Claim.SHOWN
        rate = self.rate
        return Claim.NOT_MET if rate is not None and rate >= limit else Claim.NOT_SHOWN


@functools.cache
def upper_bound(num_errors: int, num_trials: int, confidence: float = CONFIDENCE) -> float:
    """Return the largest rate that is not unlikely: Clopper and Pearson's, one-sided.

    Args:
        num_errors: from 0 to `num_trials`.
        num_trials: 0 = nothing is known, the bound is 1.
        confidence: in (0, 1).

    Raises:
        MetricError: a number is out of its range.
    """
    if not (0 <= num_errors <= num_trials and 0 < confidence < 1):
        raise MetricError(f"{num_errors} errors of {num_trials} trials at {confidence}: impossible")
    if num_errors == num_trials:
        return 1.0
    # scipy.stats takes half a second to import; the incomplete beta function is all it needs.
    from scipy.special import betaincinv

    return float(betaincinv(num_errors + 1, num_trials - num_errors, confidence))


def trials_needed(limit: float, num_errors: int = 0, confidence: float = CONFIDENCE) -> int:
    """Return how many trials show a rate below a limit if so many errors are among them.

    For 7 % at 95 %: 42 without an error, 66 with one.

    Raises:
        MetricError: a number is out of its range.
    """
    if not (0 < limit < 1 and num_errors >= 0):
        raise MetricError(f"limit {limit}, {num_errors} errors: must be in (0, 1), and 0 or more")
    low, high = num_errors, max(2 * num_errors, 2)
    while upper_bound(num_errors, high, confidence) > limit:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if upper_bound(num_errors, middle, confidence) <= limit:
            high = middle
        else:
            low = middle
    return high


def attacks_accepted(
    scores: ArrayLike, attacks: Sequence[str | None], threshold: float
) -> list[Count]:
    """Count, for each species, the attacks that a system accepts (APCER, or IAPAR).

    Args:
        scores: [N] of attacks; NaN = no answer.
        attacks: N species, None = not stated.
        threshold: accepted at ``score >= threshold``.

    Returns:
        One count per species by name, those not stated last.

    Raises:
        MetricError: lengths differ, a score is infinite, or the threshold is NaN.
    """
    score = _scores(scores, threshold)
    if len(attacks) != score.size:
        raise MetricError(f"{score.size} scores of attacks and {len(attacks)} species")
    names = np.array([UNSTATED if attack is None else attack for attack in attacks], dtype=object)
    return [
        _count(name, score[names == name], lambda s: s >= threshold)
        for name in sorted(set(names.tolist()), key=natural_order)
    ]


def genuine_rejected(scores: ArrayLike, threshold: float, name: str = "bona fide") -> Count:
    """Count the genuine presentations that a system rejects (BPCER, or FRR).

    Args:
        scores: [N]; NaN = no answer.
        threshold: accepted at ``score >= threshold``.
        name: of the class.

    Raises:
        MetricError: a score is infinite, or the threshold is NaN.
    """
    return _count(name, _scores(scores, threshold), lambda s: s < threshold)


def worst(counts: Sequence[Count]) -> Count:
    """Return the species with the highest rate; of equal ones that with the fewest trials.

    Raises:
        MetricError: no species has a trial with an answer.
    """
    answered = [count for count in counts if count.num_trials]
    if not answered:
        raise MetricError("no species of attack has a trial with an answer")
    return max(answered, key=lambda count: (count.rate or 0.0, -count.num_trials))


def riapar(iapar: float, frr: float) -> float:
    """Return the relative IAPAR, IAPAR + FRR."""
    return iapar + frr


def threshold_at_apcer(scores: ArrayLike, attacks: Sequence[str | None], limit: float) -> float:
    """Return the lowest threshold at which no species has an APCER above a limit.

    Args:
        scores: [N] of attacks; NaN = no answer.
        attacks: N species.
        limit: highest APCER, in [0, 1].

    Raises:
        MetricError: lengths differ, a score is infinite, or there is no attack with an answer.
    """
    score = _scores(scores, 0.0)
    names = np.array([UNSTATED if attack is None else attack for attack in attacks], dtype=object)
    if len(names) != score.size or not np.isfinite(score).any():
        raise MetricError("there must be a species for each score, and a score that is a number")
    found = -math.inf
    for name in set(names.tolist()):
        own = np.sort(score[(names == name) & np.isfinite(score)])[::-1]
        allowed = math.floor(limit * own.size + 1e-9)
        if allowed < own.size:
            found = max(found, float(np.nextafter(own[allowed], np.inf)))
    return found


def bpcer_at(
    bonafide: ArrayLike, scores: ArrayLike, attacks: Sequence[str | None], limit: float
) -> Count:
    """Count the bona fide presentations rejected where no species has an APCER above a limit.

    Args and errors as of `threshold_at_apcer`; `bonafide` [Nb] has the scores of bona fide speech.
    """
    return genuine_rejected(bonafide, threshold_at_apcer(scores, attacks, limit))


def _scores(scores: ArrayLike, threshold: float) -> np.ndarray:
    score = np.asarray(scores, np.float64)
    if score.ndim != 1 or np.isinf(score).any():
        raise MetricError("scores must be one-dimensional, and finite or NaN (no answer)")
    if math.isnan(threshold):
        raise MetricError("the threshold is NaN; it must be a number")
    return score


def _count(name: str, scores: np.ndarray, is_error: Callable[[np.ndarray], np.ndarray]) -> Count:
    answered = scores[~np.isnan(scores)]
    errors = int(np.count_nonzero(is_error(answered)))
    return Count(name, answered.size, errors, scores.size - answered.size)
