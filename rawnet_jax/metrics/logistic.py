"""Logistic regression for calibration and fusion: class counts out, log-likelihood ratios out.

The trials of a class weigh as much together as its share in a chosen prior, whatever their number,
and the prior's log odds are taken off again, so that what comes out is a natural-log likelihood
ratio, bona fide over spoof.

Source: Brümmer and du Preez, "Application-independent evaluation of speaker detection", Computer
Speech and Language 20, 2006.
"""

from dataclasses import dataclass
from math import isfinite, log

import numpy as np

from rawnet_jax.errors import MetricError

MAX_STEPS = 100
"""Newton steps; a fit with a finite optimum takes about ten."""

_CONVERGED = 1e-13  # decrease of the mean loss, in nats, that the next step could still bring


@dataclass(frozen=True, slots=True, eq=False)
class LogisticFit:
    """``llr = features @ weights + offset``.

    Attributes:
        weights: float64 [K].
        offset: in nats.
        smoothed: whether the classes could be separated without error, so that targets were
            smoothed to keep the weights finite; see `fit_logistic`.
    """

    weights: np.ndarray
    offset: float
    smoothed: bool


def fit_logistic(bonafide: np.ndarray, spoof: np.ndarray, p_bonafide: float = 0.5) -> LogisticFit:
    """Fit a prior-weighted logistic regression by Newton's method, without regularisation.

    If a linear function of the features separates the classes, no finite weights are best. Then the
    targets 1 and 0 become (Nb + 1) / (Nb + 2) and 1 / (Ns + 2), as if one more trial of either
    class had been seen there; the log-likelihood ratios stay in the order of ± ln N.

    The result follows every invertible affine map of the features. A feature that is constant gets
    no weight; features that are copies of each other share theirs.

    Args:
        bonafide: finite float64 [Nb, K].
        spoof: finite float64 [Ns, K].
        p_bonafide: prior that the fit is best for, between 0 and 1.

    Raises:
        MetricError: `p_bonafide` is not between 0 and 1, or numbers are too large to fit.

    Source of the smoothed targets: Platt, "Probabilistic outputs for support vector machines and
    comparisons to regularized likelihood methods", 1999.
    """
    if not 0.0 < p_bonafide < 1.0:
        raise MetricError(f"p_bonafide is {p_bonafide}; it must be between 0 and 1")
    features = np.concatenate((bonafide, spoof))
    with np.errstate(over="ignore", invalid="ignore"):
        mean, spread = features.mean(axis=0), features.std(axis=0)
    if not (np.isfinite(mean).all() and np.isfinite(spread).all()):
        raise MetricError("the scores are too large to fit; their spread must be below 1e150")
    # The mean of equal numbers may miss them by a rounding error, which is not a spread.
    constant = np.ptp(features, axis=0) == 0
    spread = np.where(constant, 1.0, spread)
    columns = np.column_stack(((features - mean) / spread, np.ones(len(features))))
    columns[:, :-1][:, constant] = 0.0
    solution, smoothed = _solve(columns, len(bonafide), p_bonafide)
    weights = solution[:-1] / spread
    return LogisticFit(weights, float(solution[-1] - weights @ mean), smoothed)


def _solve(columns: np.ndarray, num_bonafide: int, p_bonafide: float) -> tuple[np.ndarray, bool]:
    num_spoof = len(columns) - num_bonafide
    weight = np.repeat(
        (p_bonafide / num_bonafide, (1 - p_bonafide) / num_spoof), (num_bonafide, num_spoof)
    )
    prior_log_odds = log(p_bonafide / (1 - p_bonafide))
    hard = np.repeat((1.0, 0.0), (num_bonafide, num_spoof))
    solution = _newton(columns, weight, hard, prior_log_odds, num_bonafide)
    if solution is not None:
        return solution, False
    soft = np.repeat(
        ((num_bonafide + 1) / (num_bonafide + 2), 1 / (num_spoof + 2)), (num_bonafide, num_spoof)
    )
    solution = _newton(columns, weight, soft, prior_log_odds, None)
    if solution is None:
        raise MetricError(f"logistic regression did not converge in {MAX_STEPS} steps")
    return solution, True


def _newton(
    columns: np.ndarray,
    weight: np.ndarray,
    target: np.ndarray,
    prior_log_odds: float,
    num_bonafide: int | None,
) -> np.ndarray | None:
    """Minimise the weighted cross entropy; None where it has no (reachable) minimum.

    With `num_bonafide` given, separation of the first so many rows from the others is looked for.
    """
    solution = np.zeros(columns.shape[1])
    loss = _loss(columns @ solution + prior_log_odds, weight, target)
    for _ in range(MAX_STEPS):
        log_odds = columns @ solution + prior_log_odds
        if num_bonafide is not None and _separates(log_odds, num_bonafide):
            return None
        probability = np.exp(-np.logaddexp(0.0, -log_odds))
        gradient = columns.T @ (weight * (probability - target))
        curvature = weight * probability * np.exp(-np.logaddexp(0.0, log_odds))
        hessian = (columns * curvature[:, None]).T @ columns
        # Least squares, since copies of a feature make the matrix singular.
        step = np.linalg.lstsq(hessian, gradient, rcond=1e-13)[0]
        if gradient @ step <= _CONVERGED:
            return solution - step if isfinite(gradient @ step) else None
        solution, loss, moved = _line_search(
            columns, weight, target, prior_log_odds, solution, step, loss
        )
        if not moved:
            return solution
    return None


def _line_search(
    columns: np.ndarray,
    weight: np.ndarray,
    target: np.ndarray,
    prior_log_odds: float,
    solution: np.ndarray,
    step: np.ndarray,
    loss: float,
) -> tuple[np.ndarray, float, bool]:
    """Go along a Newton step, half as far until the loss falls."""
    for halvings in range(40):
        candidate = solution - step * 0.5**halvings
        candidate_loss = _loss(columns @ candidate + prior_log_odds, weight, target)
        if candidate_loss < loss:
            return candidate, candidate_loss, True
    return solution, loss, False


def _loss(log_odds: np.ndarray, weight: np.ndarray, target: np.ndarray) -> float:
    return float(weight @ (np.logaddexp(0.0, log_odds) - target * log_odds))


def _separates(log_odds: np.ndarray, num_bonafide: int) -> bool:
    lowest, highest = log_odds[:num_bonafide].min(), log_odds[num_bonafide:].max()
    # At the start all log odds are equal, which separates nothing.
    return bool(lowest >= highest and log_odds.max() > log_odds.min())
