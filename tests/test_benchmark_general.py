"""The table of the packaged detector's folds, from score files whose error rates are known."""

import numpy as np

from benchmarks.general import FOLDS, rates, table
from rawnet_jax.data.score_file import ScoreTable, read_scores, write_scores

NAMES = [f"u{number}" for number in range(8)]
LABELS = np.array([1, 1, 1, 1, 0, 0, 0, 0], np.int8)
ATTACKS = [None] * 4 + ["A1", "A1", "A2", "A2"]


def scores(path, *spoof: float):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.array([1.0, 2.0, 3.0, 4.0, *spoof])
    write_scores(path, ScoreTable(NAMES, values, LABELS, ATTACKS))
    return path


def test_rates_are_those_of_all_trials_and_of_each_system(tmp_path):
    found = rates(read_scores(scores(tmp_path / "x.txt", 0.0, 0.1, 3.5, 3.6)))
    assert found["A1"] == 0.0
    assert found["A2"] > found[""] > 0.0


def test_the_table_has_means_and_deviations_over_seeds(tmp_path):
    (tmp_path / "attacks.csv").write_text("attack,system\nA1,Vocos\n")
    runs = {}
    for part in FOLDS:
        runs[part] = [tmp_path / f"{part}_s{seed}" for seed in range(2)]
        for run, spoof in zip(runs[part], ((0, 0.1, 0.2, 0.3), (5, 6, 0.2, 0.3)), strict=True):
            scores(run / "eval" / "scores.txt", *spoof)
            scores(run / "eval" / "dev_scores.txt", *spoof)
    for name in ("scores.txt", "dev_scores.txt"):
        scores(tmp_path / "whole" / "eval" / name, 0, 0.1, 0.2, 0.3)
    lines = table(tmp_path, runs, tmp_path / "whole")
    first = rates(read_scores(runs["fold1"][0] / "eval" / "scores.txt"))
    second = rates(read_scores(runs["fold1"][1] / "eval" / "scores.txt"))
    assert (first[""], first["A1"], second["A1"]) == (0.0, 0.0, 100.0)
    assert "| fold1 dev, Vocos | fold1 | 50.0 ± 70.7 |" in lines
    assert "| test, A2 | fold2 | 0.0 ± 0.0 |" in lines
    assert lines[-1] == "| test, A2 | fold3, as one | 0.0 |"
    assert len(lines) == 2 + 3 * (2 * 3 + 2)
