"""Pictures: well-formed, the same every time, and holding the curve that was asked for."""

import itertools
import re
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

from rawnet_jax.evaluation.assess import AssessOptions, assess
from rawnet_jax.evaluation.resampling import Resampling
from rawnet_jax.evaluation.summary import ScoredSystem, Summary
from rawnet_jax.metrics.classification import Confusion
from rawnet_jax.reports import canvas, plots, plots_tradeoff, score_axis

HISTORY = [
    {"epoch": 1, "train": {"loss": 0.7, "accuracy": 0.5}, "dev": {"loss": 0.8, "eer": 0.4}},
    {"epoch": 2, "train": {"loss": 0.5, "accuracy": 0.8}, "dev": {"loss": 0.6, "eer": 0.2}},
    {"epoch": 3, "train": {"loss": 0.4, "accuracy": 0.9}, "dev": {"loss": None, "eer": 0.2}},
]


def summary(name: str = "toy", bonafide: object = None, spoof: object = None) -> Summary:
    rng = np.random.default_rng(0)
    good = rng.normal(1, 1, 60) if bonafide is None else np.array(bonafide, float)
    bad = rng.normal(-1, 1, 80) if spoof is None else np.array(spoof, float)
    labels = np.array([1] * good.size + [0] * bad.size)
    system = ScoredSystem(name, np.concatenate((good, bad)), labels)
    return assess([system], AssessOptions(resampling=Resampling(0)))[0]


def all_pictures(item: Summary) -> list[str]:
    curves = plots.learning_curves_svg(HISTORY)
    assert curves is not None
    return [
        plots_tradeoff.roc_svg([item]),
        plots_tradeoff.det_svg([item]),
        plots.histogram_svg(item),
        plots.confusion_svg(item.confusion),
        curves,
    ]


@pytest.fixture(scope="module")
def pictures() -> list[str]:
    return all_pictures(summary())


def test_pictures_are_svg_without_anything_from_outside(pictures: list[str]) -> None:
    for svg in pictures:
        root = ElementTree.fromstring(svg)
        assert root.tag.endswith("svg")
        assert "viewBox" in root.attrib
        assert "width" not in root.attrib  # the page decides
        assert "currentColor" in svg
        assert canvas.INK not in svg
        links = re.findall(r'(?:href|src)="([^"]*)"|url\(([^)]*)\)', svg)
        assert all((a or b).startswith("#") for a, b in links)
        assert not root.findall(".//{*}script")
        assert not root.findall(".//{*}metadata")


def test_ids_are_unique_and_links_lead_to_them(pictures: list[str]) -> None:
    ids_of = [set(re.findall(r'\bid="([^"]*)"', svg)) for svg in pictures]
    for first, second in itertools.combinations(ids_of, 2):
        assert not first & second
    for svg, ids in zip(pictures, ids_of, strict=True):
        links = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', svg)
        assert links
        assert {a or b for a, b in links} <= ids


def test_the_same_numbers_give_the_same_bytes(pictures: list[str]) -> None:
    assert all_pictures(summary()) == pictures


def test_settings_of_matplotlib_neither_matter_nor_change(pictures: list[str]) -> None:
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "svg.fonttype": "none"}):
        before = dict(matplotlib.rcParams)
        assert plots.confusion_svg(summary().confusion) == pictures[3]
        assert dict(matplotlib.rcParams) == before


def test_any_name_can_be_drawn() -> None:
    names = ["_hidden", "$x$ and $", "a $\\frac{$ b", "<b>&", "语音", "line\nbreak", "x" * 500, ""]
    systems = [summary(name) for name in names]
    for svg in (plots_tradeoff.roc_svg(systems), plots_tradeoff.det_svg(systems)):
        assert ElementTree.fromstring(svg).tag.endswith("svg")


def test_labels_are_one_line_that_matplotlib_shows() -> None:
    assert canvas.legend_label("_hidden") == " _hidden"
    assert canvas.legend_label("line\nbreak") == "line break"
    assert canvas.legend_label("caf\udce9.wav") == "caf\\udce9.wav"  # a name that is not text
    assert len(canvas.legend_label("x" * 500)) <= 90


