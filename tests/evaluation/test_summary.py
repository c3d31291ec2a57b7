"""The figures of one system: numbers, warnings, metrics.json and the terminal's table."""

import json
from pathlib import Path

import numpy as np
import pytest

from rawnet_jax.errors import MetricError
from rawnet_jax.evaluation.assess import AssessOptions, assess
from rawnet_jax.evaluation.resampling import Resampling
from rawnet_jax.evaluation.summary import ScoredSystem, Summary
from rawnet_jax.metrics.breakdown import UNSTATED
from rawnet_jax.metrics.det import eer
from rawnet_jax.reports.record import write_metrics
from rawnet_jax.reports.tables import format_summaries


def system(name: str = "toy", scale: float = 1.0) -> ScoredSystem:
    """Return 60 bona fide and 80 spoof trials: attack A01 easy, A02 hard, some not stated."""
    rng = np.random.default_rng(0)
    means = [2.0] * 60 + [-4.0] * 30 + [1.0] * 40 + [-1.0] * 10
    scores = scale * (rng.normal(size=140) + means)
    labels = np.array([1] * 60 + [0] * 80)
    attacks = [None] * 60 + ["A01"] * 30 + ["A02"] * 40 + [None] * 10
    return ScoredSystem(name, scores, labels, attacks)


def summarise(scored: ScoredSystem, spoof_threshold: float = 0.5) -> Summary:
    options = AssessOptions(spoof_threshold, resampling=Resampling(0))
    (summary,) = assess([scored], options)
    return summary


def two_classes(bonafide: list[float], spoof: list[float]) -> Summary:
    labels = np.array([1] * len(bonafide) + [0] * len(spoof))
    return summarise(ScoredSystem("toy", np.array(bonafide + spoof), labels))


def test_each_attack_stands_against_all_bona_fide_trials() -> None:
    trials = system()
    rows = summarise(trials).attacks
    assert [(row.attack_id, row.num_spoof) for row in rows] == [
        (UNSTATED, 10),
        ("A01", 30),
        ("A02", 40),
    ]
    assert rows[1].eer == eer(trials.scores[:60], trials.scores[60:90])
    assert rows[2].num_called_spoof == (trials.scores[90:130] <= 0).sum()
    assert sum(row.num_called_spoof for row in rows) == summarise(trials).confusion.spoof_rejected


@pytest.mark.parametrize("attack_ids", [None, [None] * 140])
def test_no_table_of_attacks_where_they_are_not_known(attack_ids: list[None] | None) -> None:
    trials = system()
    trials = ScoredSystem("toy", trials.scores, trials.labels, attack_ids)
    assert summarise(trials).attacks == ()


def test_the_threshold_on_the_probability_moves_the_decisions_only() -> None:
    loose, strict = summarise(system(), 0.9), summarise(system(), 0.1)
    assert loose.confusion.num_called_spoof < strict.confusion.num_called_spoof
    assert loose.metrics == strict.metrics


@pytest.mark.parametrize(
    ("bonafide", "spoof", "words"),
    [
        ([-3.0] * 25 + [-2.0] * 25, [4.0] * 60, ["sign reversed (EER 0.00 % instead of 100.00 %)"]),
        (
            [1.5] * 60,
            [1.5] * 60,
            ["ties among the scores", "gives an EER of 100.00 %", "gives 50.00 %", "are equal"],
        ),
        ([0.9] * 60, [0.1] * 60, ["between 0 and 1, as probabilities do"]),
        ([5.0] * 60, [-1.0] * 8, ["Only 8 spoof trials: one of them moves a rate by 12.50 %"]),
        ([5.0], [-1.0] * 80, ["Only 1 bona fide trial: one of them"]),
        ([5.0] * 60, [-1.0] * 80, []),
    ],
)
def test_warnings_say_what_a_reader_must_know(bonafide, spoof, words) -> None:
    warnings = two_classes(bonafide, spoof).warnings
    for word in words:
        assert any(word in warning for warning in warnings), warnings
    assert bool(warnings) == bool(words)


def test_a_bad_system_is_named() -> None:
    with pytest.raises(MetricError, match="lost: there are no spoof scores"):
        summarise(ScoredSystem("lost", np.ones(3), np.ones(3, int)))
    with pytest.raises(MetricError, match="lost: 1 attacks for 3 scores"):
        ScoredSystem("lost", np.ones(3), np.ones(3, int), ["A01"])


def test_metrics_file_is_strict_json_with_named_numbers(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    summary = summarise(system("Zoë"))
    write_metrics(path, [summary], {"config": "toy"})

    def refuse(word: str) -> float:
        raise AssertionError(word)

    record = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert record["context"] == {"config": "toy"}
    (figures,) = record["systems"]
    assert figures["name"] == "Zoë"
    assert figures["eer"] == summary.eer.eer
    assert figures["eer_threshold"] == summary.eer.threshold
    assert figures["auc"] == summary.metrics["auc"].value
    assert figures["num_trials"] == 140
    numbers = {n for n, value in figures.items() if isinstance(value, int | float)}
    assert numbers - set(record["units"]) == {n for n in numbers if n.startswith("num_")}
    counts = ("bonafide_accepted", "bonafide_rejected", "spoof_accepted", "spoof_rejected")
    assert [figures[f"num_{name}"] for name in counts] == summary.confusion.matrix.ravel().tolist()
    assert figures["attacks"]["A01"]["num_spoof"] == 30
    assert list(tmp_path.iterdir()) == [path]


def test_terminal_table_holds_the_figures() -> None:
    labels = np.array([1] * 311 + [0] * 292)
    scores = np.array([1.5] * 304 + [-0.5] * 7 + [0.5] * 6 + [-2.0] * 286)
    lines = format_summaries([summarise(ScoredSystem("seed", scores, labels))]).splitlines()
    assert lines[0] == "seed: 603 trials (311 bona fide, 292 spoof)"
    titles = {line[2:17].strip() for line in lines if line.startswith("  ") and line[2:3] != " "}
    text = "\n".join(lines)
    assert "Accuracy        97.84 %   590 of 603" in text
    assert "Precision       97.61 %   286 of 293 called spoof" in text
    assert "Recall          97.95 %   286 of 292 spoof trials" in text
    assert "F1              97.78 %" in text
    assert titles >= {
        "Accuracy",
        "Precision",
        "Recall",
        "F1",
        "ROC-AUC",
        "EER",
        "EER, official",
    }
    assert [line.split()[-2:] for line in lines if line.startswith("  truly")] == [
        ["304", "7"],
        ["6", "286"],
    ]


def test_terminal_table_shows_attacks_and_warnings() -> None:
    text = format_summaries([summarise(system(scale=-1.0))])
    rows = [line.split() for line in text.splitlines()]
    assert ["A01", "30", "100.00", "%"] in rows
    assert "WARNING: The scores would do better with their sign reversed" in text
