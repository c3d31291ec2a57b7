"""Scores of audio that is still coming in: a window's score as soon as its last sample is there.

The windows are those of `rawnet_jax.scoring.windows.score_windows`, and so are their scores,
whatever pieces the audio comes in. Work per piece and memory depend on neither the length of the
stream nor what was scored before.
"""

import copy
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, cast

import flax.linen as nn
import numpy as np

from rawnet_jax.config import GateConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.errors import ConfigError
from rawnet_jax.models.conv1d import Conv1DClassifier
from rawnet_jax.scoring.file_scorer import Rows
from rawnet_jax.scoring.gate import Refusal, gate_refusal
from rawnet_jax.scoring.speech import check_detector
from rawnet_jax.scoring.streaming_conv1d import CarriedConv1D, plan_frames
from rawnet_jax.scoring.streaming_engine import UNHEARD, Engine, Heard, WholeWindows
from rawnet_jax.scoring.streaming_input import StreamInput


class _TimeAndScore(NamedTuple):
    time_s: float
    score: float


class TimedScore(_TimeAndScore):
    """The score of one window: a pair of ``time_s`` and ``score``.

    Attributes:
        time_s: where the window ends, in seconds from the beginning of the stream.
        score: higher = more bona fide; NaN where the window cannot be judged.
        refusal: why it cannot be judged; None where it can.
        distance: from what the network was trained on; None where it is not known.
    """

    refusal: Refusal | None
    distance: float | None

    def __new__(
        cls,
        time_s: float,
        score: float,
        refusal: Refusal | None = None,
        distance: float | None = None,
    ) -> "TimedScore":
        """Make a pair that knows why it has no score."""
        pair = super().__new__(cls, time_s, score)
        pair.refusal, pair.distance = refusal, distance
        return pair


