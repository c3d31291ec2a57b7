"""False rejection by group: counts, intervals, and who is called the worst."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.breakdown import UNSTATED
from rawnet_jax.metrics.fairness import FairnessTable, fairness, wilson_interval


def by_rates(rates: dict[str | None, tuple[int, int]], **more: object) -> FairnessTable:
    """Return the table of groups with so many rejected of so many trials."""
    scores, groups = [], []
    for group, (rejected, total) in rates.items():
        scores += [-1.0] * rejected + [1.0] * (total - rejected)
        groups += [group] * total
    return fairness(scores, [1] * len(scores), groups, 0.0, **more)  # type: ignore[arg-type]


@given(hits=st.integers(0, 60), misses=st.integers(0, 60), level=st.floats(0.5, 0.999))
def test_wilson_interval_is_that_of_scipy(hits, misses, level):
    total = hits + misses + 1
    found = wilson_interval(hits, total, level)
    wanted = binomtest(hits, total).proportion_ci(level, method="wilson")
    assert found.low == pytest.approx(wanted.low, abs=1e-12)
    assert found.high == pytest.approx(wanted.high, abs=1e-12)


def test_rows_are_counted_and_sorted():
    table = by_rates({"a": (5, 100), "b": (30, 100), "c": (10, 100), None: (90, 100)})
    assert [row.group for row in table.rows] == ["b", "c", "a", UNSTATED]
    assert [row.num_rejected for row in table.rows] == [30, 10, 5, 90]
    assert (table.overall.num_rejected, table.overall.num_bonafide) == (135, 400)
    assert table.worst is not None
    assert table.best is not None
    assert (table.worst.group, table.best.group) == ("b", "a")
    assert table.gap_to_best == pytest.approx(0.25)
    assert table.gap_to_overall == pytest.approx(0.3 - 135 / 400)
    assert [row.num_speakers for row in table.rows] == [None] * 4


def test_spoof_trials_are_passed_over():
    scores, groups = [-1.0, 1.0, 1.0, -5.0], ["a", "a", "b", "b"]
    table = fairness(scores, [1, 1, 1, 0], groups, 0.0)
    assert {row.group: row.p_miss for row in table.rows} == {"a": 0.5, "b": 0.0}
    assert table.overall.num_bonafide == 3


def test_a_trial_at_the_threshold_is_accepted():
    assert fairness([0.0], [1], ["a"], 0.0).rows[0].num_rejected == 0


def test_small_groups_are_not_judged_unless_all_are_small():
    table = by_rates({"tiny": (9, 10), "a": (6, 60), "b": (3, 60)})
    assert table.worst is not None
    assert table.worst.group == "a"
    assert not table.judged_small
    assert [row.is_small for row in table.rows] == [True, False, False]
    table = by_rates({"tiny": (9, 10), "small": (1, 20)})
    assert table.worst is not None
    assert (table.worst.group, table.judged_small) == ("tiny", True)


def test_without_a_named_group_nobody_is_worst():
    table = by_rates({None: (9, 100)})
    assert (table.worst, table.best, table.gap_to_best, table.gap_to_overall) == (None,) * 4


def test_who_stands_out():
    table = by_rates({"a": (60, 200), "b": (20, 200), "c": (23, 200)})
    assert [table.stands_out(row) for row in table.rows] == [True, False, False]


def test_among_many_groups_one_high_rate_is_no_wonder():
    few = by_rates({"a": (11, 100), "b": (5, 100)})
    assert few.worst is not None
    assert few.worst.joint_interval.level == pytest.approx(0.975)
    rates: dict[str | None, tuple[int, int]] = {f"g{i}": (5, 100) for i in range(99)}
    many = by_rates({"a": (11, 100), **rates})
    assert many.worst is not None
    assert many.worst.interval == few.worst.interval
    assert many.worst.interval.low > many.overall.p_miss
    assert not many.stands_out(many.worst)


def test_alike_trials_of_one_speaker_widen_the_interval():
    """A group of ten speakers, two of whom are always rejected: 20 % with 10 trials' certainty."""
    speakers = [f"s{i // 10}" for i in range(100)]
    scores = [-1.0] * 20 + [1.0] * 80
    alike = fairness(scores, [1] * 100, ["g"] * 100, 0.0, speakers=speakers).rows[0]
    plain = fairness(scores, [1] * 100, ["g"] * 100, 0.0).rows[0]
    effective = 100 / (10 / 9 * 10)  # every speaker is of one mind: design effect 10, K / (K - 1)
    wanted = wilson_interval(0.2 * effective, effective)
    assert alike.num_speakers == 10
    assert alike.interval.low == pytest.approx(wanted.low)
    assert alike.interval.high == pytest.approx(wanted.high)
    assert plain.interval == wilson_interval(20, 100)
    # Rejections spread evenly over the speakers count for no more than independent trials.
    even = fairness([-1.0, -1.0, *[1.0] * 8] * 10, [1] * 100, ["g"] * 100, 0.0, speakers=speakers)
    assert even.rows[0].interval == plain.interval


def test_trials_of_unknown_speakers_stand_for_themselves():
    scores = [-1.0] * 20 + [1.0] * 80
    unknown = fairness(scores, [1] * 100, ["g"] * 100, 0.0, speakers=[None] * 100).rows[0]
    assert unknown.num_speakers == 0
    plain = wilson_interval(20, 100)
    # 100 / 99 is the correction for as many speakers as trials.
    assert unknown.interval.low == pytest.approx(plain.low, rel=0.01)
    assert unknown.interval.high == pytest.approx(plain.high, rel=0.01)


@given(seed=st.integers(0, 500))
def test_counts_against_a_loop(seed):
    rng = np.random.default_rng(seed)
    scores, labels = rng.normal(size=60), rng.integers(0, 2, 60)
    labels[0] = 1
    groups = [[None, "a", "b"][i] for i in rng.integers(3, size=60)]
    for row in fairness(scores, labels, groups, 0.3).rows:
        mine = [
            s
            for s, y, g in zip(scores, labels, groups, strict=True)
            if y and (g or UNSTATED) == row.group
        ]
        assert row.num_bonafide == len(mine)
        assert row.num_rejected == sum(s < 0.3 for s in mine)
        assert row.interval.low <= row.p_miss <= row.interval.high


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": [0, 0]}, "no bona fide"),
        ({"groups": ["a"]}, "2 scores, but 1 groups"),
        ({"speakers": ["a"]}, "2 scores, but 1 speakers"),
        ({"threshold": math.nan}, "not a number"),
        ({"level": 1.0}, "level is 1.0"),
    ],
)
def test_bad_input_is_refused(change, words):
    given = {"scores": [1.0, 2.0], "labels": [1, 0], "groups": ["a", "b"], "threshold": 0.0}
    with pytest.raises(MetricError, match=words):
        fairness(**(given | change))


@pytest.mark.parametrize(("hits", "total"), [(-1, 3), (4, 3), (0, 0)])
def test_a_share_that_is_none_is_refused(hits, total):
    with pytest.raises(MetricError, match="not a share"):
        wilson_interval(hits, total)
