"""a-DCF and t-EER against slow double loops, and by their laws."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawnet_jax.data.asv_score_file import read_asv_scores
from rawnet_jax.data.score_file import read_scores
from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.asv import AsvScores
from rawnet_jax.metrics.dcf import ASVSPOOF5_ADCF, ODYSSEY2024_ADCF, TandemCosts
from rawnet_jax.metrics.det import eer
from rawnet_jax.metrics.tandem import min_a_dcf, t_eer, t_eer_path
from rawnet_jax.metrics.validation import split_by_label

COARSE = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=10)
CLASSES = st.tuples(COARSE, COARSE, COARSE)
FINE = st.lists(st.integers(-(10**6), 10**6).map(float), min_size=4, max_size=12)


def asv_of(classes) -> AsvScores:
    target, nontarget, spoof = (np.array(scores) for scores in classes)
    return AsvScores(target, nontarget, spoof)


def above(scores: list[float], threshold: float) -> float:
    return sum(s >= threshold for s in scores) / len(scores)


def thresholds_of(*classes: list[float]) -> list[float]:
    return [*sorted(set().union(*classes)), math.inf]


def slow_a_dcf(p_miss: float, p_fa: float, p_fa_spoof: float, costs: TandemCosts) -> float:
    def cost(p_miss: float, p_fa: float, p_fa_spoof: float) -> float:
        return (
            costs.p_target * costs.c_miss * p_miss
            + costs.p_nontarget * costs.c_fa * p_fa
            + costs.p_spoof * costs.c_fa_spoof * p_fa_spoof
        )

    return cost(p_miss, p_fa, p_fa_spoof) / min(cost(1, 0, 0), cost(0, 1, 1))


def slow_path(bonafide, spoof, classes, prevalence) -> list[tuple[float, float, float, float]]:
    """(u, t, t-EER, distance from the concurrent point) for every ASV threshold that has one."""
    target, nontarget, spoof_asv = classes
    path = []
    for u in thresholds_of(*classes):
        miss, fa, fa_spoof = 1 - above(target, u), above(nontarget, u), above(spoof_asv, u)
        if not miss < (1 - prevalence) * fa + prevalence * fa_spoof - 1e-12:
            continue
        candidates = []
        for t in thresholds_of(bonafide, spoof):
            passed, spoof_passed = above(bonafide, t), above(spoof, t)
            p_miss = 1 - passed * (1 - miss)
            p_fa = (1 - prevalence) * passed * fa + prevalence * spoof_passed * fa_spoof
            candidates.append((abs(p_miss - p_fa), t, (p_miss + p_fa) / 2, passed, spoof_passed))
        smallest = min(candidate[0] for candidate in candidates)
        _, t, rate, passed, spoof_passed = next(
            candidate for candidate in candidates if candidate[0] <= smallest + 1e-12
        )
        distance = math.inf
        if fa_spoof > 0 and passed > 0:
            distance = abs(fa / fa_spoof - spoof_passed / passed)
        path.append((u, t, rate, distance))
    return path


@given(COARSE, COARSE, COARSE, st.sampled_from([ASVSPOOF5_ADCF, ODYSSEY2024_ADCF]))
def test_min_a_dcf_equals_counting(target, nontarget, spoof, costs) -> None:
    result = min_a_dcf(target, nontarget, spoof, costs)
    slow = [
        slow_a_dcf(1 - above(target, t), above(nontarget, t), above(spoof, t), costs)
        for t in thresholds_of(target, nontarget, spoof)
    ]
    assert result.cost == pytest.approx(min(slow), abs=1e-12)
    assert result.p_miss == np.mean(np.array(target) < result.threshold)
    assert result.p_fa == np.mean(np.array(nontarget) >= result.threshold)
    assert result.p_fa_spoof == np.mean(np.array(spoof) >= result.threshold)


@given(COARSE, COARSE, COARSE)
def test_min_a_dcf_is_that_of_the_official_steps_even_with_ties(target, nontarget, spoof) -> None:
    trials = sorted((s, k) for k, c in enumerate((target, nontarget, spoof)) for s in c)
    left = [len(target), len(nontarget), len(spoof)]
    sizes = tuple(left)
    costs = [slow_a_dcf(0.0, 1.0, 1.0, ASVSPOOF5_ADCF)]
    for _, kind in trials:
        left[kind] -= 1
        rates = [n / size for n, size in zip(left, sizes, strict=True)]
        costs.append(slow_a_dcf(1 - rates[0], rates[1], rates[2], ASVSPOOF5_ADCF))
    assert min_a_dcf(target, nontarget, spoof).cost == pytest.approx(min(costs), abs=1e-12)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (([2.0, 3.0], [0.0, 1.0], [-1.0, 1.0]), 0.0),  # perfect
        (([-1.0, 0.0], [2.0, 3.0], [2.0]), 1.0),  # reversed
        (([5.0] * 3, [5.0], [5.0] * 2), 1.0),  # constant
        (([1.0], [0.0], [1.0]), 0.5 / 0.595),  # blind to spoof
        (([1.0], [1.0], [0.0]), 0.095 / 0.595),  # blind to nontargets
    ],
)
def test_a_dcf_of_cases_that_can_be_worked_out_by_hand(classes, expected) -> None:
    assert min_a_dcf(*classes).cost == pytest.approx(expected)


def test_a_dcf_refuses_costs_that_leave_nothing_to_normalise_by() -> None:
    with pytest.raises(MetricError, match="costs nothing"):
        min_a_dcf([1.0], [0.0], [0.0], TandemCosts("all target", 1.0, 0.0, 0.0, 1.0, 1.0, 1.0))


@given(COARSE, COARSE, CLASSES, st.sampled_from([0.0, 0.25, 0.5, 1.0]))
@settings(max_examples=60)
def test_t_eer_path_equals_a_double_loop(bonafide, spoof, classes, prevalence) -> None:
    path = t_eer_path(bonafide, spoof, asv_of(classes), prevalence)
    slow = slow_path(bonafide, spoof, classes, prevalence)
    assert path.spoof_prevalence == prevalence
    np.testing.assert_array_equal(path.asv_thresholds, [point[0] for point in slow])
    np.testing.assert_allclose(path.eer, [point[2] for point in slow], atol=1e-9)


@given(FINE, FINE, st.tuples(FINE, FINE, FINE))
@settings(max_examples=60)
def test_concurrent_t_eer_equals_a_double_loop(bonafide, spoof, classes) -> None:
    result = t_eer(bonafide, spoof, asv_of(classes))
    slow = slow_path(bonafide, spoof, classes, 0.5)
    least = min(point[3] for point in slow)
    near = {(u, t) for u, t, _, distance in slow if distance <= least + 1e-9}
    t, u = result.cm_threshold, result.asv_threshold
    assert {asv for asv, _ in near} >= {u}
    passed = above(bonafide, t)
    assert result.p_miss == pytest.approx(1 - passed * above(classes[0], u), abs=1e-12)
    assert result.p_fa == pytest.approx(passed * above(classes[1], u), abs=1e-12)
    expected = above(spoof, t) * above(classes[2], u)
    assert result.p_fa_spoof == result.eer == pytest.approx(expected, abs=1e-12)


def normal_systems(seed: int, size: int = 4000):
    rng = np.random.default_rng(seed)
    cm = rng.normal(1.5, 1, size), rng.normal(-1.5, 1, size)
    return *cm, AsvScores(rng.normal(2, 1, size), rng.normal(-2, 1, size), rng.normal(1, 1, size))


def test_the_three_rates_meet_and_every_path_leads_there() -> None:
    bonafide, spoof, asv = normal_systems(0)
    result = t_eer(bonafide, spoof, asv)
    assert result.p_miss == pytest.approx(result.eer, abs=0.005)
    assert result.p_fa == pytest.approx(result.eer, abs=0.005)
    for prevalence in (0.1, 0.5, 0.9):
        path = t_eer_path(bonafide, spoof, asv, prevalence)
        at = np.argmin(np.abs(path.asv_thresholds - result.asv_threshold))
        assert path.eer[at] == pytest.approx(result.eer, abs=0.01)


def test_with_a_perfect_countermeasure_the_asv_errors_remain() -> None:
    _, _, asv = normal_systems(1)
    rng = np.random.default_rng(2)
    result = t_eer(rng.uniform(10, 11, 4000), rng.uniform(0, 1, 4000), asv)
    assert result.eer == pytest.approx(eer(asv.target, asv.nontarget).eer, abs=0.005)


def test_with_a_perfect_asv_system_that_takes_all_spoof_the_countermeasure_has_the_say() -> None:
    bonafide, spoof, _ = normal_systems(3)
    rng = np.random.default_rng(4)
    asv = AsvScores(rng.uniform(10, 11, 99), rng.uniform(0, 1, 4000), rng.uniform(10, 11, 99))
    path = t_eer_path(bonafide, spoof, asv, spoof_prevalence=1.0)
    at = np.searchsorted(path.asv_thresholds, 5.0)
    assert path.eer[at] == pytest.approx(eer(bonafide, spoof).eer, abs=1e-12)


@pytest.mark.parametrize(
    ("bonafide", "spoof", "classes", "expected"),
    [
        ([2.0, 3.0], [0.0, 1.0], ([2.0, 3.0], [0.0], [1.0]), 0.0),  # both perfect
        ([5.0], [5.0], ([5.0], [5.0], [5.0]), 1.0),  # both constant: only "accept all" is left
    ],
)
def test_t_eer_of_cases_that_can_be_worked_out_by_hand(bonafide, spoof, classes, expected) -> None:
    assert t_eer(bonafide, spoof, asv_of(classes)).eer == pytest.approx(expected)


def test_published_scores_give_the_rate_of_the_step_by_step_search(shared_data: Path) -> None:
    # The reference is from a loop over all ASV thresholds that moves the trials one by one.
    folder = shared_data / "scores"
    table = read_scores(folder / "lfcc_resnet18_softmax.ASVspoof2019.LA.cm.eval.scores.txt")
    assert table.labels is not None
    asv = read_asv_scores(folder / "ASVspoof2019.LA.asv.eval.gi.trl.scores.txt")
    result = t_eer(*split_by_label(table.scores, table.labels), asv)
    assert result.eer == pytest.approx(0.047306529572, abs=1e-9)


@given(FINE, FINE, st.tuples(FINE, FINE, FINE), st.randoms())
@settings(max_examples=40)
def test_order_and_strictly_increasing_maps_do_not_matter(bonafide, spoof, classes, random) -> None:
    before = t_eer(bonafide, spoof, asv_of(classes))

    def changed(scores: list[float]) -> np.ndarray:
        return np.cbrt(np.array(random.sample(scores, len(scores)))) - 3

    after = t_eer(changed(bonafide), changed(spoof), asv_of([changed(c) for c in classes]))
    assert (after.eer, after.p_miss, after.p_fa) == (before.eer, before.p_miss, before.p_fa)
    costs = [min_a_dcf(*group).cost for group in (classes, [changed(c) for c in classes])]
    assert costs[0] == costs[1]


def test_bad_input_is_refused_with_the_reason() -> None:
    asv = asv_of(([1.0], [0.0], [0.5]))
    with pytest.raises(MetricError, match="no bona fide scores"):
        t_eer([], [1.0], asv)
    with pytest.raises(MetricError, match=r"spoof scores\[0\] is nan"):
        t_eer_path([1.0], [np.nan], asv)
    with pytest.raises(MetricError, match=r"spoof_prevalence is 1\.5"):
        t_eer_path([1.0], [0.0], asv, 1.5)
    with pytest.raises(MetricError, match="no nontarget scores"):
        min_a_dcf([1.0], [], [0.0])
