"""A small change of a network's last layer, fitted to new recordings and held near the old one.

The score of most detectors is a weighted sum of their embedding. The change adds another, short
weighted sum to it, fitted by logistic regression on recordings of both classes. A penalty on its
length keeps it at nothing unless the recordings ask for more; cross-validation sets the penalty.
Of a class that comes in several parts, such as one person's speech and that of many others, each
part weighs the same, so that few recordings of one are heard and those of many keep their scores.

Source of the penalty: Hoerl and Kennard, "Ridge regression: biased estimation for nonorthogonal
problems", Technometrics 12, 1970; of the loss: `rawnet_jax.metrics.logistic`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rawnet_jax.metrics.logistic import fit_logistic

PENALTIES = (np.inf, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
"""Penalties that are tried, the strongest first; infinity leaves the layer as it is."""

_LEAST_SLOPE = 0.25  # nats per deviation of the scores
_STEPS = 50  # Newton steps; a penalised fit takes about six
_CONVERGED = 1e-12  # decrease of the mean loss, in nats, that the next step could still bring


@dataclass(frozen=True, slots=True, eq=False)
class LayerChange:
    """``score + embedding @ weights + offset``.

    Attributes:
        weights: float64 [D], in score per unit of embedding.
        offset: in score; the change is 0 at the mean embedding that it was fitted on.
        penalty: that it was fitted with; infinity = no change.
    """

    weights: np.ndarray
    offset: float
    penalty: float

    def apply(self, scores: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
        """Return changed scores, float64 [N].

        Args:
            scores: float64 [N], higher = more bona fide.
            embeddings: float64 [N, D].
        """
        return scores + embeddings @ self.weights + self.offset


class Trials(NamedTuple):
    """Recordings of one class.

    Attributes:
        scores: float64 [N].
        embeddings: float64 [N, D].
        weight: float64 [N], above 0, with a sum of 1.
    """

    scores: np.ndarray
    embeddings: np.ndarray
    weight: np.ndarray

    def rows(self, rows: np.ndarray) -> "Trials":
        """Return those at `rows`, bool [N]."""
        kept = self.weight[rows]
        return Trials(self.scores[rows], self.embeddings[rows], kept / max(kept.sum(), 1e-300))


def trials_of(*parts: tuple[np.ndarray, np.ndarray]) -> Trials:
    """Return trials of one class, of which each part that has any weighs the same.

    Args:
        parts: scores float64 [N] and embeddings float64 [N, D] of each.
    """
    parts = tuple(part for part in parts if len(part[0]))
    weight = [np.full(len(scores), 1 / len(scores) / len(parts)) for scores, _ in parts]
    scores, embeddings = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Trials(scores, embeddings, np.concatenate(weight))


def fit_layer_change(bonafide: Trials, spoof: Trials, penalty: float) -> LayerChange:
    """Fit the change with a given penalty; both classes weigh the same.

    Args:
        bonafide: genuine speech.
        spoof: fakes.
        penalty: of half the squared length of the change, in nats of the mean loss, with each
            direction of the embedding in units of its deviation.

    """
    width = bonafide.embeddings.shape[1]
    if np.isinf(penalty):
        return LayerChange(np.zeros(width), 0.0, penalty)
    first = fit_logistic(bonafide.scores[:, None], spoof.scores[:, None])
    scale = max(float(first.weights[0]), _least_scale(bonafide.scores, spoof.scores))
    scores, embeddings, weight = (
        np.concatenate(pair) for pair in zip(bonafide, spoof, strict=True)
    )
    weight = weight / 2
    is_bonafide = np.arange(len(scores)) < len(bonafide.scores)
    mean = weight @ embeddings
    spread = np.sqrt(weight @ (embeddings - mean) ** 2)
    spread = np.where(spread > 1e-9 * max(spread.max(), 1e-300), spread, np.inf)
    known = scale * scores
    found = _newton((embeddings - mean) / spread, known, weight, is_bonafide, penalty)
    weights = found / spread / scale
    return LayerChange(weights, float(-weights @ mean), penalty)


def choose_layer_change(
    bonafide: Trials, spoof: Trials, folds: tuple[np.ndarray, np.ndarray]
) -> LayerChange:
    """Fit the change with the penalty of `PENALTIES` that does best on recordings left out.

    Args:
        bonafide: genuine speech.
        spoof: fakes.
        folds: int [Nb] and int [Ns], which part each recording is left out with.
    """
    losses = [_left_out_loss(bonafide, spoof, folds, penalty) for penalty in PENALTIES]
    return fit_layer_change(bonafide, spoof, PENALTIES[int(np.argmin(losses))])


def left_out_scores(
    bonafide: Trials, spoof: Trials, folds: tuple[np.ndarray, np.ndarray], penalty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return changed scores, float64 [Nb] and [Ns], each by a change that did not see its part.

    Scores of the recordings that a change was fitted on lie farther apart than those of others; a
    threshold among them would be wrong for others.

    Args:
        bonafide: genuine speech.
        spoof: fakes.
        folds: int [Nb] and int [Ns], which part each recording is left out with.
        penalty: see `fit_layer_change`.
    """
    found = np.zeros(len(bonafide.scores)), np.zeros(len(spoof.scores))
    for fold in np.unique(np.concatenate(folds)):
        outs = folds[0] == fold, folds[1] == fold
        change = fit_layer_change(bonafide.rows(~outs[0]), spoof.rows(~outs[1]), penalty)
        for scores, trials, out in zip(found, (bonafide, spoof), outs, strict=True):
            scores[out] = change.apply(trials.scores[out], trials.embeddings[out])
    return found


