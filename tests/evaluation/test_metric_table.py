"""The one table of metrics: a new row shows up everywhere, and the docs hold every row."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import SupportsFloat

import numpy as np
import pytest

from rawnet_jax.data.score_file import ScoreTable
from rawnet_jax.evaluation.assess import AssessOptions, assess
from rawnet_jax.evaluation.resampling import Resampling
from rawnet_jax.evaluation.seeds import SeedRun, seeds_record, summarise_seeds
from rawnet_jax.evaluation.summary import ScoredSystem
from rawnet_jax.metrics.bootstrap import MetricFunction
from rawnet_jax.metrics.det import CurveMetric, DetCurve
from rawnet_jax.metrics.table import METRICS, Metric, Setting
from rawnet_jax.reports.output import Results, write_results
from rawnet_jax.reports.record import metrics_record
from rawnet_jax.reports.report import ReportContext, render_report
from rawnet_jax.reports.seeds_table import format_seeds
from rawnet_jax.reports.tables import format_summaries

DOCS = Path(__file__).resolve().parents[2] / "docs/metrics.md"
RNG = np.random.default_rng(0)
LABELS = np.repeat([1, 0], 60)
TOY = Metric(
    *("toy", "Toy distance", lambda _: lambda b, s: float(b.mean() - s.mean())),
    *("score", "higher"),
    words="How far the means of both classes lie apart.",
    note="means nothing",
)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, "toy", TOY)


@pytest.mark.usefixtures("toy")
def test_one_row_shows_up_in_terminal_json_csv_report_and_seeds(tmp_path: Path) -> None:
    scores = RNG.normal(size=120) + LABELS
    system = ScoredSystem("one", scores, LABELS)
    (summary,) = assess([system], AssessOptions(resampling=Resampling(20)))
    value = scores[:60].mean() - scores[60:].mean()
    write_results(tmp_path, Results([summary], ReportContext("t")))

    (line,) = [x for x in format_summaries([summary]).splitlines() if "Toy distance" in x]
    interval = summary.metrics["toy"].interval
    assert interval is not None
    assert line.split()[2:] == [f"{value:.4f}", f"[{interval.low:.4f},", f"{interval.high:.4f}]"]
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert record["systems"][0]["toy"] == pytest.approx(value, abs=1e-12)
    assert record["systems"][0]["intervals"]["toy"]["low"] == interval.low
    assert record["units"]["toy"] == "score, higher is better; means nothing"
    with (tmp_path / "figures.csv").open(newline="") as file:
        (row,) = [row for row in csv.DictReader(file) if row["figure"] == "toy"]
    assert float(row["value"]) == summary.metrics["toy"].value
    assert row["unit"] == TOY.unit_text
    html = (tmp_path / "report.html").read_text()
    assert "Toy distance" in html
    assert f"{TOY.words} Higher is better, in score." in html

    names = [f"u{i}" for i in range(120)]
    runs = [SeedRun(f"r{i}", ScoreTable(names, scores * i, LABELS)) for i in (1, 2)]
    seeds = summarise_seeds(runs)
    assert seeds_record(seeds)["figures"]["toy"]["best_run"] == "r2"
    assert "Toy distance" in format_seeds(seeds)


def test_each_metric_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counted(row: Metric) -> Metric:
        def function(setting: Setting) -> MetricFunction:
            made = row.function(setting)

            def of_curve(curve: DetCurve) -> SupportsFloat:
                calls.append(row.name)
                assert isinstance(made, CurveMetric)
                return made.of_curve(curve)

            def of_scores(bonafide: np.ndarray, spoof: np.ndarray) -> SupportsFloat:
                calls.append(row.name)
                return made(bonafide, spoof)

            return CurveMetric(of_curve) if isinstance(made, CurveMetric) else of_scores

        return replace(row, function=function)

    for name, row in list(METRICS.items()):
        monkeypatch.setitem(METRICS, name, counted(row))
    (summary,) = assess(
        [ScoredSystem("one", RNG.normal(size=120) + LABELS, LABELS)],
        AssessOptions(resampling=Resampling(0)),
    )
    format_summaries([summary])
    metrics_record(summary)
    render_report([summary], ReportContext("t"))
    assert sorted(calls) == sorted(name for name, row in METRICS.items() if not row.needs_asv)


def test_the_docs_hold_every_row_and_no_other() -> None:
    text = DOCS.read_text(encoding="utf-8")
    section = text.split("## Metrics over all thresholds")[1].split("\n## ")[0]
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in section.splitlines()
        if re.match(r"\| `\w+` \|", line)
    ]
    found = {row[0].strip("`"): tuple(row[1:4]) for row in cells}
    assert found == {row.name: (row.title, row.unit, row.better) for row in METRICS.values()}
