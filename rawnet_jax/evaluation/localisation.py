"""Where in recordings fake speech is: time lines against segments that a list states."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rawnet_jax.data.matching import named_as
from rawnet_jax.data.score_file import ScoreTable
from rawnet_jax.data.segments import SEGMENTS, Segment, segments_of, segments_to_frames
from rawnet_jax.data.time_lines import TimeLine
from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import DataError, MetricError
from rawnet_jax.labels import Label
from rawnet_jax.metrics.det import EqualErrorRate, eer
from rawnet_jax.metrics.spans import (
    Detection,
    all_time,
    detection_at,
    frame_scores,
    pieces_of,
    range_eer,
    weighed_time,
)

RESOLUTIONS_MS = (20, 40, 80, 160, 320, 640)
"""At which the frames of PartialSpoof are labelled."""


@dataclass(frozen=True, slots=True)
class FrameFigures:
    """Figures at one resolution.

    Attributes:
        frame_ms: length of a frame.
        num_bonafide: frames without any fake in them, that have a score.
        num_spoof: frames with.
        num_unscored: frames that no window covers.
        eer: None where a class has no frame.
    """

    frame_ms: float
    num_bonafide: int
    num_spoof: int
    num_unscored: int
    eer: EqualErrorRate | None


@dataclass(frozen=True, slots=True)
class Localisation:
    """How well fake segments are found.

    Attributes:
        num_recordings: that have a time line and a trial.
        num_without: trials without a time line.
        bonafide_s: time, in seconds.
        spoof_s: fake time.
        frames: one for each resolution.
        by_time: the equal error rate of time.
        at_threshold: precision and recall of time at a threshold.
        given: whether that threshold was given; False = it is that of `by_time`.
    """

    num_recordings: int
    num_without: int
    bonafide_s: float
    spoof_s: float
    frames: tuple[FrameFigures, ...]
    by_time: EqualErrorRate
    at_threshold: Detection
    given: bool


def truth_of(trial: Trial, duration_s: float) -> tuple[Segment, ...]:
    """Return the segments of a recording; without any it is all of its own class.

    Raises:
        DataError: it has no label, or its segments cannot be read.
    """
    text = trial.metadata.get(SEGMENTS, "")
    if text:
        try:
            return segments_of(text)
        except DataError as error:
            raise DataError(f"{trial.source}: {error}") from error
    if trial.label is None:
        raise DataError(f"{trial.source}: neither a label nor segments")
    return (Segment(0.0, duration_s, trial.label),)


def localise(
    lines: Sequence[TimeLine],
    trials: Sequence[Trial],
    resolutions_ms: Sequence[float] = RESOLUTIONS_MS,
    threshold: float | None = None,
) -> Localisation:
    """Measure time lines against the segments that a list states.

    Args:
        lines: of recordings; those that the list does not name are left out.
        trials: of the list.
        resolutions_ms: lengths of frames.
        threshold: a moment is called fake below it; None = that of the equal error rate of time,
            which is found on these very recordings.

    Raises:
        DataError: no recording is in both, or a trial has neither label nor segments.
        MetricError: there is no fake or no bona fide time.
    """
    names = [line.name for line in lines]
    table, _ = named_as(
        ScoreTable(names, np.zeros(len(names))), [trial.utterance_id for trial in trials]
    )
    trial_of = {trial.utterance_id: trial for trial in trials}
    paired = [
        (line, trial_of[name])
        for line, name in zip(lines, table.utterance_ids, strict=True)
        if name in trial_of
    ]
    if not paired:
        raise DataError(
            f"none of the {len(lines):,} recordings, such as {names[0]!r}, is one of the "
            f"{len(trials):,} trials, such as {trials[0].utterance_id!r}"
        )
    truth = [truth_of(trial, line.duration_s) for line, trial in paired]
    pieces = [pieces_of(line.start_s, line.end_s, line.score) for line, _ in paired]
    time = all_time(
        [
            weighed_time(piece, [(s.start_s, s.end_s) for s in one if s.label == Label.SPOOF])
            for piece, one in zip(pieces, truth, strict=True)
        ]
    )
    by_time = range_eer(time)
    return Localisation(
        num_recordings=len(paired),
        num_without=len(trials) - len(paired),
        bonafide_s=float(time.bonafide_s.sum()),
        spoof_s=float(time.spoof_s.sum()),
        frames=tuple(_at(ms, paired, truth, pieces) for ms in resolutions_ms),
        by_time=by_time,
        at_threshold=detection_at(time, by_time.threshold if threshold is None else threshold),
        given=threshold is not None,
    )


def _at(frame_ms: float, paired: Sequence, truth: Sequence, pieces: Sequence) -> FrameFigures:
    scores: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for (line, _), segments, piece in zip(paired, truth, pieces, strict=True):
        of_frames = segments_to_frames(segments, frame_ms / 1000, line.duration_s)
        labels.append(of_frames)
        scores.append(frame_scores(piece, frame_ms / 1000, len(of_frames)))
    score, label = np.concatenate(scores), np.concatenate(labels)
    known = ~np.isnan(score)
    bonafide, spoof = (score[known & (label == one)] for one in (Label.BONAFIDE, Label.SPOOF))
    try:
        rate = eer(bonafide, spoof)
    except MetricError:
        rate = None
    return FrameFigures(frame_ms, bonafide.size, spoof.size, int((~known).sum()), rate)
