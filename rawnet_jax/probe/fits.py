"""Logistic regression on the features of an encoder, for each layer, pooling and strength.

Features are standardised with mean and deviation of the train clips. The best fit is the one with
the lowest EER on dev; of several with the same EER, the one with the lowest cross-entropy on dev
(mean of both classes), then the lower layer, the pooling named first, the smaller C.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rawnet_jax.labels import Label
from rawnet_jax.metrics.det import eer
from rawnet_jax.metrics.validation import split_by_label

BALANCED = "balanced"
CLASS_WEIGHTS = (BALANCED, "none")

MAX_STEPS = 2000
"""Of L-BFGS; a fit that has not converged by then is said to have not."""

_LEAST_SPREAD = 1e-5  # of a channel, beside its mean: what is below is rounding, not signal


@dataclass(frozen=True, slots=True)
class Candidate:
    """One fit, as the tables have it.

    Attributes:
        layer: of the encoder.
        pooling: a name of `rawnet_jax.poolings.POOLINGS`.
        strength: C, the inverse of the strength of the L2 penalty.
        dev_eer: as a fraction.
        dev_loss: cross-entropy in nats, mean of both classes.
        train_eer: as a fraction.
        converged: whether L-BFGS ended before `MAX_STEPS`.
    """

    layer: int
    pooling: str
    strength: float
    dev_eer: float
    dev_loss: float
    train_eer: float
    converged: bool


@dataclass(frozen=True, slots=True, eq=False)
class LinearProbe:
    """``log odds of bona fide = (features - mean) / std @ weights + offset``.

    Attributes:
        mean: float64 [D].
        std: float64 [D], 1 where a channel is constant.
        weights: float64 [D].
        offset: in nats.
    """

    mean: np.ndarray
    std: np.ndarray
    weights: np.ndarray
    offset: float


@dataclass(frozen=True, slots=True, eq=False)
class ProbeSearch:
    """What came of all fits.

    Attributes:
        candidates: all of them, in order of layer, pooling and strength.
        best: one of them.
        probe: its numbers.
        dev_scores: float64 [N] that it gives to the dev clips.
    """

    candidates: list[Candidate]
    best: Candidate
    probe: LinearProbe
    dev_scores: np.ndarray

    def best_of_layers(self) -> list[Candidate]:
        """Return the best fit of each layer, in order of layers."""
        layers = sorted({one.layer for one in self.candidates})
        order = _order([one.pooling for one in self.candidates])
        return [min((c for c in self.candidates if c.layer == n), key=order) for n in layers]


@dataclass(frozen=True, eq=False)
class ProbeData:
    """Features and labels of train and dev.

    Attributes:
        read: from layer and pooling to features of train and dev, float [N, D] each.
        train_labels: int [N].
        dev_labels: int [M].
    """

    read: Callable[[int, str], tuple[np.ndarray, np.ndarray]]
    train_labels: np.ndarray
    dev_labels: np.ndarray


def search_probes(
    data: ProbeData,
    layers: Sequence[int],
    poolings: Sequence[str],
    strengths: Sequence[float],
    class_weight: str = BALANCED,
    tick: Callable[[], object] = lambda: None,
) -> ProbeSearch:
    """Fit every combination and choose on dev.

    Args:
        data: both classes are in train and in dev.
        layers: at least one.
        poolings: at least one.
        strengths: values of C, at least one.
        class_weight: "balanced" = both classes weigh the same in the fit; "none" = each clip does.
        tick: called once per fit.
    """
    candidates: list[Candidate] = []
    order = _order(poolings)
    best: tuple[Candidate, LinearProbe, np.ndarray] | None = None
    for layer in layers:
        for pooling in poolings:
            train, dev = data.read(layer, pooling)
            fitting = _Fitting(train, dev, data, class_weight)
            for strength in sorted(strengths):
                probe, scores, figures = fitting.fit(strength)
                candidates.append(Candidate(layer, pooling, strength, *figures))
                if best is None or order(candidates[-1]) < order(best[0]):
                    best = candidates[-1], probe, scores
                tick()
    assert best is not None
    return ProbeSearch(candidates, *best)


def _order(poolings: Sequence[str]) -> Callable[[Candidate], tuple[float, ...]]:
    """Return what fits are ordered by, the best first."""
    place = {name: number for number, name in reversed(list(enumerate(poolings)))}
    return lambda c: (c.dev_eer, c.dev_loss, c.layer, place[c.pooling], c.strength)


class _Fitting:
    """Fits of one layer and pooling."""

    def __init__(
        self, train: np.ndarray, dev: np.ndarray, data: ProbeData, class_weight: str
    ) -> None:
        train, dev = train.astype(np.float64), dev.astype(np.float64)
        self._mean, std = train.mean(axis=0), train.std(axis=0)
        constant = std <= _LEAST_SPREAD * np.abs(self._mean)
        self._std = np.where(constant, 1.0, std)
        self._train, self._dev = ((part - self._mean) / self._std for part in (train, dev))
        self._train[:, constant] = 0.0  # so that it gets no weight
        self._dev[:, constant] = 0.0
        self._data = data
        self._class_weight = None if class_weight == "none" else class_weight

    def fit(
        self, strength: float
    ) -> tuple[LinearProbe, np.ndarray, tuple[float, float, float, bool]]:
        """Return the fit for one C, its dev scores and its figures as a `Candidate` has them."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        is_bonafide = self._data.train_labels == Label.BONAFIDE
        model = LogisticRegression(C=strength, class_weight=self._class_weight, max_iter=MAX_STEPS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is in the figures
            model.fit(self._train, is_bonafide)
        weights, offset = model.coef_[0], float(model.intercept_[0])
        train, dev = (part @ weights + offset for part in (self._train, self._dev))
        eers = [
            eer(*split_by_label(scores, labels)).eer
            for scores, labels in ((dev, self._data.dev_labels), (train, self._data.train_labels))
        ]
        loss = balanced_loss(dev, self._data.dev_labels)
        converged = int(model.n_iter_[0]) < MAX_STEPS
        probe = LinearProbe(self._mean, self._std, weights, offset)
        return probe, dev, (eers[0], loss, eers[1], converged)


def balanced_loss(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the cross-entropy of log odds in nats, the mean of both classes' means."""
    sign = np.where(labels == Label.BONAFIDE, -1.0, 1.0)
    losses = np.logaddexp(0.0, sign * scores)
    return float(np.mean([losses[labels == label].mean() for label in Label]))
