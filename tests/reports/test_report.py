"""The HTML report: complete, closed in itself, escaped, and the same every time."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from rawnet_jax.errors import DataError, MetricError
from rawnet_jax.evaluation.assess import AssessOptions, assess
from rawnet_jax.evaluation.resampling import Resampling
from rawnet_jax.evaluation.summary import ScoredSystem, Summary
from rawnet_jax.reports.blocks import Table
from rawnet_jax.reports.report import (
    ReportContext,
    build_sections,
    render_report,
    write_report,
)

EVIL = "<script>alert('x')</script>\"&"
HISTORY = [
    {"epoch": 1, "train": {"loss": 0.7}, "dev": {"loss": 0.8, "auc": 0.6, "eer": 0.4}},
    {"epoch": 2, "train": {"loss": 0.5}, "dev": {"loss": 0.6, "auc": 0.9, "eer": 0.1875}},
]
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Collects what a page holds, and that every element is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


def summary(name: str = "toy", attack: str | None = "A01", sign: float = 1.0) -> Summary:
    rng = np.random.default_rng(0)
    labels = np.array([1] * 60 + [0] * 80)
    scores = sign * (rng.normal(size=140) + 4.0 * labels - 2.0)
    attacks = [None] * 60 + [attack] * 80
    system = ScoredSystem(name, scores, labels, attacks)
    return assess([system], AssessOptions(resampling=Resampling(0)))[0]


CONTEXT = ReportContext(
    "Toy evaluation",
    created="2026-01-02",
    command="python evaluate.py --workdir runs/toy",
    details={"Checkpoint": "step 7"},
    notes=["Says nothing about real attacks."],
)


@pytest.fixture(scope="module")
def html() -> str:
    return render_report([summary()], CONTEXT, HISTORY)


def test_report_holds_every_figure_and_section(html: str) -> None:
    item = summary()
    page = Page(html)
    assert page.open == []
    sections = {"results", "trade-offs", "scores", "attacks", "learning", "origin", "glossary"}
    assert sections <= set(page.ids)
    assert page.tags.count("svg") == 7
    for words in (
        "Toy evaluation",
        "2026-01-02",
        "python evaluate.py --workdir runs/toy",
        "step 7",
        "Says nothing about real attacks.",
        f"{100 * item.eer.eer:.2f} %",
        f"at score {item.eer.threshold:.6g}",
        f"{item.metrics['auc'].value:.4f}",
        f"{100 * item.confusion.accuracy:.2f} %",
        f"{item.confusion.num_correct} of 140",
        "60 bona fide, 80 spoof",
        "A01",
        "0.1875",
        "marks epoch 2",
    ):
        assert words in page.text, words


def test_report_is_closed_in_itself(html: str) -> None:
    page = Page(html)
    assert not {"script", "link", "iframe", "object", "base", "form"} & set(page.tags)
    assert len(page.ids) == len(set(page.ids))
    for name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("href", "src", "xlink:href", "srcset", "action"):
            assert (value or "").startswith("#")
    assert "@import" not in html
    assert "url(http" not in html


def test_what_comes_from_outside_is_escaped() -> None:
    context = ReportContext(EVIL, EVIL, EVIL, {EVIL: EVIL}, [EVIL])
    history = [{"epoch": 1, "train": {EVIL: 0.5}, "dev": {"eer": 0.1}}]
    for systems in (
        [summary(EVIL, EVIL)],
        [summary(EVIL, EVIL), summary(EVIL + "2", EVIL, sign=-1)],
    ):
        html = render_report(systems, context, history)
        page = Page(html)
        assert "script" not in page.tags
        assert "<script" not in html
        # title, heading, date, command, detail and its name, note, attack, epoch figure
        assert page.text.count(EVIL) >= 9
        assert page.open == []


def test_the_same_input_gives_the_same_bytes(html: str, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, [summary()], CONTEXT, HISTORY)
    assert path.read_text(encoding="utf-8") == html
    assert list(tmp_path.iterdir()) == [path]


def test_sections_without_content_are_left_out() -> None:
    titles = [section.anchor for section in build_sections([summary(attack=None)])]
    assert titles == [
        *("results", "metrics", "threshold", "trade-offs", "scores", "calibration"),
    ]


def test_a_warning_is_shown_at_the_top(html: str) -> None:
    page = Page(render_report([summary("reversed", sign=-1)], ReportContext("t")))
    warning = "Warning: The scores would do better with their sign reversed"
    assert page.text.index(warning) < page.text.index("Results")
    assert "Warning" not in Page(html).text


def test_several_systems_stand_side_by_side() -> None:
    page = Page(render_report([summary("one"), summary("two", sign=-1)], ReportContext("t")))
    assert (
        page.tags.count("svg") == 2 + 2 + 2 + 2
    )  # confusion, DET and ROC, histograms, reliability and Tippett
    assert len(page.ids) == len(set(page.ids))
    assert "Warning, two: The scores would do better" in page.text
    assert "Warning, one" not in page.text


def test_a_missing_value_of_an_epoch_is_a_dash() -> None:
    history = [*HISTORY, {"epoch": 3, "train": {"loss": float("nan")}, "dev": {"eer": 0.3}}]
    (learning,) = [s for s in build_sections([summary()], history) if s.anchor == "learning"]
    table = learning.blocks[1]
    assert isinstance(table, Table)
    assert table.header == ["epoch", "train loss", "dev loss", "dev auc", "dev eer"]
    assert table.rows[2] == ["3", "–", "–", "–", "0.3000"]


def test_a_report_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MetricError, match="at least one system"):
        write_report(tmp_path / "r.html", [], ReportContext("t"))


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        write_report(tmp_path / "absent" / "r.html", [summary()], ReportContext("t"))
