"""The table of a benchmark: for a terminal, as Markdown, CSV and JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rawnet_jax.atomic_file import write_files
from rawnet_jax.csv_text import csv_text
from rawnet_jax.evaluation.benchmark import SHOWN, BenchmarkRow, BenchmarkSystem
from rawnet_jax.evaluation.summary import percent
from rawnet_jax.fitted_file import write_fitted
from rawnet_jax.metrics.breakdown import FEW_TRIALS
from rawnet_jax.metrics.table import METRICS
from rawnet_jax.reports.tables import UNKNOWN, in_columns

RECORD_NAME = "benchmark.json"
_CONTENT = "benchmark"


def format_system(system: BenchmarkSystem) -> str:
    """Return the table of one system for a terminal, without a final line end."""
    header = ["corpus", "bona fide", "spoof", *(METRICS[name].title for name in SHOWN)]
    rows = [header, *(_cells(row) for row in (*system.rows, system.pooled))]
    lines = [f"{system.name}, {system.checkpoint}", "", *in_columns(rows, right_from=1), ""]
    return "\n".join([*lines, *(f"  {line}" for line in notes(system))])


def format_markdown(systems: Sequence[BenchmarkSystem]) -> str:
    """Return one table as papers have it: a row per corpus, the figures of all systems in it."""
    used = [
        name
        for name in SHOWN
        if any(name in row.figures for s in systems for row in (*s.rows, s.pooled))
    ]
    header = ["corpus", "bona fide", "spoof"]
    header += [f"{system.name}: {METRICS[name].title}" for system in systems for name in used]
    rows = [header, ["---", *["---:"] * (len(header) - 1)]]
    for of_corpus in zip(*((*s.rows, s.pooled) for s in systems), strict=True):
        first = of_corpus[0]
        cells = [first.name, f"{first.num_bonafide:,}", f"{first.num_spoof:,}"]
        cells += [_figure(row, name) for row in of_corpus for name in used]
        rows.append(cells)
    table = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    said = [f"- {system.name}: {note}" for system in systems for note in notes(system)]
    return "\n".join([*table, "", *said, ""])


def notes(system: BenchmarkSystem) -> list[str]:
    """Return what a reader must know of the figures."""
    lines = [system.note]
    if system.mean_eer is not None:
        number = sum("eer" in row.figures for row in system.rows)
        lines.append(
            f"Mean EER over {number} corpora, each counting the same: {percent(system.mean_eer)}"
        )
    lines += [f"{row.name}: {row.problem}" for row in (*system.rows, system.pooled) if row.problem]
    few = [
        row.name
        for row in system.rows
        if row.figures and min(row.num_bonafide, row.num_spoof) < FEW_TRIALS
    ]
    if few:
        lines.append(f"Rough, with fewer than {FEW_TRIALS} trials of a class: {', '.join(few)}")
    return lines


def write_benchmark(folder: Path, systems: Sequence[BenchmarkSystem]) -> list[tuple[str, Path]]:
    """Write figures and tables, each whole or not at all; returns (what, where).

    Raises:
        DataError: a file cannot be written.
    """
    record = {"systems": [asdict(system) | {"mean_eer": system.mean_eer} for system in systems]}
    write_fitted(folder / RECORD_NAME, _CONTENT, record)
    header: list[object] = ["system", "corpus", "form", "num_bonafide", "num_spoof"]
    for name in SHOWN:
        header += [name, f"{name}_low", f"{name}_high"]
    rows = [header, *(_csv_row(s, row) for s in systems for row in (*s.rows, s.pooled))]
    tables = [
        ("table", "benchmark.csv", csv_text(rows)),
        ("markdown", "benchmark.md", format_markdown(systems)),
    ]
    return [("figures", folder / RECORD_NAME), *write_files(folder, tables)]


def _cells(row: BenchmarkRow) -> list[str]:
    counts = [f"{row.num_bonafide:,}", f"{row.num_spoof:,}"]
    return [row.name, *counts, *(_figure(row, name) for name in SHOWN)]


def _figure(row: BenchmarkRow, name: str) -> str:
    return METRICS[name].text_of(row.figures[name]) if name in row.figures else UNKNOWN


def _csv_row(system: BenchmarkSystem, row: BenchmarkRow) -> list[object]:
    cells: list[object] = [system.name, row.name, row.corpus, row.num_bonafide, row.num_spoof]
    for name in SHOWN:
        found = row.figures.get(name)
        interval = None if found is None else found.interval
        cells += [
            None if found is None else found.value,
            *((None, None) if interval is None else (interval.low, interval.high)),
        ]
    return cells
