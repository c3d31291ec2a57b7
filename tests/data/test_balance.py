"""Equal shares of an epoch, without drawing anything more often than it must be."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from rawnet_jax.data.balance import group_numbers
from rawnet_jax.data.batch_plan import BatchPlan
from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import ConfigError
from rawnet_jax.labels import Label

# 20 bona fide clips of 4 speakers (11, 5, 3 and 1 of them); 60 spoof: 40 of A1, 15 of A2, 5 others.
SPEAKERS = ["a"] * 11 + ["b"] * 5 + ["c"] * 3 + ["d"]
ATTACKS = ["A1"] * 40 + ["A2"] * 15 + [None] * 5
TRIALS = [Trial(f"b{i}", Label.BONAFIDE, "", speaker_id=s) for i, s in enumerate(SPEAKERS)] + [
    Trial(f"s{i}", Label.SPOOF, "", attack_id=a, speaker_id="ab"[i % 2])
    for i, a in enumerate(ATTACKS)
]
LENGTHS = np.random.default_rng(0).integers(1, 60, 80)


def plan(balance: tuple[str, ...], **changes: Any) -> BatchPlan:
    settings: dict[str, Any] = {
        "batch_size": 8,
        "num_samples": 50,
        "shuffle": True,
        "num_epochs": 6,
        "groups": group_numbers(TRIALS, balance) if balance else None,
    }
    return BatchPlan(np.zeros(80, int), LENGTHS, **(settings | changes))


def epochs_of(batches: BatchPlan) -> list[list[int]]:
    per_epoch = batches.batches_per_epoch
    epochs = []
    for first in range(0, len(batches), per_epoch):
        index = np.concatenate([batches.rows(first + n).index for n in range(per_epoch)])
        epochs.append(index[index >= 0].tolist())
    return epochs


def shares(clips: list[int], *fields: str) -> dict[tuple, int]:
    keys = [tuple(getattr(TRIALS[clip], name) for name in fields) for clip in clips]
    return Counter(keys)


@pytest.mark.parametrize(
    ("balance", "fields", "expected"),
    [
        (("class",), ["label"], {(Label.BONAFIDE,): 40, (Label.SPOOF,): 40}),
        # Bona fide speech and spoof of no named attack are groups beside the two attacks.
        (
            ("attack",),
            ["label", "attack_id"],
            {
                (Label.BONAFIDE, None): 20,
                (Label.SPOOF, "A1"): 20,
                (Label.SPOOF, "A2"): 20,
                (Label.SPOOF, None): 20,
            },
        ),
        (("speaker",), ["speaker_id"], {("a",): 20, ("b",): 20, ("c",): 20, ("d",): 20}),
        (
            ("class", "attack", "speaker"),
            ["label", "attack_id", "speaker_id"],
            {
                (Label.BONAFIDE, None, "a"): 10,
                (Label.BONAFIDE, None, "b"): 10,
                (Label.BONAFIDE, None, "c"): 10,
                (Label.BONAFIDE, None, "d"): 10,
                # A third of 40 each, the largest group the odd one; each of two speakers.
                (Label.SPOOF, "A1", "a"): 7,
                (Label.SPOOF, "A1", "b"): 7,
                (Label.SPOOF, "A2", "a"): 7,
                (Label.SPOOF, "A2", "b"): 6,
                (Label.SPOOF, None, "a"): 6,
                (Label.SPOOF, None, "b"): 7,
            },
        ),
    ],
)
@pytest.mark.parametrize("buckets", [(), (10, 30, 50)])
def test_shares_are_equal_in_every_epoch(balance, fields, expected, buckets):
    for clips in epochs_of(plan(balance, bucket_samples=buckets)):
        assert len(clips) == 80
        assert shares(clips, *fields) == expected


@pytest.mark.parametrize("buckets", [(), (10, 30, 50)])
def test_no_clip_is_drawn_more_often_than_needed(buckets):
    batches = plan(("class",), bucket_samples=buckets, num_epochs=9)
    epochs = [Counter(clips) for clips in epochs_of(batches)]
    total = Counter(clip for epoch in epochs for clip in epoch.elements())
    for clip in range(80):
        uses = {epoch[clip] for epoch in epochs}
        assert uses == {2} if clip < 20 else uses <= {0, 1}
        if not buckets:
            assert total[clip] == 18 if clip < 20 else total[clip] == 6
    assert min(total[clip] for clip in range(80)) >= 3  # none is forgotten
    assert epochs[0] != epochs[1]


def test_draws_of_one_clip_have_crops_of_their_own():
    batches = plan(("class",), min_samples=5, num_epochs=1)
    rows = [batches.rows(step) for step in range(len(batches))]
    clip, start, taken = (np.concatenate([r[n] for r in rows]) for n in range(3))
    lots = np.concatenate([r.row_seed for r in rows])
    longest = int(np.argmax(LENGTHS[:20]))
    own = np.flatnonzero(clip == longest)
    assert len(own) == 2
    assert len({(start[n], taken[n]) for n in own}) == len({lots[n] for n in own}) == 2


def test_lengths_and_numbers_of_batches_do_not_depend_on_the_seed():
    seeds = [plan(("attack", "speaker"), bucket_samples=(10, 30, 50), seed=n) for n in (0, 1)]
    lengths = [[p.length(step) for step in range(len(p))] for p in seeds]
    assert lengths[0] == lengths[1]
    assert epochs_of(seeds[0]) != epochs_of(seeds[1])
    again = plan(("attack", "speaker"), bucket_samples=(10, 30, 50))
    assert epochs_of(again) == epochs_of(seeds[0])


def test_rows_hold_clips_that_were_moved_to_a_longer_bucket():
    """A part with few places in a bucket takes longer rows; none of its clips is left out."""
    batches = plan(("speaker",), bucket_samples=tuple(range(1, 51)), batch_size=1, num_epochs=40)
    seen = set()
    for step in range(len(batches)):
        rows = batches.rows(step)
        assert rows.taken[0] == min(LENGTHS[rows.index[0]], 50) <= batches.length(step)
        seen.add(int(rows.index[0]))
    assert seen == set(range(80))


def test_processes_with_clips_of_their_own_share_them_out_for_themselves():
    owner = np.arange(80) % 2
    batches = plan(("class",), owner=owner, num_owners=2)
    for clips in epochs_of(batches):
        for process in (0, 1):
            own = [clip for clip in clips if owner[clip] == process]
            assert shares(own, "label") == {(Label.BONAFIDE,): 20, (Label.SPOOF,): 20}
    for step in range(len(batches)):
        halves = batches.rows(step).index.reshape(2, 4)
        assert all(owner[clip] == n for n in (0, 1) for clip in halves[n] if clip >= 0)


def test_a_level_with_more_groups_than_places_is_left_undivided():
    trials = [Trial("b", Label.BONAFIDE, "", speaker_id="z")] * 8 + [
        Trial(f"s{n}", Label.SPOOF, "", speaker_id=str(n)) for n in range(40)
    ]
    groups = group_numbers(trials, ("class", "speaker"))
    batches = BatchPlan(
        np.zeros(48, int), np.full(48, 9), batch_size=48, num_samples=9, groups=groups, num_epochs=5
    )
    total = Counter(np.concatenate([batches.rows(step).index for step in range(5)]).tolist())
    assert {total[clip] for clip in range(8, 48)} == {3}  # 24 places for 40 speakers


def test_what_no_clip_has_cannot_be_balanced():
    trials = [Trial("a", Label.BONAFIDE, ""), Trial("b", Label.SPOOF, "")]
    assert len(group_numbers(trials, ("class",))) == 2
    for name in ("attack", "speaker"):
        with pytest.raises(ConfigError, match=f"balance names '{name}', which no train clip has"):
            group_numbers(trials, (name,))
