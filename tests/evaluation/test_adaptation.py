"""Threshold, calibration and last layer fitted to somebody's recordings, on drawn scores."""

import dataclasses

import numpy as np
import pytest

from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.evaluation.adaptation import adapt
from rawnet_jax.evaluation.adaptation_fit import Goal, Recordings, fit
from rawnet_jax.metrics.calibration import AffineCalibration

OLD = 0.0
CALIBRATION = AffineCalibration(1.0, 0.0, 0.5, 100, 100)


def recordings(mean, num, seed=0, width=0, shift=0.0, groups=1):
    """Scores around a mean and embeddings of which the first number is `shift`, each plus noise."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(mean, 1, num)
    embeddings = rng.normal(0, 1, (num, width))
    embeddings[:, :1] += shift
    names = tuple(f"group {i % groups}" for i in range(num))
    return Recordings(scores, embeddings, names, scores < OLD)


def adapted(bonafide, fakes, threshold=OLD, calibration=CALIBRATION, **goal):
    return adapt(bonafide, fakes, Goal(**goal), threshold=threshold, calibration=calibration)


def test_at_the_new_threshold_no_more_known_fakes_are_accepted_than_before():
    for seed in range(8):
        bonafide, fakes = recordings(0.5, 40, seed), recordings(-1, 60, seed + 50)
        found = adapted(bonafide, fakes)
        before = np.count_nonzero(fakes.scores >= OLD)
        assert found.accepted_before.num == before
        assert np.count_nonzero(fakes.scores >= found.fitted.threshold) <= before
        assert np.count_nonzero(bonafide.scores < found.fitted.threshold) <= found.misses_before.num


def test_more_known_fakes_are_accepted_only_where_that_is_asked_for_and_it_is_said():
    bonafide, fakes = recordings(-0.5, 100), recordings(-1.5, 100, 1)
    asked = adapted(bonafide, fakes, accept=0.5)
    assert asked.accepted_fitted.num == 50 > asked.accepted_before.num
    assert asked.misses_after.num < asked.misses_before.num / 2
    assert any("accepted more often than before" in note for note in asked.notes)
    fewer = adapted(bonafide, fakes, accept=0.01)
    assert fewer.accepted_fitted.num <= 1
    assert fewer.misses_after.num > fewer.misses_before.num
    assert any("called spoof more often than before" in note for note in fewer.notes)


def test_the_last_layer_takes_false_alarms_away_at_the_same_acceptance():
    bonafide = recordings(0.0, 60, 0, width=4, shift=3.0)
    fakes = recordings(-1.0, 120, 1, width=4)
    found = adapted(bonafide, fakes, last_layer=True)
    assert found.misses_before.num > 20
    assert found.misses_after.num < found.misses_before.num / 2
    assert found.accepted_after.num <= found.accepted_before.num + 3
    assert found.cllr_after < found.cllr_before
    # On others of the same kind, too.
    others, fakes = recordings(0, 500, 7, 4, 3.0), recordings(-1, 500, 8, 4)
    change, threshold = found.fitted.change, found.fitted.threshold
    assert np.mean(others.changed(change) < threshold) < 0.2 < np.mean(others.scores < OLD)
    assert np.mean(fakes.changed(change) >= threshold) < np.mean(fakes.scores >= OLD) + 0.02


def test_speech_of_others_is_measured_and_held_on_to():
    # What sets the person apart from the fakes sets others apart the other way round.
    bonafide = recordings(-0.5, 30, 0, width=4, shift=3.0)
    fakes, others = recordings(-1.5, 120, 1, width=4), recordings(1.0, 200, 2, 4, -1.5, groups=40)
    tests = recordings(1.0, 2000, 9, 4, -1.5)

    def wronged(found):
        return np.mean(tests.changed(found.fitted.change) < found.fitted.threshold)

    alone = adapted(bonafide, fakes, last_layer=True)
    assert any("nothing says how often" in note for note in alone.notes)
    assert alone.others_before is alone.others_after is None
    held = adapt(bonafide, fakes, Goal(last_layer=True), threshold=OLD, others=others)
    assert wronged(held) < wronged(alone) / 2
    assert held.misses_after.num < held.misses_before.num
    assert held.others_before is not None
    assert held.others_after is not None
    assert held.others_before.num == np.count_nonzero(others.scores < OLD)
    assert held.others_after.rate == pytest.approx(wronged(held), abs=0.06)
    said = [note for note in held.notes if "other people is called spoof more often" in note]
    assert bool(said) == (held.others_after.num > held.others_before.num)
    # A threshold alone moves theirs, too.
    strict = adapt(bonafide, fakes, Goal(accept=0.01), threshold=OLD, others=others)
    assert strict.others_after is not None
    assert strict.others_after.num > held.others_before.num


def test_the_threshold_is_of_recordings_that_the_layer_did_not_see():
    # As many numbers as fakes: the layer sets what it sees far apart, and others less.
    missed = []
    for seed in range(4):
        bonafide, fakes = recordings(0.5, 20, seed, 40, 3.0), recordings(-0.5, 40, seed + 20, 40)
        fitted = fit(bonafide, fakes, Goal(miss=0.1, last_layer=True))
        others = recordings(0.5, 400, seed + 60, 40, 3.0)
        missed.append(np.mean(others.changed(fitted.change) < fitted.threshold))
    assert np.mean(missed) < 0.25


def test_what_is_cross_validated_saw_neither_the_recording_nor_its_speaker():
    # Two speakers at opposite ends: a threshold fitted on one rejects much of the other.
    low, high = recordings(-2, 20, 0), recordings(3, 20, 1)
    both = Recordings(
        np.concatenate((low.scores, high.scores)),
        np.zeros((40, 0)),
        ("low",) * 20 + ("high",) * 20,
        np.concatenate((low.called_spoof, high.called_spoof)),
    )
    fakes = recordings(-5, 40, 2)
    apart = adapted(both, fakes, miss=0.1, accept=0.5)
    assert apart.misses_after.num >= 20
    assert apart.num_speakers == 2
    together = dataclasses.replace(both, groups=("",) * 40)
    assert adapted(together, fakes, miss=0.1, accept=0.5).misses_after.num < 12


def test_without_fakes_the_threshold_rises_and_never_falls():
    calm, wronged = recordings(4, 40), recordings(0.5, 40)
    found = adapted(calm, None, miss=0.1)
    assert found.fitted.threshold > OLD
    assert found.fitted.calibration is None
    assert found.misses_before.num == 0 < found.misses_after.num
    assert any("no fakes are known" in note for note in found.notes)
    with pytest.raises(DataError, match=r"of 40 genuine recordings are called spoof.*--spoof"):
        adapted(wronged, None)
    with pytest.raises(DataError, match=r"instead of 0, and nothing says how many"):
        adapted(wronged, None, miss=0.05)
    with pytest.raises(DataError, match="nothing says how many fakes"):
        adapted(calm, None, threshold=None, miss=0.1)


def test_a_calibration_that_is_no_better_is_not_kept():
    bonafide, fakes = recordings(1, 2000, 0), recordings(-1, 2000, 1)
    best = AffineCalibration(2.0, 0.0, 0.5, 1, 1)  # of these two normal laws
    kept = adapted(bonafide, fakes, calibration=dataclasses.replace(best, scale=1.98))
    bad = adapted(bonafide, fakes, calibration=dataclasses.replace(best, scale=0.1))
    assert bad.fitted.calibration is not None
    assert bad.cllr_after < bad.cllr_before
    assert bad.fitted.calibration.scale == pytest.approx(2.0, rel=0.15)
    assert (kept.fitted.calibration is None) == (kept.cllr_after is None)


@pytest.mark.parametrize(
    ("num", "num_fakes", "goal", "said"),
    [
        (9, 40, {}, "9 recordings of genuine speech can be judged; adapt needs 10"),
        (40, 40, {"miss": 0.01}, "adapt needs 100"),
        (20, 19, {}, "19 known fakes can be judged; adapt needs 20"),
        (20, None, {"last_layer": True}, "give --spoof"),
        (20, None, {"accept": 0.1}, "no known fakes"),
    ],
)
def test_too_little_is_refused_with_the_number_that_is_needed(num, num_fakes, goal, said):
    fakes = None if num_fakes is None else recordings(-1, num_fakes, 1)
    with pytest.raises(DataError, match=said):
        adapted(recordings(1, num), fakes, **goal)


def test_rates_out_of_range_are_refused():
    for goal in ({"miss": 0.0}, {"accept": 1.5}, {"num_folds": 1}):
        with pytest.raises(ConfigError, match="must be"):
            Goal(**goal)


def test_no_recording_lies_on_the_threshold():
    bonafide, fakes = recordings(0.5, 40), recordings(-1, 60, 1)
    threshold = fit(bonafide, fakes, Goal()).threshold
    scores = np.concatenate((bonafide.scores, fakes.scores))
    assert np.abs(scores - threshold).min() > 1e-9


def test_the_record_is_plain():
    import json

    found = adapted(recordings(0, 40, 0, 3), recordings(-1, 60, 1, 3), last_layer=True)
    record = json.loads(json.dumps(found.record, allow_nan=False))
    assert record["misses_before"]["of"] == 40
    assert record["last_layer"] is True
