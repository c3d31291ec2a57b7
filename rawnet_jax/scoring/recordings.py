"""Recordings to scores: the one way that the command `score` and Python share."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rawnet_jax.config import AudioConfig, Config, GateConfig
from rawnet_jax.scoring.file_scorer import FileScore, Rows, score_files
from rawnet_jax.scoring.file_windows import Reading, Recording
from rawnet_jax.scoring.speech import OFF, check_detector
from rawnet_jax.scoring.windows import ScoreBatch, hop_samples


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model scores recordings.

    Attributes:
        window: length of a window in samples at 16 kHz.
        hop: from one window to the next in samples.
        aggregation: "mean", "max_spoof" or "trimmed" over all windows; "" = the first one alone.
        pad: how a short window is filled: "zero" or "repeat".
        bucket_samples: with "repeat", a short window is filled to the first of these that holds it.
        gate: bounds on what is scored.
        audio: bounds on what is decoded.
        batch_size: windows that are scored at once, at most.
    """

    window: int
    hop: int
    aggregation: str = ""
    pad: str = "zero"
    bucket_samples: tuple[int, ...] = ()
    gate: GateConfig = field(default_factory=GateConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)
    batch_size: int = 64

    def reading(self, *, all_windows: bool = False, **more: Any) -> Reading:
        """Return how recordings become windows; `more` are fields of `Reading`."""
        whole = bool(self.aggregation) or all_windows
        fields: dict[str, Any] = {"audio": self.audio, "gate": self.gate, **more}
        gate = fields["gate"]
        # What a protocol asks for is the first window, whatever it holds.
        fields.setdefault("seeks", not self.aggregation and gate.enabled and gate.speech != OFF)
        return Reading(self.window, self.hop, whole, **fields)

    def rows(self, batch_size: int, shorter: Sequence[int] = ()) -> Rows:
        """Return how windows become rows; `shorter` are lengths of rows beside the window's."""
        lengths = (*(length for length in shorter if length < self.window), self.window)
        return Rows(lengths, batch_size, self.pad, self.bucket_samples, self.aggregation)


def recipe_of(config: Config) -> Recipe:
    """Return how a run with this config scores recordings.

    Raises:
        ConfigError: ``config.eval.window_hop`` is out of range.
    """
    window = config.data.num_samples
    if config.eval.aggregate:
        window = config.eval.window_samples or window
    return Recipe(
        window=window,
        hop=hop_samples(window, config.eval.window_hop),
        aggregation=config.eval.aggregate,
        pad=config.data.pad,
        bucket_samples=tuple(config.data.bucket_samples),
        gate=config.gate,
        audio=config.data.audio,
        batch_size=config.eval.batch_size,
    )


def score_recordings(
    recordings: Sequence[tuple[str, Recording]],
    score_batch: ScoreBatch,
    recipe: Recipe,
    *,
    all_windows: bool = False,
    channel: int | None = None,
    max_duration_s: float = 86_400.0,
    num_threads: int = 1,
    num_devices: int = 1,
    watcher: Callable[[], Any] | None = None,
    whole_batches: bool = False,
) -> Generator[FileScore, None, None]:
    """Score recordings of any length, in order, in memory that grows with neither.

    Args:
        recordings: name and source of each.
        score_batch: the network.
        recipe: windows, padding, gate, aggregation.
        all_windows: score every window even if the first one alone decides.
        channel: take this channel, 1 = the first; None = the average of all.
        max_duration_s: longer recordings are not read.
        num_threads: recordings that are decoded at once.
        num_devices: the batch size is a multiple of this.
        watcher: makes an object per recording, whose ``add`` gets every block of the waveform.
        whole_batches: fill up the last batch with empty rows instead of making a smaller one: then
            a score does not depend, in its last bits, on how many recordings there are.

    Yields:
        One result per recording. What is wrong with a recording is in its result.

    Raises:
        ConfigError: the detector of speech is not installed.
    """
    check_detector(recipe.gate)
    audio = replace(recipe.audio, max_duration_s=max_duration_s)
    reading = recipe.reading(all_windows=all_windows, audio=audio, channel=channel)
    rows = replace(recipe.rows(recipe.batch_size), devices=0 if whole_batches else num_devices)
    return score_files(
        recordings, score_batch, reading, rows, num_threads=num_threads, watcher=watcher
    )
