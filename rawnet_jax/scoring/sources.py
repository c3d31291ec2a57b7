"""Which family of engines a fake comes from, beside its verdict: a rule, its file, its use."""

import contextlib
import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.errors import DataError
from rawnet_jax.fitted_file import read_arrays, write_arrays
from rawnet_jax.metrics.outlier import EmbeddingDistance
from rawnet_jax.metrics.source import NONE, SourceRule
from rawnet_jax.scoring.file_scorer import FileScore
from rawnet_jax.scoring.file_windows import Recording
from rawnet_jax.scoring.model import ScoringModel
from rawnet_jax.scoring.recordings import score_recordings
from rawnet_jax.scoring.windows import WindowScores

SOURCES_FILE = "sources.safetensors"
"""Beside ``config.json``, of the run's best checkpoint."""

NONE_OF_THESE = "none of these"
"""The source of a fake that no known family is sure for."""

_NUMBERS = ("farthest", "least", "share")
_ScoreBatch = Callable[[np.ndarray, np.ndarray], np.ndarray]
_CURE = "fit it again with the command sources, or delete the file"


@dataclass(frozen=True, slots=True, eq=False)
class Tracer:
    """Adds the source to scores of recordings.

    Attributes:
        rule: names families.
        embed_batch: float32 [B, T] and int32 [B] samples to float32 [B, 1 + D], score and
            embedding; what recordings must be scored by.
        aggregation: of the windows of a recording.
        measure: distance from training; None = it is not measured.
    """

    rule: SourceRule
    embed_batch: _ScoreBatch
    aggregation: str
    measure: EmbeddingDistance | None

    def traced(self, found: FileScore) -> FileScore:
        """Return scores as `Run.score_batch` gives them, and the source.

        Args:
            found: of a recording, scored by `embed_batch`.
        """
        windows = found.windows
        if not windows.more.size:
            return found
        without = WindowScores(windows.start_s, windows.end_s, windows.score, windows.counted)
        if self.measure is not None:
            distance = self.measure(windows.more).astype(np.float32)[:, None]
            without = replace(without, more=distance)
        if found.score is None:
            return replace(found, windows=without)
        embedding = windows.aggregate_more(self.aggregation)
        number = int(self.rule(embedding[None])[0])
        return replace(
            found,
            windows=without,
            distance=(
                None if self.measure is None else float(without.aggregate_more(self.aggregation)[0])
            ),
            source=NONE_OF_THESE if number == NONE else self.rule.names[number],
        )


def tracer_of(model: ScoringModel) -> Tracer | None:
    """Return what names the source of fakes; None where a model knows none.

    Only a `rawnet_jax.run.Run` of one network has embeddings.

    Raises:
        DataError: its file is damaged.
    """
    run: Any = model
    if not hasattr(run, "embed_batch"):
        return None
    rule = load_source_rule(run.workdir, run.step)
    if rule is None:
        return None
    measure = None if run.outliers is None else run.outliers.measure
    return Tracer(rule, run.embed_batch, run.recipe.aggregation, measure)


def way_of(model: ScoringModel) -> tuple[_ScoreBatch, Callable[[FileScore], FileScore]]:
    """Return what recordings are scored by, and what makes the results those of the model.

    The second adds the source, where the model knows sources, and else nothing.

    Raises:
        DataError: the rule on sources is damaged.
    """
    tracer = tracer_of(model)
    if tracer is None:
        return model.score_batch, lambda found: found
    return tracer.embed_batch, tracer.traced


def score_by(
    model: ScoringModel, recordings: Sequence[tuple[str, Recording]], **how: Any
) -> Generator[FileScore, None, None]:
    """Score recordings by a model, with the source of each where the model knows sources.

    Args:
        model: the network and how it scores.
        recordings: name and source of each.
        how: further arguments of `score_recordings`.

    Yields:
        One result per recording, in order.

    Raises:
        DataError: the rule on sources is damaged.
        ConfigError: the detector of speech is not installed.
    """
    score_batch, traced = way_of(model)
    how.setdefault("num_devices", model.num_devices)
    results = score_recordings(recordings, score_batch, model.recipe, **how)
    with contextlib.closing(results):
        for found in results:
            yield traced(found)


def save_source_rule(folder: Path, rule: SourceRule, step: int) -> None:
    """Write `SOURCES_FILE`, whole or not at all.

    Args:
        folder: of a run or preset.
        rule: to write.
        step: of the checkpoint whose embeddings it is for.

    Raises:
        DataError: it cannot be written.
    """
    arrays: dict[str, np.ndarray] = {
        "names": np.frombuffer(json.dumps(rule.names).encode(), np.uint8),
        "means": rule.means.astype(np.float32),
        "whitening": rule.whitening.astype(np.float32),
        "step": np.array(step, np.int64),
    }
    arrays |= {name: np.array(getattr(rule, name), np.float64) for name in _NUMBERS}
    write_arrays(folder / SOURCES_FILE, arrays)


def load_source_rule(folder: Path, step: int) -> SourceRule | None:
    """Read what `save_source_rule` wrote; None where there is none of this checkpoint.

    Raises:
        DataError: the file cannot be read or is damaged.
    """
    path = folder / SOURCES_FILE
    if not path.exists():
        return None
    arrays = read_arrays(path, ("names", "means", "whitening", "step", *_NUMBERS), _CURE)
    names = tuple(json.loads(arrays["names"].tobytes()))
    means, whitening = arrays["means"].astype(np.float64), arrays["whitening"].astype(np.float64)
    if means.ndim != 2 or len(means) != len(names) or whitening.shape != (means.shape[1],) * 2:
        raise DataError(f"{path}: damaged: a mean for each family; {_CURE}")
    if int(arrays["step"]) != step:
        return None
    return SourceRule(names, means, whitening, *(float(arrays[name]) for name in _NUMBERS))
