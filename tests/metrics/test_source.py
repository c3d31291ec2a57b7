"""Which family of systems a fake comes from."""

import numpy as np
import pytest

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.source import NONE, fit_source_rule

MEANS = {"flite": (6, 0, 0), "piper": (0, 6, 0), "vits": (0, 0, 6), "odd": (-5, -5, -5)}


def drawn(names, num=60, seed=0):
    """Fakes of some families in 8 dimensions, of which one is ten times as wide as the others."""
    rng = np.random.default_rng(seed)
    rows, of = [], []
    for name in names:
        own = rng.normal(0, 1, (num, 8)) * ([1] * 7 + [10])
        own[:, :3] += MEANS[name]
        rows.append(own)
        of += [name] * num
    return np.concatenate(rows), of


def test_known_families_are_named_and_others_are_none_of_these():
    rule, figures = fit_source_rule(*drawn(("flite", "piper", "vits")))
    assert rule.names == figures.names == ("flite", "piper", "vits")
    rows, of = drawn(("flite", "piper", "vits"), seed=1)
    said = rule(rows)
    right = np.array([rule.names[i] == name for i, name in zip(said, of, strict=True)])
    assert np.mean(right) > 0.85
    assert np.mean(~right[said != NONE]) < 0.05
    assert np.mean(rule(drawn(("odd",))[0]) == NONE) > 0.95


def test_the_shares_are_of_recordings_that_the_fit_did_not_see():
    rule, figures = fit_source_rule(*drawn(("flite", "piper", "vits"), 200), share=0.1)
    table = figures.confusion
    assert table.sum() == 600
    assert table[:, :3].sum() - np.trace(table[:, :3]) <= 0.1 * table[:, :3].sum()
    assert 0.05 < table[:, 3].sum() / 600 < 0.15
    assert rule.share == 0.1
    # Of a family that the fit knew nothing of, none has its own name.
    assert np.trace(figures.held_back[:, :3]) == 0
    assert list(figures.held_back.sum(axis=1)) == [200, 200, 200]
    assert figures.held_back[:, 3].sum() > 540


def test_what_cannot_be_told_apart_is_not_named():
    rows, of = drawn(("flite",), 120)
    rule, figures = fit_source_rule(rows, ["a", "b", "c"] * 40)
    assert figures.confusion[:, :3].sum() < 12
    assert np.mean(rule(drawn(("flite",), seed=3)[0]) == NONE) > 0.9
    assert len(of) == 120


def test_too_few_families_are_refused():
    rows, of = drawn(("flite", "piper"))
    with pytest.raises(MetricError, match="1 families have 10 recordings or more"):
        fit_source_rule(rows[:65], of[:65])
    with pytest.raises(MetricError, match="one and the same embedding"):
        fit_source_rule(np.ones_like(rows), of)
