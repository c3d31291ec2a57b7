"""The picture of a robustness report: error rates and shifts of scores, one line per condition."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from rawnet_jax.reports.canvas import (
    BONAFIDE_COLOUR,
    INK,
    SPOOF_COLOUR,
    SYSTEM_COLOURS,
    legend_label,
    png,
    svg,
)
from rawnet_jax.robustness.figures import Robustness, Row

_WIDTH = 9.2  # inches
_ROW = 0.24  # inches a condition
_FAMILY_GAP = 0.6  # in rows
_LINEAR_UP_TO = 8.0  # deviations; with a larger shift the axis is logarithmic outside
_EER_COLOUR = "#009e73"
_MARKERS = ("o", "s", "D", "^", "v", "P")


def robustness_svg(reports: Sequence[Robustness], prefix: str = "robustness") -> str:
    """Draw the EER and the shift of scores of each condition, for a page.

    Args:
        reports: one run, or several side by side; the conditions are the first one's.
        prefix: of ids in the picture.
    """
    return svg(*_picture(reports), prefix)


def robustness_png(reports: Sequence[Robustness]) -> bytes:
    """Draw the same as a PNG file."""
    return png(*_picture(reports))


def _picture(
    reports: Sequence[Robustness],
) -> tuple[Callable[[Figure], None], tuple[float, float]]:
    rows = [row for row in reports[0].rows if row.eer is not None]
    places = _places(rows)
    lowest = max(places.values())

    def draw(figure: Figure) -> None:
        rates, shifts = figure.subplots(1, 2, sharey=True, width_ratios=(5, 4))
        for index, report in enumerate(reports):
            _draw_rates(rates, report, places, index, len(reports))
        rates.set_yticks([places[row.name] for row in rows], [row.title for row in rows])
        rates.set_ylim(lowest + 0.7, -0.7)
        rates.set_xlim(left=0)
        rates.set_xlabel("EER")
        rates.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        if len(reports) == 1:
            _draw_shifts(shifts, reports[0], places)
        else:
            _draw_bonafide_shifts(shifts, reports, places)
        shifts.axvline(0, color=INK, linewidth=1, linestyle="--", alpha=0.7)
        shifts.set_xlabel("shift of the mean score,\nin deviations of clean bona fide scores")
        for axes in (rates, shifts):
            axes.tick_params(axis="y", length=0)
            axes.grid(False, axis="y")
        rates.set_title("EER, with the clean one dashed")
        _legends(figure, rates, shifts)

    return draw, (_WIDTH, 1.9 + _ROW * lowest * (1 + 0.15 * (len(reports) - 1)))


def _legends(figure: Figure, rates: Axes, shifts: Axes) -> None:
    handles, labels = rates.get_legend_handles_labels()
    more_handles, more_labels = shifts.get_legend_handles_labels()
    figure.legend(
        [*handles, *more_handles], [*labels, *more_labels], loc="outside lower center", ncols=3
    )


def _places(rows: Sequence[Row]) -> dict[str, float]:
    """Return the height of each condition, from the top, with a gap between families."""
    places: dict[str, float] = {}
    at, family = -1.0, rows[0].family
    for row in rows:
        at += 1.0 + (_FAMILY_GAP if row.family != family else 0.0)
        family = row.family
        places[row.name] = at
    return places


def _draw_rates(
    axes: Axes, report: Robustness, places: dict[str, float], index: int, count: int
) -> None:
    colour = SYSTEM_COLOURS[index % len(SYSTEM_COLOURS)] if count > 1 else _EER_COLOUR
    rows = [row for row in report.rows if row.name in places and row.eer is not None]
    at = [places[row.name] + _offset(index, count) for row in rows]
    values = [row.eer or 0.0 for row in rows]
    axes.axvline(report.clean_eer, color=colour, linewidth=1, linestyle="--", alpha=0.8)
    axes.hlines(at, report.clean_eer, values, color=colour, linewidth=5, alpha=0.25)
    if count == 1 and report.interval_level is not None:
        ends = [(row.eer_low or 0.0, row.eer_high or 0.0) for row in rows]
        axes.hlines(at, *zip(*ends, strict=True), color=colour, linewidth=1)
        label = f"EER, {100 * report.interval_level:g} % interval"
    else:
        label = "EER"
    if count > 1:
        label = legend_label(report.name)
    marker = _MARKERS[index % len(_MARKERS)]
    axes.plot(values, at, color=colour, marker=marker, linestyle="", label=label)


def _draw_shifts(axes: Axes, report: Robustness, places: dict[str, float]) -> None:
    rows = [row for row in report.rows if row.name in places and row.bonafide_shift is not None]
    for values, beside, marker, colour, label in (
        ([r.bonafide_shift or 0.0 for r in rows], -0.14, "o", BONAFIDE_COLOUR, "bona fide"),
        ([r.spoof_shift or 0.0 for r in rows], 0.14, "s", SPOOF_COLOUR, "spoof"),
    ):
        at = [places[row.name] + beside for row in rows]
        axes.hlines(at, 0, values, color=colour, linewidth=1.4, alpha=0.5)
        axes.plot(values, at, marker, color=colour, label=f"mean score of {label} trials")
    axes.set_title("Where the scores go")
    _compress(axes)


def _draw_bonafide_shifts(
    axes: Axes, reports: Sequence[Robustness], places: dict[str, float]
) -> None:
    for index, report in enumerate(reports):
        rows = [row for row in report.rows if row.name in places and row.bonafide_shift is not None]
        at = [places[row.name] + _offset(index, len(reports)) for row in rows]
        colour = SYSTEM_COLOURS[index % len(SYSTEM_COLOURS)]
        shifts = [row.bonafide_shift or 0.0 for row in rows]
        axes.plot(shifts, at, color=colour, marker=_MARKERS[index % len(_MARKERS)], linestyle="")
    axes.set_title("Where the scores of bona fide trials go")
    _compress(axes)


def _compress(axes: Axes) -> None:
    """Keep small shifts readable beside one that is many times larger."""
    low, high = axes.get_xlim()
    if max(-low, high) > _LINEAR_UP_TO:
        axes.set_xscale("symlog", linthresh=2, linscale=1.5)
        axes.set_xlim(1.2 * min(low, -1.0), 1.2 * max(high, 1.0))
        axes.xaxis.set_major_locator(FixedLocator([-100, -30, -10, -3, -1, 0, 1, 3, 10, 30, 100]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())


def _offset(index: int, count: int) -> float:
    return 0.0 if count == 1 else 0.5 * (index / (count - 1) - 0.5)
