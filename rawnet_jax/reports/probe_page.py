"""What came of a linear probe: a table for people, a CSV and a JSON file, a page with a picture."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from rawnet_jax.atomic_file import write_files
from rawnet_jax.csv_text import csv_text
from rawnet_jax.probe.fits import MAX_STEPS, Candidate, ProbeSearch
from rawnet_jax.reports.blocks import Picture, Section, Table
from rawnet_jax.reports.canvas import INK, WIDE, legend_below, svg, system_style
from rawnet_jax.reports.report import context_now, render_page

_HEADER = ("layer", "pooling", "C", "dev EER", "dev loss", "train EER")
_TERMS = (
    ("Layer", "Of the encoder; 0 is what goes into its first layer."),
    (
        "Pooling",
        "How the frames of a clip become one vector: mean, mean and standard deviation side by "
        "side, or maximum of each channel.",
    ),
    ("C", "Inverse of the strength of the L2 penalty: a smaller one keeps weights smaller."),
    ("EER", "Equal error rate. Lower is better, 50 % is chance."),
    ("Loss", "Cross-entropy in nats, the mean of both classes. Lower is better, 0.69 is chance."),
)


def format_probe(found: ProbeSearch) -> str:
    """Return the table for a terminal, a line per layer, without a final line end."""
    rows = [_HEADER, *(_cells(one) for one in found.best_of_layers())]
    chosen = [False, *(one is found.best for one in found.best_of_layers())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    lines = [line + "  <- the run" * mark for line, mark in zip(lines, chosen, strict=True)]
    return "\n".join([*lines, "", *(f"  {said}" for said in (_caption(found), *remarks(found)))])


def _caption(found: ProbeSearch) -> str:
    return f"{len(found.candidates)} fits; the best of each layer by dev EER, then dev loss."


def remarks(found: ProbeSearch) -> list[str]:
    """Return what a reader must know beside the figures."""
    said = ["Dev chose the run, so its EER there is too low: measure on eval."]
    unfinished = sum(not one.converged for one in found.candidates)
    if unfinished:
        said.append(f"{unfinished} fits had not converged after {MAX_STEPS:,} steps.")
    strengths = sorted({one.strength for one in found.candidates})
    if len(strengths) > 1 and found.best.strength in (strengths[0], strengths[-1]):
        said.append(
            f"C = {found.best.strength:g} is at the edge of those tried; --strengths takes others."
        )
    return said


def write_probe_files(
    folder: Path, name: str, found: ProbeSearch, source: Mapping[str, Any]
) -> list[tuple[str, Path]]:
    """Write everything; each file whole or not at all.

    Args:
        folder: exists.
        name: of the experiment.
        found: all fits.
        source: where encoder and clips are from, plain JSON values.

    Returns:
        (what, where) of what was written, for people.

    Raises:
        DataError: a file cannot be written.
    """
    names = [field.name for field in dataclasses.fields(Candidate)]
    rows = [[getattr(one, name) for name in names] for one in found.candidates]
    record = dict(source) | {"fits": [dict(zip(names, row, strict=True)) for row in rows]}
    details = {
        "encoder": source["encoder_weights"],
        "clips": f"{source['train_clips']:,} train, {source['dev_clips']:,} dev",
        "class weight": source["class_weight"],
    }
    context = context_now(f"{name}: linear probe", details)
    warnings = [("", remark) for remark in remarks(found)]
    picture = layers_svg(found)
    page = render_page(context, [_section(found, picture)], warnings=warnings, terms=_TERMS)
    return write_files(
        folder,
        [
            ("figures", "probe.json", json.dumps(record, indent=2) + "\n"),
            ("table", "probe.csv", csv_text([names, *rows])),
            ("report", "probe.html", page),
        ],
    )


def layers_svg(found: ProbeSearch) -> str:
    """Draw the dev EER over layers, a line per pooling, each at its best C."""
    poolings = list(dict.fromkeys(one.pooling for one in found.candidates))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for number, pooling in enumerate(poolings):
            lowest: dict[int, float] = {}
            for one in found.candidates:
                if one.pooling == pooling:
                    lowest[one.layer] = min(one.dev_eer, lowest.get(one.layer, 1.0))
            layers = sorted(lowest)
            rates = [lowest[layer] for layer in layers]
            axes.plot(layers, rates, marker="o", label=pooling, **system_style(number))
        best = found.best
        axes.plot(
            [best.layer],
            [best.dev_eer],
            linestyle="none",
            marker="o",
            markersize=11,
            color=INK,
            fillstyle="none",
            label="the run",
        )
        axes.set_ylim(bottom=0.0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel("layer")
        axes.set_ylabel("dev EER")
        legend_below(figure)

    return svg(draw, WIDE, "layers")


def _section(found: ProbeSearch, picture: str) -> Section:
    best_rows = [_cells(one) for one in found.best_of_layers()]
    all_rows = [_cells(one) for one in found.candidates]
    blocks: Sequence[Table | Picture] = [
        Picture(picture, "Lowest dev EER of each layer over all values of C.", wide=True),
        Table(_HEADER, best_rows, _caption(found), text_columns=(1,), wide=True),
        Table(_HEADER, all_rows, "All fits", text_columns=(1,), folded=True, wide=True),
    ]
    return Section("Layers", "layers", blocks)


def _cells(one: Candidate) -> tuple[str, ...]:
    return (
        str(one.layer),
        one.pooling,
        f"{one.strength:g}",
        f"{100 * one.dev_eer:.2f} %",
        f"{one.dev_loss:.3f}",
        f"{100 * one.train_eer:.2f} %",
    )
