"""Trials as a condition leaves them, and a smaller choice of trials for slow models."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from rawnet_jax.data.audio import INT16_SCALE, from_int16
from rawnet_jax.data.loader import WaveformSource
from rawnet_jax.data.trial import Trial
from rawnet_jax.robustness.conditions import Condition, stable_hash


class DegradedClips:
    """Clips under a condition, degraded when they are read; a source like any other.

    Samples come in 16-bit units like those of a cache, but as float32, neither rounded nor limited:
    +20 dB would otherwise be clipping. What the loader makes of them is exact, since the unit is a
    power of two.

    Args:
        clips: as they are stored.
        rows: int64 [N], which of them, in this order.
        condition: what is done to them.
    """

    def __init__(self, clips: WaveformSource, rows: np.ndarray, condition: Condition) -> None:
        self.trials: list[Trial] = [clips.trials[row] for row in rows]
        self.num_samples = condition.num_samples(np.asarray(clips.num_samples)[rows])
        self.owner: np.ndarray | None = None
        self._clips = clips
        self._rows = rows
        self._condition = condition

    def __len__(self) -> int:
        return len(self._rows)

    def waveform(self, position: int) -> np.ndarray:
        """Return float32 [num_samples[position]], 32,768 = full scale."""
        clean = from_int16(self._clips.waveform(int(self._rows[position])))
        degraded = self._condition.apply(clean, self.trials[position].utterance_id)
        return degraded * np.float32(INT16_SCALE)


def fingerprint_clips(clips: WaveformSource, rows: np.ndarray) -> str:
    """Return what stands for the trials and every sample of their audio."""
    digest = hashlib.sha256()
    for row in rows.tolist():
        trial = clips.trials[row]
        digest.update(f"{trial.utterance_id}\0{trial.label}\0".encode("utf-8", "surrogateescape"))
        digest.update(clips.waveform(row).tobytes())
    return digest.hexdigest()


def stratified(trials: Sequence[Trial], limit: int) -> np.ndarray:
    """Choose at most about `limit` trials, with the shares of classes and attacks kept.

    Every attack, and bona fide speech, keeps at least one trial. Which trials are taken depends
    on their names alone, so that a larger choice holds the smaller one.

    Args:
        trials: all of them.
        limit: how many; 0 or as many as there are = all.

    Returns:
        int64 [n], positions in their order.
    """
    if not limit or limit >= len(trials):
        return np.arange(len(trials))
    strata: defaultdict[tuple[object, str], list[int]] = defaultdict(list)
    for position, trial in enumerate(trials):
        strata[trial.label, trial.attack_id or ""].append(position)
    share = limit / len(trials)
    chosen: list[int] = []
    for positions in strata.values():
        by_name = sorted(positions, key=lambda p: stable_hash(trials[p].utterance_id))
        chosen += by_name[: max(1, round(share * len(positions)))]
    return np.array(sorted(chosen))
