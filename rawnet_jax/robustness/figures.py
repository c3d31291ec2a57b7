"""What each condition does to a system: error rates, decisions, and where its scores go."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.errors import DataError
from rawnet_jax.evaluation.decision import Classes
from rawnet_jax.evaluation.resampling import Resampling
from rawnet_jax.fitted_file import read_fitted, write_fitted
from rawnet_jax.metrics.bootstrap import Groups
from rawnet_jax.metrics.det import eer
from rawnet_jax.metrics.thresholds import Threshold, decisions_at
from rawnet_jax.metrics.validation import split_by_label
from rawnet_jax.robustness.conditions import CLEAN, Condition, Missing

RECORD_NAME = "robustness.json"
_CONTENT = "robustness report"


@dataclass(frozen=True, slots=True)
class Row:
    """One condition; numbers are None where they are not known.

    Attributes:
        name: of the condition.
        family: conditions that differ in strength only have the same.
        title: for people.
        fingerprint: stands for what was done to the clips.
        missing: why it was not measured; "" where it was.
        eer: fraction, found on these very trials.
        eer_low: lower end of its bootstrap interval.
        eer_high: upper end.
        p_miss: share of bona fide trials rejected at the run's threshold.
        p_fa: share of spoof trials accepted there.
        accuracy: share of right decisions there.
        bonafide_shift: how far the mean score of bona fide trials went, in standard deviations of
            clean bona fide scores; below 0 = towards spoof.
        spoof_shift: the same of spoof trials, in the same unit; above 0 = towards bona fide.
    """

    name: str
    family: str
    title: str
    fingerprint: str = ""
    missing: str = ""
    eer: float | None = None
    eer_low: float | None = None
    eer_high: float | None = None
    p_miss: float | None = None
    p_fa: float | None = None
    accuracy: float | None = None
    bonafide_shift: float | None = None
    spoof_shift: float | None = None

    @property
    def half_total_error(self) -> float | None:
        """Mean of both error rates at the run's threshold; None without one."""
        if self.p_miss is None or self.p_fa is None:
            return None
        return (self.p_miss + self.p_fa) / 2


@dataclass(frozen=True)
class Robustness:
    """A run under all conditions.

    Attributes:
        name: of the run.
        partition: that was scored.
        checkpoint: which, and its step.
        trials: stands for the trials and their audio.
        num_bonafide: bona fide trials.
        num_spoof: spoof trials.
        threshold: on scores, the same for all conditions; None = none was chosen.
        threshold_rule: as text.
        interval_level: of the EERs' intervals; None without.
        rows: clean first.
    """

    name: str
    partition: str
    checkpoint: str
    trials: str
    num_bonafide: int
    num_spoof: int
    threshold: float | None
    threshold_rule: str
    interval_level: float | None
    rows: tuple[Row, ...]

    @property
    def clean_eer(self) -> float:
        """EER of the trials as they are."""
        assert self.rows[0].eer is not None
        return self.rows[0].eer

    @property
    def losses(self) -> dict[str, float]:
        """By how much each measured condition raises the EER, by name; fractions."""
        return {
            row.name: row.eer - self.clean_eer
            for row in self.rows
            if row.eer is not None and row.name != CLEAN
        }

    @property
    def mean_loss(self) -> float | None:
        """Mean of `losses`; None where only clean was measured."""
        losses = self.losses
        return sum(losses.values()) / len(losses) if losses else None

    @property
    def mean_threshold_loss(self) -> float | None:
        """Mean rise of `Row.half_total_error` over the measured conditions; None where unknown."""
        errors = [row.half_total_error for row in self.rows if row.eer is not None]
        known = [error for error in errors if error is not None]
        if len(known) < 2 or len(known) < len(errors):
            return None
        return sum(known[1:]) / len(known[1:]) - known[0]

    @property
    def worst(self) -> Row | None:
        """The condition of the largest loss; None where only clean was measured."""
        losses = self.losses
        if not losses:
            return None
        return max(self.rows[1:], key=lambda row: losses.get(row.name, -np.inf))


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What all conditions have in common.

    Attributes:
        labels: int [N], values of `Label`.
        threshold: from dev; None = no decisions.
        resampling: of the intervals; no replicates = none.
        speakers: N entries; read where speakers are drawn.
    """

    labels: np.ndarray
    threshold: Threshold | None
    resampling: Resampling
    speakers: Groups = ()


def measure_rows(
    conditions: Sequence[Condition | Missing], scores: Mapping[str, np.ndarray], judged: Judged
) -> tuple[Row, ...]:
    """Compute the metrics of every condition.

    Args:
        conditions: in the order of the report.
        scores: float [N] by name of the condition, clean among them; higher = more bona fide.
        judged: trials and threshold.

    Raises:
        MetricError: a class is missing, or a score is not finite.
    """
    clean = split_by_label(scores[CLEAN], judged.labels)
    return tuple(
        Row(row.name, row.family, row.title, missing=row.reason)
        if isinstance(row, Missing)
        else _measure(row, split_by_label(scores[row.name], judged.labels), clean, judged)
        for row in conditions
    )


def _measure(condition: Condition, scores: Classes, clean: Classes, judged: Judged) -> Row:
    row = Row(condition.name, condition.family, condition.title, condition.fingerprint)
    row = replace(row, eer=eer(*scores).eer)
    interval = judged.resampling.eer_interval(scores, judged.labels, judged.speakers)
    if interval is not None:
        row = replace(row, eer_low=interval.low, eer_high=interval.high)
    if judged.threshold is not None:
        rates = decisions_at(*scores, judged.threshold)
        row = replace(row, p_miss=rates.p_miss, p_fa=rates.p_fa, accuracy=rates.accuracy)
    deviation = float(np.std(clean[0]))
    if deviation > 0:
        bonafide, spoof = (
            float(np.mean(now) - np.mean(before)) / deviation
            for now, before in zip(scores, clean, strict=True)
        )
        row = replace(row, bonafide_shift=bonafide, spoof_shift=spoof)
    return row


def write_robustness(path: Path, report: Robustness) -> None:
    """Write a report as JSON, whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    means = {"eer": report.mean_loss, "half_total_error": report.mean_threshold_loss}
    record = asdict(report) | {"mean_losses": means}
    write_fitted(path, _CONTENT, record)


def read_robustness(path: Path) -> Robustness:
    """Read what `write_robustness` wrote.

    Raises:
        DataError: the file cannot be read, or is damaged or something else.
    """
    record: dict[str, Any] = read_fitted(path, _CONTENT)
    try:
        rows = tuple(Row(**row) for row in record["rows"])
        fields = {name: record[name] for name in Robustness.__dataclass_fields__ if name != "rows"}
        if not rows or rows[0].eer is None:
            raise ValueError("no clean row")
        return Robustness(**fields, rows=rows)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: damaged: {error}") from error
