"""Robustness reports as pages that hold everything, and as pictures of their own."""

from collections.abc import Sequence
from pathlib import Path

from rawnet_jax.atomic_file import write_files
from rawnet_jax.csv_text import csv_text
from rawnet_jax.evaluation.summary import percent
from rawnet_jax.reports.blocks import Picture, Section, Table
from rawnet_jax.reports.report import ReportContext, render_page
from rawnet_jax.reports.robustness_plots import robustness_png, robustness_svg
from rawnet_jax.reports.robustness_tables import (
    CSV_HEADER,
    HEADER,
    comparison_cells,
    comparison_sentences,
    csv_rows,
    missing_lines,
    points,
    report_cells,
    summary_sentences,
    threshold_line,
)
from rawnet_jax.robustness.figures import RECORD_NAME, Robustness, write_robustness

TERMS = (
    (
        "Score",
        "One number a recording; higher means more bona fide.",
    ),
    (
        "EER",
        "Equal error rate: the threshold is moved, in each condition, until as large a share "
        "of spoof is accepted as of bona fide speech is rejected. It tells whether the classes can "
        "still be told apart. Lower is better, 50 % is chance.",
    ),
    ("Change, loss", "EER of a condition minus that of clean trials, in percentage points."),
    (
        "Bona fide rejected, spoof accepted",
        "Error rates at one threshold for all conditions, which was chosen on clean dev trials "
        "and is not moved. They tell what a deployed detector would do.",
    ),
    (
        "Shift",
        "Mean score under a condition minus mean score of the same trials clean, in standard "
        "deviations of clean bona fide scores. Bona fide scores that fall are speakers called "
        "spoof; spoof scores that rise are attacks that pass.",
    ),
    (
        "SNR",
        "Mean power of the clip over mean power of the noise, both over the whole clip, in dB.",
    ),
)


def write_report_files(
    folder: Path, report: Robustness, context: ReportContext
) -> list[tuple[str, Path]]:
    """Write figures, table, page and picture of a run; each file whole or not at all.

    Args:
        folder: exists.
        report: what was measured.
        context: title, origin, notes.

    Returns:
        (what, where) of what was written, for people.

    Raises:
        DataError: a file cannot be written.
    """
    write_robustness(folder / RECORD_NAME, report)
    page = render_page(context, [_conditions(report)], tiles=_tiles(report), terms=TERMS)
    others: list[tuple[str, str, str | bytes]] = [
        ("table", "robustness.csv", csv_text([CSV_HEADER, *csv_rows(report)])),
        ("picture", "robustness.png", robustness_png([report])),
        ("report", "robustness.html", page),
    ]
    return [("figures", folder / RECORD_NAME), *write_files(folder, others)]


def write_comparison_files(
    folder: Path, reports: Sequence[Robustness], left_out: Sequence[str], context: ReportContext
) -> list[tuple[str, Path]]:
    """Write table, page and picture of runs side by side; see `write_report_files`.

    Args:
        folder: exists.
        reports: from `rawnet_jax.reports.robustness_tables.comparable`.
        left_out: sentences on conditions that are left out.
        context: title, origin, notes.
    """
    rows = [(report.name, *row) for report in reports for row in csv_rows(report)]
    header, table = comparison_cells(reports)
    picture = Picture(
        robustness_svg(reports),
        "Left: EER of each condition; a bar begins at the run's clean EER. Right: how far the mean "
        "score of bona fide trials goes; left = towards spoof.",
        wide=True,
    )
    text = " ".join(comparison_sentences(reports))
    blocks: list[Table | Picture] = [
        picture,
        Table(header, table, wide=True),
        *_notes("Left out", left_out),
    ]
    page = render_page(context, [Section("Side by side", "runs", blocks, text)], terms=TERMS)
    return write_files(
        folder,
        [
            ("table", "comparison.csv", csv_text([("run", *CSV_HEADER), *rows])),
            ("picture", "comparison.png", robustness_png(reports)),
            ("report", "comparison.html", page),
        ],
    )


def _conditions(report: Robustness) -> Section:
    picture = Picture(
        robustness_svg([report]),
        "Left: EER of each condition with its interval; a bar begins at the clean EER, which is "
        "dashed. Right: how far the mean score of each class goes from where it was clean; to the "
        "left = towards spoof.",
        wide=True,
    )
    blocks: list[Table | Picture] = [
        picture,
        Table(HEADER, report_cells(report), wide=True),
        *_notes("Not measured", missing_lines(report)),
    ]
    text = " ".join([*summary_sentences(report), threshold_line(report)])
    return Section("Conditions", "conditions", blocks, text)


def _notes(title: str, lines: Sequence[str]) -> list[Table]:
    return [Table([title], [[line] for line in lines], wide=True)] if lines else []


def _tiles(report: Robustness) -> list[tuple[str, str, str]]:
    tiles = [("EER, clean", percent(report.clean_eer), "lower is better")]
    worst, loss = report.worst, report.mean_loss
    if worst is not None and loss is not None:
        number = len(report.losses)
        tiles += [
            ("Mean loss", points(loss), f"points of EER over {number} conditions"),
            ("Largest loss", points(report.losses[worst.name]), f"points, {worst.title}"),
        ]
    count = f"{report.num_bonafide + report.num_spoof:,}"
    note = f"{report.num_bonafide:,} bona fide, {report.num_spoof:,} spoof"
    return [*tiles, ("Trials", count, note)]
