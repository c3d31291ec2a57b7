"""The change of a last layer."""

import numpy as np
import pytest

from rawnet_jax.metrics.last_layer import (
    PENALTIES,
    choose_layer_change,
    fit_layer_change,
    folds_of,
    trials_of,
)
from rawnet_jax.metrics.logistic import fit_logistic


def drawn(seed=0, num=60, gap=2.0):
    """Scores that say little, and an embedding of which one direction says more by `gap`."""
    rng = np.random.default_rng(seed)
    classes = []
    for sign in (1, -1):
        embeddings = rng.normal(0, 3, (num, 6)) + 5
        embeddings[:, 2] += sign * gap * 3 / 2
        classes.append(trials_of((rng.normal(sign * 0.3, 1, num), embeddings)))
    return classes[0], classes[1]


def errors(change, bonafide, spoof):
    """Share of pairs in the wrong order."""
    return np.mean(change.apply(*bonafide[:2])[:, None] <= change.apply(*spoof[:2])[None])


def test_a_change_finds_what_the_embedding_says_and_an_infinite_penalty_finds_nothing():
    (bonafide, spoof), others = drawn(0), drawn(1)
    none = fit_layer_change(bonafide, spoof, np.inf)
    assert np.array_equal(none.apply(*others[0][:2]), others[0].scores)
    loose, tight = (fit_layer_change(bonafide, spoof, penalty) for penalty in (0.1, 10.0))
    assert errors(loose, *others) < 0.5 * errors(none, *others)
    assert np.linalg.norm(tight.weights) < 0.3 * np.linalg.norm(loose.weights)


def test_the_fit_is_the_minimum_of_the_penalised_loss():
    bonafide, spoof = drawn(2, 40)
    change = fit_layer_change(bonafide, spoof, 0.3)
    spread = np.concatenate([bonafide[1], spoof[1]]).std(axis=0)
    # Log odds are scale * changed score + offset, of which the offset is free.
    scale = fit_logistic(bonafide[0][:, None], spoof[0][:, None]).weights[0]

    def loss(weights):
        sides = [scale * (s + e @ weights) for s, e, _ in (bonafide, spoof)]
        offsets = np.linspace(-8, 8, 1601)[:, None] - np.concatenate(sides).mean()
        costs = np.logaddexp(0, -sides[0] - offsets).mean(1)
        costs += np.logaddexp(0, sides[1] + offsets).mean(1)
        return costs.min() / 2 + 0.15 * np.sum((weights * spread * scale) ** 2)

    best = loss(change.weights)
    rng = np.random.default_rng(3)
    for _ in range(10):
        assert loss(change.weights + rng.normal(0, 0.03, 6)) > best


def test_the_penalty_is_chosen_on_recordings_left_out():
    parts = np.arange(60) % 5
    telling, idle = (
        choose_layer_change(bonafide, spoof, (parts, parts))
        for bonafide, spoof in (drawn(0), drawn(0, gap=0.0))
    )
    assert np.isfinite(telling.penalty)
    assert idle.penalty >= PENALTIES[2]


def test_speech_that_scores_below_fakes_is_helped_too():
    (bonafide, spoof), (others, fakes) = drawn(0), drawn(1)
    wronged, again = (one._replace(scores=one.scores - 1.0) for one in (bonafide, others))
    assert errors(fit_layer_change(wronged, spoof, np.inf), again, fakes) > 0.5
    assert errors(fit_layer_change(wronged, spoof, 0.1), again, fakes) < 0.25


def test_a_part_of_many_recordings_weighs_as_much_as_one_of_few():
    (few, _), (many, spoof) = drawn(0, 10), drawn(1, 200)
    both = trials_of(few[:2], many[:2])
    assert both.weight[:10].sum() == pytest.approx(0.5)
    assert both.rows(np.arange(210) % 3 > 0).weight.sum() == pytest.approx(1)
    # The few ask for another direction than the many, whose scores the fit holds on to.
    few = few._replace(embeddings=few.embeddings * [1, 1, -1, 1, 1, 1] + [0, 9, 0, 0, 0, 0])
    alone = fit_layer_change(few, spoof, 0.03)
    kept = fit_layer_change(trials_of(few[:2], many[:2]), spoof, 0.03)
    assert errors(alone, many, spoof) > 2 * errors(kept, many, spoof)
    assert errors(kept, few, spoof) < 0.1


def test_parts_keep_groups_whole_and_are_balanced():
    groups = [*"aaaaaabbbccd"]
    folds = folds_of(groups, 3, seed=1)
    assert len(set(zip(folds.tolist(), groups, strict=True))) == 4
    assert sorted(np.bincount(folds)) == [3, 3, 6]
    alone = folds_of(["x"] * 10, 5, seed=1)
    assert list(np.bincount(alone)) == [2] * 5
    assert list(alone) == list(folds_of(["x"] * 10, 5, seed=1)) != list(folds_of(["x"] * 10, 5, 2))
