"""An explanation as a picture: what moved the score, over time and over frequency."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from scipy.ndimage import gaussian_filter

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.dsp.filters import NYQUIST_HZ, hz_to_mel
from rawnet_jax.explain.baseline import FLOOR
from rawnet_jax.explain.gradients import INTEGRATED, Attribution
from rawnet_jax.explain.spectra import HOP, short_spectra
from rawnet_jax.reports.canvas import BONAFIDE_COLOUR, INK, SPOOF_COLOUR, legend_label, png

if TYPE_CHECKING:  # these modules import JAX, which a picture does not need
    from rawnet_jax.explain.attention import AttentionMap
    from rawnet_jax.explain.choice import Choice
    from rawnet_jax.explain.explanation import Explanation

WIDTH = 10.0  # inches
_WAVE_COLOUR = "#6b7280"
_TICKS_HZ = (250, 500, 1000, 2000, 3000, 4000, 6000, 8000)
_STRETCHES = 2400  # of a waveform, about
_COLUMNS = 500  # of a spectrogram, about
_RANGE_DB = 70.0
_DARKEST = 0.45
_FULL = 0.9  # how much of its colour the strongest part has
_STRONGEST = 0.99  # of cells that are below full colour, where there are many

_WEIGHTS = "cividis"
_PLAIN = (-2, 4)  # powers of ten that are written out
_BAR: dict[str, Any] = {"edgecolor": "white", "linewidth": 0.4}

DrawRow = Callable[[Axes, Axes], None]


@dataclass(frozen=True, slots=True)
class Caption:
    """What stands above a picture.

    Attributes:
        title: the file.
        verdict: score and what it stands for.
        threshold: of scores, drawn among those of windows; None = there is none on this scale.
    """

    title: str
    verdict: str
    threshold: float | None = None


def explanation_png(found: Explanation, choice: Choice, caption: Caption) -> bytes:
    """Draw an explanation.

    Args:
        found: the explanation of the chosen window.
        choice: which window of the clip that is.
        caption: what stands above.
    """
    rows = _rows(found, choice, caption)
    heights = [height for height, _ in rows]

    def draw(figure: Figure) -> None:
        title = f"{legend_label(caption.title)}\n{caption.verdict}"
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
        grid = figure.subplots(
            len(rows), 2, squeeze=False, height_ratios=heights, width_ratios=(4.2, 1)
        )
        for (_, draw_row), (left, right) in zip(rows, grid, strict=True):
            right.set_visible(False)
            draw_row(left, right)
        grid[-1, 0].set_xlabel("time in s")
        figure.align_ylabels(grid[:, 0])
        figure.legend(
            handles=[
                Patch(color=BONAFIDE_COLOUR, label="moved the score toward bona fide"),
                Patch(color=SPOOF_COLOUR, label="toward spoof"),
            ],
            loc="outside lower left",
            ncols=2,
        )

    return png(draw, (WIDTH, sum(heights) + 1.2))


def _rows(found: Explanation, choice: Choice, caption: Caption) -> list[tuple[float, DrawRow]]:
    """Return height in inches and content of every row."""
    scene = _Scene(found, choice.start_s)
    rows: list[tuple[float, DrawRow]] = []
    if len(choice.windows) > 1:
        rows.append((1.2, lambda left, _: _draw_windows(left, choice, caption.threshold)))
    rows.append((0.9, lambda left, _: _draw_waveform(left, found.waveform, choice.start_s)))
    occlusion = found.occlusion
    what = "the noise floor" if found.settings.fill == FLOOR else "silence"
    title = f"Occlusion: score, minus score with {what} in place of the part"
    rows.append((1.5, lambda left, _: scene.span_bars(left, occlusion.spans, title)))
    overlay = None if occlusion.grid is None else scene.of_cells(occlusion.grid)
    rows.append((2.4, lambda left, right: scene.map(left, right, overlay, occlusion.bands)))
    if found.attribution is not None:
        rows += _gradient_rows(found.attribution, scene, what)
    return rows + _attention_rows(found.attention, scene)


def _gradient_rows(
    attribution: Attribution, scene: _Scene, baseline: str
) -> list[tuple[float, DrawRow]]:
    grid = attribution.by_parts(scene.parts)
    title = "Smooth gradients: what each part adds, going by the slope at this clip"
    if attribution.method == INTEGRATED:
        gap = attribution.score - attribution.baseline_score
        title = (
            f"Integrated gradients: what each part adds to {baseline}'s "
            f"{attribution.baseline_score:+.3g} (sum {attribution.total:+.3g} of {gap:+.3g})"
        )
    frames = scene.of_frames(attribution.by_frames())
    return [
        (1.4, lambda left, _: scene.span_bars(left, grid.sum(axis=1), title)),
        (2.4, lambda left, right: scene.map(left, right, frames, grid.sum(axis=0))),
    ]


def _draw_windows(axes: Axes, choice: Choice, threshold: float | None) -> None:
    """Draw the scores of all windows of the clip, and which of them is explained."""
    windows = choice.windows
    axes.axvspan(choice.start_s, choice.end_s, color=INK, alpha=0.12, linewidth=0)
    middle_s = (windows.start_s + windows.end_s) / 2
    axes.hlines(windows.score, windows.start_s, windows.end_s, color=_WAVE_COLOUR, linewidth=1.5)
    axes.plot(middle_s, windows.score, ".", color=_WAVE_COLOUR)
    if threshold is not None:
        axes.axhline(threshold, color=INK, linestyle="--", linewidth=1, label="threshold")
        axes.legend(loc="lower right", fontsize="x-small", borderaxespad=0.1)
    axes.set_xlim(0, max(float(windows.end_s[-1]), choice.end_s))
    axes.set_ylabel("score")
    where = f"{choice.start_s:.2f} to {choice.end_s:.2f} s"
    axes.set_title(f"All windows of the clip; below, {where}, {choice.how}")


def _draw_waveform(axes: Axes, waveform: np.ndarray, start_s: float) -> None:
    first = np.arange(0, len(waveform), max(1, len(waveform) // _STRETCHES))
    low, high = (find.reduceat(waveform, first) for find in (np.minimum, np.maximum))
    time_s = start_s + first / SAMPLE_RATE_HZ
    axes.fill_between(time_s, low, high, color=_WAVE_COLOUR, linewidth=0.4, step="post")
    peak = float(np.abs(waveform).max()) or 1.0
    axes.set_ylim(-1.05 * peak, 1.05 * peak)
    axes.set_xlim(start_s, start_s + len(waveform) / SAMPLE_RATE_HZ)
    axes.set_ylabel("waveform")
    axes.tick_params(labelbottom=False)


class _Scene:
    """The spectrogram of a window, and what is laid over it."""

    def __init__(self, found: Explanation, start_s: float) -> None:
        self.parts = found.parts
        self._start_s = start_s
        num_samples = len(found.waveform)
        hop = max(HOP // 4, num_samples // _COLUMNS)
        power = np.abs(short_spectra(found.waveform, hop)) ** 2
        level_db = 10 * np.log10(np.maximum(power, 1e-20))
        level = np.clip((level_db - level_db.max()) / _RANGE_DB + 1, 0, 1)
        self._grey = 1 - (1 - _DARKEST) * level  # [columns, bins]
        self._column_s = np.arange(len(power)) * hop / SAMPLE_RATE_HZ
        half_s = hop / 2 / SAMPLE_RATE_HZ
        self._time_edges = start_s + np.append(self._column_s - half_s, self._column_s[-1] + half_s)
        self._bin_hz = np.linspace(0, NYQUIST_HZ, power.shape[1])
        edges_hz = (self._bin_hz[1:] + self._bin_hz[:-1]) / 2
        self._mel_edges = hz_to_mel(np.concatenate(([0], edges_hz, [NYQUIST_HZ])))
        self._limits = (start_s, start_s + float(found.parts.span_edges_s[-1]))

    def of_cells(self, grid: np.ndarray) -> np.ndarray:
        """Return values of spans and bands [S, B] on the spectrogram, [columns, bins]."""
        span = np.searchsorted(self.parts.span_edges_s, self._column_s, side="right") - 1
        band = np.searchsorted(self.parts.band_edges_hz, self._bin_hz, side="right") - 1
        span, band = (np.clip(i, 0, n - 1) for i, n in zip((span, band), grid.shape, strict=True))
        largest = np.abs(grid).max()
        return grid[span][:, band] / (largest or 1.0)

    def of_frames(self, shares: np.ndarray) -> np.ndarray:
        """Return shares of short frames [F, bins] on the spectrogram, [columns, bins]."""
        smooth = gaussian_filter(shares, (1.0, 1.5))
        frame_s = np.arange(len(smooth)) * HOP / SAMPLE_RATE_HZ
        drawn = np.stack([np.interp(self._column_s, frame_s, one) for one in smooth.T], axis=1)
        largest = np.quantile(np.abs(drawn), _STRONGEST)
        return np.clip(drawn / (largest or 1.0), -1, 1)

    def span_bars(self, axes: Axes, values: np.ndarray, title: str) -> None:
        """Draw a bar a span."""
        edges = self._start_s + self.parts.span_edges_s
        axes.bar(edges[:-1], values, np.diff(edges), align="edge", color=_colours(values), **_BAR)
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set_xlim(*self._limits)
        axes.set_ylabel("change")
        axes.set_axisbelow(True)
        axes.set_title(title)
        axes.tick_params(labelbottom=False)
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.ticklabel_format(axis="y", scilimits=_PLAIN)

    def map(self, left: Axes, right: Axes, overlay: np.ndarray | None, bands: np.ndarray) -> None:
        """Draw the spectrogram with values from -1 to 1 laid over it, and a bar a band."""
        image = np.repeat(self._grey[..., None], 3, axis=2)
        if overlay is not None:
            share = (_FULL * np.abs(overlay) ** 0.7)[..., None]
            hue = np.where(overlay[..., None] > 0, to_rgb(BONAFIDE_COLOUR), to_rgb(SPOOF_COLOUR))
            image = (1 - share) * image + share * hue * (0.5 + 0.5 * image)
        left.pcolormesh(self._time_edges, self._mel_edges, image.swapaxes(0, 1), rasterized=True)
        left.grid(False)
        left.set_xlim(*self._limits)
        _frequency_axis(left)
        edges = hz_to_mel(self.parts.band_edges_hz)
        right.set_visible(True)
        right.barh(edges[:-1], bands, np.diff(edges), align="edge", color=_colours(bands), **_BAR)
        right.axvline(0, color=INK, linewidth=0.8)
        _frequency_axis(right)
        right.set_ylabel("")
        right.tick_params(labelleft=False)
        right.xaxis.set_major_locator(MaxNLocator(3))
        right.ticklabel_format(axis="x", scilimits=_PLAIN)
        right.set_axisbelow(True)
        right.set_title("by band")

    def attention(
        self, over_time: AttentionMap, rows: AttentionMap, left: Axes, right: Axes
    ) -> None:
        """Draw what the network's own attention weighs, over time and beside it by rows."""
        left.set_title(f"The network's own {over_time.name}")
        left.set_xlim(*self._limits)
        assert over_time.time_edges_s is not None
        time_edges = self._start_s + over_time.time_edges_s
        if len(over_time.values) == 1:
            left.stairs(over_time.values[0], time_edges, color=_WAVE_COLOUR, fill=True, alpha=0.6)
            left.set_ylabel("weight")
        else:
            low, high = np.quantile(over_time.values, (1 - _STRONGEST, _STRONGEST))
            left.pcolormesh(
                time_edges,
                _row_edges(over_time),
                over_time.values,
                cmap=_WEIGHTS,
                vmin=low,
                vmax=high,
                rasterized=True,
            )
            left.grid(False)
            _row_axis(left, over_time)
        if len(rows.values) > 1:
            edges, means = _row_edges(rows), rows.values.mean(axis=1)
            right.set_visible(True)
            right.barh(edges[:-1], means, np.diff(edges), align="edge", color=_WAVE_COLOUR)
            right.set_xlim(min(means.min(), means.mean() * 0.9), None)
            _row_axis(right, rows)
            right.set_ylabel("")
            right.set_title("mean" if rows is over_time else rows.name, fontsize="small")
            right.xaxis.set_major_locator(MaxNLocator(3))


