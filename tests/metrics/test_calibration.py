"""Calibration: against slow fits, against known likelihood ratios, and at the edges."""

import logging
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from rawnet_jax.errors import MetricError
from rawnet_jax.metrics.calibration import (
    CALIBRATION_KINDS,
    AffineCalibration,
    IsotonicCalibration,
    fit_affine,
    fit_calibration,
    fit_isotonic,
)

# Few distinct values, so that ties and separated classes are common.
SCORES = st.lists(st.integers(-6, 6).map(float), min_size=1, max_size=12)


def slow_cllr(bonafide, spoof):
    cost = sum(math.log2(1 + math.exp(-s)) for s in bonafide) / len(bonafide)
    return (cost + sum(math.log2(1 + math.exp(s)) for s in spoof) / len(spoof)) / 2


def slow_loss(scale, offset, bonafide, spoof, p_bonafide):
    """The prior-weighted cross entropy, written out."""
    prior = math.log(p_bonafide / (1 - p_bonafide))
    miss = sum(math.log1p(math.exp(-(scale * s + offset + prior))) for s in bonafide)
    accept = sum(math.log1p(math.exp(scale * s + offset + prior)) for s in spoof)
    return p_bonafide * miss / len(bonafide) + (1 - p_bonafide) * accept / len(spoof)


def slow_isotonic_llr(bonafide, spoof):
    """Pool adjacent violators by merging blocks one by one, then the ratio of each score."""
    scores = sorted({*bonafide, *spoof})
    low, high = 1 / len(bonafide), 1 / len(spoof)
    blocks: list[tuple[float, float, list[float]]] = [(low, low, [])]
    for score in scores:
        share_bonafide = bonafide.count(score) / len(bonafide)
        share_spoof = spoof.count(score) / len(spoof)
        blocks.append((share_bonafide, share_spoof, [score]))
    blocks.append((high, high, []))
    i = 0
    while i < len(blocks) - 1:
        (b, s, members), (next_b, next_s, next_members) = blocks[i], blocks[i + 1]
        if b * next_s >= next_b * s:
            blocks[i : i + 2] = [(b + next_b, s + next_s, members + next_members)]
            i = max(i - 1, 0)
        else:
            i += 1
    return {score: math.log(b / s) for b, s, members in blocks for score in members}


def gaussian(num_bonafide, num_spoof, seed=0):
    """Scores whose true log-likelihood ratio is 2 s - 2."""
    rng = np.random.default_rng(seed)
    return rng.normal(2, 1, num_bonafide), rng.normal(0, 1, num_spoof)


@pytest.mark.parametrize("p_bonafide", [0.05, 0.5, 0.95])
def test_affine_is_the_minimum_of_the_loss(p_bonafide):
    bonafide, spoof = gaussian(40, 90)
    fit = fit_affine(bonafide, spoof, p_bonafide)
    least = slow_loss(fit.scale, fit.offset, bonafide, spoof, p_bonafide)
    for scale, offset in [(1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3), (1e-3, -2e-3)]:
        around = slow_loss(fit.scale + scale, fit.offset + offset, bonafide, spoof, p_bonafide)
        assert around > least
    assert not fit.separable
    assert (fit.num_bonafide, fit.num_spoof, fit.p_bonafide) == (40, 90, p_bonafide)


@pytest.mark.parametrize("kind", CALIBRATION_KINDS)
@pytest.mark.parametrize("counts", [(20_000, 20_000), (3_000, 40_000)])
def test_true_ratios_are_recovered_whatever_the_class_counts(kind, counts):
    calibration = fit_calibration(kind, *gaussian(*counts))
    scores = np.linspace(-0.5, 2.5, 13)
    tolerance = 0.1 if kind == "affine" else 0.35
    np.testing.assert_allclose(calibration.apply(scores), 2 * scores - 2, atol=tolerance)


@given(SCORES, SCORES, st.floats(0.1, 50), st.floats(-100, 100))
def test_affine_maps_of_the_scores_give_the_same_ratios(bonafide, spoof, scale, shift):
    plain = fit_affine(bonafide, spoof)
    mapped = fit_affine(scale * np.array(bonafide) + shift, scale * np.array(spoof) + shift)
    scores = np.array([-7.0, 0.0, 3.0])
    np.testing.assert_allclose(
        mapped.apply(scale * scores + shift), plain.apply(scores), rtol=1e-5, atol=1e-5
    )
    assert mapped.separable == plain.separable


@given(SCORES, SCORES)
def test_affine_never_costs_more_than_the_scores_or_no_scores(bonafide, spoof):
    fit = fit_affine(bonafide, spoof)
    assume(not fit.separable)
    after = slow_cllr(fit.apply(bonafide), fit.apply(spoof))
    assert after <= slow_cllr(bonafide, spoof) + 1e-9
    assert after <= 1 + 1e-9


@given(SCORES, SCORES, st.sampled_from([0.01, 0.5, 0.9]))
def test_every_fit_is_finite_and_bounded_by_the_number_of_trials(bonafide, spoof, p_bonafide):
    llrs = np.abs(fit_affine(bonafide, spoof, p_bonafide).apply([*bonafide, *spoof]))
    assert llrs.max() < 60
    llrs = fit_isotonic(bonafide, spoof).apply([*bonafide, *spoof, -1e9, 1e9])
    assert -math.log1p(len(bonafide)) - 1e-9 <= llrs.min()
    assert llrs.max() <= math.log1p(len(spoof)) + 1e-9


