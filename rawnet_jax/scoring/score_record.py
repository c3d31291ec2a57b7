"""What is said of one file, as plain values: verdict, score, likelihood ratio, time line."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rawnet_jax.labels import Label
from rawnet_jax.scoring.file_scorer import FileScore, Outcome
from rawnet_jax.scoring.verdict import Judge
from rawnet_jax.scoring.windows import WindowScores

Record = dict[str, Any]
"""Names of `FIELDS` to strings, numbers and None, ready for JSON; ``spoof_s`` and ``windows`` only
where the time line is asked for."""

CANNOT_JUDGE = Outcome.CANNOT_JUDGE.value
"""The verdict on what has no score."""

FIELDS = (
    *("path", "verdict", "score", "llr", "p_spoof", "prior", "duration_s", "scored_s"),
    *("num_windows", "reason"),
)


def record_of(found: FileScore, judge: Judge, *, time_line: bool = False) -> Record:
    """Return all that is said of a file.

    Args:
        found: its scores.
        judge: reads them.
        time_line: with ``windows`` (each with start_s, end_s, verdict, score, llr, p_spoof) and
            ``spoof_s``, the spans that windows of spoof cover: [start, end] in seconds.
    """
    windows = found.windows
    record: Record = {"path": found.path} | judged(found.score, judge)
    if found.score is None:
        record["verdict"] = found.outcome.value
    record |= {
        "prior": None if judge.calibration is None else judge.prior,
        "duration_s": found.duration_s,
        "scored_s": found.scored_s,
        "num_windows": found.num_windows,
        "reason": found.reason or None,
    }
    if time_line:
        record["spoof_s"] = spoof_spans(windows, judge)
        record["windows"] = [
            {"start_s": start, "end_s": end} | judged(score, judge)
            for start, end, score in _rows(windows)
        ]
    return record


def spoof_spans(windows: WindowScores, judge: Judge) -> list[list[float]]:
    """Return what the windows that are called spoof cover: [start, end] in s, apart and rising."""
    spans: list[list[float]] = []
    for start, end, score in _rows(windows):
        if score is None or judge(score).label != Label.SPOOF:
            continue
        if spans and start <= spans[-1][1]:
            spans[-1][1] = end
        else:
            spans.append([start, end])
    return spans


def _rows(windows: WindowScores) -> Iterator[tuple[float, float, float | None]]:
    """Yield start, end and score of each window; None = it cannot be judged."""
    for start, end, score in zip(windows.start_s, windows.end_s, windows.score, strict=True):
        yield float(start), float(end), None if np.isnan(score) else float(score)


def judged(score: float | None, judge: Judge) -> Record:
    """Return verdict, score, log-likelihood ratio and P(spoof) of a score; None = no score."""
    if score is None:
        return {"verdict": CANNOT_JUDGE, "score": None, "llr": None, "p_spoof": None}
    said = judge(score)
    return {
        "verdict": said.label.key,
        "score": said.score,
        "llr": said.llr,
        "p_spoof": said.p_spoof,
    }
