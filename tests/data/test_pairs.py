"""Batches of pairs: a bona fide clip and its copy, or another fake, cut at one place."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from rawnet_jax.data.batch_plan import BatchPlan
from rawnet_jax.data.pairs import Pairs, source_positions
from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import ConfigError
from rawnet_jax.labels import Label

# 10 bona fide clips; two copies of each but the last; 12 fakes of A8 and 3 of A9 without a source.
REAL = [Trial(f"b{i}", Label.BONAFIDE, "", metadata={"source": f"b{i}"}) for i in range(10)]
COPIES = [
    Trial(f"c{i}_{k}", Label.SPOOF, "", attack_id=f"V{k}", metadata={"source": f"b{i}"})
    for k in range(2)
    for i in range(9)
]
OTHERS = [Trial(f"s{i}", Label.SPOOF, "", attack_id="A8" if i < 12 else "A9") for i in range(15)]
TRIALS = COPIES + REAL + OTHERS
LENGTHS = np.random.default_rng(0).integers(30, 60, len(TRIALS))
LABELS = np.array([trial.label for trial in TRIALS], np.int32)


def plan(share: float, trials: list[Trial] = TRIALS, **changes: Any) -> BatchPlan:
    settings: dict[str, Any] = {
        "batch_size": 4,
        "num_samples": 25,
        "crop": "random",
        "shuffle": True,
        "num_epochs": 40,
        "pairs": Pairs(trials, source_positions(trials, "source"), share, seed=3),
    }
    labels, lengths = LABELS[: len(trials)], LENGTHS[: len(trials)]
    return BatchPlan(labels, lengths, **(settings | changes))


def pairs_of(batches: BatchPlan) -> list[tuple[int, int]]:
    rows = [batches.rows(step).index for step in range(len(batches))]
    return [(int(a), int(b)) for index in rows for a, b in index.reshape(-1, 2) if a >= 0]


def test_a_bona_fide_clip_stands_before_its_copy():
    found = pairs_of(plan(0.0))
    assert len(found) == 40 * 10
    for real, fake in found:
        assert TRIALS[real].label is Label.BONAFIDE
        if real != TRIALS.index(REAL[9]):
            assert TRIALS[fake].metadata["source"] == TRIALS[real].utterance_id
        else:
            assert TRIALS[fake] in OTHERS  # it has no copy


def test_every_clip_comes_once_per_epoch_and_its_copies_in_turn():
    batches = plan(0.0, num_epochs=2)
    first, second = (dict(pairs_of(batches)[at : at + 10]) for at in (0, 10))
    assert sorted(first) == sorted(second) == [TRIALS.index(trial) for trial in REAL]
    assert all(first[real] != second[real] for real in first if TRIALS[real] is not REAL[9])


def test_other_fakes_come_for_their_share_attacks_alike():
    found = pairs_of(plan(0.5))
    others = [TRIALS[fake].attack_id for _, fake in found if TRIALS[fake] in OTHERS]
    assert 0.45 < len(others) / len(found) < 0.65
    counts = Counter(others)
    assert 0.6 < counts["A8"] / counts["A9"] < 1.6  # 12 clips against 3


def test_both_sides_are_cut_alike_and_share_all_chance():
    batches = plan(0.0, min_samples=5)
    for step in range(20):
        rows = batches.rows(step)
        same = LENGTHS[rows.index[0::2]] == LENGTHS[rows.index[1::2]]
        assert np.array_equal(rows.row_seed[0::2], rows.row_seed[1::2])
        assert np.array_equal(rows.start[0::2][same], rows.start[1::2][same])
        assert np.array_equal(rows.taken[0::2], rows.taken[1::2])
    assert (
        len({int(row_seed) for step in range(20) for row_seed in batches.rows(step).row_seed}) > 20
    )


def test_same_seed_same_pairs():
    assert pairs_of(plan(0.5)) == pairs_of(plan(0.5))
    assert pairs_of(plan(0.5)) != pairs_of(plan(0.5, seed=1))


def test_what_pairs_cannot_be_made_of():
    with pytest.raises(ConfigError, match="pairs is 'origin': no spoof clip of train names"):
        source_positions(TRIALS, "origin")
    with pytest.raises(ConfigError, match="1 bona fide clips have no copy"):
        plan(0.0, COPIES + REAL)
    with pytest.raises(ConfigError, match=r"unpaired_share is 0\.5"):
        plan(0.5, COPIES + REAL[:9])
    with pytest.raises(ConfigError, match="batch_size is 5; it must be even"):
        plan(0.0, batch_size=5)
    with pytest.raises(ConfigError, match="bucket_samples must not be set"):
        plan(0.0, bucket_samples=(10, 25))
