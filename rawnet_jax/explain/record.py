"""An explanation as plain numbers and words: what is written as JSON, and printed on a terminal."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np

from rawnet_jax.explain.baseline import FLOOR
from rawnet_jax.explain.choice import Choice
from rawnet_jax.explain.explanation import Explanation
from rawnet_jax.explain.gradients import Attribution
from rawnet_jax.explain.parts import Parts

UNITS = {
    "score": "higher = more bona fide",
    "change": "score minus score without the part; above 0 the part moved the score toward bona "
    "fide, below 0 toward spoof",
    "share": "what the part adds to score - baseline_score; above 0 toward bona fide",
    "*_s": "seconds from the start of the clip",
    "*_hz": "Hz",
    "*_dbfs": "RMS in dB; 0 = a square wave of full scale",
    "grid": "rows are spans, columns are bands",
}
"""What the numbers of `explanation_record` are, by field."""


def explanation_record(found: Explanation, choice: Choice) -> dict[str, Any]:
    """Return an explanation ready for JSON; times are from the start of the whole clip.

    Args:
        found: the explanation of the chosen window.
        choice: which window it is.
    """
    settings = asdict(found.settings)
    settings["num_spans"] = found.parts.num_spans
    record = {
        "score": found.score,
        "window": _window_record(choice),
        "settings": settings,
        "baseline": {
            "what": "the clip's noise floor" if found.settings.fill == FLOOR else "silence",
            "level_dbfs": level_dbfs(found.baseline),
            "clip_level_dbfs": level_dbfs(found.waveform),
            "score": found.occlusion.baseline_score,
        },
        "occlusion": _occlusion_record(found, choice.start_s),
    }
    if found.attribution is not None:
        record["gradient"] = _gradient_record(found.attribution, found.parts, choice.start_s)
    record["attention"] = [
        {
            "name": one.name,
            "meaning": one.meaning,
            "spans": _listed(one.by_span(found.parts.span_edges_s)),
            "bands": _listed(one.by_band(found.parts.band_edges_hz)),
        }
        for one in found.attention
    ]
    return _finite(record)


def summary_lines(found: Explanation, choice: Choice, count: int = 3) -> list[str]:
    """Return as text which spans and bands moved the score most, by occlusion.

    Args:
        found: the explanation.
        choice: of the window.
        count: how many of each.
    """
    edges_s = choice.start_s + found.parts.span_edges_s
    spans = [f"{a:.2f} to {b:.2f} s" for a, b in pairwise(edges_s)]
    hz = found.parts.band_edges_hz
    bands = [f"{a:g} to {b:g} Hz" for a, b in pairwise(hz)]
    return [
        f"{name}: " + ", ".join(_strongest(names, changes, count))
        for name, names, changes in (
            ("spans", spans, found.occlusion.spans),
            ("bands", bands, found.occlusion.bands),
        )
    ]


def level_dbfs(waveform: np.ndarray) -> float:
    """Return the RMS level of [n] in dB; -inf for silence."""
    power = float(np.mean(np.square(waveform, dtype=np.float64)))
    return 10 * math.log10(power) if power > 0 else -math.inf


def _strongest(names: Sequence[str], changes: np.ndarray, count: int) -> list[str]:
    order = np.argsort(-np.abs(changes), kind="stable")[:count]
    return [f"{names[i]} {changes[i]:+.3g}" for i in order]


def _window_record(choice: Choice) -> dict[str, Any]:
    windows = choice.windows
    return {
        "start_s": choice.start_s,
        "end_s": choice.end_s,
        "chosen": choice.how or "the whole clip",
        "all_windows": [
            {"start_s": float(start), "end_s": float(end), "score": float(score)}
            for start, end, score in zip(windows.start_s, windows.end_s, windows.score, strict=True)
        ],
    }


def _occlusion_record(found: Explanation, start_s: float) -> dict[str, Any]:
    occlusion = found.occlusion
    return {
        "spans": _span_rows(found.parts, start_s, occlusion.spans, "change"),
        "bands": _band_rows(found.parts, occlusion.bands, "change"),
        "grid": _listed(occlusion.grid),
        "change_by_all": occlusion.score - occlusion.baseline_score,
    }


def _gradient_record(attribution: Attribution, parts: Parts, start_s: float) -> dict[str, Any]:
    grid = attribution.by_parts(parts)
    return {
        "method": attribution.method,
        "num_gradients": attribution.num_gradients,
        "spans": _span_rows(parts, start_s, grid.sum(axis=1), "share"),
        "bands": _band_rows(parts, grid.sum(axis=0), "share"),
        "grid": _listed(grid),
        "total": attribution.total,
        "score_difference": attribution.score - attribution.baseline_score,
        "unexplained": attribution.unexplained,
    }


def _span_rows(
    parts: Parts, start_s: float, values: np.ndarray, name: str
) -> list[dict[str, float]]:
    edges = (start_s + parts.span_edges_s).tolist()
    return [
        {"start_s": low, "end_s": high, name: value}
        for (low, high), value in zip(pairwise(edges), values.tolist(), strict=True)
    ]


def _band_rows(parts: Parts, values: np.ndarray, name: str) -> list[dict[str, float]]:
    edges = parts.band_edges_hz.tolist()
    return [
        {"low_hz": low, "high_hz": high, name: value}
        for (low, high), value in zip(pairwise(edges), values.tolist(), strict=True)
    ]


def _listed(values: np.ndarray | None) -> Any:
    return None if values is None else values.tolist()


def _finite(value: Any) -> Any:
    """Return the same with None for what JSON has no number for."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
