"""The bootstrap against drawing trials one by one, by its laws, and by what statistics promises."""

import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.asv import AsvScores, operating_point
from rawnet_jax.metrics.bootstrap import (
    Interval,
    bootstrap_metrics,
    bootstrap_replicates,
    paired_bootstrap,
)
from rawnet_jax.metrics.cllr import cllr, min_cllr
from rawnet_jax.metrics.dcf import act_dcf, min_dcf, min_tdcf_legacy, min_tdcf_revised
from rawnet_jax.metrics.det import auc, eer
from rawnet_jax.metrics.table import AUC, EER, METRICS, Setting, functions

COARSE = st.lists(st.integers(-4, 4).map(float), min_size=3, max_size=12)
_RNG = np.random.default_rng(9)
ASV_SCORES = AsvScores(_RNG.normal(2, 1, 99), _RNG.normal(-2, 1, 99), _RNG.normal(1, 1, 99))
ASV = operating_point(ASV_SCORES)
PLAIN = {
    "eer": lambda b, s: eer(b, s).eer,
    "auc": auc,
    "min_dcf": lambda b, s: min_dcf(b, s).cost,
    "act_dcf": act_dcf,
    "cllr": cllr,
    "min_cllr": min_cllr,
    "min_tdcf_legacy": lambda b, s: min_tdcf_legacy(b, s, ASV).cost,
    "min_tdcf_revised": lambda b, s: min_tdcf_revised(b, s, ASV).cost,
}


def bootstrap(bonafide, spoof, metric, **options):
    return bootstrap_metrics(bonafide, spoof, {"one": metric}, **options)["one"]


def mean_of_bonafide(bonafide: np.ndarray, spoof: np.ndarray) -> float:
    return float(bonafide.mean())


def normal_scores(seed: int, num_bonafide: int = 300, num_spoof: int = 500):
    rng = np.random.default_rng(seed)
    return rng.normal(1, 1, num_bonafide), rng.normal(-1, 1, num_spoof)


class Recorder:
    """A figure that keeps what it was called with."""

    def __init__(self) -> None:
        self.bonafide: list[list[float]] = []
        self.spoof: list[list[float]] = []

    def __call__(self, bonafide: np.ndarray, spoof: np.ndarray) -> float:
        self.bonafide.append(bonafide.tolist())
        self.spoof.append(spoof.tolist())
        return 0.0


def drawn_metrics(setting: Setting) -> dict:
    known = functions(setting)
    return {name: metric for name, metric in known.items() if METRICS[name].has_interval}


def test_fast_figures_are_the_plain_ones() -> None:
    figures = drawn_metrics(Setting(asv=ASV_SCORES))
    assert set(figures) == set(PLAIN)
    assert set(drawn_metrics(Setting())) == {name for name in PLAIN if "tdcf" not in name}
    bonafide, spoof = normal_scores(0)
    for name, figure in figures.items():
        assert figure(bonafide, spoof) == pytest.approx(PLAIN[name](bonafide, spoof), abs=1e-12)


@given(COARSE, COARSE, st.booleans(), st.integers(0, 99))
@settings(max_examples=50)
def test_replicates_of_fast_figures_equal_those_of_the_drawn_trials(b, s, grouped, seed) -> None:
    groups = {}
    if grouped:
        groups["bona_groups"] = [f"speaker {i % 3}" for i in range(len(b))]
        groups["spoof_groups"] = [f"speaker {1 + i % 5}" for i in range(len(s))]
    drawn = {"num_replicates": 5, "seed": seed, **groups}
    fast = bootstrap_replicates(b, s, drawn_metrics(Setting(asv=ASV_SCORES)), **drawn)
    slow = bootstrap_replicates(b, s, PLAIN, **drawn)
    for name, values in slow.items():
        np.testing.assert_allclose(fast[name], values, atol=1e-12)


