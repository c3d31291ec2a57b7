"""Pictures by group of trials: attacks side by side, attack × codec, fairness."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from rawnet_jax.metrics.breakdown import GroupRow, natural_order
from rawnet_jax.metrics.fairness import FairnessRow, FairnessTable
from rawnet_jax.reports.canvas import (
    INK,
    SPOOF_COLOUR,
    SYSTEM_COLOURS,
    legend_below,
    legend_label,
    svg,
)

MAX_GROUPS_SHOWN = 40
"""More groups than this make a chart that nobody reads; the tables hold all."""

MARKERS = ("o", "s", "D", "^", "v", "P")
_WIDTH = 9.2  # inches
_ROW = 0.27  # inches a group and system
_LONGEST_NAME = 34


def eer_by_group_svg(systems: Sequence[tuple[str, Sequence[GroupRow]]], prefix: str) -> str:
    """Draw the EER of every group, one marker a system; the groups of the first system's worst.

    Args:
        systems: name and groups of each; the groups of the first give the order.
        prefix: of ids in the picture.
    """
    first = [row for row in systems[0][1] if row.eer is not None]
    if len(first) > MAX_GROUPS_SHOWN:
        first = sorted(first, key=lambda row: -row.eer.eer if row.eer else 0)[:MAX_GROUPS_SHOWN]
    names = [row.group for row in first]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for index, (name, rows) in enumerate(systems):
            eer_of = {row.group: row.eer.eer for row in rows if row.eer is not None}
            at = [(i, eer_of[group]) for i, group in enumerate(names) if group in eer_of]
            axes.hlines(
                [i + _offset(index, len(systems)) for i, _ in at],
                0,
                [value for _, value in at],
                color=_colour(index),
                linewidth=1.2,
                alpha=0.5,
            )
            axes.plot(
                [value for _, value in at],
                [i + _offset(index, len(systems)) for i, _ in at],
                color=_colour(index),
                marker=MARKERS[index % len(MARKERS)],
                linestyle="",
                label=legend_label(name),
            )
        labels = [f"{_short(row.name)}  ({row.num_spoof:,})" for row in first]
        _name_rows(axes, labels)
        axes.set_xlim(left=0)
        axes.set_xlabel("EER (number of spoof trials in brackets)")
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        if len(systems) > 1:
            legend_below(figure)

    return svg(draw, (_WIDTH, _height(len(names), len(systems))), prefix)


def heat_map_svg(
    rows: Sequence[GroupRow],
    by: tuple[str, str],
    margins: Mapping[tuple[str, str], float],
    prefix: str,
) -> str:
    """Draw the EER of every pair of groups as a coloured table.

    Args:
        rows: of a breakdown by two columns.
        by: the two columns; the first goes down, the second across.
        margins: EER of one column's group alone, and of all, with "" for the other column.
        prefix: of ids in the picture.
    """
    down, across = (sorted({row.group[i] for row in rows}, key=natural_order) for i in (0, 1))
    cells: dict[tuple[str, str], tuple[float, int | None]] = {
        (row.group[0], row.group[1]): (row.eer.eer, row.num_spoof)
        for row in rows
        if row.eer is not None
    }
    cells |= {place: (value, None) for place, value in margins.items()}
    lines, columns = [*down, ""], [*across, ""]
    darkest = max((value for value, _ in cells.values()), default=0.0) or 1.0
    size = 9.5 if len(columns) <= 9 else 7.5

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for (y, line), (x, column) in (
            (a, b) for a in enumerate(lines) for b in enumerate(columns)
        ):
            if (line, column) in cells:
                value, count = cells[line, column]
                is_margin = not line or not column
                # By the root, or one bad row would leave all others white.
                _draw_cell(axes, x, y, (value / darkest) ** 0.5, is_margin)
                text = f"{100 * value:.2f}" if size > 9 else f"{100 * value:.1f}"
                lift = 0 if count is None else 0.12
                axes.text(x, y - lift, text, ha="center", va="center", fontsize=size)
                if count is not None:
                    note: dict[str, Any] = {
                        "ha": "center",
                        "va": "center",
                        "fontsize": 6.5,
                        "alpha": 0.75,
                    }
                    axes.text(x, y + 0.27, f"{count:,}", **note)
        axes.set_xticks(range(len(columns)), [_short(name, 12) or "all" for name in columns])
        axes.set_yticks(range(len(lines)), [_short(name) or "all" for name in lines])
        axes.set(xlim=(-0.55, len(columns) - 0.4), ylim=(len(lines) - 0.4, -0.55))
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
        axes.set_xlabel(by[1])
        axes.set_ylabel(by[0])
        axes.tick_params(length=0)
        axes.grid(False)
        for spine in axes.spines.values():
            spine.set_visible(False)

    return svg(draw, (_WIDTH, 0.9 + 0.36 * len(lines)), prefix)


def fairness_svg(systems: Sequence[tuple[str, FairnessTable]], prefix: str) -> str:
    """Draw false rejection of every group with its interval; the first system's worst on top."""
    shown = systems[0][1].rows[:MAX_GROUPS_SHOWN]
    names = [row.group for row in shown]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for index, (name, table) in enumerate(systems):
            label = legend_label(f"{name}: all {table.overall.num_bonafide:,} bona fide trials")
            axes.axvline(
                table.overall.p_miss, color=_colour(index), linewidth=1, linestyle=":", label=label
            )
            row_of = {row.group: row for row in table.rows}
            for y, group in enumerate(names):
                if group in row_of:
                    place = y + _offset(index, len(systems))
                    worst = row_of[group] is table.worst
                    _draw_rate(axes, place, row_of[group], index, worst and len(systems) == 1)
        _name_rows(axes, [f"{_short(row.group)}  ({row.num_bonafide:,})" for row in shown])
        axes.set_xlim(left=0)
        axes.set_xlabel("bona fide speech rejected (number of bona fide trials in brackets)")
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 2.5, 5, 10]))
        legend_below(figure)

    return svg(draw, (_WIDTH, _height(len(names), len(systems)) + 0.3), prefix)


