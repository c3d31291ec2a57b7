"""Which part of a clip is explained, where the clip is longer than the network's window."""

import math
from dataclasses import dataclass

import numpy as np

from rawnet_jax.config import GateConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.audio import Samples
from rawnet_jax.errors import ConfigError, MetricError
from rawnet_jax.explain.clip_model import ClipModel
from rawnet_jax.scoring.file_scorer import FileScore
from rawnet_jax.scoring.recordings import Recipe, score_recordings
from rawnet_jax.scoring.windows import WindowScores

MOST_SPOOFED, MOST_BONAFIDE = "most-spoofed", "most-bonafide"


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """A part of a clip.

    Attributes:
        start: its first sample.
        waveform: float32 [n], n at most a window.
        how: why this one, as text; "" where the clip is no longer than a window.
        windows: the scores of all windows of the clip.
        clip_score: of the clip, as its windows are aggregated; None = it has none.
    """

    start: int
    waveform: np.ndarray
    how: str
    windows: WindowScores
    clip_score: float | None = None

    @property
    def start_s(self) -> float:
        """Where it begins in the clip."""
        return self.start / SAMPLE_RATE_HZ

    @property
    def end_s(self) -> float:
        """Where it ends."""
        return (self.start + len(self.waveform)) / SAMPLE_RATE_HZ


def choose_window(
    waveform: np.ndarray,
    model: ClipModel,
    which: str | float = MOST_SPOOFED,
    *,
    hop: int,
    gate: GateConfig | None = None,
    aggregation: str = "mean",
) -> Choice:
    """Score the windows of a clip and choose one.

    Args:
        waveform: float32 [n] at 16 kHz, of any length.
        model: scores windows.
        which: "most-spoofed", "most-bonafide", or where the window begins in s.
        hop: samples from one window to the next.
        gate: windows that it refuses are not chosen; None = any may be.
        aggregation: of windows to the score of the clip; "" = the first that can be judged.

    Raises:
        ConfigError: no such window.
        MetricError: the gate refuses every window.
    """
    short = len(waveform) <= model.window
    found = _scored(waveform, model, hop, gate, aggregation)
    windows = found.windows
    if isinstance(which, str):
        start, how = _extreme(windows, which)
    else:
        start, how = _at(which, len(waveform), model.window)
    part = waveform[start : start + model.window]
    return Choice(start, part, "" if short else how, windows, found.score)


def _scored(
    waveform: np.ndarray, model: ClipModel, hop: int, gate: GateConfig | None, aggregation: str
) -> FileScore:
    if len(waveform) <= model.window:  # its only window, explained whatever the gate decides
        gate = None
    recipe = Recipe(
        window=model.window,
        hop=hop,
        aggregation=aggregation,
        pad=model.pad,
        bucket_samples=model.bucket_samples,
        gate=GateConfig(enabled=False) if gate is None else gate,
        batch_size=model.score_rows,
    )
    [found] = score_recordings(
        [("clip", Samples(waveform, SAMPLE_RATE_HZ))],
        model.score_batch,
        recipe,
        all_windows=True,
        num_devices=model.score_rows,
    )
    return found


def parse_window(text: str) -> str | float:
    """Read which window a user asks for: one of the two words, or a time in s.

    Raises:
        ConfigError: it is neither.
    """
    if text in (MOST_SPOOFED, MOST_BONAFIDE):
        return text
    try:
        start_s = float(text)
    except ValueError:
        start_s = math.nan
    if not math.isfinite(start_s * SAMPLE_RATE_HZ):
        raise ConfigError(
            f"--window {text}: it must be {MOST_SPOOFED}, {MOST_BONAFIDE} or a time in s"
        )
    return start_s


def _extreme(windows: WindowScores, which: str) -> tuple[int, str]:
    if not windows.counted.any():
        raise MetricError("no window of it can be judged, so there is nothing to explain")
    find = np.nanargmin if which == MOST_SPOOFED else np.nanargmax
    index = int(find(windows.score))
    most = "most spoofed" if which == MOST_SPOOFED else "most bona fide"
    start = round(float(windows.start_s[index]) * SAMPLE_RATE_HZ)
    return start, f"the {most} of {len(windows)} windows"


def _at(start_s: float, length: int, window: int) -> tuple[int, str]:
    last_s = max(length - window, 0) / SAMPLE_RATE_HZ
    start = round(start_s * SAMPLE_RATE_HZ)
    if not 0 <= start <= max(length - window, 0):
        raise ConfigError(
            f"--window {start_s:g}: a window may begin between 0 and {last_s:.3f} s of this clip"
        )
    return start, "chosen by its time"
