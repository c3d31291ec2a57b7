"""A recording and what its windows got, one above the other over time."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.reports.canvas import BONAFIDE_COLOUR, SPOOF_COLOUR, legend_label, png

SIZE = (9.2, 4.6)
_WAVE_COLOUR = "#6b7280"
_UNJUDGED_COLOUR = "#9aa0a6"
_MAX_BINS = 4096
_FIRST_BIN = 64  # samples
_BAND = 0.07  # of the height, above and below what is shown


class Envelope:
    """The lowest and highest sample of every stretch of a recording that comes in blocks.

    Stretches double in length when there are too many of them, so an hour takes as little memory
    as a second.
    """

    def __init__(self, max_bins: int = _MAX_BINS) -> None:
        """Start a recording.

        Args:
            max_bins: even; so many stretches at most.
        """
        self.bin_samples = _FIRST_BIN
        self.num_samples = 0
        self._max_bins = max_bins
        self._bins = np.zeros((0, 2), np.float32)
        self._rest = np.zeros(0, np.float32)

    def add(self, block: np.ndarray) -> None:
        """Take the next float [n]."""
        self.num_samples += len(block)
        samples = np.concatenate((self._rest, block))
        full = len(samples) // self.bin_samples * self.bin_samples
        self._rest = samples[full:].copy()
        self._bins = np.concatenate((self._bins, _extremes(samples[:full], self.bin_samples)))
        while len(self._bins) > self._max_bins:
            self._halve()

    def _halve(self) -> None:
        if len(self._bins) % 2:  # its samples are gone; the two extremes stand for them
            whole, last = self._bins[:-1], self._bins[-1]
            filler = np.resize(last, self.bin_samples)
            self._rest = np.concatenate((filler, self._rest))
            self._bins = whole
        low, high = self._bins.reshape(-1, 2, 2).transpose(2, 0, 1)
        self._bins = np.stack((low.min(axis=1), high.max(axis=1)), axis=1)
        self.bin_samples *= 2

    def lines(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return time in s of the middle of each stretch, its lowest and its highest sample."""
        bins = self._bins
        if len(self._rest):
            bins = np.concatenate((bins, _extremes(self._rest, len(self._rest))))
        middle_s = (np.arange(len(bins)) + 0.5) * self.bin_samples / SAMPLE_RATE_HZ
        return middle_s, bins[:, 0], bins[:, 1]


def _extremes(samples: np.ndarray, size: int) -> np.ndarray:
    rows = samples.reshape(-1, size)
    return np.stack((rows.min(axis=1), rows.max(axis=1)), axis=1).astype(np.float32)


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


def time_line_png(line: TimeLine) -> bytes:
    """Return the picture: the waveform, and under it the values of its windows over time."""

    def draw(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.2))
        upper.set_title(legend_label(line.title), pad=20)
        under = {"xycoords": "axes fraction", "textcoords": "offset points"}
        upper.annotate(legend_label(line.subtitle, 110), (0, 1), (0, 6), **under, fontsize=9)
        _draw_waveform(upper, line)
        _draw_values(lower, line)
        handles, labels = lower.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5)

    return png(draw, SIZE)


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
