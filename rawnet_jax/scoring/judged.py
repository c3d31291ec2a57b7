"""What of each clip is scored, whether it can be judged, and one score a clip in the end."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rawnet_jax.config import Config, GateConfig
from rawnet_jax.data.audio import from_int16
from rawnet_jax.data.loader import WaveformSource
from rawnet_jax.data.window_plan import WindowedClips, hop_samples
from rawnet_jax.scoring.gate import Reason, judge_input
from rawnet_jax.scoring.windows import aggregate

_REASONS = tuple(Reason)


class Unjudged(NamedTuple):
    """A clip that cannot be judged: why, what was measured, and the bound that it is beyond."""

    position: int
    reason: Reason
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class Findings:
    """What the gate saw while a list of clips was scored.

    Attributes:
        unjudged: clips that cannot be judged, in order; they have a score all the same.
        num_windows: windows over all clips; the number of clips where each is scored once.
        num_windows_skipped: windows that had no say in the score of their clip.
    """

    unjudged: tuple[Unjudged, ...]
    num_windows: int
    num_windows_skipped: int


class GatedClips:
    """A list of clips of which every one is looked at when it is read.

    So the audio is read once, by the threads that assemble batches. After all batches, `table` has
    what this process saw.
    """

    def __init__(self, clips: WaveformSource, gate: GateConfig, num_samples: int) -> None:
        """Wrap a list.

        Args:
            clips: the list.
            gate: the bounds.
            num_samples: how much of the start of a clip is scored, and so looked at.
        """
        self.trials = clips.trials
        self.num_samples = clips.num_samples
        self._clips = clips
        self._gate = gate
        self._scored = num_samples
        self._found: dict[int, tuple[int, float, float]] = {}

    @property
    def owner(self) -> np.ndarray | None:
        """See `WaveformSource.owner`."""
        return self._clips.owner

    def __len__(self) -> int:
        return len(self._clips)

    def waveform(self, position: int) -> np.ndarray:
        """Return int16 [num_samples[position]]."""
        waveform = self._clips.waveform(position)
        refusal = judge_input(from_int16(waveform[: self._scored]), self._gate)
        if refusal is not None:
            reason = _REASONS.index(refusal.reason)
            self._found[position] = (reason, refusal.value, refusal.limit)
        return waveform

    def table(self) -> np.ndarray:
        """Return what was refused, int64 [n, 4]: position, reason, bits of value and of limit."""
        rows = sorted(self._found.items())
        table = np.zeros((len(rows), 4), np.int64)
        for row, (position, (reason, value, limit)) in zip(table, rows, strict=True):
            row[:2] = position, reason
            row[2:] = np.array([value, limit], np.float64).view(np.int64)
        return table


class ScoringPlan:
    """Clips as they are scored: each one's first part, or windows over all of it.

    Attributes:
        source: the list that is scored, of clips or of windows.
        num_samples: length of its rows in a batch.
    """

    def __init__(self, clips: WaveformSource, config: Config) -> None:
        """Lay out what is scored, by `config.eval`, `config.gate` and `config.data.num_samples`.

        Raises:
            ConfigError: the hop of windows makes no sense.
        """
        self.num_samples = config.data.num_samples
        self._num_clips = len(clips)
        self._how = config.eval.aggregate
        self._clip = np.arange(len(clips))
        self.source = clips
        if self._how:
            self.num_samples = config.eval.window_samples or self.num_samples
            hop = hop_samples(self.num_samples, config.eval.window_hop)
            windows = WindowedClips(clips, self.num_samples, hop)
            self.source, self._clip = windows, windows.clip
        self._gated: GatedClips | None = None
        if config.gate.enabled:
            self.source = self._gated = GatedClips(self.source, config.gate, self.num_samples)

    def fold(
        self, scores: np.ndarray, gather: Callable[[np.ndarray], list[np.ndarray]]
    ) -> tuple[np.ndarray, Findings]:
        """Make one score a clip.

        Windows that cannot be judged have no say. A clip of which no window can be judged cannot be
        judged itself; its score is that of all windows.

        Args:
            scores: float32 [K] of `source`, all batches of which were read.
            gather: takes this process's int64 [n, c] and returns the array of each process.

        Returns:
            float32 [N], and what the gate saw.
        """
        table = np.zeros((0, 4), np.int64)
        if self._gated is not None:
            table = np.concatenate(gather(self._gated.table()))
            table = table[np.argsort(table[:, 0], kind="stable")]
        refused = np.zeros(len(scores), bool)
        refused[table[:, 0]] = True
        num_judged = np.bincount(self._clip[~refused], minlength=self._num_clips)
        unjudged: dict[int, Unjudged] = {}
        for row, numbers in zip(table, table[:, 2:].copy().view(np.float64), strict=True):
            clip = int(self._clip[row[0]])
            if not num_judged[clip] and clip not in unjudged:  # the reason of its first window
                value, limit = numbers.tolist()
                unjudged[clip] = Unjudged(clip, _REASONS[row[1]], value, limit)
        is_hopeless = num_judged == 0
        counts = ~refused | is_hopeless[self._clip]
        skipped = int(np.count_nonzero(~counts))
        findings = Findings(tuple(unjudged.values()), len(scores), skipped)
        if not self._how:
            return scores, findings
        ends = np.cumsum(np.bincount(self._clip[counts], minlength=self._num_clips))
        parts = np.split(scores[counts], ends[:-1])
        return np.array([aggregate(part, self._how) for part in parts], np.float32), findings
