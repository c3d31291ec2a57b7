"""Everything that is found out about one window of a clip, in one go."""

from dataclasses import dataclass, field

import numpy as np

from rawnet_jax.errors import ConfigError
from rawnet_jax.explain.attention import AttentionMap
from rawnet_jax.explain.baseline import FLOOR, make_baseline
from rawnet_jax.explain.clip_model import ClipModel
from rawnet_jax.explain.gradients import (
    INTEGRATED,
    MAX_GRADIENTS,
    SMOOTH,
    Attribution,
    integrated_gradients,
    smooth_gradients,
)
from rawnet_jax.explain.occlusion import Occlusion, occlude
from rawnet_jax.explain.parts import DEFAULT_BAND_EDGES_HZ, Parts, make_parts
from rawnet_jax.progress import BatchBars

NO_GRADIENT = "none"
GRADIENTS = (INTEGRATED, SMOOTH, NO_GRADIENT)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a score is explained.

    Attributes:
        num_spans: spans of time; fewer where they would be shorter than 10 ms.
        band_edges_hz: of the bands of frequency, from 0 to 8,000.
        fill: what a part falls back to: "floor" (the clip's noise floor) or "silence".
        grid: whether each span of each band is taken away too.
        gradient: "integrated", "smooth" or "none".
        max_gradients: gradients that are averaged, at most.
        seed: of the noise.
    """

    num_spans: int = 20
    band_edges_hz: tuple[float, ...] = field(default=DEFAULT_BAND_EDGES_HZ)
    fill: str = FLOOR
    grid: bool = True
    gradient: str = INTEGRATED
    max_gradients: int = MAX_GRADIENTS
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """What moved the score of a clip.

    Attributes:
        waveform: float32 [n], what was explained.
        baseline: float32 [n], what is left where a part is taken away.
        parts: spans and bands.
        occlusion: what the score does without each.
        attribution: how the score divides among samples; None without a gradient.
        attention: what the network's own attention weighs; empty where it has none.
        settings: how this was found.
    """

    waveform: np.ndarray
    baseline: np.ndarray
    parts: Parts
    occlusion: Occlusion
    attribution: Attribution | None
    attention: list[AttentionMap]
    settings: Settings

    @property
    def score(self) -> float:
        """Of the waveform; higher = more bona fide."""
        return self.occlusion.score


def explain(
    waveform: np.ndarray,
    model: ClipModel,
    settings: Settings | None = None,
    progress: bool = False,
) -> Explanation:
    """Find out what moved the score of a clip.

    Args:
        waveform: float32 [n] at 16 kHz, full scale = 1, no longer than the model's window.
        model: scores clips.
        settings: how; None = the defaults.
        progress: whether to draw bars.

    Raises:
        ConfigError: a setting makes no sense, or the clip is empty or longer than the window.
    """
    settings = settings or Settings()
    _check(settings, len(waveform), model.window)
    waveform = np.asarray(waveform, np.float32)
    parts = make_parts(len(waveform), settings.num_spans, settings.band_edges_hz)
    baseline = make_baseline(waveform, settings.fill, settings.seed)
    count = 2 + parts.num_spans + parts.num_bands
    count += parts.num_spans * parts.num_bands * settings.grid
    with BatchBars(progress)("occlusion", count, unit="score") as bar:
        occlusion = occlude(
            waveform,
            baseline,
            parts,
            lambda variants: model.score(variants, bar),
            grid=settings.grid,
        )
    return Explanation(
        waveform,
        baseline,
        parts,
        occlusion,
        _attribution(waveform, baseline, model, settings, progress),
        model.attention(waveform),
        settings,
    )


def _attribution(
    waveform: np.ndarray,
    baseline: np.ndarray,
    model: ClipModel,
    settings: Settings,
    progress: bool,
) -> Attribution | None:
    if settings.gradient == NO_GRADIENT:
        return None
    with BatchBars(progress)("gradients", settings.max_gradients, unit="gradient") as bar:

        def gradient(waveforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return model.gradient(waveforms, bar)

        if settings.gradient == INTEGRATED:
            return integrated_gradients(
                waveform,
                baseline,
                gradient,
                max_gradients=settings.max_gradients,
                batch_size=model.gradient_rows,
            )
        num_draws, seed = settings.max_gradients, settings.seed
        return smooth_gradients(waveform, baseline, gradient, num_draws=num_draws, seed=seed)


def _check(settings: Settings, length: int, window: int) -> None:
    if settings.gradient not in GRADIENTS:
        raise ConfigError(
            f"gradient is {settings.gradient!r}; it must be one of {', '.join(GRADIENTS)}"
        )
    if settings.max_gradients < 2:
        raise ConfigError(f"{settings.max_gradients} gradients: there must be 2 or more")
    if not 1 <= length <= window:
        raise ConfigError(f"{length} samples: there must be 1 to {window}, a window of the network")