class StreamingScorer:
    """Scores a stream window by window.

    A Conv1D classifier carries its frames from window to window, where the hop is a multiple of
    the samples between two frames; every other network computes each window again. One shape is
    compiled, with the first window.

    Attributes:
        window: length of a window in samples at 16 kHz.
        hop: from one to the next in samples at 16 kHz.
    """

    def __init__(
        self,
        model: nn.Module | None,
        variables: dict[str, Any],
        *,
        window: int,
        hop: int,
        pad: str = "zero",
        bucket_samples: tuple[int, ...] = (),
        gate: GateConfig | None = None,
        sample_rate_hz: int = SAMPLE_RATE_HZ,
        channel: int | None = None,
        measure: Callable[[np.ndarray], np.ndarray] | None = None,
        engine: Engine | None = None,
    ) -> None:
        """Prepare for a stream.

        Args:
            model: the network; None where there is an engine.
            variables: ``{"params", "batch_stats"}``; not read where there is an engine.
            window: length of a window in samples at 16 kHz.
            hop: from one to the next in samples at 16 kHz, 1 to `window`.
            pad: how a stream shorter than a window is filled: "zero" or "repeat".
            bucket_samples: with "repeat", it is filled to the first of these that holds it, and
                with zeros from there on.
            gate: windows that it refuses get NaN; None = score all.
            sample_rate_hz: of what is pushed; other rates than 16 kHz are resampled (soxr, "HQ").
            channel: take this one instead of the average of all; 1 = the first.
            measure: of the distance from training, of embeddings [N, D], such as an
                `EmbeddingDistance`; None = it is not measured.
            engine: scores windows in place of the network.

        Raises:
            ConfigError: a number makes no sense, or the detector of speech is not installed.
        """
        if not 1 <= hop <= window:
            raise ConfigError(f"window {window}, hop {hop}: the hop must be 1 to the window")
        self.window, self.hop = window, hop
        self._gate, self._channel = gate, channel
        if gate is not None:
            check_detector(gate)
        self._rows = Rows((window,), 1, pad, bucket_samples)
        self._rate = sample_rate_hz
        plan = plan_frames(model, window, hop) if isinstance(model, Conv1DClassifier) else None
        self._measure, embeds = measure, measure is not None
        self._engine: Engine = engine or WholeWindows(cast(nn.Module, model), variables, embeds)
        if plan is not None and engine is None:
            self._engine = CarriedConv1D(plan, variables, embeds)
        self.reset()

    def another(self, sample_rate_hz: int, channel: int | None = None) -> "StreamingScorer":
        """Return a scorer of another stream, which shares what is compiled, and nothing else.

        Args:
            sample_rate_hz: of what is pushed.
            channel: take this one, 1 = the first; None = the average of all.

        Raises:
            ConfigError: a number makes no sense.
        """
        found = copy.copy(self)
        found._engine, found._rate, found._channel = (
            copy.copy(self._engine),
            sample_rate_hz,
            channel,
        )
        found.reset()
        return found

    @property
    def carries_frames(self) -> bool:
        """Whether what windows have in common is computed once."""
        return isinstance(self._engine, CarriedConv1D)

    def reset(self) -> None:
        """Forget the stream; the next push begins another one."""
        self._num_samples = 0
        self._window = np.zeros(self.window, np.float32)
        self._next = np.zeros(self.hop, np.float32)
        # As if zeros had come before, so that a window is full where a hop is.
        self._num_next = -self.window % self.hop
        self._input = StreamInput(self._rate, self._gate or GateConfig(), self._channel)
        self._engine.restart()

    def warm_up(self, *, last: bool = False) -> None:
        """Compile now, not when the first window is complete; forgets the stream.

        Args:
            last: also what a window needs that ends the stream between two hops.
        """
        self._engine.advance(self._window, True)
        if last:
            self._engine.score_alone(self._window, len(self._window))
        self.reset()

    def push(self, samples: np.ndarray) -> list[TimedScore]:
        """Take the next samples.

        Args:
            samples: float [n] or [n, channels], full scale = 1, or int16; any n, also 0.

        Returns:
            The scores of the windows that are now complete, in order of time; often none.

        Raises:
            AudioError: the samples are of another type or shape.
        """
        return self._scored(self._input.push(samples))

    def finish(self) -> list[TimedScore]:
        """End the stream; the next push begins another one.

        Returns:
            Scores of what is left: a last window that ends with the stream, where samples came
            after the last one; of a stream shorter than a window, its only one.
        """
        found = self._scored(self._input.finish())
        if self._num_samples and (self._num_samples < self.window or self._num_next):
            length = min(self._num_samples, self.window)
            heard = np.concatenate((self._window, self._next[: self._num_next]))[-length:]
            refusal = self._refusal(heard)
            last = UNHEARD
            if refusal is None:
                row = np.zeros(self.window, np.float32)
                last = self._engine.score_alone(row, self._rows.fill(row, heard))
            found.append(self._timed(last, refusal))
        self.reset()
        return found

    def _scored(self, blocks: Iterable[np.ndarray]) -> list[TimedScore]:
        """Cut blocks at 16 kHz into hops and score the windows that end with one."""
        found: list[TimedScore] = []
        for block in blocks:
            while len(block):
                part = block[: self.hop - self._num_next]
                block = block[len(part) :]
                self._next[self._num_next : self._num_next + len(part)] = part
                self._num_next += len(part)
                self._num_samples += len(part)
                if self._num_next == self.hop:
                    self._num_next = 0
                    self._window = np.concatenate((self._window[self.hop :], self._next))
                    found += self._advanced()
        return found

    def _advanced(self) -> list[TimedScore]:
        """Take the window that is now complete."""
        is_full = self._num_samples >= self.window
        refusal = self._refusal(self._window) if is_full else None
        found = self._engine.advance(self._window, is_full and refusal is None)
        return [self._timed(found, refusal)] if is_full else []

    def _timed(self, found: Heard, refusal: Refusal | None) -> TimedScore:
        """Return what was found of the window that ends now."""
        distance = None
        if self._measure is not None and found.embedding is not None:
            distance = float(self._measure(found.embedding[None])[0])
        return TimedScore(self._num_samples / SAMPLE_RATE_HZ, found.score, refusal, distance)

    def _refusal(self, waveform: np.ndarray) -> Refusal | None:
        if self._gate is None:
            return None
        return self._input.refusal() or gate_refusal(waveform, self._gate)


def hop_of_seconds(hop_s: float, window: int) -> int:
    """Return a hop in samples.

    Args:
        hop_s: in seconds, above 0 and at most a window.
        window: length of a window in samples.

    Raises:
        ConfigError: it is not.
    """
    samples = hop_s * SAMPLE_RATE_HZ
    hop = round(samples) if np.isfinite(samples) else 0
    if not 1 <= hop <= window:
        raise ConfigError(
            f"a hop of {hop_s:g} s: must be above 0 and at most a window, "
            f"{window / SAMPLE_RATE_HZ:g} s"
        )
    return hop
