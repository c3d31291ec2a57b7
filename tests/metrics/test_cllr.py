"""C_llr against its formula, min C_llr against isotonic regression by brute force."""

import math
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawnet_jax.data.score_file import read_scores
from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.cllr import cllr, cllr_of_curve, min_cllr, min_cllr_of_curve
from rawnet_jax.metrics.det import DetCurve, det_curve
from rawnet_jax.metrics.validation import split_by_label

COARSE = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=15)


def slow_cllr(bonafide: list[float], spoof: list[float]) -> float:
    missed = sum(math.log2(1 + math.exp(-b)) for b in bonafide) / len(bonafide)
    accepted = sum(math.log2(1 + math.exp(s)) for s in spoof) / len(spoof)
    return (missed + accepted) / 2


def slow_min_cllr(bonafide: list[float], spoof: list[float]) -> float:
    """Isotonic regression at t: the largest over starts of the smallest mean up to any end."""
    levels = sorted({*bonafide, *spoof})

    def share(start: int, end: int) -> float:
        b = sum(levels[start] <= x <= levels[end] for x in bonafide) / len(bonafide)
        s = sum(levels[start] <= x <= levels[end] for x in spoof) / len(spoof)
        return b / (b + s)

    posterior = {
        t: max(min(share(i, j) for j in range(k, len(levels))) for i in range(k + 1))
        for k, t in enumerate(levels)
    }
    missed = sum(-math.log2(posterior[b]) for b in bonafide) / len(bonafide)
    accepted = sum(-math.log2(1 - posterior[s]) for s in spoof) / len(spoof)
    return (missed + accepted) / 2


@given(COARSE, COARSE)
def test_cllr_equals_its_formula(bonafide, spoof) -> None:
    slow = slow_cllr(bonafide, spoof)
    assert cllr(bonafide, spoof) == pytest.approx(slow, abs=1e-12)
    assert cllr_of_curve(det_curve(bonafide, spoof)) == pytest.approx(slow, abs=1e-12)


@given(COARSE, COARSE)
def test_min_cllr_equals_isotonic_regression_by_brute_force(bonafide, spoof) -> None:
    assert min_cllr(bonafide, spoof) == pytest.approx(slow_min_cllr(bonafide, spoof), abs=1e-12)


@given(COARSE, COARSE)
def test_min_cllr_is_a_lower_bound(bonafide, spoof) -> None:
    least = min_cllr(bonafide, spoof)
    assert -1e-12 <= least <= 1 + 1e-12
    for scale, offset in ((1.0, 0.0), (0.3, -0.5), (4.0, 1.0)):
        mapped = scale * np.array(bonafide) + offset, scale * np.array(spoof) + offset
        assert least <= cllr(*mapped) + 1e-12


@given(COARSE, COARSE, st.randoms())
def test_order_of_trials_does_not_matter(bonafide, spoof, random) -> None:
    shuffled = random.sample(bonafide, len(bonafide)), random.sample(spoof, len(spoof))
    assert cllr(*shuffled) == pytest.approx(cllr(bonafide, spoof), abs=1e-12)
    assert min_cllr(*shuffled) == min_cllr(bonafide, spoof)


@pytest.mark.parametrize("mapping", [np.exp, np.cbrt, lambda x: 3 * x - 7, np.arctan])
@given(bonafide=COARSE, spoof=COARSE)
@settings(max_examples=40)
def test_strictly_increasing_maps_leave_min_cllr(mapping, bonafide, spoof) -> None:
    mapped = mapping(np.array(bonafide)), mapping(np.array(spoof))
    assert min_cllr(*mapped) == min_cllr(bonafide, spoof)


@given(COARSE, COARSE)
def test_negating_exchanges_the_classes(bonafide, spoof) -> None:
    negated = [-s for s in spoof], [-b for b in bonafide]
    assert cllr(*negated) == pytest.approx(cllr(bonafide, spoof), abs=1e-12)
    assert min_cllr(*negated) == pytest.approx(min_cllr(bonafide, spoof), abs=1e-12)


@pytest.mark.parametrize(
    ("bonafide", "spoof", "expected"),
    [
        ([2.0, 3.0], [0.0, 1.0], 0.0),  # perfect
        ([0.0, 1.0], [2.0, 3.0], 1.0),  # perfect with the sign reversed
        ([5.0] * 4, [5.0] * 7, 1.0),  # constant
        ([1.0], [1.0], 1.0),
    ],
)
def test_min_cllr_of_cases_that_can_be_worked_out_by_hand(bonafide, spoof, expected) -> None:
    assert min_cllr(bonafide, spoof) == pytest.approx(expected, abs=1e-12)


def test_no_evidence_costs_one_bit_and_sure_evidence_none() -> None:
    assert cllr([0.0] * 3, [0.0] * 5) == 1.0
    assert cllr([800.0], [-800.0]) == 0.0


def test_sure_and_wrong_evidence_costs_as_much_as_it_is_sure() -> None:
    assert cllr([-1e6], [1e6]) == pytest.approx(1e6 / math.log(2))


def test_true_log_likelihood_ratios_are_nearly_calibrated() -> None:
    rng = np.random.default_rng(0)
    bonafide, spoof = 2 * rng.normal(1, 1, 50_000), 2 * rng.normal(-1, 1, 20_000)
    assert cllr(bonafide, spoof) == pytest.approx(min_cllr(bonafide, spoof), abs=0.005)
    assert cllr(bonafide + 2, spoof + 2) > cllr(bonafide, spoof) + 0.1


def test_one_late_violator_that_pools_everything_takes_no_longer() -> None:
    # Bona fide's share rises a little at each of 50,000 scores; the last has half of all spoof.
    size = 50_000
    bonafide = np.append(1 + np.arange(size) / size, 0.0)
    spoof = np.append(np.ones(size), size)
    frr, rejected = (np.append(0.0, np.cumsum(m) / m.sum()) for m in (bonafide, spoof))
    curve = DetCurve(1.0 - rejected, frr, np.append(np.arange(size + 1.0), np.inf))
    start = time.perf_counter()
    assert min_cllr_of_curve(curve) == pytest.approx(1.0, abs=1e-9)
    assert time.perf_counter() - start < 2.0


def test_published_scores_give_the_published_cllr(shared_data: Path) -> None:
    table = read_scores(
        shared_data / "scores" / "lfcc_resnet18_softmax.ASVspoof2019.LA.cm.eval.scores.txt"
    )
    assert table.labels is not None
    scores = split_by_label(table.scores, table.labels)
    assert cllr(*scores) == pytest.approx(0.792191460, abs=1e-9)
    assert min_cllr(*scores) < 0.2


@pytest.mark.parametrize("metric", [cllr, min_cllr])
@pytest.mark.parametrize(
    ("bonafide", "spoof", "message"),
    [
        ([], [1.0], "no bona fide scores"),
        ([1.0], [], "no spoof scores"),
        ([1.0], [np.inf], r"spoof scores\[0\] is inf"),
    ],
)
def test_bad_scores_are_refused_with_the_reason(metric, bonafide, spoof, message) -> None:
    with pytest.raises(MetricError, match=message):
        metric(bonafide, spoof)