def test_trials_are_drawn_evenly_with_replacement_and_by_class() -> None:
    recorder = Recorder()
    bootstrap_replicates(range(5), range(10, 18), {"r": recorder}, num_replicates=2000)
    assert {len(drawn) for drawn in recorder.bonafide} == {5}
    assert {len(drawn) for drawn in recorder.spoof} == {8}
    counts = Counter(score for drawn in recorder.bonafide for score in drawn)
    assert set(counts) == set(range(5))
    # Each is drawn 2,000 times ± 40 (one deviation); the draws of a trial are binomial (5, 1/5).
    assert all(abs(count - 2000) < 200 for count in counts.values())
    never = np.mean([0 not in drawn for drawn in recorder.bonafide])
    assert never == pytest.approx(0.8**5, abs=0.04)


def test_groups_are_drawn_whole_with_both_classes_and_by_stratum() -> None:
    bona_groups = ["both1", "both1", "both2", "b1", "b2", "b2", None]
    spoof_groups = ["both1", "both2", "both2", "s1", "s2", None, None]
    recorder = Recorder()
    bootstrap_replicates(
        range(7),
        range(10, 17),
        {"r": recorder},
        num_replicates=500,
        bona_groups=bona_groups,
        spoof_groups=spoof_groups,
    )
    draws = [Counter(b + s) for b, s in zip(recorder.bonafide, recorder.spoof, strict=True)]
    for drawn in draws:
        assert drawn[0] == drawn[1] == drawn[10]  # both1
        assert drawn[2] == drawn[11] == drawn[12]  # both2
        assert drawn[4] == drawn[5]  # b2
        assert drawn[0] + drawn[2] == 2
        assert drawn[3] + drawn[4] + drawn[6] == 3
        assert drawn[13] + drawn[14] + drawn[15] + drawn[16] == 4
    assert {drawn[0] for drawn in draws} == {0, 1, 2}
    assert {drawn[6] for drawn in draws} == {0, 1, 2, 3}