def test_separated_classes_give_ratios_that_grow_with_the_number_of_trials():
    sizes = []
    for repeat in (1, 10, 100):
        fit = fit_affine([1.0, 2.0] * repeat, [-1.0, -2.0] * repeat)
        assert fit.separable
        sizes.append(float(fit.apply([1.0])[0]))
        assert 0 < sizes[-1] < math.log(2 + 2 * repeat) + 1
    assert sizes == sorted(sizes)
    assert "separate" in " ".join(fit.warnings)
    # A tie between the classes at the border does not make the best scale finite.
    assert fit_affine([1.0, 2.0], [0.0, 1.0]).separable


@pytest.mark.parametrize("kind", CALIBRATION_KINDS)
def test_constant_scores_tell_nothing(kind):
    calibration = fit_calibration(kind, [0.1] * 3, [0.1] * 7)
    np.testing.assert_allclose(calibration.apply([0.1, 5.0]), 0, atol=1e-12)
    assert calibration.warnings


@pytest.mark.parametrize("kind", CALIBRATION_KINDS)
def test_reversed_scores_are_warned_about_and_not_flipped(kind, caplog):
    bonafide, spoof = gaussian(200, 300)
    with caplog.at_level(logging.WARNING):
        calibration = fit_calibration(kind, -bonafide, -spoof)
    assert "reversed" in caplog.text
    assert calibration.warnings[0] in caplog.text
    slope = calibration.apply([1.0]) - calibration.apply([-1.0])
    assert slope < 0 if kind == "affine" else slope == 0
    assert not fit_calibration(kind, bonafide, spoof).warnings


@given(SCORES, SCORES)
def test_isotonic_agrees_with_a_slow_one(bonafide, spoof):
    calibration = fit_isotonic(bonafide, spoof)
    wanted = slow_isotonic_llr(bonafide, spoof)
    np.testing.assert_allclose(
        calibration.apply(list(wanted)), list(wanted.values()), rtol=1e-9, atol=1e-9
    )


def test_isotonic_agrees_with_scikit_learn_away_from_the_ends():
    bonafide, spoof = gaussian(300, 500)
    scores = np.concatenate((bonafide, spoof))
    is_bonafide = np.repeat((1.0, 0.0), (300, 500))
    weight = np.where(is_bonafide == 1, 1 / 300, 1 / 500)
    posterior = IsotonicRegression().fit(scores, is_bonafide, sample_weight=weight).predict(scores)
    # Blocks next to an end may have taken a pseudo-trial in.
    inner = (posterior > np.unique(posterior)[1]) & (posterior < np.unique(posterior)[-2])
    assert inner.sum() > 100
    np.testing.assert_allclose(
        fit_isotonic(bonafide, spoof).apply(scores[inner]),
        np.log(posterior[inner] / (1 - posterior[inner])),
        rtol=1e-9,
        atol=1e-9,
    )


@given(SCORES, SCORES)
def test_isotonic_rises_everywhere(bonafide, spoof):
    llrs = fit_isotonic(bonafide, spoof).apply(np.linspace(-8, 8, 161))
    assert (np.diff(llrs) >= -1e-12).all()


def test_isotonic_is_straight_between_steps_and_flat_beyond():
    calibration = IsotonicCalibration(np.array([0.0, 1.0]), np.array([-1.0, 3.0]), 5, 5)
    np.testing.assert_allclose(calibration.apply([-9, 0, 0.25, 1, 9]), [-1, -1, 0, 3, 3])


def test_shape_is_kept():
    assert fit_affine(*gaussian(9, 9)).apply(np.zeros((2, 3))).shape == (2, 3)
    assert fit_isotonic(*gaussian(9, 9)).apply(0.5).shape == ()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_affine([], [1.0]), "no bona fide scores"),
        (lambda: fit_isotonic([1.0], [math.nan]), "not finite"),
        (lambda: fit_affine([1.0], [0.0], 1.0), "p_bonafide is 1.0"),
        (lambda: fit_affine([1e200], [-1e200]), "too large"),
        (lambda: fit_calibration("platt", [1.0], [0.0]), "'platt' is unknown"),
        (lambda: AffineCalibration(1.0, 0.0, 0.5, 1, 1).apply([math.inf]), "not finite"),
        (lambda: AffineCalibration(math.inf, 0.0, 0.5, 1, 1), "finite"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(MetricError, match=message):
        call()


def test_published_scores_are_calibrated(shared_data):
    from rawnet_jax.data.score_file import read_scores
    from rawnet_jax.metrics.validation import split_by_label

    folder = shared_data / "scores"
    table = read_scores(folder / "lfcc_resnet18_softmax.ASVspoof2019.LA.cm.eval.scores.txt")
    assert table.labels is not None
    bonafide, spoof = split_by_label(table.scores, table.labels)
    before = slow_cllr(bonafide, spoof)
    assert before == pytest.approx(0.792191460, abs=1e-9)
    for kind, bound in (("affine", 0.261), ("isotonic", 0.193)):
        calibration = fit_calibration(kind, bonafide, spoof)
        after = slow_cllr(calibration.apply(bonafide), calibration.apply(spoof))
        assert after < bound
