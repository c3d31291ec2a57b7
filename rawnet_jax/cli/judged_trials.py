"""The trials of a run that are measured, and those that the input gate would not judge."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rawnet_jax.cli.run_clips import labels_of
from rawnet_jax.config import GateConfig
from rawnet_jax.data.partitions import Clips
from rawnet_jax.data.trial import Trial
from rawnet_jax.evaluation.cannot_judge import (
    CannotJudge,
    UnjudgedTrial,
    kept_positions,
    worst_case_eer,
)
from rawnet_jax.run import RunScores


@dataclass(frozen=True, slots=True, eq=False)
class JudgedTrials:
    """The trials that figures are of.

    Attributes:
        trials: in the order of the list of clips.
        score: float32 [N].
    """

    trials: list[Trial]
    score: np.ndarray


def judged_trials(clips: Clips, found: RunScores, gate: GateConfig) -> JudgedTrials:
    """Leave out what the gate refuses, if it is to refuse.

    Raises:
        DataError: nothing is left.
    """
    if gate.action != "refuse":
        return JudgedTrials(clips.trials, found.score)
    left_out = {row.position for row in found.findings.unjudged}
    kept = kept_positions(len(clips), left_out)
    return JudgedTrials([clips.trials[i] for i in kept.tolist()], found.score[kept])


def cannot_judge(scored: Mapping[str, tuple[Clips, RunScores]], gate: GateConfig) -> CannotJudge:
    """Collect what the gate found.

    Args:
        scored: clips and scores by partition, the evaluated one first.
        gate: whose `action` tells what was done about it.
    """
    rows = tuple(
        UnjudgedTrial(partition, clips.trials[row.position], *row[1:])
        for partition, (clips, found) in scored.items()
        for row in found.findings.unjudged
    )
    refused = gate.action == "refuse"
    clips, found = next(iter(scored.values()))
    labels, positions = labels_of(clips), [row.position for row in found.findings.unjudged]
    worst = None
    if refused and positions and labels is not None:
        worst = worst_case_eer(found.score, labels, positions)
    totals = {partition: len(clips) for partition, (clips, _) in scored.items()}
    return CannotJudge(refused, totals, rows, worst)
