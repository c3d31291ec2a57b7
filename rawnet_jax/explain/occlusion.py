"""Occlusion: take a part of a waveform away and see what the score does.

Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014, section 4.2,
for parts of time, of frequency, and of both. It asks nothing of the model but scores.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from rawnet_jax.explain.parts import Parts

ScoreWaveforms = Callable[[Iterable[np.ndarray]], np.ndarray]
"""From waveforms, float32 [n] each, to their scores, [K]; higher = more bona fide."""


@dataclass(frozen=True, slots=True, eq=False)
class Occlusion:
    """What the score does without parts of the waveform.

    A change is the score of the waveform minus its score without the part: above 0, the part moved
    the score toward bona fide; below 0, toward spoof.

    Attributes:
        score: of the waveform.
        baseline_score: of what is left without all of it.
        spans: float64 [S], change by each span of time.
        bands: float64 [B], change by each band of frequency.
        grid: float64 [S, B], change by each span of each band; None where not asked for.
    """

    score: float
    baseline_score: float
    spans: np.ndarray
    bands: np.ndarray
    grid: np.ndarray | None


def occlude(
    waveform: np.ndarray,
    baseline: np.ndarray,
    parts: Parts,
    score: ScoreWaveforms,
    *,
    grid: bool = True,
) -> Occlusion:
    """Replace each part by the same part of a baseline, and score what comes out.

    Args:
        waveform: float32 [n].
        baseline: float32 [n], what is left without all of it; see
            `rawnet_jax.explain.baseline.make_baseline`.
        parts: spans and bands.
        score: scores waveforms.
        grid: also each span of each band: S times B more scores.
    """
    difference = waveform - baseline
    bands = parts.bands_of(difference)

    def variants() -> Iterator[np.ndarray]:
        yield waveform
        yield baseline
        for weight in parts.weights:
            yield waveform - weight * difference
        for band in bands:
            yield waveform - band
        if grid:
            for weight in parts.weights:
                for band in bands:
                    yield waveform - weight * band

    scores = np.asarray(score(variants()), np.float64)
    ends = np.cumsum([2, parts.num_spans, parts.num_bands])
    (own, left), without_span, without_band, without_cell = np.split(scores, ends)
    return Occlusion(
        score=float(own),
        baseline_score=float(left),
        spans=own - without_span,
        bands=own - without_band,
        grid=(own - without_cell).reshape(parts.num_spans, parts.num_bands) if grid else None,
    )
