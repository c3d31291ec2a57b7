"""Trials that cannot be judged are counted, listed, and held against the figures."""

import csv

import numpy as np
import pytest

from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import DataError
from rawnet_jax.evaluation.cannot_judge import (
    CANNOT_JUDGE_CSV,
    CannotJudge,
    UnjudgedTrial,
    kept_positions,
    worst_case_eer,
)
from rawnet_jax.labels import Label
from rawnet_jax.reports.cannot_judge_table import write_cannot_judge

ROWS = (
    UnjudgedTrial("eval", Trial("E1", Label.SPOOF, "E1"), "near silence", 0.02, 0.1),
    UnjudgedTrial("eval", Trial("E2", Label.BONAFIDE, "E2"), "near silence", 0.0, 0.1),
    UnjudgedTrial("eval", Trial("E,3", None, "E3"), "heavy clipping", 0.5, 0.3),
    UnjudgedTrial("dev", Trial("D1", Label.BONAFIDE, "D1"), "too short", 0.05, 0.1),
)


def test_counts_in_words_and_numbers():
    found = CannotJudge(True, {"eval": 1_008, "dev": 318}, ROWS, 0.25)
    assert found.details == (
        "eval 3 of 1,008 trials: near silence 2, heavy clipping 1; dev 1 of 318 trials: too short 1"
        " (left out)"
    )
    [warning] = found.warnings
    assert "25.00 %" in warning
    assert "cannot_judge.csv" in warning
    record = found.record()
    assert (record["action"], record["worst_case_eer"]) == ("refuse", 0.25)
    assert record["partitions"]["eval"] == {
        "num_trials": 1_008,
        "num_bonafide": 1,
        "num_spoof": 1,
        "num_cannot_judge": 3,
        "reasons": {"near silence": 2, "heavy clipping": 1},
    }


def test_where_all_is_well_there_is_no_warning():
    found = CannotJudge(False, {"eval": 10}, ())
    assert found.details == "eval none of 10 trials"
    assert found.warnings == []
    reported = CannotJudge(False, {"eval": 10}, ROWS[:1])
    assert "still scored" in reported.warnings[0]
    assert "error" not in reported.warnings[0]


def test_the_list_is_written_and_an_old_one_removed(tmp_path):
    path = write_cannot_judge(tmp_path, CannotJudge(True, {"eval": 9, "dev": 9}, ROWS))
    assert path is not None
    assert path == tmp_path / CANNOT_JUDGE_CSV
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["utterance"] for row in rows] == ["E1", "E2", "E,3", "D1"]
    assert rows[0] == {
        **{"partition": "eval", "utterance": "E1", "key": "spoof", "reason": "near silence"},
        **{"value": "0.02", "limit": "0.1"},
    }
    assert rows[2]["key"] == ""
    assert write_cannot_judge(tmp_path, CannotJudge(True, {"eval": 9}, ())) is None
    assert not path.exists()


def test_what_is_kept():
    assert kept_positions(5, {3, 0}).tolist() == [1, 2, 4]
    assert kept_positions(2, ()).tolist() == [0, 1]
    with pytest.raises(DataError, match="none of 2 trials can be judged"):
        kept_positions(2, [0, 1])


def test_the_worst_case_counts_each_as_an_error():
    labels = np.array([1] * 10 + [0] * 10)
    scores = np.arange(20.0)[::-1] / 100  # bona fide above spoof: no error at all
    assert worst_case_eer(scores, labels, []) == 0
    assert worst_case_eer(scores, labels, [4, 15]) == pytest.approx(0.1)
    assert worst_case_eer(scores, labels, range(20)) == 1
    scores[4] = scores[15] = np.nan  # what the network said of them is not read
    assert worst_case_eer(scores, labels, [4, 15]) == pytest.approx(0.1)
    assert worst_case_eer(-np.nan_to_num(scores), labels, []) > 0.8