def _attention_rows(maps: list[AttentionMap], scene: _Scene) -> list[tuple[float, DrawRow]]:
    """Return a row for each map over time; one that knows no time goes beside the last of them."""
    over_time = [one for one in maps if one.time_edges_s is not None]
    by_row = [one for one in maps if one.time_edges_s is None]
    beside = [*over_time[: len(over_time) - len(by_row)], *by_row]
    return [
        (1.9, partial(scene.attention, one, rows))
        for one, rows in zip(over_time, beside, strict=True)
    ]


def _row_edges(one: AttentionMap) -> np.ndarray:
    if one.row_edges_hz is None:
        return np.arange(len(one.values) + 1) - 0.5
    return hz_to_mel(one.row_edges_hz)


def _row_axis(axes: Axes, one: AttentionMap) -> None:
    if one.row_edges_hz is None:
        axes.set_ylabel(one.rows, fontsize="small")
    else:
        _frequency_axis(axes)


def _frequency_axis(axes: Axes) -> None:
    axes.set_yticks(hz_to_mel(np.array(_TICKS_HZ)), [f"{hz / 1000:g}" for hz in _TICKS_HZ])
    axes.set_ylim(0, float(hz_to_mel(NYQUIST_HZ)))
    axes.set_ylabel("kHz")


def _colours(values: np.ndarray) -> list[str]:
    return [BONAFIDE_COLOUR if value > 0 else SPOOF_COLOUR for value in values]