def _draw_rate(axes: Axes, y: float, row: FairnessRow, index: int, is_worst: bool) -> None:
    colour = SPOOF_COLOUR if is_worst else _colour(index)
    axes.hlines(y, row.interval.low, row.interval.high, color=colour, linewidth=1.6)
    axes.plot(
        row.p_miss,
        y,
        color=colour,
        marker=MARKERS[index % len(MARKERS)],
        # Hollow = too few trials to be judged by.
        fillstyle="none" if row.is_small else "full",
        clip_on=False,
    )


def _draw_cell(axes: Axes, x: int, y: int, share: float, is_margin: bool) -> None:
    corner = (x - 0.48, y - 0.48)
    axes.add_patch(
        Rectangle(
            corner,
            0.96,
            0.96,
            facecolor=SPOOF_COLOUR,
            # Never quite transparent, so that an empty cell is still seen as a cell.
            alpha=0.05 + 0.65 * share,
            linewidth=0,
        )
    )
    if is_margin:
        axes.add_patch(
            Rectangle(corner, 0.96, 0.96, fill=False, edgecolor=INK, alpha=0.35, linewidth=0.8)
        )


def _name_rows(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")


def _height(num_groups: int, num_systems: int) -> float:
    return 1.1 + num_groups * max(_ROW, 0.13 + 0.1 * num_systems)


def _offset(index: int, count: int) -> float:
    return 0.0 if count == 1 else float(np.linspace(-0.25, 0.25, count)[index])


def _colour(index: int) -> str:
    return SYSTEM_COLOURS[index % len(SYSTEM_COLOURS)]


def _short(name: str, longest: int = _LONGEST_NAME) -> str:
    name = " ".join(name.split())
    return name if len(name) <= longest else name[: longest - 1] + "…"
