"""Systems on all corpora that lie in a folder: the table that papers have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rawnet_jax.errors import MetricError
from rawnet_jax.evaluation.cross_corpus import CorpusScores
from rawnet_jax.evaluation.resampling import Resampling
from rawnet_jax.labels import Label
from rawnet_jax.metrics.asv import AsvScores
from rawnet_jax.metrics.bootstrap import Groups
from rawnet_jax.metrics.calibration import Calibration
from rawnet_jax.metrics.table import METRICS, Estimate, Setting

SHOWN = ("eer", "min_tdcf_legacy", "cllr", "min_cllr")
"""Metrics of the table, rows of `METRICS`."""

_NO_INTERVAL = ("min_cllr",)  # its bootstrap takes longer than all others together
POOLED = "pooled"


@dataclass(frozen=True, slots=True)
class BenchmarkRow:
    """One corpus, or all of them together.

    Attributes:
        name: of the corpus; `POOLED` = all.
        corpus: its form, a row of `rawnet_jax.data.corpus.CORPORA`; "" = several.
        root: where it lies.
        problem: why there are no figures, or not all; "" where nothing is wrong.
        failed: whether it could not be scored at all.
        num_bonafide: bona fide trials.
        num_spoof: spoof trials.
        figures: metrics by name; those that are not defined here are missing.
    """

    name: str
    corpus: str = ""
    root: str = ""
    problem: str = ""
    failed: bool = False
    num_bonafide: int = 0
    num_spoof: int = 0
    figures: Mapping[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BenchmarkSystem:
    """One system on all corpora.

    Attributes:
        name: of the run, or of the preset.
        checkpoint: which, and its step.
        note: how its scores are read for C_llr.
        rows: one for each corpus.
        pooled: all trials of these together.
    """

    name: str
    checkpoint: str
    note: str
    rows: tuple[BenchmarkRow, ...]
    pooled: BenchmarkRow

    @property
    def mean_eer(self) -> float | None:
        """Mean of the EERs, each corpus counting the same; None without any."""
        rates = [row.figures["eer"].value for row in self.rows if "eer" in row.figures]
        return sum(rates) / len(rates) if rates else None


def measured(
    row: BenchmarkRow,
    scored: CorpusScores,
    calibration: Calibration | None,
    asv: AsvScores | None,
    resampling: Resampling,
) -> BenchmarkRow:
    """Fill in the figures of a row; none where a class has no trial.

    Args:
        row: with its names.
        scored: the trials.
        calibration: of the system, for C_llr; None = scores are read as they are.
        asv: scores of a speaker verification system on this corpus; None = no t-DCF.
        resampling: of the intervals.

    Raises:
        MetricError: a score is not finite, or the ASV system is too weak for a t-DCF.
    """
    scores = np.asarray(scored.scores, np.float64)
    llrs = scores if calibration is None else calibration.apply(scores)
    sides = [np.asarray(scored.labels) == label for label in (Label.BONAFIDE, Label.SPOOF)]
    row = replace(row, num_bonafide=int(sides[0].sum()), num_spoof=int(sides[1].sum()))
    if not row.num_bonafide or not row.num_spoof:
        lacking = "bona fide" if not row.num_bonafide else "spoof"
        return replace(row, problem=_joined(row.problem, f"no {lacking} trials; counts as pooled"))
    setting = Setting(asv=asv)
    figures: dict[str, Estimate] = {}
    no_intervals = ""
    for of_llr, values in ((False, scores), (True, llrs)):
        rows = [METRICS[name] for name in SHOWN if asv is not None or not METRICS[name].needs_asv]
        names = [metric.name for metric in rows if metric.reads_llr == of_llr]
        bonafide, spoof = (values[side] for side in sides)
        functions = {name: METRICS[name].function(setting) for name in names}
        bounded = {name: f for name, f in functions.items() if name not in _NO_INTERVAL}
        try:
            intervals = resampling.intervals(
                (bonafide, spoof), bounded, scored.labels, scored.speakers
            )
        except MetricError as error:
            intervals, no_intervals = {}, f"no intervals: {error}"
        for name, function in functions.items():
            value = float(function(bonafide, spoof))
            figures[name] = Estimate(value, intervals.get(name))
    return replace(
        row,
        problem=_joined(row.problem, no_intervals),
        figures={name: figures[name] for name in SHOWN if name in figures},
    )


def pooled(
    parts: Sequence[CorpusScores], calibration: Calibration | None, resampling: Resampling
) -> BenchmarkRow:
    """Return the figures of all trials of all corpora together.

    Speakers of two corpora are other people, whatever they are called.
    """
    row = BenchmarkRow(POOLED)
    if not parts:
        return replace(row, problem="no corpus was scored")
    speakers: list[str | None] = []
    for number, part in enumerate(parts):
        speakers += [None if one is None else f"{number} {one}" for one in part.speakers]
    together = CorpusScores(
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.labels for part in parts]),
        [attack for part in parts for attack in part.attack_ids],
        _groups(speakers),
    )
    return measured(row, together, calibration, None, resampling)


def _groups(speakers: Sequence[str | None]) -> Groups:
    return list(speakers)


def _joined(*texts: str) -> str:
    return "; ".join(text for text in texts if text)
