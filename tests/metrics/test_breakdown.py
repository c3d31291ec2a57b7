"""Metrics by group, against the obvious loop over trials."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.breakdown import UNSTATED, breakdown, natural_order
from rawnet_jax.metrics.det import eer


def trials(seed: int = 0, count: int = 200):
    """Return scores, labels and columns: codec of both classes, attack of spoof only."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(count) < 0.4).astype(int)
    scores = rng.normal(size=count) + 2 * labels
    codec = [[None, "alaw", "gsm", "opus10", "opus2"][i] for i in rng.integers(5, size=count)]
    attack = [
        None if y else f"A{i:02d}" for y, i in zip(labels, rng.integers(9, 12, count), strict=True)
    ]
    return scores, labels, {"codec": codec, "attack": attack}


def one_group(scores, labels, keep_bonafide, keep_spoof):
    bonafide = np.array(
        [s for s, y, k in zip(scores, labels, keep_bonafide, strict=True) if y and k]
    )
    spoof = np.array([s for s, y, k in zip(scores, labels, keep_spoof, strict=True) if not y and k])
    return bonafide, spoof


@given(seed=st.integers(0, 1000), threshold=st.floats(-3, 3))
def test_a_column_of_both_classes_splits_both(seed, threshold):
    scores, labels, columns = trials(seed)
    rows = breakdown(scores, labels, columns, "codec", threshold)
    assert {row.group for row in rows} == {(c or UNSTATED,) for c in columns["codec"]}
    for row in rows:
        keep = [(c or UNSTATED) == row.group[0] for c in columns["codec"]]
        bonafide, spoof = one_group(scores, labels, keep, keep)
        assert (row.num_bonafide, row.num_spoof) == (bonafide.size, spoof.size)
        assert row.eer == (eer(bonafide, spoof) if bonafide.size and spoof.size else None)
        assert row.num_bonafide_rejected == sum(s < threshold for s in bonafide)
        assert row.num_spoof_accepted == sum(s >= threshold for s in spoof)
        assert not row.shares_bonafide
    assert sum(row.num_bonafide for row in rows) == labels.sum()


def test_a_column_of_spoof_only_stands_against_all_bona_fide():
    scores, labels, columns = trials()
    rows = breakdown(scores, labels, columns, "attack")
    assert [row.name for row in rows] == ["A09", "A10", "A11"]
    for row in rows:
        everything = [True] * len(scores)
        keep = [a == row.name for a in columns["attack"]]
        assert row.eer == eer(*one_group(scores, labels, everything, keep))
        assert row.shares_bonafide
        assert row.num_bonafide == labels.sum()
        assert row.p_miss is None
        assert row.p_fa is None


def test_a_pair_takes_bona_fide_of_the_column_that_it_has():
    scores, labels, columns = trials()
    rows = breakdown(scores, labels, columns, ("attack", "codec"), 0.5)
    pairs = {
        (a, c or UNSTATED)
        for a, c, y in zip(columns["attack"], columns["codec"], labels, strict=True)
        if not y
    }
    assert {row.group for row in rows} == pairs
    row = next(row for row in rows if row.group == ("A10", "gsm"))
    same_codec = [c == "gsm" for c in columns["codec"]]
    both = [a == "A10" and c for a, c in zip(columns["attack"], same_codec, strict=True)]
    bonafide, spoof = one_group(scores, labels, same_codec, both)
    assert row.eer == eer(bonafide, spoof)
    assert row.name == "A10 × gsm"
    assert row.p_miss == (bonafide < 0.5).mean()
    assert row.p_fa == (spoof >= 0.5).mean()


@given(seed=st.integers(0, 1000))
def test_the_order_of_trials_does_not_matter(seed):
    scores, labels, columns = trials()
    order = np.random.default_rng(seed).permutation(len(scores))
    shuffled = {name: [column[i] for i in order] for name, column in columns.items()}
    for by in ("codec", ("attack", "codec")):
        assert breakdown(scores[order], labels[order], shuffled, by, 0.0) == breakdown(
            scores, labels, columns, by, 0.0
        )


def test_a_group_without_a_class_has_rates_but_no_eer():
    labels, column = [1, 1, 0], ["a", "a", "b"]
    first, second = breakdown([1.0, 2.0, 3.0], labels, {"room": column}, "room", 1.5)
    assert (first.eer, first.p_miss, first.p_fa) == (None, 0.5, None)
    assert (second.eer, second.p_miss, second.p_fa) == (None, None, 1.0)


def test_groups_come_in_natural_order_and_unstated_last():
    scores, labels, columns = trials()
    names = [row.name for row in breakdown(scores, labels, columns, "codec")]
    assert names == ["alaw", "gsm", "opus2", "opus10", UNSTATED]
    assert sorted(["s10", UNSTATED, "s2", "S", "9"], key=natural_order)[-1] == UNSTATED


def test_few_trials_of_either_class_make_a_group_small():
    scores = np.arange(140.0)
    labels = np.array([1] * 60 + [0] * 80)
    column = ["large"] * 55 + ["small"] * 5 + ["large"] * 70 + ["small"] * 10
    large, small = breakdown(scores, labels, {"c": column}, "c")
    assert not large.is_small
    assert small.is_small


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"b": ["x", "y"]}, "no column 'a'; there are b"),
        ({"a": ["x"]}, "2 scores, but column 'a' has 1"),
        ({"a": [None, None]}, "states nothing"),
    ],
)
def test_bad_columns_are_refused(columns, words):
    with pytest.raises(MetricError, match=words):
        breakdown([1.0, 2.0], [0, 1], columns, "a")


def test_a_trial_at_the_threshold_is_accepted():
    (row,) = breakdown([0.5, 0.5], [1, 0], {"c": ["x", "x"]}, "c", 0.5)
    assert (row.num_bonafide_rejected, row.num_spoof_accepted) == (0, 1)
