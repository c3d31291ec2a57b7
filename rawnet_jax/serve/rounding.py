"""The one place where a score is rounded before anything is concluded from it.

A score depends in its last digits on the batch that it was computed in. What a client is told is
rounded, and a verdict is that of the rounded score. Where even that could turn with the batch,
`may_turn` says so, and the recording is scored alone.
"""

from dataclasses import replace

import numpy as np

from rawnet_jax.scoring.file_scorer import FileScore
from rawnet_jax.scoring.verdict import DecisionRule

DIGITS = 4
"""Behind the point."""

STEP = 10.0**-DIGITS
"""Scores of one recording in two batches must be nearer than this."""


def rounded(found: FileScore) -> FileScore:
    """Return what is known of a recording, its scores rounded to `DIGITS`."""
    windows = replace(
        found.windows, score=_round(found.windows.score), more=_round(found.windows.more)
    )
    return replace(
        found,
        score=None if found.score is None else _one(found.score),
        distance=None if found.distance is None else _one(found.distance),
        windows=windows,
    )


def may_turn(found: FileScore, decision: DecisionRule) -> bool:
    """Return whether a verdict on it could be another one in another batch."""
    windows = found.windows
    rows = zip(windows.score.tolist(), windows.distance.tolist(), strict=True)
    pairs = [(found.score, found.distance, False), *((s, d, True) for s, d in rows)]
    return any(
        _said(decision, score - STEP, _moved(distance, -STEP), of_window)
        != _said(decision, score + STEP, _moved(distance, STEP), of_window)
        for score, distance, of_window in pairs
        if score is not None and np.isfinite(score)
    )


def _said(
    decision: DecisionRule, score: float, distance: float | None, of_window: bool
) -> tuple[bool, object]:
    is_refused = decision.refusal(score, distance, of_window=of_window) is not None
    return is_refused, decision(score).label


def _moved(distance: float | None, step: float) -> float | None:
    return None if distance is None else distance + step


def _round(values: np.ndarray) -> np.ndarray:
    # In float64: the nearest float32 of 0.1234 is printed with nine digits.
    return np.round(values.astype(np.float64), DIGITS) + 0.0


def _one(value: float) -> float:
    return round(float(value), DIGITS) + 0.0
