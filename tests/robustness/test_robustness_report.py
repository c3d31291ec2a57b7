"""Figures of the conditions, and reports side by side."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from rawnet_jax.csv_text import csv_text
from rawnet_jax.errors import DataError
from rawnet_jax.evaluation.resampling import Resampling
from rawnet_jax.metrics.thresholds import Threshold
from rawnet_jax.reports.report import ReportContext
from rawnet_jax.reports.robustness_page import write_comparison_files, write_report_files
from rawnet_jax.reports.robustness_tables import (
    CSV_HEADER,
    comparable,
    comparison_sentences,
    csv_rows,
    format_comparison,
    format_report,
)
from rawnet_jax.robustness.conditions import Missing, build_grid
from rawnet_jax.robustness.figures import (
    Judged,
    Robustness,
    Row,
    measure_rows,
    read_robustness,
    write_robustness,
)

LABELS = np.array([1, 1, 1, 1, 0, 0, 0, 0])
CLEAN_SCORES = np.array([2.0, 4, 2, 4, -1, -1, 0, 0])


def report(name: str = "run", **changes: float) -> Robustness:
    """A report with the given EERs beside a clean one of 10 %."""
    rows = [Row("clean", "clean", "clean", "f0", eer=0.1, eer_low=0.05, eer_high=0.2)]
    rows += [
        Row(condition, "noise", f"title of {condition}", "f1", eer=eer, bonafide_shift=-1.0)
        for condition, eer in changes.items()
    ]
    rows.append(Row("mp3_64k", "MP3", "MP3, 64 kbit/s", missing="no <LAME>"))
    return Robustness(name, "eval", "best, step 3", "t", 4, 4, 0.5, "given", 0.95, tuple(rows))


def test_figures_of_a_condition_by_hand():
    conditions, _ = build_grid(wanted=["mulaw", "gain_up*"])
    gone = Missing("mp3_64k", "MP3", "MP3", "no codec")
    scores = {
        "clean": CLEAN_SCORES,
        "mulaw": CLEAN_SCORES,
        "gain_up_20db": np.array([1.0, 3, -2, 2, -1, 1, 2, 2]),
    }
    threshold = Threshold(1.0, "given")
    rows = measure_rows([*conditions, gone], scores, Judged(LABELS, threshold, Resampling(50)))
    clean, mulaw, gain, mp3 = rows
    assert (clean.eer, clean.p_miss, clean.p_fa, clean.accuracy) == (0.0, 0.0, 0.0, 1.0)
    assert (clean.bonafide_shift, mulaw.spoof_shift) == (0.0, 0.0)
    assert (gain.p_miss, gain.p_fa, gain.accuracy) == (0.25, 0.75, 0.5)
    assert gain.bonafide_shift == pytest.approx(-2.0)  # from 3 to 1, deviation 1
    assert gain.spoof_shift == pytest.approx(1.5)  # from -0.5 to 1
    low, high = gain.eer_low, gain.eer_high
    assert low is not None
    assert high is not None
    assert low <= 0.5 <= high
    assert mp3.eer is None
    assert mp3.missing == "no codec"


def test_without_threshold_and_replicates_there_are_fewer_figures():
    conditions, _ = build_grid(wanted=["mulaw"])
    constant = np.where(LABELS == 1, 3.0, CLEAN_SCORES)
    judged = Judged(LABELS, None, Resampling(0))
    _, row = measure_rows(conditions, {"clean": constant, "mulaw": constant}, judged)
    assert (row.eer, row.eer_low, row.p_miss, row.bonafide_shift) == (0.0, None, None, None)


def test_speakers_are_drawn_where_asked():
    conditions, _ = build_grid(wanted=["mulaw"])
    scores = dict.fromkeys(("clean", "mulaw"), np.array([0.0, 1, 2, 3, 0, 1, 2, 3]))
    by_trial = Judged(LABELS, None, Resampling(200))
    by_speaker = Judged(LABELS, None, Resampling(200, by_speaker=True), list("ababcdcd"))
    rows = [measure_rows(conditions, scores, judged)[0] for judged in (by_trial, by_speaker)]
    assert (rows[0].eer_low, rows[0].eer_high) != (rows[1].eer_low, rows[1].eer_high)


def test_mean_loss_and_worst():
    found = report(a=0.2, b=0.5, c=0.05)
    assert found.mean_loss == pytest.approx((0.1 + 0.4 - 0.05) / 3)
    worst = found.worst
    assert worst is not None
    assert worst.name == "b"
    assert report().mean_loss is None


def with_errors(found: Robustness, p_fa: dict[str, float]) -> Robustness:
    rows = tuple(
        replace(row, p_miss=0.1, p_fa=p_fa[row.name]) if row.eer is not None else row
        for row in found.rows
    )
    return replace(found, rows=rows)


def test_loss_at_a_threshold_that_stays():
    found = with_errors(report("a", x=0.2, y=0.2), {"clean": 0.1, "x": 0.3, "y": 0.7})
    assert found.mean_threshold_loss == pytest.approx((0.1 + 0.3) / 2)
    assert report("a", x=0.2).mean_threshold_loss is None
    less = with_errors(report("b", x=0.1, y=0.1), {"clean": 0.1, "x": 0.1, "y": 0.3})
    [sentence] = comparison_sentences([found, less])
    assert "own thresholds +5.00 points, a +20.00 (0.25 times as much)." in sentence
    assert "At the run's own threshold the mean of both error rates is 30.00 %" in format_report(
        found
    )


def test_report_comes_back_from_its_file(tmp_path):
    found = report(a=0.2)
    write_robustness(tmp_path / "r.json", found)
    assert read_robustness(tmp_path / "r.json") == found
    (tmp_path / "bad.json").write_text((tmp_path / "r.json").read_text().replace('"eer"', '"err"'))
    with pytest.raises(DataError, match=r"bad\.json: damaged"):
        read_robustness(tmp_path / "bad.json")


def test_files_say_what_was_measured_and_what_was_not(tmp_path):
    found = report(a=0.2, b=0.5)
    files = dict(write_report_files(tmp_path, found, ReportContext("A <title>")))
    page = files["report"].read_text(encoding="utf-8")
    assert "A &lt;title&gt;" in page
    assert "no &lt;LAME&gt;" in page
    assert "+25.00" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert files["picture"].read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(io.StringIO(files["table"].read_text(encoding="utf-8"))))
    assert [row["condition"] for row in rows] == ["clean", "a", "b", "mp3_64k"]
    assert float(rows[2]["eer_change"]) == pytest.approx(0.4)
    assert rows[3]["missing"] == "no <LAME>"
    printed = format_report(found)
    assert "Worst: title of b, +40.00 points" in printed
    assert "Not measured: MP3, 64 kbit/s: no <LAME>" in printed


def test_csv_has_a_cell_for_each_column():
    text = csv_text([CSV_HEADER, *csv_rows(report(a=0.2))])
    assert {line.count(",") for line in text.splitlines()} >= {len(CSV_HEADER) - 1}


def test_two_runs_side_by_side(tmp_path):
    plain, augmented = report("plain", a=0.3, b=0.5, only=0.1), report("augmented", b=0.2, a=0.2)
    alike, left_out = comparable([plain, augmented])
    assert [[row.name for row in r.rows] for r in alike] == [["clean", "a", "b"]] * 2
    assert left_out == ["only: left out, not measured in augmented"]
    text = format_comparison(alike, left_out)
    assert "augmented loses +10.00 points, plain +30.00 (0.33 times as much)." in text
    assert "50.00 % (+40.00)" in text
    files = dict(write_comparison_files(tmp_path, alike, left_out, ReportContext("Both")))
    assert "0.33 times as much" in files["report"].read_text(encoding="utf-8")
    assert files["table"].read_text().count("\n") == 1 + 2 * 3


def test_other_recordings_are_not_compared():
    plain = report("plain", a=0.3, b=0.5)
    rows = tuple(replace(r, fingerprint="f2") if r.name == "b" else r for r in plain.rows)
    alike, left_out = comparable([plain, replace(plain, name="other", rows=rows)])
    assert [row.name for row in alike[0].rows] == ["clean", "a"]
    assert left_out == ["b: left out, other recordings; --noise-dir and --rir-dir must be the same"]


def test_other_trials_are_not_compared():
    with pytest.raises(DataError, match="other trials"):
        comparable([report("a", x=0.2), replace(report("b", x=0.2), trials="u")])
    with pytest.raises(DataError, match="no condition was measured alike"):
        comparable([report("a", x=0.2), report("b", y=0.2)])


def test_a_first_run_that_loses_nothing_is_no_measure():
    [sentence] = comparison_sentences([report("a", x=0.1), report("b", x=0.2)])
    assert "times" not in sentence
