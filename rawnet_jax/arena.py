"""A run in the form in which public benches of spoof detectors ask for one.

    from rawnet_jax.arena import load

    detector = load("runs/x")
    scores = detector.score(batch)  # float32 [B, T] at 16 kHz -> float32 [B], higher = bona fide

A bench wants a number for every trial. So nothing is refused here: the gate, the search for speech
and the rule on what is unlike training are off, and a score is that of `evaluate`.
"""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.detector import Detector
from rawnet_jax.detector import load as load_detector
from rawnet_jax.errors import AudioError

_NOTHING_REFUSED = (
    "--config.gate.enabled=False",
    "--config.data.audio.min_duration_s=0.0",
    "--config.data.audio.min_peak=0.0",
    "--config.eval.outlier_share=0.0",
)


class ArenaDetector:
    """A detector with the two calls of a bench: made by `load`, then `score` per batch.

    Attributes:
        detector: the detector of the Python interface.
        name: of the run.
    """

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.name = detector.info.name

    def score(self, batch: Iterable[Any], num_samples: Sequence[int] | None = None) -> np.ndarray:
        """Score a batch.

        Args:
            batch: float32 [B, T] at 16 kHz, full scale = 1, or B arrays [n] of any lengths; numpy
                arrays, or what `numpy.asarray` takes, such as a PyTorch tensor on the CPU.
            num_samples: [B], how much of each row is the clip; None = all of it.

        Returns:
            float32 [B], higher = bona fide.

        Raises:
            AudioError: a row is not samples, or is empty; the error has its number.
            ValueError: `num_samples` has another length.
        """
        rows = [np.asarray(row) for row in batch]
        if num_samples is not None:
            counts = zip(rows, num_samples, strict=True)
            rows = [row[..., : int(count)] for row, count in counts]
        for i, row in enumerate(rows):
            if row.ndim != 1 or not row.size:
                raise AudioError(
                    f"row {i} of the batch", "not samples", f"shape {list(row.shape)}: must be [n]"
                )
        found = self.detector.score([(row, SAMPLE_RATE_HZ) for row in rows], progress=False)
        for i, result in enumerate(found):
            if result.score is None:
                reason = result.reason or "no score"
                raise AudioError(f"row {i} of the batch", "not scored", reason)
        return np.array([result.score for result in found], np.float32)


def load(
    source: str | os.PathLike[str] | None = None,
    *,
    checkpoint: str = "best",
    seed: int | str | None = None,
    overrides: Sequence[str] = (),
) -> ArenaDetector:
    """Load a detector for a bench.

    Args:
        source: work directory of a trained run, or name or folder of a preset; None = the default
            preset.
        checkpoint: ``best``, ``latest``, ``swa`` or a step number; of a run.
        seed: of a run of several seeds the one to load, or "averaged" for the mean of all.
        overrides: ``--config.group.field=value``. With ``--config.eval.aggregate=mean`` the whole
            of a long clip is scored, and not its first window alone.

    Raises:
        ConfigError: as `rawnet_jax.load`.
        CheckpointError: as `rawnet_jax.load`.
        DataError: as `rawnet_jax.load`.
    """
    given = [*_NOTHING_REFUSED, *overrides]
    return ArenaDetector(load_detector(source, checkpoint=checkpoint, seed=seed, overrides=given))
