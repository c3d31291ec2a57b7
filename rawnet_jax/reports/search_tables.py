"""What came of a search: the trials as rows, best first; a table for people and a CSV file."""

import math
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rawnet_jax.atomic_file import write_text_atomically
from rawnet_jax.csv_text import csv_text
from rawnet_jax.search.space import Value
from rawnet_jax.search.study import ATTEMPT, REASON, SearchStudy

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

COMPLETE = "complete"
PRUNED = "pruned"
FAILED = "failed"
TABLE_CSV = "trials.csv"

_ORDER = {COMPLETE: 0, PRUNED: 1, FAILED: 2}
_ROWS_SHOWN = 15
_FAILURES_SHOWN = 5


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One finished trial.

    Attributes:
        number: of the trial.
        state: ``complete``, ``pruned`` or ``failed``.
        dev_eer: lowest on dev, as a fraction; up to the last epoch where pruned; NaN where failed
            before the first epoch's end.
        num_epochs: epochs trained.
        seconds: from its begin, or from when it went on after being killed.
        reason: why it failed.
        values: of each parameter, by name.
    """

    number: int
    state: str
    dev_eer: float
    num_epochs: int
    seconds: float
    reason: str
    values: dict[str, Value]


def finished_rows(study: SearchStudy) -> list[Row]:
    """Return the finished trials: complete ones by dev EER, then pruned ones, then failed ones."""
    rows = [row_of(trial) for trial in study.trials() if trial.state.is_finished()]
    return sorted(
        rows,
        key=lambda row: (
            _ORDER[row.state],
            math.inf if math.isnan(row.dev_eer) else row.dev_eer,
            row.number,
        ),
    )


def row_of(trial: "FrozenTrial") -> Row:
    """Return a finished trial."""
    state = {"COMPLETE": COMPLETE, "PRUNED": PRUNED}.get(trial.state.name, FAILED)
    reported = trial.intermediate_values
    last = min(reported.values(), default=math.nan)
    value = trial.value if state == COMPLETE and trial.value is not None else last
    reason = trial.user_attrs.get(REASON, "")
    if state == FAILED and not reason:
        attempts = trial.user_attrs.get(ATTEMPT, 1)
        reason = f"its process was killed {attempts} times with no epoch done in between"
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    values = dict(trial.params)
    return Row(trial.number, state, value, max(reported, default=0), seconds, reason, values)


def outcome_line(row: Row) -> str:
    """Return a trial in one line."""
    names = short_names(list(row.values))
    values = " ".join(f"{names[name]}={_short(value)}" for name, value in row.values.items())
    if row.state == FAILED:
        return f"trial {row.number}: failed: {row.reason} | {values}"
    pruned = f" pruned after {_epochs(row)}," if row.state == PRUNED else ""
    return (
        f"trial {row.number}:{pruned} dev eer {100 * row.dev_eer:.2f} % | {values} | "
        f"{row.seconds:.1f} s"
    )


def format_results(study: SearchStudy, rows: Sequence[Row]) -> str:
    """Return the table for a terminal."""
    counts = Counter(row.state for row in rows)
    told = ", ".join(f"{counts[state]} {state}" for state in _ORDER if counts[state])
    lines = [f"{study.folder}: {len(rows)} trials: {told}", ""]
    scored = [row for row in rows if row.state != FAILED]
    names = short_names([one.name for one in study.space.parameters])
    cells = [["trial", "dev EER", "epochs", "time", *names.values()]]
    cells += [_cells(row, list(names)) for row in scored[:_ROWS_SHOWN]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if scored:
        for line in cells:
            padded = (cell.rjust(width) for cell, width in zip(line, widths, strict=True))
            lines.append("  " + "  ".join(padded))
    if len(scored) > _ROWS_SHOWN:
        lines.append(f"  … {len(scored) - _ROWS_SHOWN} more in {TABLE_CSV}")
    failed = [row for row in rows if row.state == FAILED]
    lines += [f"  trial {row.number} failed: {row.reason}" for row in failed[:_FAILURES_SHOWN]]
    if len(failed) > _FAILURES_SHOWN:
        lines.append(f"  … {len(failed) - _FAILURES_SHOWN} more failed, see {TABLE_CSV}")
    if any(row.state == PRUNED for row in scored[:_ROWS_SHOWN]):
        lines.append("  * pruned: stopped after so many epochs")
    return "\n".join(lines)


def _cells(row: Row, names: Sequence[str]) -> list[str]:
    return [
        str(row.number),
        f"{100 * row.dev_eer:.2f} %",
        f"{row.num_epochs}{'*' if row.state == PRUNED else ' '}",
        f"{row.seconds:.0f} s",
        *(_short(row.values[name]) for name in names),
    ]


def _epochs(row: Row) -> str:
    return f"{row.num_epochs} epoch{'s' * (row.num_epochs != 1)}"


def _short(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value).replace(" ", "")


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Return for each dotted name the shortest end of it that no other shares."""
    found = {}
    for name in names:
        parts = name.split(".")
        # A number alone is a place in a tuple and tells nothing.
        first = 2 if parts[-1].isdigit() else 1
        ends = (".".join(parts[-count:]) for count in range(first, len(parts) + 1))
        found[name] = next(
            end for end in ends if sum(f".{other}".endswith(f".{end}") for other in names) == 1
        )
    return found


def write_table(study: SearchStudy, rows: Sequence[Row]) -> Path:
    """Write ``trials.csv``: dev EER as a fraction, parameters by their full names."""
    names = [one.name for one in study.space.parameters]
    lines: list[list[object]] = [
        ["trial", "state", "dev_eer", "epochs", "seconds", "reason", *names]
    ]
    for row in rows:
        eer = None if math.isnan(row.dev_eer) else row.dev_eer
        told = [row.number, row.state, eer, row.num_epochs, round(row.seconds, 3), row.reason]
        lines.append([*told, *(row.values.get(name) for name in names)])
    path = study.folder / TABLE_CSV
    write_text_atomically(path, csv_text(lines))
    return path


def train_command(config_path: str, overrides: Sequence[str], workdir: Path) -> str:
    """Return the command that trains an experiment, to be pasted into a shell."""
    words = ["--config", config_path, "--workdir", str(workdir), *overrides]
    return " ".join(["python", "train.py", *map(shlex.quote, words)])