def test_interval_of_a_mean_is_that_of_the_normal_law() -> None:
    bonafide, spoof = normal_scores(1, num_bonafide=400)
    interval = bootstrap(bonafide, spoof, mean_of_bonafide, num_replicates=4000, level=0.9)
    half = 1.6449 * bonafide.std() / np.sqrt(bonafide.size)
    assert interval.level == 0.9
    assert interval.low == pytest.approx(bonafide.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(bonafide.mean() + half, abs=0.1 * half)


def test_ends_are_quantiles_of_the_replicates() -> None:
    bonafide, spoof = normal_scores(2)
    values = bootstrap_replicates(bonafide, spoof, {"eer": EER}, num_replicates=101)["eer"]
    interval = bootstrap(bonafide, spoof, EER, num_replicates=101, level=0.8)
    ordered = sorted(values)
    assert (interval.low, interval.high) == pytest.approx((ordered[10], ordered[90]), abs=1e-12)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    # Unit normals at ±1: P(bona fide above spoof) = Φ(√2).
    truth, hits = 0.921350, 0
    for seed in range(100):
        bonafide, spoof = normal_scores(seed, 60, 80)
        interval = bootstrap(bonafide, spoof, AUC, num_replicates=200, seed=seed, level=0.9)
        hits += interval.low <= truth <= interval.high
    assert 80 <= hits <= 98


def test_trials_that_are_alike_within_speakers_widen_the_interval_by_speaker() -> None:
    # Ten trials a speaker, all equal: they tell as much as one, so the interval is √10 as wide.
    rng = np.random.default_rng(3)
    speakers = [f"S{i // 10}" for i in range(1000)]
    bonafide, spoof = np.repeat(rng.normal(1, 1, 100), 10), rng.normal(-1, 1, 50)
    by_trial = bootstrap(bonafide, spoof, mean_of_bonafide, num_replicates=2000)
    by_speaker = bootstrap(
        bonafide, spoof, mean_of_bonafide, num_replicates=2000, bona_groups=speakers
    )
    ratio = (by_speaker.high - by_speaker.low) / (by_trial.high - by_trial.low)
    assert ratio == pytest.approx(np.sqrt(10), rel=0.1)


def test_many_figures_come_from_the_same_draws_as_each_alone() -> None:
    bonafide, spoof = normal_scores(4)
    together = bootstrap_metrics(
        bonafide, spoof, {"eer": EER, "plain": PLAIN["eer"], "auc": AUC}, num_replicates=50
    )
    assert together["eer"] == together["plain"]
    assert together["eer"] == bootstrap(bonafide, spoof, EER, num_replicates=50)
    assert together["auc"] == bootstrap(bonafide, spoof, AUC, num_replicates=50)


@pytest.mark.parametrize("grouped", [False, True])
def test_the_order_of_trials_does_not_matter_and_the_seed_does(grouped: bool) -> None:
    bonafide, spoof = normal_scores(5)
    groups = np.array([f"S{i % 20}" for i in range(bonafide.size)])
    order = np.random.default_rng(0).permutation(bonafide.size)
    before, after, other = (
        bootstrap(
            bonafide[o],
            spoof,
            EER,
            num_replicates=40,
            seed=seed,
            bona_groups=groups[o].tolist() if grouped else None,
        )
        for o, seed in ((np.arange(bonafide.size), 0), (order, 0), (order, 1))
    )
    assert before == after
    assert after != other


@pytest.mark.parametrize(
    ("bonafide", "spoof", "expected"),
    [
        ([2.0, 3.0], [0.0, 1.0], Interval(0.0, 0.0, 0.95)),  # perfect
        ([0.0, 1.0], [2.0, 3.0], Interval(1.0, 1.0, 0.95)),  # reversed
        ([5.0] * 4, [5.0] * 7, Interval(0.5, 0.5, 0.95)),  # constant
    ],
)
def test_scores_that_leave_no_doubt_have_a_point_for_an_interval(bonafide, spoof, expected) -> None:
    assert bootstrap(bonafide, spoof, EER, num_replicates=20) == expected


def labelled(seed: int, noise: float, num_trials: int = 600):
    """A system, a copy of it with noise, and labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_trials) % 3 == 0
    system = rng.normal(0, 1, num_trials) + 2.5 * labels
    return system, system + noise * rng.normal(0, 1, num_trials), labels.astype(int)


def test_a_system_does_not_differ_from_itself() -> None:
    system, _, labels = labelled(0, 0.0)
    result = paired_bootstrap(system, system, labels, EER, num_replicates=100)
    assert (result.difference, result.p_value) == (0.0, 1.0)
    assert (result.interval.low, result.interval.high) == (0.0, 0.0)
    mapped = paired_bootstrap(system, np.exp(system), labels, EER, num_replicates=100)
    assert (mapped.difference, mapped.p_value) == (0.0, 1.0)


def test_a_much_better_system_is_told_apart_and_the_sign_follows_the_order() -> None:
    good, bad, labels = labelled(1, 2.0)
    result = paired_bootstrap(good, bad, labels, EER, num_replicates=500)
    is_bonafide = labels == 1
    assert result.value_a == EER(good[is_bonafide], good[~is_bonafide])
    assert result.value_b == EER(bad[is_bonafide], bad[~is_bonafide])
    assert result.difference == result.value_a - result.value_b < 0
    assert result.interval.low < result.difference < result.interval.high < 0
    assert result.p_value == pytest.approx(2 / 501)
    swapped = paired_bootstrap(bad, good, labels, EER, num_replicates=500)
    assert swapped.difference == -result.difference
    assert swapped.interval.low > 0


def test_p_value_counts_the_replicates_on_the_other_side() -> None:
    a, b, labels = labelled(2, 0.15)
    differences: list[float] = []

    def recording(bonafide: np.ndarray, spoof: np.ndarray) -> float:
        value = auc(bonafide, spoof)
        differences.append(value)
        return value

    result = paired_bootstrap(a, b, labels, recording, num_replicates=199)
    pairs = np.array(differences[: 2 * 199]).reshape(-1, 2)
    observed = pairs[:, 0] - pairs[:, 1]
    smaller = min(np.sum(observed <= 0), np.sum(observed >= 0))
    assert 0 < smaller < 100
    assert result.p_value == pytest.approx(2 * (smaller + 1) / 200)
    assert result.interval.low == pytest.approx(np.quantile(observed, 0.025))


def test_both_systems_are_measured_on_the_same_drawn_trials() -> None:
    system = np.random.default_rng(0).permutation(30).astype(float)
    labels, recorder = np.arange(30) % 2, Recorder()
    paired_bootstrap(system, -system, labels, recorder, num_replicates=20)
    for drawn in (recorder.bonafide, recorder.spoof):
        for a, b in zip(drawn[0:40:2], drawn[1:40:2], strict=True):
            assert sorted(a) == sorted(-score for score in b)


def test_pairing_cancels_what_is_hard_for_both() -> None:
    a, b, labels = labelled(3, 0.2)
    is_bonafide = labels == 1
    paired = paired_bootstrap(a, b, labels, AUC, num_replicates=300).interval
    alone = bootstrap(a[is_bonafide], a[~is_bonafide], AUC, num_replicates=300)
    assert paired.high - paired.low < 0.7 * (alone.high - alone.low)


def test_equally_good_systems_are_rarely_told_apart() -> None:
    rng = np.random.default_rng(4)
    p_values = []
    for seed in range(60):
        labels = np.arange(200) % 2
        a, b = (2 * labels + rng.normal(0, 1, 200) for _ in range(2))
        p_values.append(paired_bootstrap(a, b, labels, AUC, num_replicates=100, seed=seed).p_value)
    assert np.mean(np.array(p_values) < 0.1) < 0.25
    assert np.mean(np.array(p_values) > 0.5) > 0.3


def test_paired_draws_do_not_depend_on_the_order_and_follow_groups() -> None:
    a, b, labels = labelled(5, 0.5)
    groups = [f"S{i % 17}" for i in range(labels.size)]
    order = np.random.default_rng(0).permutation(labels.size)
    by_trial, by_group = (
        paired_bootstrap(a, b, labels, EER, num_replicates=50, groups=g) for g in (None, groups)
    )
    shuffled = a[order], b[order], labels[order]
    shuffled_groups = [groups[i] for i in order]
    assert paired_bootstrap(*shuffled, EER, num_replicates=50) == by_trial
    again = paired_bootstrap(*shuffled, EER, num_replicates=50, groups=shuffled_groups)
    assert again == by_group
    assert by_group.interval != by_trial.interval


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_replicates": 0}, "num_replicates is 0"),
        ({"level": 1.0}, r"level is 1\.0"),
        ({"level": 95}, "level is 95"),
        ({"bona_groups": ["a"]}, "2 bona fide trials and 1 groups"),
        ({"spoof_groups": ["a"] * 4}, "3 spoof trials and 4 groups"),
        (
            {"bona_groups": ["a", "a"], "spoof_groups": ["b"] * 3},
            "2 groups, none alike in the classes that they have; nothing can vary",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_reason(options, message) -> None:
    with pytest.raises(MetricError, match=message):
        bootstrap([1.0, 2.0], [0.0, 0.5, 1.5], EER, **options)


@pytest.mark.parametrize(
    ("a", "b", "labels", "options", "message"),
    [
        ([1.0, 2.0, 0.0], [1.0, 2.0], [1, 0, 1], {}, "2 scores and labels of shape"),
        ([1.0, 2.0], [1.0, np.nan], [1, 0], {}, r"scores\[1\] is nan"),
        ([1.0, 2.0], [1.0, 2.0], [1, 1], {}, "no spoof scores"),
        ([1.0, 2.0], [1.0, 2.0], [1, 0], {"groups": ["a"]}, "2 trials and 1 groups"),
        ([1.0, 2.0], [1.0, 2.0], [1, 0], {"level": 0.0}, "level is 0.0"),
        ([1.0, 2.0], [1.0, 2.0], [1, 0], {}, "nothing can vary"),
    ],
)
def test_pairs_that_cannot_be_compared_are_refused(a, b, labels, options, message) -> None:
    with pytest.raises(MetricError, match=message):
        paired_bootstrap(a, b, labels, EER, **options)


def test_a_full_evaluation_list_is_fast() -> None:
    # 1,000 replicates are to take under 20 s; this is a tenth of them with a tenth of the time.
    bonafide, spoof = normal_scores(6, 7_355, 63_882)
    start = time.perf_counter()
    bootstrap(bonafide, spoof, EER, num_replicates=100)
    assert time.perf_counter() - start < 2.0
