"""Everything about systems at once: figures, intervals, calibration, comparisons, files."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from rawnet_jax.errors import MetricError
from rawnet_jax.evaluation.assess import AssessOptions, assess, compare
from rawnet_jax.evaluation.decision import ThresholdRule
from rawnet_jax.evaluation.resampling import Resampling
from rawnet_jax.evaluation.summary import ScoredSystem, Summary
from rawnet_jax.metrics.asv import AsvScores, operating_point
from rawnet_jax.metrics.breakdown import Column
from rawnet_jax.metrics.calibration import fit_calibration
from rawnet_jax.metrics.cllr import cllr, min_cllr
from rawnet_jax.metrics.dcf import act_dcf, min_dcf, min_tdcf_legacy, min_tdcf_revised
from rawnet_jax.metrics.det import auc, eer, eer_official
from rawnet_jax.metrics.table import METRICS
from rawnet_jax.metrics.tandem import t_eer
from rawnet_jax.reports.output import Results, write_results
from rawnet_jax.reports.record import metrics_record, units
from rawnet_jax.reports.report import ReportContext
from rawnet_jax.reports.tables import format_summaries
from rawnet_jax.scoring.verdict import load_calibration

RNG = np.random.default_rng(1)
ASV = AsvScores(RNG.normal(3, 1, 200), RNG.normal(-3, 1, 200), RNG.normal(2, 1, 200))


def system(
    name: str = "toy", shift: float = 0.0, *, dev: bool = True, seed: int = 0
) -> ScoredSystem:
    """Return 120 bona fide and 240 spoof trials with attack, codec, speaker and accent."""
    rng = np.random.default_rng(seed)
    labels = np.array([1] * 120 + [0] * 240)
    scores = 2 * rng.normal(size=360) + 3 * labels + shift * labels
    attacks = [None] * 120 + ["A07"] * 120 + ["A17"] * 120
    columns: dict[str, Column] = {
        "attack": attacks,
        "speaker": [f"s{i % 12}" for i in range(360)],
        "codec": [("alaw", "gsm")[i // 2 % 2] for i in range(360)],
        "accent": [("here", "there")[i % 12 == 0] for i in range(360)],
    }
    dev_labels = np.array([1] * 90 + [0] * 90)
    dev_scores = 2 * rng.normal(size=180) + 3 * dev_labels if dev else None
    return ScoredSystem(
        name, scores, labels, attacks, columns, dev_scores, dev_labels if dev else None
    )


def options(num_replicates: int = 0, **more) -> AssessOptions:
    return AssessOptions(resampling=Resampling(num_replicates), **more)


def assessed(scored: ScoredSystem, given: AssessOptions) -> Summary:
    (summary,) = assess([scored], given)
    return summary


def test_every_figure_is_that_of_the_library():
    summary = assessed(system(), options(asv=ASV))
    scores = summary.bonafide_scores, summary.spoof_scores
    point = operating_point(ASV)
    wanted = {
        "eer": eer(*scores).eer,
        "eer_official": eer_official(*scores).eer,
        "auc": auc(*scores),
        "min_tdcf_legacy": min_tdcf_legacy(*scores, point).cost,
        "min_tdcf_revised": min_tdcf_revised(*scores, point).cost,
        "t_eer": t_eer(*scores, ASV).eer,
        "min_dcf": min_dcf(*scores).cost,
        "act_dcf": act_dcf(*scores),
        "cllr": cllr(*scores),
        "min_cllr": min_cllr(*scores),
    }
    found = {name: estimate.value for name, estimate in summary.metrics.items()}
    assert found == pytest.approx(wanted, abs=1e-12)
    assert list(found) == list(METRICS)
    assert summary.asv == point
    without = assessed(system(), options())
    assert set(found) - set(without.metrics) == {*("min_tdcf_legacy", "min_tdcf_revised", "t_eer")}


def test_calibration_is_fitted_on_dev_alone():
    scored = system()
    summary = assessed(scored, options())
    assert scored.dev_scores is not None
    wanted = fit_calibration("affine", scored.dev_scores[:90], scored.dev_scores[90:])
    assert summary.calibrated is not None
    assert summary.calibrated.calibration == wanted
    llrs = wanted.apply(scored.scores)
    assert summary.calibrated.metrics["cllr"].value == pytest.approx(cllr(llrs[:120], llrs[120:]))
    assert set(summary.calibrated.metrics) == {"act_dcf", "cllr"}
    assert assessed(system(dev=False), options()).calibrated is None


def test_the_threshold_comes_from_dev_and_breakdowns_use_it():
    scored = system()
    summary = assessed(scored, options())
    assert scored.dev_scores is not None
    value = eer(scored.dev_scores[:90], scored.dev_scores[90:]).threshold
    assert summary.decision.threshold.value == value
    rejected = scored.scores[:120] < value
    assert summary.fairness["accent"].overall.num_rejected == rejected.sum()
    (accent,) = [b for b in summary.breakdowns if b.by == ("accent",)]
    there = np.array([i % 12 == 0 for i in range(120)])
    (row,) = [row for row in accent.rows if row.group == ("there",)]
    assert row.num_bonafide_rejected == rejected[there].sum()
    assert [b.name for b in summary.breakdowns] == [
        *("attack", "speaker", "codec", "accent"),
        "attack × codec",
    ]
    assert set(summary.fairness) == {"speaker", "codec", "accent"}


def test_a_bayes_threshold_is_applied_to_calibrated_scores_everywhere():
    scored = system()
    summary = assessed(scored, options(rule=ThresholdRule("bayes")))
    assert summary.decision.is_calibrated
    assert summary.calibrated is not None
    rejected = (summary.calibrated.bonafide_scores < summary.decision.threshold.value).sum()
    assert summary.fairness["codec"].overall.num_rejected == rejected
    assert summary.decision.eval_rates.num_bonafide_rejected == rejected


def test_breakdowns_are_those_asked_for():
    summary = assessed(system(), options(breakdowns=[("codec",)]))
    assert [b.by for b in summary.breakdowns] == [("codec",)]
    assert set(summary.fairness) == {"codec"}
    summary = assessed(system(), options(breakdowns=[]))
    assert not summary.breakdowns
    assert not summary.fairness


def test_intervals_hold_the_value_and_are_wider_by_speaker():
    by_trial = assessed(system(), options(60, asv=ASV))
    for name, estimate in by_trial.metrics.items():
        if name not in ("eer_official", "t_eer"):
            assert estimate.interval is not None
            assert estimate.interval.low <= estimate.interval.high
            assert estimate.interval.low - 0.05 <= estimate.value <= estimate.interval.high + 0.05
    assert by_trial.calibrated is not None
    assert by_trial.calibrated.metrics["cllr"].interval is not None
    assert "60 bootstrap replicates, trials drawn" in by_trial.resampling
    speakers = AssessOptions(resampling=Resampling(60, by_speaker=True))
    by_speaker = assessed(system(), speakers)
    assert "speakers drawn" in by_speaker.resampling
    assert by_speaker.metrics["eer"].interval != by_trial.metrics["eer"].interval


def test_drawing_unknown_speakers_is_refused():
    scored = system()
    nameless = ScoredSystem("toy", scored.scores, scored.labels)
    with pytest.raises(MetricError, match="toy: speakers are not known"):
        assess([nameless], AssessOptions(resampling=Resampling(5, by_speaker=True)))


def test_a_better_system_is_told_from_the_first():
    systems = [system("base"), system("better", shift=3.0), system("same")]
    rows = compare(systems, options(100, asv=ASV))
    assert [(r.system, r.metric) for r in rows[:3]] == [
        ("better", "eer"),
        ("better", "min_dcf"),
        ("better", "min_tdcf_revised"),
    ]
    better, same = rows[0].result, rows[3].result
    assert better.difference < 0
    assert better.interval.high < 0
    assert better.p_value < 0.05
    assert same.difference == 0
    assert same.p_value == 1
    assert compare(systems, options(0)) == []
    assert compare(systems[:1], options(100)) == []


def test_warnings_say_when_a_threshold_decides_nothing():
    summary = assessed(system(dev=False), options(rule=ThresholdRule("value", 99.0)))
    assert any("rejects every trial" in warning for warning in summary.warnings)
    summary = assessed(system(dev=False), options(rule=ThresholdRule("value", -99.0)))
    assert any("accepts every trial" in warning for warning in summary.warnings)
    summary = assessed(system(), options())
    assert not summary.warnings


def test_a_reversed_system_is_warned_about_loudly():
    scored = system(dev=False)
    upside_down = ScoredSystem("flipped", -scored.scores, scored.labels)
    (summary,) = assess([upside_down], options())
    assert "would do better with their sign reversed" in summary.warnings[0]
    assert "WARNING: The scores would do better" in format_summaries([summary])
    assert "sign reversed" in metrics_record(summary)["warnings"][0]


def test_a_bad_dev_set_is_named():
    scored = system()
    lacking = ScoredSystem(
        "toy", scored.scores, scored.labels, None, {}, scored.dev_scores, np.zeros(180, int)
    )
    with pytest.raises(MetricError, match=r"^toy: dev scores: there are no bona fide scores"):
        assess([lacking], options())


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> tuple[Path, list[Summary]]:
    folder = tmp_path_factory.mktemp("results")
    systems = [system("one"), system("two", shift=1.0)]
    given = options(40, asv=ASV)
    summaries = assess(systems, given)
    context = ReportContext("Two systems", warnings=["Only a toy."])
    unmatched = [("one", "missing", "utt_1")]
    write_results(folder, Results(summaries, context, compare(systems, given), unmatched))
    return folder, summaries


def test_metrics_file_is_strict_and_explains_its_numbers(written):
    folder, summaries = written

    def refuse(word):
        raise AssertionError(word)

    record = json.loads((folder / "metrics.json").read_text(), parse_constant=refuse)
    one = record["systems"][0]
    summary = summaries[0]
    assert one["cllr"] == summary.metrics["cllr"].value
    assert one["eer"] == summaries[0].eer.eer
    assert one["calibrated"]["calibration"]["kind"] == "affine"
    assert one["threshold"]["from_dev"] is True
    assert one["fairness"]["accent"]["worst"] == summary.fairness["accent"].worst.group
    assert record["warnings"] == ["Only a toy."]
    assert len(record["comparisons"]) == 3
    numbers = {n for n, v in one.items() if isinstance(v, float)}
    assert numbers <= set(units())


def test_tables_hold_the_same_numbers(written):
    folder, summaries = written

    def rows(name):
        with (folder / name).open(newline="") as file:
            return list(csv.DictReader(file))

    summary = summaries[1]
    (row,) = [
        r
        for r in rows("figures.csv")
        if (r["system"], r["figure"], r["scores"]) == ("two", "cllr", "calibrated")
    ]
    assert summary.calibrated is not None
    assert float(row["value"]) == summary.calibrated.metrics["cllr"].value
    fair = [r for r in rows("fairness.csv") if (r["system"], r["column"]) == ("one", "accent")]
    assert {r["group"] for r in fair} == {"here", "there", "all"}
    assert sum(int(r["num_bonafide"]) for r in fair if r["group"] != "all") == 120
    pairs = [r for r in rows("breakdowns.csv") if r["by"] == "attack × codec"]
    assert len(pairs) == 2 * 4
    assert [r["attack"] for r in rows("attacks.csv")] == ["A07", "A17"] * 2
    assert rows("unmatched.csv") == [{"system": "one", "what": "missing", "utterance": "utt_1"}]


def test_calibrations_are_saved(written):
    folder, summaries = written
    for path, summary in zip(sorted(folder.glob("calibration_*")), summaries, strict=True):
        assert summary.name in path.name
        assert summary.calibrated is not None
        assert load_calibration(path) == summary.calibrated.calibration


def test_stale_tables_do_not_stay(written, tmp_path):
    _, summaries = written
    (tmp_path / "unmatched.csv").write_text("old")
    write_results(tmp_path, Results(summaries[:1], ReportContext("t")))
    assert not (tmp_path / "unmatched.csv").exists()
    assert (tmp_path / "calibration.json").exists()


def test_terminal_shows_systems_side_by_side(written):
    _, summaries = written
    text = format_summaries(summaries, compare([system("one"), system("two", 1.0)], options(40)))
    lines = text.splitlines()
    (header,) = [line for line in lines if line.startswith("  metric")]
    assert header.split() == ["metric", "one", "two"]
    (row,) = [line for line in lines if line.startswith("  C_llr, calibrated")]
    assert row.count("[") == 2
    assert any(line.startswith("  two − one") for line in lines)
    assert "Threshold, one" in text
    assert "accent: " in text
    alone = format_summaries(summaries[:1])
    assert "Threshold\n" in alone
    assert alone.count("ROC-AUC") == 1
