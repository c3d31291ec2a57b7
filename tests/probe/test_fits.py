"""Logistic regression on features, and which fit is chosen."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rawnet_jax.metrics.det import eer
from rawnet_jax.probe.fits import Candidate, ProbeData, ProbeSearch, search_probes

TRAIN_LABELS = np.arange(60) % 3 // 2  # twice as many spoof clips
DEV_LABELS = np.arange(30) % 2


def features(rng: np.random.Generator, labels: np.ndarray, gain: float) -> np.ndarray:
    """Features of which one tells the classes apart as well as `gain` lets it; one is constant."""
    found = rng.standard_normal((len(labels), 4)) * (1, 5, 0.1, 0) + (3, -40, 0, 7)
    found[:, 0] += gain * labels
    return found.astype(np.float32)


def made(gains: dict[tuple[int, str], float], dev_gain: float | None = None) -> ProbeData:
    """Data of which each layer and pooling has a gain, the same draws otherwise."""

    def read(layer: int, pooling: str) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        gain = gains[layer, pooling]
        train = features(rng, TRAIN_LABELS, gain)
        return train, features(rng, DEV_LABELS, gain if dev_gain is None else dev_gain)

    return ProbeData(read, TRAIN_LABELS, DEV_LABELS)


@pytest.mark.parametrize("class_weight", ["balanced", "none"])
def test_scores_are_those_of_scikit_learn(class_weight):
    data = made({(0, "mean"): 1.5})
    found = search_probes(data, [0], ["mean"], [0.1], class_weight)
    train, dev = (part.astype(np.float64) for part in data.read(0, "mean"))
    weight = None if class_weight == "none" else class_weight
    pipeline = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.1, class_weight=weight, max_iter=1000)
    )
    pipeline.fit(train, TRAIN_LABELS == 1)
    np.testing.assert_allclose(found.dev_scores, pipeline.decision_function(dev), atol=1e-9)
    probe = found.probe
    by_hand = (dev - probe.mean) / probe.std @ probe.weights + probe.offset
    np.testing.assert_allclose(found.dev_scores, by_hand, atol=1e-9)
    assert probe.weights[3] == 0.0  # of the constant
    wanted = eer(found.dev_scores[DEV_LABELS == 1], found.dev_scores[DEV_LABELS == 0]).eer
    assert found.best.dev_eer == wanted
    p = 1 / (1 + np.exp(-found.dev_scores))
    losses = (-np.log(p[DEV_LABELS == 1]).mean() - np.log(1 - p[DEV_LABELS == 0]).mean()) / 2
    assert found.best.dev_loss == pytest.approx(losses)


def test_the_lowest_dev_eer_wins():
    gains = {(layer, pooling): 0.2 for layer in range(3) for pooling in ("mean", "max")}
    gains[1, "max"] = 4.0
    ticks: list[None] = []
    found = search_probes(
        made(gains), range(3), ["mean", "max"], [1.0, 0.01], tick=lambda: ticks.append(None)
    )
    assert (found.best.layer, found.best.pooling) == (1, "max")
    assert found.best.dev_eer == min(one.dev_eer for one in found.candidates)
    assert len(ticks) == len(found.candidates) == 12
    assert [one.strength for one in found.candidates[:2]] == [0.01, 1.0]
    best = found.best_of_layers()
    assert [one.layer for one in best] == [0, 1, 2]
    assert best[1] is found.best
    for row in best:
        assert row.dev_eer == min(c.dev_eer for c in found.candidates if c.layer == row.layer)


def test_a_tie_goes_to_the_loss_then_layer_pooling_and_strength():
    """Without noise between them: layers and poolings are copies, and all EERs are 0."""
    gains = {(layer, pooling): 100.0 for layer in (4, 7) for pooling in ("max", "mean")}
    found = search_probes(made(gains), [7, 4], ["max", "mean"], [0.001, 1.0])
    assert {one.dev_eer for one in found.candidates} == {0.0}
    assert found.best.strength == 1.0  # whose loss is lower
    assert (found.best.layer, found.best.pooling) == (4, "max")
    # Rows of which the loss is the same, too.
    same = [Candidate(n, p, c, 0.1, 0.2, 0.0, True) for n, p, c in ((3, "mean", 1.0),)]
    same += [Candidate(3, "max", c, 0.1, 0.2, 0.0, True) for c in (1.0, 0.1)]
    best = ProbeSearch(same[::-1], same[0], found.probe, found.dev_scores).best_of_layers()
    assert (best[0].pooling, best[0].strength) == ("max", 0.1)


def test_a_channel_that_only_rounding_moves_counts_as_constant():
    noise = np.random.default_rng(1).uniform(-2e-6, 2e-6, (60, 1)) * 5

    def read(_layer: int, _pooling: str) -> tuple[np.ndarray, np.ndarray]:
        train, dev = made({(0, "mean"): 1.0}).read(0, "mean")
        train[:, 3:] = (5.0 + noise).astype(np.float32)
        dev[:, 3] = 5.001
        return train, dev

    found = search_probes(ProbeData(read, TRAIN_LABELS, DEV_LABELS), [0], ["mean"], [1.0])
    assert found.probe.weights[3] == 0.0
    assert found.probe.std[3] == 1.0
