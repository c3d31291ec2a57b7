"""A recording and what its windows got, one above the other over time."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.reports.canvas import (
    BONAFIDE_COLOUR,
    SPOOF_COLOUR,
    drawn_figure,
    legend_label,
    png,
    svg,
)
from rawnet_jax.scoring.envelope import Envelope
from rawnet_jax.scoring.file_scorer import FileScore
from rawnet_jax.scoring.verdict import CANNOT_JUDGE, DecisionRule, Record, window_records

SIZE = (9.2, 4.6)
_WAVE_COLOUR = "#6b7280"
_UNJUDGED_COLOUR = "#9aa0a6"
_BAND = 0.07  # of the height, above and below what is shown


@dataclass(frozen=True, slots=True, eq=False)
class TimeLine:
    """What is drawn.

    Attributes:
        title: of the picture, such as the file's name.
        subtitle: of it, in one line.
        envelope: of the recording.
        start_s: float64 [K], where each window begins.
        end_s: float64 [K].
        value: float64 [K], what it got; NaN where it cannot be judged.
        threshold: bona fide at and above it.
        label: of the values, with their unit.
        whole: value of the whole recording; None = there is none.
    """

    title: str
    subtitle: str
    envelope: Envelope
    start_s: np.ndarray
    end_s: np.ndarray
    value: np.ndarray
    threshold: float
    label: str
    whole: float | None = None

    @property
    def is_spoof(self) -> np.ndarray:
        """Return bool [K], whether a window is below the threshold."""
        with np.errstate(invalid="ignore"):
            below: np.ndarray = self.value < self.threshold
        return below


def time_line_of(found: FileScore, record: Record, decision: DecisionRule) -> TimeLine:
    """Return what is drawn of one recording.

    Args:
        found: its scores; its watcher was an `Envelope`.
        record: what is said of it.
        decision: the decision rule; windows are drawn on the scale that its threshold is on.
    """
    point, calibration = decision.point, decision.calibration
    value, label = found.windows.score.astype(np.float64), "score"
    whole = record["score"]
    if point.on_llr and calibration is not None:
        value, label, whole = value.copy(), "log-likelihood ratio", record["llr"]
        known = np.isfinite(value)
        value[known] = calibration.apply(value[known])
    said = [said["verdict"] for _, _, said in window_records(found.windows, decision)]
    value[np.array(said) == CANNOT_JUDGE] = np.nan
    if record["verdict"] == CANNOT_JUDGE:
        whole = None
    return TimeLine(
        title=found.path,
        subtitle=_subtitle(record),
        envelope=found.watched,
        start_s=found.windows.start_s,
        end_s=found.windows.end_s,
        value=value,
        threshold=point.threshold,
        label=f"{label}\n(higher = more bona fide)",
        whole=whole,
    )


def _subtitle(record: Record) -> str:
    if record["reason"]:
        return f"{record['verdict']}: {record['reason']}"
    said = f"{record['verdict']}, score {record['score']:+.3f}"
    if record["llr"] is not None:
        said += f", log-likelihood ratio {record['llr']:+.2f}, "
        said += f"P(spoof) {record['p_spoof']:.3f} at a prior of {record['prior']:g}"
    return said


def time_line_png(line: TimeLine) -> bytes:
    """Return the picture: the waveform, and under it the values of its windows over time."""
    return png(partial(_draw, line), SIZE)


def time_line_svg(line: TimeLine) -> str:
    """Return the picture as an ``<svg>`` element that needs nothing else."""
    return svg(partial(_draw, line), SIZE, f"time-line-{uuid.uuid4().hex[:8]}")


def time_line_figure(line: TimeLine) -> Figure:
    """Return the picture as a matplotlib figure."""
    return drawn_figure(partial(_draw, line), SIZE)


def _draw(line: TimeLine, figure: Figure) -> None:
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.2))
    upper.set_title(legend_label(line.title), pad=20)
    under = {"xycoords": "axes fraction", "textcoords": "offset points"}
    upper.annotate(legend_label(line.subtitle, 110), (0, 1), (0, 6), **under, fontsize=9)
    _draw_waveform(upper, line)
    _draw_values(lower, line)
    handles, labels = lower.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)


def _draw_waveform(axes: Axes, line: TimeLine) -> None:
    for start, end, colour in _spans(line):
        axes.axvspan(start, end, color=colour, alpha=0.12, linewidth=0)
    time_s, low, high = line.envelope.lines()
    axes.fill_between(time_s, low, high, color=_WAVE_COLOUR, linewidth=0.4, step="mid")
    peak = float(max(np.abs(low).max(initial=0), np.abs(high).max(initial=0))) or 1.0
    axes.set_ylim(-1.05 * peak, 1.05 * peak)
    axes.set_xlim(0, max(line.envelope.num_samples / SAMPLE_RATE_HZ, 1e-3))
    axes.set_ylabel("waveform")
    axes.tick_params(axis="x", labelbottom=False)


def _draw_values(axes: Axes, line: TimeLine) -> None:
    middle_s = (line.start_s + line.end_s) / 2
    is_judged, is_spoof = np.isfinite(line.value), line.is_spoof
    shown = [*line.value[is_judged].tolist(), line.threshold]
    shown += [] if line.whole is None else [line.whole]
    margin = _BAND * (max(shown) - min(shown)) or 1.0
    axes.set_ylim(min(shown) - margin, max(shown) + margin)
    axes.plot(middle_s, line.value, color=_WAVE_COLOUR, linewidth=0.8, zorder=2)
    for name, colour, chosen in (
        ("bona fide", BONAFIDE_COLOUR, is_judged & ~is_spoof),
        ("spoof", SPOOF_COLOUR, is_spoof),
    ):
        places = (line.value[chosen], line.start_s[chosen], line.end_s[chosen])
        axes.hlines(*places, color=colour, alpha=0.35, linewidth=2.0, zorder=3)
        axes.plot(middle_s[chosen], line.value[chosen], "o", color=colour, label=name, zorder=4)
    axes.axhline(line.threshold, color="black", linestyle="--", linewidth=1.0, label="threshold")
    if line.whole is not None:
        axes.axhline(
            line.whole, color="black", linestyle=":", linewidth=1.4, label="the whole recording"
        )
    name = "cannot be judged"  # once in the legend
    for start, end, _ in (span for span in _spans(line) if span[2] == _UNJUDGED_COLOUR):
        axes.axvspan(start, end, color=_UNJUDGED_COLOUR, alpha=0.18, linewidth=0, label=name)
        name = ""
    axes.set_xlabel("time in s")
    axes.set_ylabel(line.label)


def _spans(line: TimeLine) -> Iterator[tuple[float, float, str]]:
    """Yield (start, end, colour) of stretches of one kind, halfway between windows' middles."""
    count = len(line.value)
    if not count:
        return
    middle_s = (line.start_s + line.end_s) / 2
    edges = np.concatenate(
        (line.start_s[:1], (middle_s[1:] + middle_s[:-1]) / 2, line.end_s[-1:])
    ).tolist()
    kind = np.where(np.isfinite(line.value), line.is_spoof, 2)
    firsts = np.flatnonzero(np.diff(kind, prepend=-1)).tolist()
    for first, after in pairwise([*firsts, count]):
        colour = (BONAFIDE_COLOUR, SPOOF_COLOUR, _UNJUDGED_COLOUR)[int(kind[first])]
        yield edges[first], edges[after], colour
