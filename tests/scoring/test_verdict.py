import json
import math
from dataclasses import replace

import numpy as np
import pytest

from rawnet_jax.config import Config
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.labels import Label
from rawnet_jax.metrics.calibration import CALIBRATION_KINDS, AffineCalibration, fit_calibration
from rawnet_jax.scoring.outlier import range_of
from rawnet_jax.scoring.verdict import (
    CALIBRATION_JSON,
    THRESHOLD_JSON,
    DecisionRule,
    OperatingPoint,
    how_scored,
    load_calibration,
    load_decision,
    load_operating_point,
    save_calibration,
    save_operating_point,
    verdict_record,
)

CALIBRATION = AffineCalibration(2.0, -1.0, 0.5, 50, 60)
POINT = OperatingPoint(0.3, "equal error rate on dev", False, 7, {"aggregate": ""})


@pytest.mark.parametrize(
    ("score", "prior", "llr", "p_spoof", "label"),
    [
        (0.5, 0.5, 0.0, 0.5, Label.BONAFIDE),
        (0.3, 0.5, -0.4, 1 / (1 + math.exp(-0.4)), Label.BONAFIDE),  # at the threshold
        (0.2999, 0.2, -0.4002, 0.2 / (0.2 + 0.8 * math.exp(-0.4002)), Label.SPOOF),
        (-900.0, 0.01, -1801.0, 1.0, Label.SPOOF),
    ],
)
def test_what_a_score_stands_for(score, prior, llr, p_spoof, label):
    found = DecisionRule(POINT, CALIBRATION, prior)(score)
    assert (found.score, found.label) == (score, label)
    assert found.llr == pytest.approx(llr)
    assert found.p_spoof == pytest.approx(p_spoof, rel=1e-12)


def test_without_calibration_there_is_a_verdict_alone():
    found = DecisionRule(POINT)(1.0)
    assert (found.llr, found.p_spoof, found.label) == (None, None, Label.BONAFIDE)
    assert "not calibrated" in DecisionRule(POINT).text


def test_a_threshold_may_be_of_ratios():
    on_llr = replace(POINT, on_llr=True)
    assert DecisionRule(on_llr, CALIBRATION)(0.6).label == Label.SPOOF  # 0.2 nats
    assert DecisionRule(on_llr, CALIBRATION)(0.7).label == Label.BONAFIDE
    with pytest.raises(DataError, match="there is no calibration"):
        DecisionRule(on_llr)


def test_read_back(tmp_path):
    assert load_operating_point(tmp_path) is None
    save_operating_point(tmp_path, POINT)
    save_calibration(tmp_path / CALIBRATION_JSON, CALIBRATION)
    decision = load_decision(tmp_path, Config(), 7, prior=0.1)
    assert (decision.point, decision.calibration, decision.prior) == (POINT, CALIBRATION, 0.1)
    assert decision.notes == ()


def test_of_another_checkpoint_nothing_is_used(tmp_path):
    save_operating_point(tmp_path, POINT)
    save_calibration(tmp_path / CALIBRATION_JSON, CALIBRATION)
    decision = load_decision(tmp_path, Config(), 8)
    assert decision.calibration is None
    assert decision.point.threshold == 0  # P(spoof) of .5, read as log odds
    assert "another checkpoint" in decision.notes[0]


def test_other_windows_are_noted(tmp_path):
    save_operating_point(tmp_path, POINT)
    config = Config()
    config.eval.aggregate = "mean"
    assert how_scored(config.eval)["window_hop"] == 0.5
    assert any("of another kind" in note for note in load_decision(tmp_path, config, 7).notes)
    assert not any("kind" in note for note in load_decision(tmp_path, Config(), 7).notes)


def test_never_evaluated(tmp_path):
    config = Config()
    config.eval.spoof_threshold = 0.9
    decision = load_decision(tmp_path, config, 7)
    assert decision.point.threshold == pytest.approx(-math.log(9))
    assert any("no threshold was chosen" in note for note in decision.notes)
    given = load_decision(tmp_path, config, 7, threshold=2.5)
    assert given.point.threshold == 2.5
    assert not any("no threshold" in note for note in given.notes)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [({"prior": 0.0}, "prior of spoof 0"), ({"threshold": math.nan}, "--threshold nan")],
)
def test_numbers_out_of_range(tmp_path, keywords, message):
    with pytest.raises(ConfigError, match=message):
        load_decision(tmp_path, Config(), 7, **keywords)


