"""Windows one after another, each a batch of its own shape: what the pipeline is held against."""

from collections.abc import Callable, Iterable

import numpy as np

from rawnet_jax.config import GateConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.loader import crop_or_pad
from rawnet_jax.scoring.gate import gate_refusal
from rawnet_jax.scoring.windows import WindowScores

ScoreBatch = Callable[[np.ndarray, np.ndarray], np.ndarray]


def window_starts(num_samples: int, window: int, hop: int) -> np.ndarray:
    """Return int64 [K]: every hop, and the last window ends with the waveform."""
    last = max(num_samples - window, 0)
    starts = np.arange(0, last + 1, hop, dtype=np.int64)
    return starts if starts[-1] == last else np.append(starts, last)


def score_windows(
    blocks: Iterable[np.ndarray],
    score_batch: ScoreBatch,
    *,
    window: int,
    hop: int,
    batch_size: int = 1,
    pad: str = "zero",
    gate: GateConfig | None = None,
) -> WindowScores:
    """Score the windows of a recording that is wholly in memory."""
    waveform = np.concatenate([np.zeros(0, np.float32), *blocks])
    starts = window_starts(len(waveform), window, hop) if len(waveform) else np.zeros(0, np.int64)
    parts = [waveform[start : start + window] for start in starts.tolist()]
    scores = np.full(len(parts), np.nan, np.float32)
    for i, part in enumerate(parts):
        if gate is not None and gate_refusal(part, gate) is not None:
            continue
        rows = np.zeros((batch_size, window), np.float32)
        counts = np.zeros(batch_size, np.int32)
        rows[0] = crop_or_pad(part, window, 0, pad)
        counts[0] = window if pad == "repeat" else len(part)
        scores[i] = np.asarray(score_batch(rows, counts))[0]
    ends = starts + [len(part) for part in parts]
    return WindowScores(starts / SAMPLE_RATE_HZ, ends / SAMPLE_RATE_HZ, scores, ~np.isnan(scores))
