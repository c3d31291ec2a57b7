"""Somebody's recordings, scored by a run: what adapting, enrolling and benchmarks fit to."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rawnet_jax.data.cache_build import usable_cores
from rawnet_jax.data.given import Recordings as Given
from rawnet_jax.data.given import source_of
from rawnet_jax.errors import DataError
from rawnet_jax.evaluation.adaptation_fit import Recordings
from rawnet_jax.labels import Label
from rawnet_jax.progress import BatchBars
from rawnet_jax.run import Run
from rawnet_jax.scoring.file_scorer import FileScore, Outcome
from rawnet_jax.scoring.file_windows import Recording
from rawnet_jax.scoring.outlier import refusal_by
from rawnet_jax.scoring.recordings import score_recordings
from rawnet_jax.scoring.reference import Reference
from rawnet_jax.scoring.verdict import DecisionRule
from rawnet_jax.scoring.windows import deciding_windows


@dataclass(frozen=True, slots=True)
class Named:
    """A recording with its name, and its speaker or system.

    Attributes:
        name: for messages.
        source: what is decoded.
        group: speaker of genuine speech, system of a fake; "" = nobody knows.
    """

    name: str
    source: Recording
    group: str = ""


def named(recordings: Given) -> list[Named]:
    """Return recordings with their names, and the group that each is listed under.

    Raises:
        AudioError, TypeError: see `source_of`.
    """
    groups = recordings if isinstance(recordings, Mapping) else {"": recordings}
    sources = [(source_of(one), group) for group, of in groups.items() for one in of]
    return [Named(str(source), source, group) for source, group in sources]


def measured(
    run: Run,
    decision: DecisionRule,
    recordings: Sequence[Named],
    embeds: bool,
    channel: int | None,
    title: str,
    progress: bool,
) -> Recordings:
    """Score recordings; those that cannot be judged are left out.

    Args:
        run: that scores.
        decision: that says what is called spoof.
        recordings: of one class.
        embeds: whether embeddings are kept.
        channel: take this channel, 1 = the first; None = the average of all.
        title: of the bar.
        progress: whether to show one.

    Raises:
        AudioError: one cannot be read.
    """
    results = score_recordings(
        [(one.name, one.source) for one in recordings],
        run.embed_batch if embeds else run.score_batch,
        run.recipe,
        channel=channel,
        num_threads=min(usable_cores(), max(len(recordings), 1)),
        num_devices=run.num_devices,
    )
    rows: list[tuple[float, np.ndarray, str, bool]] = []
    with BatchBars(progress)(title, len(recordings), unit="file") as bar:
        for one, found in zip(recordings, results, strict=True):
            if found.outcome == Outcome.UNREADABLE:
                raise DataError(f"{one.name}: {found.reason}")
            if (row := _row(run, decision, found, embeds)) is not None:
                rows.append((*row[:2], one.group, row[2]))
            bar.update()
    width = len(rows[0][1]) if rows else 0
    return Recordings(
        np.array([row[0] for row in rows], np.float64),
        np.array([row[1] for row in rows], np.float64).reshape(len(rows), width),
        tuple(row[2] for row in rows),
        np.array([row[3] for row in rows], bool),
    )


def _row(
    run: Run, decision: DecisionRule, found: FileScore, embeds: bool
) -> tuple[float, np.ndarray, bool] | None:
    """Return score, embedding and whether it is called spoof; None where it cannot be judged."""
    if found.score is None:
        return None
    embedding, distance = np.zeros(0), found.distance
    if embeds:
        windows, aggregation = found.windows, run.recipe.aggregation
        of = deciding_windows(windows.score[windows.counted], aggregation)
        more = windows.more[windows.counted][of]
        embedding = more.mean(axis=0, dtype=np.float64)
        distance = None if run.outliers is None else float(run.outliers.measure(more).mean())
    if refusal_by(decision.outliers, distance) is not None:
        return None
    is_judged = decision.refusal(found.score, distance) is None
    return found.score, embedding, is_judged and decision(found.score).label == Label.SPOOF


def known_recordings(
    reference: Reference | None, decision: DecisionRule, label: Label, *, embeds: bool
) -> Recordings | None:
    """Return what a run's reference holds of one class; None where it holds nothing.

    Args:
        reference: None = the run has none.
        decision: that says what is called spoof.
        label: the class.
        embeds: whether embeddings are wanted.
    """
    if reference is None or not (reference.labels == label).any():
        return None
    one = reference.rows(reference.labels == label)
    called = [decision(score).label == Label.SPOOF for score in one.scores.tolist()]
    embeddings = one.embeddings if embeds else np.zeros((len(one), 0))
    # Of whom nobody knows who it is, each is somebody else.
    groups = tuple(group or f"known {label.key} {i}" for i, group in enumerate(one.groups))
    return Recordings(one.scores, embeddings, groups, np.array(called, bool))


def left_out(bonafide: Sequence[Named], genuine: Recordings) -> list[str]:
    """Return a note on the genuine recordings that cannot be judged, if there are any."""
    num = len(bonafide) - len(genuine)
    if not num:
        return []
    return [
        f"{num} of {len(bonafide)} genuine recordings cannot be judged (no speech, or unlike "
        "training); they count for nothing, and adapting does not change that"
    ]


def speaker_of(path: str, folder: str) -> str:
    """Return the sub-folder of `folder` that a file lies in, its speaker; "" = in none."""
    parts = os.path.relpath(path, folder).split(os.sep)
    return parts[0] if len(parts) > 1 else ""