@pytest.mark.parametrize(
    ("before", "after"), [('"threshold": 0.3', '"threshold": NaN'), ('"rule"', '"rules"')]
)
def test_damaged_file(tmp_path, before, after):
    save_operating_point(tmp_path, POINT)
    path = tmp_path / THRESHOLD_JSON
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(DataError, match=r"threshold\.json"):
        load_operating_point(tmp_path)


@pytest.mark.parametrize("kind", CALIBRATION_KINDS)
def test_saved_and_loaded_gives_the_same_bits(kind, tmp_path):
    rng = np.random.default_rng(0)
    calibration = fit_calibration(kind, rng.normal(2, 1, 50), rng.normal(0, 1, 70))
    save_calibration(tmp_path / "c.json", calibration)
    loaded = load_calibration(tmp_path / "c.json")
    scores = np.linspace(-3, 5, 50)
    assert loaded.apply(scores).tobytes() == calibration.apply(scores).tobytes()
    assert loaded.to_dict() == calibration.to_dict()
    assert json.loads((tmp_path / "c.json").read_text())["kind"] == kind


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "damaged"),
        ("[1]", "not a saved calibration"),
        ('{"content": "fusion", "schema_version": 1}', "not a saved calibration"),
        ('{"content": "calibration", "schema_version": 2}', "schema_version 2"),
        ('{"content": "calibration", "schema_version": 1, "kind": "platt"}', "'platt' is unknown"),
        ('{"content": "calibration", "schema_version": 1, "kind": "affine"}', "lacks 'scale'"),
        (
            '{"content": "calibration", "schema_version": 1, "kind": "affine", "scale": NaN, '
            '"offset": 0, "p_bonafide": 0.5, "num_bonafide": 1, "num_spoof": 1, "separable": 0}',
            "finite",
        ),
        (
            '{"content": "calibration", "schema_version": 1, "kind": "isotonic", "scores": [1, 0], '
            '"llrs": [0, 1], "num_bonafide": 1, "num_spoof": 1}',
            "must be finite and rise",
        ),
    ],
)
def test_a_damaged_file_is_named(tmp_path, text, message):
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as error:
        load_calibration(path)
    assert str(path) in str(error.value)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.json: cannot be read"):
        load_calibration(tmp_path / "none.json")


BOUNDED = replace(POINT, lowest=-17.4, highest=15.3)


@pytest.mark.parametrize("score", [-229.0, -17.5, 15.4, 308.0])
def test_no_verdict_outside_the_range_of_dev_scores(score):
    decision = DecisionRule(BOUNDED, CALIBRATION)
    assert verdict_record(score, decision) == {
        **{"verdict": "cannot judge", "score": score, "llr": None, "p_spoof": None}
    }
    reason = decision.refusal(score)
    assert reason == (f"outside the range of dev scores: {score:+.4g}; -17.4 to +15.3 is judged")


@pytest.mark.parametrize("score", [-17.4, 0.0, 15.3])
def test_within_the_range_there_is_a_verdict(score):
    bounded, free = DecisionRule(BOUNDED, CALIBRATION), DecisionRule(POINT, CALIBRATION)
    assert bounded.refusal(score) is free.refusal(score) is free.refusal(1e9) is None
    assert verdict_record(score, bounded) == verdict_record(score, free)


def test_the_range_is_the_dev_scores_and_once_their_span_on_either_side():
    assert range_of(np.array([4.0, -6.0, 1.0])) == (-16.0, 14.0)
    assert range_of(np.array([2.0, 2.0])) == range_of(np.array([])) == (None, None)


def test_the_range_is_read_back_and_survives_another_threshold(tmp_path):
    save_operating_point(tmp_path, BOUNDED)
    assert load_operating_point(tmp_path) == BOUNDED
    given = load_decision(tmp_path, Config(), 7, threshold=2.5).point
    assert (given.threshold, given.lowest, given.highest) == (2.5, -17.4, 15.3)
    assert load_decision(tmp_path, Config(), 8).point.lowest is None  # of another checkpoint


def test_a_file_without_a_range_judges_any_score(tmp_path):
    save_operating_point(tmp_path, POINT)
    path = tmp_path / THRESHOLD_JSON
    record = json.loads(path.read_text())
    del record["lowest"], record["highest"]
    path.write_text(json.dumps(record))
    assert load_operating_point(tmp_path) == POINT


@pytest.mark.parametrize("bound", ["NaN", "true", '"1"', "[]", "1e999"])
def test_a_damaged_range(tmp_path, bound):
    save_operating_point(tmp_path, BOUNDED)
    path = tmp_path / THRESHOLD_JSON
    path.write_text(path.read_text().replace("-17.4", bound))
    with pytest.raises(DataError, match=r"threshold\.json"):
        load_operating_point(tmp_path)
