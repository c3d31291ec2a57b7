"""Pictures of groups, costs and calibration: well-formed, and holding what was asked for."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from rawnet_jax.evaluation.assess import AssessOptions, assess
from rawnet_jax.evaluation.resampling import Resampling
from rawnet_jax.evaluation.summary import ScoredSystem, Summary
from rawnet_jax.metrics.asv import AsvScores
from rawnet_jax.metrics.breakdown import Column, GroupRow, breakdown
from rawnet_jax.metrics.fairness import fairness
from rawnet_jax.reports import canvas, plots_calibration, plots_groups
from rawnet_jax.reports.report import ReportContext, build_sections, render_report
from rawnet_jax.reports.score_axis import score_axis

RNG = np.random.default_rng(1)
ASV = AsvScores(RNG.normal(3, 1, 200), RNG.normal(-3, 1, 200), RNG.normal(2, 1, 200))
EVIL = "<b>&'\"$x$_"


def assessed(*names: str, num_speakers: int = 12, squash: bool = False) -> list[Summary]:
    systems = []
    for seed, name in enumerate(names):
        rng = np.random.default_rng(seed)
        labels = np.array([1] * 120 + [0] * 240)
        scores = rng.normal(size=360) + 3 * labels
        if squash:
            scores = 1 / (1 + np.exp(-4 * scores))
        attacks = [None] * 120 + [EVIL] * 120 + ["A17"] * 120
        columns: dict[str, Column] = {
            "attack": attacks,
            "codec": [("alaw", "gsm")[i // 2 % 2] for i in range(360)],
            "speaker": [f"s{i % num_speakers}" for i in range(360)],
        }
        systems.append(
            ScoredSystem(name, scores, labels, attacks, columns, scores[::2], labels[::2])
        )
    return assess(systems, AssessOptions(asv=ASV, resampling=Resampling(0)))


def all_pictures(summaries: list[Summary]) -> list[str]:
    tandem = [plots_calibration.tdcf_svg(s, f"t{i}") for i, s in enumerate(summaries)]
    rows = {s.name: {b.by: b.rows for b in s.breakdowns} for s in summaries}
    first = rows[summaries[0].name]
    fair = [(s.name, s.fairness["speaker"]) for s in summaries]
    return [
        *(svg for svg in tandem if svg is not None),
        plots_calibration.reliability_svg(summaries),
        plots_groups.eer_by_group_svg([(n, r["codec",]) for n, r in rows.items()], "e"),
        plots_groups.heat_map_svg(
            first["attack", "codec"], ("attack", "codec"), {("", ""): 0.1}, "h"
        ),
        plots_groups.fairness_svg(fair, "f"),
    ]


@pytest.mark.parametrize("squash", [False, True])
@pytest.mark.parametrize("names", [("one",), ("one", EVIL)])
def test_pictures_are_svg_and_the_same_every_time(names, squash):
    summaries = assessed(*names, squash=squash)
    pictures = all_pictures(summaries)
    assert len(pictures) == len(names) + 4
    for svg in pictures:
        ElementTree.fromstring(svg)
        assert canvas.INK not in svg
        assert not re.search(r"\bnan\b", svg)
    assert all_pictures(summaries) == pictures


def test_no_tandem_picture_without_an_asv_system():
    (summary,) = assess([ScoredSystem("a", RNG.normal(size=9), RNG.permutation([1, 0, 0] * 3))],
                        AssessOptions(resampling=Resampling(0)))  # fmt: skip
    assert plots_calibration.tdcf_svg(summary, "t") is None


def test_reliability_against_a_loop():
    bonafide, spoof = RNG.normal(1, 2, 50), RNG.normal(-1, 2, 70)
    predicted, observed, counts = plots_calibration.reliability(bonafide, spoof)
    probability = 1 / (1 + np.exp(-np.concatenate((bonafide, spoof))))
    weight = np.array([1 / 50] * 50 + [1 / 70] * 70)
    k = 0
    for i in range(plots_calibration.NUM_BINS):
        low, high = i / plots_calibration.NUM_BINS, (i + 1) / plots_calibration.NUM_BINS
        inside = (probability >= low) & (probability < high)
        assert counts[i] == inside.sum()
        if inside.any():
            assert predicted[k] == pytest.approx(
                np.average(probability[inside], weights=weight[inside])
            )
            share = weight[:50][inside[:50]].sum() / weight[inside].sum()
            assert observed[k] == pytest.approx(share)
            k += 1
    assert counts.sum() == 120


def test_calibrated_scores_lie_on_the_diagonal():
    llr = RNG.normal(0, 1, 200_000) * 2
    bonafide = llr[RNG.random(llr.size) < 1 / (1 + np.exp(-llr))]
    spoof = llr[RNG.random(llr.size) >= 1 / (1 + np.exp(-llr))]
    predicted, observed, _ = plots_calibration.reliability(bonafide, spoof)
    assert observed == pytest.approx(predicted, abs=0.02)


def test_many_groups_show_the_worst():
    scores, labels = RNG.normal(size=4000), np.tile([1, 0], 2000)
    groups = [f"g{i // 2 % 90}" for i in range(4000)]
    rows = breakdown(scores, labels, {"g": groups}, "g")
    table = fairness(scores, labels, groups, 0.0)
    svg = plots_groups.eer_by_group_svg([("a", rows)], "e")
    other = plots_groups.fairness_svg([("a", table)], "f")
    for picture in (svg, other):
        found = re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', picture)
        assert found is not None
        assert float(found.group(1)) < 72 * 14


def test_a_heat_map_may_have_holes():
    rows = [
        GroupRow(("A1", "x"), 5, 5, False, None),
        *breakdown([1.0, 0.0, 2.0], [1, 0, 0], {"a": "AAB", "c": "xxy"}, ("a", "c")),
    ]
    svg = plots_groups.heat_map_svg(rows, ("a", "c"), {}, "h")
    assert ElementTree.fromstring(svg).tag.endswith("svg")


def test_probabilities_get_an_axis_of_log_odds():
    crowded = np.concatenate((np.full(90, 1e-6), np.linspace(0, 1, 10)))
    axis = score_axis(crowded)
    assert axis.is_logit
    assert axis.score(float(axis.place(np.array(0.25)))) == pytest.approx(0.25)
    assert axis.shows(0.5)
    assert not score_axis(np.linspace(0.1, 0.9, 50)).is_logit
    assert not score_axis(np.linspace(-3, 3, 50)).is_logit
    assert not score_axis(np.zeros(5)).is_logit


def test_the_report_holds_every_section():
    summaries = assessed("one", "two")
    anchors = [section.anchor for section in build_sections(summaries)]
    assert anchors == [
        *("results", "metrics", "threshold", "trade-offs", "tandem", "scores", "calibration"),
        *("attacks", "by-3", "fairness", "by-1", "by-2"),
    ]
    html = render_report(summaries, ReportContext("t", warnings=["Beware of the toy."]))
    assert html.count('<div class="box warning"') == 1
    assert "Beware of the toy." in html
    assert "<b>&'" not in html
    ids = re.findall(r'\bid="([^"]*)"', html)
    assert len(ids) == len(set(ids))


def test_a_report_without_dev_says_so():
    labels = RNG.permutation([1, 0, 0] * 30)
    summaries = assess(
        [ScoredSystem("a", RNG.normal(size=90) + labels, labels)],
        AssessOptions(resampling=Resampling(0)),
    )
    html = render_report(summaries, ReportContext("t"))
    assert "No dev scores were given, so no threshold was looked for" in html
    assert "none: no dev scores" in html
    assert "chosen on dev" not in html


def test_long_tables_are_folded():
    html = render_report(assessed("one", num_speakers=40), ReportContext("t"))
    assert "<summary>All 40 groups</summary>" in html
