"""The confound report as text."""

from collections.abc import Mapping
from typing import Any

from rawnet_jax.pool.confounds import TOLD_APART

_LEGEND = """\
Area under the ROC curve of each feature by itself, of larger values as bona fide: .50 tells
nothing, 1 and 0 tell everything. * marks what lies above {limit} or below {rest}. "all": a logistic
regression on all features and their squares, cross-validated with whole repositories (new sources)
or whole speakers (new speakers) held out. "as recorded" is before the laws, "pool" after them,
without the test part. "matched" is the list that is cut so that classes agree in the regression's
score. Below .50 an "all" tells nothing either: what it found elsewhere points the
wrong way here.
"""


def confound_text(record: Mapping[str, Any]) -> str:
    """Return the report as a table, a column for each part of the pool.

    Args:
        record: of `confounds.confound_report`.
    """
    columns = record["area"]
    rows = list(dict.fromkeys(name for column in columns.values() for name in column))
    width = max([len(name) for name in rows] + [len("pieces")])
    lines = ["Confounds: what tells the classes apart without the speech", ""]
    legend = _LEGEND.format(limit=_short(TOLD_APART), rest=_short(1 - TOLD_APART))
    lines += [*legend.splitlines(), ""]
    names = list(columns)
    for first in range(0, len(names), 5):
        part = names[first : first + 5]
        lines.append(" " * width + "".join(f"{name:>22}" for name in part))
        for row in rows:
            is_fitted = row.startswith("all")
            cells = "".join(f"{_cell(columns[name].get(row), is_fitted):>22}" for name in part)
            lines.append(f"{row:<{width}}{cells}")
        lines.append("")
    meanings = record["features"]
    lines += [f"{name:<{width}}  {meaning}" for name, meaning in meanings.items()]
    lines += ["", "Pieces, bona fide + spoof:"]
    lines += [
        f"{name:<{width}}  {real} + {fake}" for name, (real, fake) in record["pieces"].items()
    ]
    return "\n".join(lines) + "\n"


def _cell(area: float | None, is_fitted: bool) -> str:
    if area is None:
        return "-"
    told = area if is_fitted else max(area, 1 - area)
    mark = "*" if told > TOLD_APART else " "
    return f"{_short(area)}{mark}"


def _short(number: float) -> str:
    return f"{number:.2f}".removeprefix("0")
