"""Batches of one length each: every clip once, in the shortest row that holds it, for all seeds."""

from typing import Any

import numpy as np
import pytest

from rawnet_jax.data.batch_plan import BatchPlan
from rawnet_jax.errors import ConfigError

LENGTHS = np.random.default_rng(0).integers(1, 70, 61)  # some longer than the longest row
LABELS = (np.arange(61) % 2).astype(np.int32)
BOUNDS = (10, 25, 50)
BUCKET = np.searchsorted(BOUNDS, np.minimum(LENGTHS, 50))
COUNTS = np.bincount(BUCKET)


def plan(**changes: Any) -> BatchPlan:
    settings: dict[str, Any] = {
        "batch_size": 4,
        "num_samples": 50,
        "bucket_samples": BOUNDS,
        "shuffle": True,
        "num_epochs": 3,
        "seed": 1,
    }
    return BatchPlan(LABELS, LENGTHS, **(settings | changes))


def lengths_of(batches: BatchPlan) -> list[int]:
    return [batches.length(step) for step in range(len(batches))]


def epochs_of(batches: BatchPlan) -> list[np.ndarray]:
    per_epoch = batches.batches_per_epoch
    return [
        np.concatenate([batches.rows(n * per_epoch + step).index for step in range(per_epoch)])
        for n in range(batches.num_epochs)
    ]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("owners", [1, 2])
def test_each_clip_once_an_epoch_in_its_row(shuffle, owners):
    owner = np.arange(61) % 2 if owners == 2 else None
    batches = plan(shuffle=shuffle, owner=owner, num_owners=owners)
    for step in range(len(batches)):
        rows, length = batches.rows(step), batches.length(step)
        real = rows.index >= 0
        assert real.any()
        assert (np.array(BOUNDS)[BUCKET[rows.index[real]]] == length).all()
        assert (rows.taken[real] == np.minimum(LENGTHS[rows.index[real]], 50)).all()
        if owner is not None:
            halves = rows.index.reshape(2, 2)
            assert all(owner[clip] == n for n in (0, 1) for clip in halves[n] if clip >= 0)
    for index in epochs_of(batches):
        assert sorted(index[index >= 0]) == list(range(61))


def test_an_epoch_has_as_few_batches_as_its_buckets_need():
    assert plan().batches_per_epoch == sum(-(-count // 4) for count in COUNTS)
    dropped = plan(drop_last=True)
    assert dropped.batches_per_epoch == sum(count // 4 for count in COUNTS)
    assert all((dropped.rows(step).index >= 0).all() for step in range(len(dropped)))


def test_lengths_do_not_depend_on_the_seed_and_clips_do():
    one, other = plan(), plan(seed=2)
    assert lengths_of(one) == lengths_of(other)
    assert epochs_of(one)[0].tolist() != epochs_of(other)[0].tolist()
    epochs = np.array(lengths_of(one)).reshape(3, -1)
    assert (epochs[0] != epochs[1]).any()
    assert (np.sort(epochs[0]) == np.sort(epochs[1])).all()


def test_without_shuffling_the_longest_come_first_in_the_order_of_the_list():
    batches = plan(shuffle=False, num_epochs=1)
    assert lengths_of(batches) == sorted(lengths_of(batches), reverse=True)
    [index] = epochs_of(batches)
    clips = index[index >= 0]
    for bucket in range(3):
        own = clips[BUCKET[clips] == bucket]
        assert own.tolist() == sorted(own)


def test_one_bucket_is_as_none():
    none, one = plan(bucket_samples=(), crop="random"), plan(bucket_samples=(50,), crop="random")
    assert lengths_of(none) == lengths_of(one) == [50] * 48
    for step in range(48):
        for a, b in zip(none.rows(step), one.rows(step), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "bounds", [(25, 10, 50), (10, 10, 50), (10, 25), (0, 50), (10.5, 50), (60,)]
)
def test_impossible_buckets(bounds):
    with pytest.raises(ConfigError, match=r"bucket_samples is .* ascending up to .*, 50"):
        plan(bucket_samples=bounds)


def test_a_bucket_that_dropping_empties_is_named():
    with pytest.raises(ConfigError, match=r"nothing of 1 clips of at most 10 samples in batches"):
        BatchPlan(
            np.zeros(5, int),
            np.array([9, 30, 30, 30, 30]),
            batch_size=2,
            num_samples=50,
            bucket_samples=(10, 50),
            drop_last=True,
        )


@pytest.mark.parametrize("bounds", [(), BOUNDS])
@pytest.mark.parametrize("pad", ["zero", "repeat"])
def test_crops_of_drawn_length(bounds, pad):
    batches = plan(bucket_samples=bounds, min_samples=20, pad=pad, num_epochs=200)
    seen: dict[int, set[tuple[int, int]]] = {clip: set() for clip in range(61)}
    for step in range(len(batches)):
        rows = batches.rows(step)
        full = batches.length(step)
        for clip, start, taken, own in zip(*rows[:4], strict=True):
            if clip < 0:
                assert (start, taken, own) == (0, 0, 0)
                continue
            most = min(LENGTHS[clip], 50)
            assert min(20, most) <= taken <= most <= full
            assert 0 <= start <= LENGTHS[clip] - taken
            assert own == (full if pad == "repeat" else taken)
            seen[int(clip)].add((int(start), int(taken)))
    for clip, length in enumerate(LENGTHS):
        starts, lengths = (sorted(values) for values in zip(*seen[clip], strict=True))
        most = min(length, 50)
        if most <= 20:
            assert seen[clip] == {(0, most)}
        elif most > 25:  # both ends of both laws are come near
            assert lengths[0] <= 22
            assert lengths[-1] >= most - 2
            assert starts[0] <= 1


def test_every_length_and_place_of_a_crop_is_drawn():
    batches = BatchPlan(
        np.zeros(2, int),
        np.array([7, 3]),
        batch_size=2,
        num_samples=6,
        min_samples=5,
        num_epochs=300,
    )
    rows = [batches.rows(step) for step in range(300)]
    assert {(int(r.start[0]), int(r.taken[0])) for r in rows} == {
        *((start, 5) for start in range(3)),
        *((start, 6) for start in range(2)),
    }
    assert {(int(r.start[1]), int(r.taken[1])) for r in rows} == {(0, 3)}


def test_drawn_lengths_leave_orders_as_they_are():
    for a, b in zip(epochs_of(plan()), epochs_of(plan(min_samples=20)), strict=True):
        np.testing.assert_array_equal(a, b)
