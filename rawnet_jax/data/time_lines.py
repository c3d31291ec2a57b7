"""What ``score --windows`` wrote: the time line of each recording."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.csv_text import csv_rows
from rawnet_jax.data.text_file import as_text, read_lines
from rawnet_jax.errors import DataError
from rawnet_jax.json_text import parsed_json


@dataclass(frozen=True, slots=True, eq=False)
class TimeLine:
    """One recording.

    Attributes:
        name: as the file has it.
        duration_s: of the recording.
        start_s: float64 [W], where windows begin.
        end_s: float64 [W], where they end.
        score: float64 [W], NaN where a window has none.
    """

    name: str
    duration_s: float
    start_s: np.ndarray
    end_s: np.ndarray
    score: np.ndarray


def read_time_lines(path: str | Path) -> list[TimeLine]:
    """Read the time lines that ``score --windows`` wrote, as ``csv`` or ``jsonl``.

    Recordings without a window are left out.

    Raises:
        DataError: the file cannot be read, is none of these, or has no windows.
    """
    lines = read_lines(path)
    first = next(line for line in lines if line.strip())
    found = _of_json(path, lines) if first.startswith("{") else _of_csv(path, lines)
    if not found:
        raise DataError(f"{path}: has no windows; it must be made by score --windows")
    return found


def _of_json(path: str | Path, lines: list[str]) -> list[TimeLine]:
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record: Any = parsed_json(line)
            rows = [(w["start_s"], w["end_s"], w["score"]) for w in record.get("windows", ())]
            if rows:
                found.append(_line(record["path"], record["duration_s"], rows))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise DataError(f"{path}:{number}: no record of score --windows") from None
    return found


def _of_csv(path: str | Path, lines: list[str]) -> list[TimeLine]:
    try:
        header, *rows = csv_rows("".join(f"{line}\n" for line in lines))
    except ValueError as error:
        raise DataError(f"{path}: no CSV: {error}") from None
    needed = ("part", "start_s", "end_s", "path", "score")
    if not set(needed) <= set(header):
        raise DataError(f"{path}:1: no columns {', '.join(needed)}; score --windows writes them")
    found: list[TimeLine] = []
    waiting: list[tuple[Any, Any, Any]] = []
    for number, row in enumerate(rows, 2):
        cells = dict(zip(header, row, strict=False))
        try:
            if cells["part"] == "window":
                waiting.append((cells["start_s"], cells["end_s"], cells["score"] or None))
                continue
            if waiting:
                found.append(_line(as_text(cells["path"]), cells["end_s"], waiting))
        except (ValueError, KeyError):
            raise DataError(f"{path}:{number}: no row of score --windows") from None
        waiting = []
    if waiting:
        raise DataError(f"{path}: ends with windows, without the row of their recording; cut off?")
    return found


def _line(name: str, duration_s: Any, rows: list[tuple[Any, Any, Any]]) -> TimeLine:
    start, end = (np.array([float(row[at]) for row in rows]) for at in (0, 1))
    score = np.array([np.nan if row[2] is None else float(row[2]) for row in rows])
    return TimeLine(str(name), float(duration_s), start, end, score)