@pytest.mark.parametrize(
    ("bonafide", "spoof"),
    [
        ([1.0], [1.0]),  # constant, one trial a class
        ([2.0, 3.0], [0.0, 1.0]),  # perfect
        ([0.0, 1.0], [2.0, 3.0]),  # reversed
        ([1e30, -1e30], [0.0, 1.0]),
        ([1e-12, 2e-12], [0.0, 1e-12]),
        ([1e9, 1e9], [1e9, 1e9]),
    ],
)
def test_extreme_scores_can_be_drawn(bonafide: list[float], spoof: list[float]) -> None:
    item = summary("toy", bonafide, spoof)
    for svg in (
        plots_tradeoff.roc_svg([item]),
        plots_tradeoff.det_svg([item]),
        plots.histogram_svg(item),
    ):
        ElementTree.fromstring(svg)
        assert not re.search(r"\bnan\b", svg)


def test_an_empty_class_in_the_confusion_matrix_can_be_drawn() -> None:
    svg = plots.confusion_svg(Confusion(3, 1, 0, 0))
    assert ElementTree.fromstring(svg).tag.endswith("svg")


def test_systems_are_laid_over_each_other_in_different_colours() -> None:
    systems = [summary(f"system {i}") for i in range(8)]
    for svg in (plots_tradeoff.roc_svg(systems), plots_tradeoff.det_svg(systems)):
        assert all(colour in svg for colour in canvas.SYSTEM_COLOURS)
    one = plots_tradeoff.roc_svg(systems[:1])
    assert canvas.SYSTEM_COLOURS[0] in one
    assert canvas.SYSTEM_COLOURS[1] not in one


def test_det_axes_reach_what_the_trials_can_resolve() -> None:
    many = summary("toy", np.linspace(-1, 3, 5000), np.linspace(-3, 1, 5000))
    bad = summary("toy", [0.0, 1.0], [2.0, 3.0])
    lines = [plots_tradeoff.line_of(one) for one in (summary(), many, bad)]
    assert plots_tradeoff._det_limits(lines[:1]) == (0.005, 0.4)
    assert plots_tradeoff._det_limits(lines[:2]) == (0.0001, 0.4)
    assert plots_tradeoff._det_limits(lines[2:])[1] == 0.99


def test_det_ticks_keep_their_distance() -> None:
    assert plots_tradeoff._det_ticks(0.0001, 0.4) == [
        0.0001,
        0.001,
        0.005,
        0.02,
        0.05,
        0.1,
        0.2,
        0.4,
    ]
    assert plots_tradeoff._det_ticks(0.005, 0.99) == [0.005, 0.02, 0.1, 0.4, 0.6, 0.8, 0.95, 0.99]


def test_few_far_out_scores_do_not_squeeze_the_histogram() -> None:
    scores = np.concatenate((np.linspace(-3, 3, 10_000), [1e6]))
    low, high = score_axis.score_range(scores)
    assert -3 <= low < -2.9
    assert 2.9 < high <= 3
    assert score_axis.score_range(np.linspace(-3, 3, 100)) == (-3, 3)


def test_series_leaves_out_what_is_not_finite() -> None:
    history: list[dict[str, Any]] = [
        {"epoch": 4, "dev": {"eer": float("nan")}},
        {"epoch": 5, "dev": {"eer": 0.3}},
        {"epoch": 6},
        {"epoch": 7, "dev": None},
        {"epoch": 8, "dev": {"eer": 0.2}},
    ]
    assert plots.series(history, "dev", "eer") == ([5, 8], [0.3, 0.2])
    assert plots.series(history, "train", "eer") == ([], [])
    assert plots.best_epoch(history) == 8


def test_best_epoch_is_the_first_of_equals() -> None:
    assert plots.best_epoch(HISTORY) == 2
    assert plots.best_epoch([]) is None


@pytest.mark.parametrize("history", [[], [{"epoch": 1}], [{"epoch": 1, "dev": {"loss": None}}]])
def test_no_learning_curves_without_numbers(history: list[dict[str, object]]) -> None:
    assert plots.learning_curves_svg(history) is None


def test_one_epoch_can_be_drawn() -> None:
    svg = plots.learning_curves_svg(HISTORY[:1])
    assert svg is not None
    ElementTree.fromstring(svg)
