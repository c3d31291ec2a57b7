"""The rule on what is unlike training: its file, what it says, how windows come together."""

import dataclasses

import numpy as np
import pytest

from rawnet_jax.errors import DataError
from rawnet_jax.metrics.calibration import AffineCalibration
from rawnet_jax.metrics.outlier import fit_distance
from rawnet_jax.scoring.file_scorer import FileScore, Outcome
from rawnet_jax.scoring.outlier import (
    OUTLIER_FILE,
    OutlierBound,
    OutlierRule,
    load_outlier_rule,
    refusal_by,
    remove_outlier_rule,
    save_outlier_rule,
    with_distance,
)
from rawnet_jax.scoring.verdict import (
    DecisionRule,
    OperatingPoint,
    record_of,
    verdict_record,
)
from rawnet_jax.scoring.windows import WindowScores

BOUND = OutlierBound(0.01, 2.0, 3.0)
DECISION = DecisionRule(
    OperatingPoint(0.0, "made up", lowest=-50.0, highest=50.0),
    AffineCalibration(2.0, 0.0, 0.5, 9, 9),
    outliers=BOUND,
)


def made_rule(step: int = 7) -> OutlierRule:
    rows = np.random.default_rng(0).standard_normal((40, 5))
    return OutlierRule(fit_distance(rows, np.arange(40) % 2), BOUND, step)


def test_the_file_holds_the_rule_to_the_last_bit(tmp_path):
    assert load_outlier_rule(tmp_path) is None
    rule = made_rule()
    save_outlier_rule(tmp_path, rule)
    found = load_outlier_rule(tmp_path)
    assert found is not None
    assert (found.bound, found.step) == (BOUND, 7)
    rows = np.random.default_rng(1).standard_normal((9, 5))
    np.testing.assert_array_equal(found.measure(rows), rule.measure(rows))
    assert [path.name for path in tmp_path.iterdir()] == [OUTLIER_FILE]
    remove_outlier_rule(tmp_path)
    remove_outlier_rule(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_one_line_whichever_byte_it_is(tmp_path):
    save_outlier_rule(tmp_path, made_rule())
    path = tmp_path / OUTLIER_FILE
    content = path.read_bytes()
    changed = [
        content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :] for i in range(0, len(content), 7)
    ]
    changed += [content[: len(content) // 2], b"", b"{}", content + b"\0"]
    for bad in changed:
        path.write_bytes(bad)
        with pytest.raises(DataError, match=OUTLIER_FILE) as caught:
            load_outlier_rule(tmp_path)
        assert "\n" not in str(caught.value)


def test_a_file_of_a_later_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("rawnet_jax.fitted_file.SCHEMA_VERSION", 2)
    save_outlier_rule(tmp_path, made_rule())
    monkeypatch.undo()
    with pytest.raises(DataError, match="schema_version 2; it must be 1"):
        load_outlier_rule(tmp_path)


def test_what_is_beyond_the_bound_is_named_with_both_numbers():
    assert refusal_by(BOUND, 2.0) is None
    assert refusal_by(BOUND, None) is refusal_by(BOUND, float("nan")) is None
    assert refusal_by(None, 1e9) is None
    said = refusal_by(BOUND, 12.345)
    assert said == ("unlike anything this model was trained on: distance 12.3; up to 2 is judged")
    assert refusal_by(BOUND, 2.5, of_window=True) is None
    assert "up to 3 is judged" in (refusal_by(BOUND, 3.5, of_window=True) or "")


def test_the_score_and_its_likelihood_ratio_stay():
    record = verdict_record(1.5, DECISION, 2.5)
    assert record == {"verdict": "cannot judge", "score": 1.5, "llr": 3.0, "p_spoof": None}
    assert verdict_record(1.5, DECISION, 1.5)["verdict"] == "bonafide"
    assert verdict_record(1.5, DECISION)["verdict"] == "bonafide"
    assert "outside the range" in (DECISION.refusal(60.0, 2.5) or "")  # the older rule comes first
    assert verdict_record(60.0, DECISION, 2.5)["llr"] is None
    assert DECISION.record["outliers"] == {"share": 0.01, "clip": 2.0, "window": 3.0}
    assert "outliers" not in dataclasses.replace(DECISION, outliers=None).record


def windows_of(scores, distances) -> WindowScores:
    count = len(scores)
    start = np.arange(count, dtype=float)
    more = np.array(distances, np.float32)[:, None]
    return WindowScores(start, start + 1, np.array(scores, np.float32), np.ones(count, bool), more)


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [("", 1.0), ("mean", 4.0), ("max_spoof", 3.0), ("trimmed", np.mean([1, 5, 2]))],
)
def test_a_clip_has_the_distance_of_the_windows_that_its_score_is_of(aggregation, expected):
    windows = windows_of([0.5, -3, 9, 1, 0.1], [1, 3, 9, 5, 2])
    assert windows.aggregate_more(aggregation) == pytest.approx(expected)


def test_windows_that_do_not_count_have_no_say():
    windows = windows_of([0.5, -3.0, 9.0], [1, 30, 5])
    kept = dataclasses.replace(windows, counted=np.array([True, False, True]))
    assert kept.aggregate_more("mean") == pytest.approx(3)
    assert kept.aggregate_more("max_spoof") == pytest.approx(1)


def test_each_window_is_judged_by_its_own_distance():
    windows = windows_of([-1.0, -1.0, 2.0], [1.0, 4.0, 2.9])
    found = FileScore("a", Outcome.SCORED, 0.0, "", 3.0, 3.0, 3, windows, distance=1.9)
    record = record_of(found, DECISION, time_line=True)
    assert record["verdict"] == "bonafide"
    assert [w["verdict"] for w in record["windows"]] == ["spoof", "cannot judge", "bonafide"]
    assert record["spoof_s"] == [[0.0, 1.0]]
    far = record_of(dataclasses.replace(found, distance=2.1), DECISION)
    assert (far["verdict"], far["score"]) == ("cannot judge", 0.0)
    assert far["reason"].startswith("unlike anything")


def test_without_a_distance_nothing_changes():
    windows = WindowScores(np.zeros(1), np.ones(1), np.ones(1, np.float32), np.ones(1, bool))
    assert np.isnan(windows.distance).all()
    found = FileScore("a", Outcome.SCORED, 1.0, "", 1.0, 1.0, 1, windows)
    plain = dataclasses.replace(DECISION, outliers=None)
    assert record_of(found, DECISION, time_line=True) == record_of(found, plain, time_line=True)


def test_distances_stand_behind_scores():
    rule = made_rule()
    rows = np.random.default_rng(2).standard_normal((4, 6)).astype(np.float32)
    rows[3] = np.nan  # a filler row
    found = with_distance(rows, rule.measure)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:, 0], rows[:, 0])
    np.testing.assert_allclose(found[:3, 1], rule.measure(rows[:3, 1:]), rtol=1e-6)
    assert np.isnan(found[3]).all()
