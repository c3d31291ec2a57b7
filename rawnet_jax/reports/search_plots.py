"""Pictures of a search: how it went, which parameters matter, and where their good values are."""

import math
from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter

from rawnet_jax.reports.canvas import BONAFIDE_COLOUR, INK, SPOOF_COLOUR, legend_below, png
from rawnet_jax.reports.search_tables import COMPLETE, PRUNED, Row, short_names
from rawnet_jax.search.optional import optuna_module
from rawnet_jax.search.space import Parameter, Space
from rawnet_jax.search.study import SearchStudy

MIN_TRIALS = 4
"""Fewer complete trials say nothing of what matters."""

_WIDTH = 9.2  # inches
_PANEL = 2.3  # inches, height of a panel of the slices


def importances(study: SearchStudy) -> dict[str, float]:
    """Return the share of each parameter in how the dev EER varies, largest first.

    By fANOVA (Hutter et al., ICML 2014) over the complete trials: main effects of a random forest
    fitted to them, scaled to a sum of 1. Empty where too few trials are complete, or their dev EERs
    are all the same.
    """
    optuna = optuna_module()
    done = [trial for trial in study.trials() if trial.state.name == "COMPLETE"]
    if len({trial.value for trial in done}) < 2 or len(done) < MIN_TRIALS:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    try:
        found = optuna.importance.get_param_importances(study.study, evaluator=evaluator)
    except RuntimeError:  # every tree of the forest predicts one value
        return {}
    return {name: float(share) for name, share in found.items()}


def importance_png(shares: Mapping[str, float], num_complete: int) -> bytes:
    """Draw the result of `importances`."""
    names = short_names(list(shares))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        values = list(shares.values())
        bars = axes.barh(list(names.values()), values, height=0.6, color=BONAFIDE_COLOUR)
        axes.bar_label(bars, [f"{100 * value:.0f} %" for value in values], padding=4)
        axes.invert_yaxis()
        axes.set_axisbelow(True)
        axes.grid(False, axis="y")
        axes.set_xlim(0, 1.12 * max(values))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel(f"share of the variance of dev EER (fANOVA, {num_complete} trials)")
        axes.set_title("What matters")

    return png(draw, (_WIDTH, 1.4 + 0.36 * len(shares)))


def history_png(rows: Sequence[Row]) -> bytes:
    """Draw the dev EER of every trial, and the best one so far.

    Args:
        rows: of finished trials, in any order.
    """
    ordered = sorted(rows, key=lambda row: row.number)
    complete = [row for row in ordered if row.state == COMPLETE]
    pruned = [row for row in ordered if row.state == PRUNED]
    failed = [row for row in ordered if row.state not in (COMPLETE, PRUNED)]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        _dots(axes, complete, "o", BONAFIDE_COLOUR, "complete")
        _dots(axes, pruned, "x", SPOOF_COLOUR, "pruned: lowest up to there")
        best, lowest = [], math.inf
        for row in complete:
            lowest = min(lowest, row.dev_eer)
            best.append(lowest)
        numbers = [row.number for row in complete]
        axes.step(numbers, best, where="post", color=INK, linewidth=1.4, label="best so far")
        for place, row in enumerate(failed):
            label = "failed" if place == 0 else None
            axes.axvline(row.number, color=INK, alpha=0.25, linestyle=":", label=label)
        _rate_axis(axes)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("trial")
        axes.set_title("Lowest dev EER of each trial")
        legend_below(figure)

    return png(draw, (_WIDTH, 4.2))


def slices_png(rows: Sequence[Row], space: Space) -> bytes:
    """Draw the dev EER of complete and pruned trials over each parameter.

    Args:
        rows: of finished trials, in any order.
        space: the parameters.
    """
    names = short_names([one.name for one in space.parameters])
    complete = [row for row in rows if row.state == COMPLETE]
    pruned = [row for row in rows if row.state == PRUNED]
    columns = min(3, len(names))
    lines = math.ceil(len(names) / columns)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(lines, columns, sharey=True, squeeze=False).flat
        for one, axes in zip(space.parameters, panels, strict=False):
            place = _places(one)
            for found, marker, colour in (
                (pruned, "x", SPOOF_COLOUR),
                (complete, "o", BONAFIDE_COLOUR),
            ):
                where = [place(row.values[one.name]) for row in found]
                rates = [row.dev_eer for row in found]
                axes.plot(where, rates, marker, color=colour, alpha=0.7)
            _rate_axis(axes, label=axes.get_subplotspec().is_first_col())
            axes.set_xlabel(names[one.name])
            if one.choices:
                labels = [choice.replace(" ", "") for choice in one.choices]
                axes.set_xticks(range(len(labels)), labels)
                axes.set_xlim(-0.5, len(labels) - 0.5)
            elif one.log:
                axes.set_xscale("log")
                axes.xaxis.set_major_formatter("{x:g}")
                axes.xaxis.set_minor_formatter(NullFormatter())
        for axes in panels:  # those that are left
            axes.set_visible(False)
        title = "Dev EER over each parameter (x: pruned)"
        figure.suptitle(title, x=0.01, ha="left", fontsize="medium", fontweight="bold")

    return png(draw, (_WIDTH, 0.5 + _PANEL * lines))


def _places(parameter: Parameter) -> Callable[[object], float]:
    """Return where on an axis a value is: choices side by side, numbers where they are."""
    if parameter.choices:
        return lambda value: float(parameter.choices.index(str(value)))
    return lambda value: float(str(value))


def _dots(axes: Axes, rows: Sequence[Row], marker: str, colour: str, label: str) -> None:
    if rows:
        numbers, rates = [row.number for row in rows], [row.dev_eer for row in rows]
        axes.plot(numbers, rates, marker, color=colour, alpha=0.8, label=label)


def _rate_axis(axes: Axes, *, label: bool = True) -> None:
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    if label:
        axes.set_ylabel("dev EER")