def _least_scale(bonafide: np.ndarray, spoof: np.ndarray) -> float:
    """Return the least slope of the old scores, in nats per score.

    Somebody whom a detector wrongs may score below fakes. What it learnt from others is then not to
    be reversed by the few recordings of one.
    """
    spread = float(np.sqrt((np.var(bonafide) + np.var(spoof)) / 2))
    return _LEAST_SLOPE / spread if spread > 0 else 1.0


def _left_out_loss(
    bonafide: Trials, spoof: Trials, folds: tuple[np.ndarray, np.ndarray], penalty: float
) -> float:
    """Return the mean cross entropy of recordings that were not fitted on, classes alike."""
    total = np.zeros(2)
    for fold in np.unique(np.concatenate(folds)):
        outs = folds[0] == fold, folds[1] == fold
        if any(out.all() for out in outs):
            continue
        kept = bonafide.rows(~outs[0]), spoof.rows(~outs[1])
        change = fit_layer_change(*kept, penalty)
        shifted = [change.apply(*trials[:2])[:, None] for trials in kept]
        fit = fit_logistic(shifted[0], shifted[1])
        # Higher must mean more bona fide, however well the reverse would do.
        slope, offset = (float(fit.weights[0]), fit.offset) if fit.weights[0] > 0 else (0.0, 0.0)
        for i, (trials, out, sign) in enumerate(
            zip((bonafide, spoof), outs, (-1.0, 1.0), strict=True)
        ):
            log_odds = change.apply(trials.scores[out], trials.embeddings[out]) * slope + offset
            total[i] += trials.weight[out] @ np.logaddexp(0.0, sign * log_odds)
    return float(total.sum())


def folds_of(groups: Sequence[str], num_folds: int, seed: int) -> np.ndarray:
    """Return int [N], a part for each recording: groups stay whole where there are several.

    Args:
        groups: of each recording, its speaker or system; one for all = each by itself.
        num_folds: parts, at most.
        seed: of the order in which groups or recordings are dealt out, largest groups first.
    """
    names, codes = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    if len(names) < 2:
        codes = np.arange(len(groups))
    sizes = np.bincount(codes)
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled = np.zeros(min(num_folds, len(sizes)), np.int64)
    fold_of = np.zeros(len(sizes), np.int64)
    for group in order:
        fold_of[group] = int(np.argmin(filled))
        filled[fold_of[group]] += sizes[group]
    return fold_of[codes]


def _newton(
    columns: np.ndarray,
    known: np.ndarray,
    weight: np.ndarray,
    is_bonafide: np.ndarray,
    penalty: float,
) -> np.ndarray:
    """Minimise the penalised cross entropy of ``known + columns @ x + b``; returns x."""
    columns = np.column_stack((columns, np.ones(len(columns))))
    ridge = np.append(np.full(columns.shape[1] - 1, penalty), 1e-9)
    target = is_bonafide.astype(np.float64)

    def loss(x: np.ndarray) -> float:
        log_odds = known + columns @ x
        cross = np.logaddexp(0.0, log_odds) - target * log_odds
        return float(weight @ cross + ridge @ x**2 / 2)

    x = np.zeros(columns.shape[1])
    for _ in range(_STEPS):
        log_odds = known + columns @ x
        probability = np.exp(-np.logaddexp(0.0, -log_odds))
        gradient = columns.T @ (weight * (probability - target)) + ridge * x
        curvature = weight * probability * np.exp(-np.logaddexp(0.0, log_odds))
        hessian = (columns * curvature[:, None]).T @ columns + np.diag(ridge)
        step = np.linalg.solve(hessian, gradient)
        if gradient @ step <= _CONVERGED:
            break
        before, size = loss(x), 1.0
        while loss(x - size * step) > before and size > 1e-6:
            size /= 2
        x = x - size * step
    return x[:-1]
