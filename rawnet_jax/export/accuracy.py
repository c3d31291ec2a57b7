"""What an exported file that computes other numbers, such as an 8-bit one, costs in errors."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rawnet_jax.data.audio import from_int16
from rawnet_jax.data.loader import WaveformSource, crop_or_pad
from rawnet_jax.errors import ExportError
from rawnet_jax.export.program import Program, flax_scores
from rawnet_jax.export.verify import run_exported
from rawnet_jax.labels import Label
from rawnet_jax.metrics.det import eer

NUM_REPRESENTATIVE = 100
"""Clips of the train partition by which ranges of 8-bit numbers are chosen."""

_CHUNK = 2_048
"""Clips that are in memory at a time."""


@dataclass(frozen=True, slots=True)
class EerChange:
    """Equal error rates on the same trials.

    Attributes:
        network: of the network as it was trained.
        exported: of the file.
        num_trials: that they are from.
    """

    network: float
    exported: float
    num_trials: int


def eer_change(path: Path, kind: str, program: Program, clips: WaveformSource) -> EerChange:
    """Score a partition with the network and with the file.

    Args:
        path: of the file.
        kind: format, a row of `rawnet_jax.export.run_exported.LOADERS`.
        program: what it was made of.
        clips: of both classes, all with a label.

    Raises:
        ExportError: the file does not run, or a trial has no label.
        MetricError: a class is missing.
    """
    labels = np.array([-1 if t.label is None else int(t.label) for t in clips.trials])
    if (labels < 0).any():
        raise ExportError("the equal error rate takes trials with a label; some here have none")
    scores: list[list[np.ndarray]] = [[], []]
    for start in range(0, len(clips), _CHUNK):
        positions = np.arange(start, min(start + _CHUNK, len(clips)))
        waveform, num_samples = rows_of(program, clips, positions)
        scores[0].append(flax_scores(program, waveform, num_samples))
        scores[1].append(run_exported(path, kind, program, waveform, num_samples)["score"])
    network, exported = (_eer(np.concatenate(parts), labels) for parts in scores)
    return EerChange(network, exported, len(labels))


def spread(num_items: int, wanted: int) -> np.ndarray:
    """Return positions of so many of a list at most, all over it: it may be in order of class."""
    return np.unique(np.linspace(0, num_items - 1, wanted).astype(int))


def representative_rows(program: Program, train: WaveformSource) -> tuple[np.ndarray, np.ndarray]:
    """Return the clips of a train partition by which ranges of 8-bit numbers are chosen."""
    return rows_of(program, train, spread(len(train), NUM_REPRESENTATIVE))


def rows_of(
    program: Program, clips: WaveformSource, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return clips as a program takes them: float32 [N, T], and int32 [N] of each its own samples.

    Args:
        program: says how long a row is and how it is filled.
        clips: a partition.
        positions: of those that are wanted.
    """
    length, pad = program.num_samples, program.metadata["pad"]
    waveforms = [from_int16(clips.waveform(position)) for position in positions.tolist()]
    rows = [crop_or_pad(waveform, length, 0, pad) for waveform in waveforms]
    own = np.minimum(clips.num_samples[positions], length)
    return np.stack(rows), own.astype(np.int32)


def _eer(scores: np.ndarray, labels: np.ndarray) -> float:
    return eer(scores[labels == Label.BONAFIDE], scores[labels == Label.SPOOF]).eer
