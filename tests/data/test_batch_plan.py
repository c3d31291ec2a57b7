"""Plans over clips that belong to processes: each its own, all of them once."""

from typing import Any

import numpy as np
import pytest

from rawnet_jax.data.batch_plan import BatchPlan
from rawnet_jax.errors import ConfigError

LENGTHS = np.arange(1, 24) * 10
LABELS = (np.arange(23) % 2).astype(np.int32)
OWNER = np.arange(23) % 3  # 8, 8 and 7 clips


def plan(**changes) -> BatchPlan:
    settings: dict[str, Any] = {
        "batch_size": 6,
        "num_samples": 50,
        "shuffle": True,
        "num_epochs": 2,
        "seed": 1,
    }
    settings |= {"owner": OWNER, "num_owners": 3}
    return BatchPlan(LABELS, LENGTHS, **(settings | changes))


def test_rows_of_a_process_are_its_own_clips():
    own = plan()
    assert own.batches_per_epoch == 4  # the largest share, two clips a batch
    orders = []
    for epoch in range(2):
        rows = [own.rows(step).index for step in range(4 * epoch, 4 * epoch + 4)]
        for index in rows:
            for process, part in enumerate(index.reshape(3, 2)):
                assert all(OWNER[clip] == process for clip in part[part >= 0])
        seen = np.concatenate(rows)
        assert sorted(seen[seen >= 0]) == list(range(23))
        orders.append(seen.tolist())
    assert orders[0] != orders[1]


def test_a_process_with_fewer_clips_gets_filler():
    last = plan(shuffle=False).rows(3)
    assert last.index.tolist() == [18, 21, 19, 22, 20, -1]
    assert last.num_samples.tolist() == [50, 50, 50, 50, 50, 0]
    assert last.label.tolist() == [0, 1, 1, 0, 0, -1]


def test_dropping_the_last_batch_keeps_to_the_smallest_share():
    assert plan(drop_last=True).batches_per_epoch == 3
    assert all((plan(drop_last=True).rows(step).index >= 0).all() for step in range(6))
    with pytest.raises(ConfigError, match="drop_last leaves nothing of 23 clips"):
        plan(drop_last=True, batch_size=24)


def test_one_owner_is_as_none():
    for step in range(8):
        a = plan(owner=np.zeros(23, int), num_owners=1).rows(step)
        b = plan(owner=None).rows(step)
        for one, other in zip(a, b, strict=True):
            np.testing.assert_array_equal(one, other)


def test_crops_are_inside_the_clip_and_move():
    starts = np.full((2, 23), -1)
    own = plan(crop="random", owner=None)
    for step in range(8):
        rows = own.rows(step)
        real = rows.index >= 0
        starts[step // 4, rows.index[real]] = rows.start[real]
    assert (starts >= 0).all()
    assert (starts + 50 <= np.maximum(LENGTHS, 50)).all()
    assert (starts[0] != starts[1]).any()
