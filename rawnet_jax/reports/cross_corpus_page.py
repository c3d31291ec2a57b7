"""The results of a cross-corpus evaluation on disk: figures, tables, page and picture."""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from rawnet_jax.atomic_file import write_files
from rawnet_jax.csv_text import csv_text
from rawnet_jax.evaluation.cross_corpus import CorpusRow, CrossCorpus
from rawnet_jax.reports.blocks import Picture, Section, Table
from rawnet_jax.reports.canvas import BONAFIDE_COLOUR, INK, SPOOF_COLOUR, legend_below, svg
from rawnet_jax.reports.cross_corpus_tables import (
    HEADER,
    RECORD_NAME,
    cells,
    closing_lines,
    csv_rows,
    format_markdown,
    remarks,
    write_cross_corpus,
)
from rawnet_jax.reports.report import ReportContext, render_page

TERMS = (
    ("Score", "One number a recording; higher means more bona fide."),
    (
        "EER",
        "Equal error rate, at a threshold that is found on each list itself. It tells whether the "
        "classes can be told apart there. Lower is better, 50 % is chance.",
    ),
    (
        "Bona fide rejected, spoof accepted",
        "Error rates at the one threshold that the run brings along from its own dev trials. They "
        "tell what it would do there as it is: an EER that is low beside rates that are lopsided "
        "means that scores have moved as a whole.",
    ),
    (
        "Seen, unseen attacks",
        "Attacks that are, or are not, among those that the run was trained on, each against all "
        "bona fide trials of the list; the number of their trials in brackets. Known only where "
        "attack ids mean the same in both corpora.",
    ),
    ("Interval", "In brackets behind an EER: from the bootstrap, other trials of the same kind."),
)


def write_cross_corpus_files(
    folder: Path, result: CrossCorpus, context: ReportContext
) -> list[tuple[str, Path]]:
    """Write everything; each file whole or not at all.

    Args:
        folder: exists.
        result: what was measured.
        context: title, origin, notes.

    Returns:
        (what, where) of what was written, for people.

    Raises:
        DataError: a file cannot be written.
    """
    write_cross_corpus(folder / RECORD_NAME, result)
    warnings = [("", remark) for remark in remarks(result)]
    page = render_page(context, [_section(result)], warnings=warnings, terms=TERMS)
    tables = [
        ("table", "cross_corpus.csv", csv_text(csv_rows(result))),
        ("markdown", "cross_corpus.md", format_markdown(result)),
        ("report", "cross_corpus.html", page),
    ]
    return [("figures", folder / RECORD_NAME), *write_files(folder, tables)]


def cross_corpus_svg(rows: list[CorpusRow]) -> str:
    """Draw EER and error rates at the run's threshold for each list; `rows` all have an EER."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        places = range(len(rows))
        for place, row in zip(places, rows, strict=True):
            if row.eer_low is not None and row.eer_high is not None:
                axes.hlines(place, row.eer_low, row.eer_high, color=INK, linewidth=5, alpha=0.25)
        axes.plot([row.eer or 0.0 for row in rows], places, "D", color=INK, label="EER")
        for values, marker, colour, label in (
            ([row.p_miss for row in rows], "o", BONAFIDE_COLOUR, "bona fide rejected"),
            ([row.p_fa for row in rows], "s", SPOOF_COLOUR, "spoof accepted"),
        ):
            at = [(value, place) for place, value in enumerate(values) if value is not None]
            if at:
                axes.plot(
                    *zip(*at, strict=True), marker, color=colour, fillstyle="none", label=label
                )
        axes.set_yticks(places, [" ".join(row.title.split())[:40] for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(-0.01, 1.01)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        legend_below(figure)

    return svg(draw, (9.2, 1.4 + 0.34 * len(rows)), "corpora")


def _section(result: CrossCorpus) -> Section:
    measured = [row for row in result.rows if row.eer is not None]
    blocks: list[Table | Picture] = []
    if measured:
        caption = (
            "EER of each list with its interval, and both error rates at the threshold that the "
            "run brings along. Rates far apart from each other: the scores have moved as a whole."
        )
        blocks.append(Picture(cross_corpus_svg(measured), caption, wide=True))
    blocks.append(Table(HEADER, cells(result), wide=True))
    return Section("Corpora", "corpora", blocks, " ".join(closing_lines(result)))
