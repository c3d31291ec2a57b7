"""Several runs of one experiment that differ in their seed: how far its figures can be trusted.

One run of a network says little: with another seed, the same recipe gives other figures. Here they
are computed anew from each run's scores, so that all are computed alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.config import Config, thawed
from rawnet_jax.config_file import FREE_TO_CHANGE, differences, read_config
from rawnet_jax.data.join import align_scores, join_scores
from rawnet_jax.data.score_file import ScoreTable, read_scores
from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.evaluation.figures import FIGURES, FigureKind, curve_figures, measure
from rawnet_jax.metrics.asv import AsvOperatingPoint
from rawnet_jax.metrics.classification import confusion_at
from rawnet_jax.metrics.dcf import ASVSPOOF5_COSTS, CostModel
from rawnet_jax.metrics.validation import split_by_label

# A run of other length may go on, but it is another experiment than the finished one.
_MAY_DIFFER = tuple(name for name in FREE_TO_CHANGE if name != "config.train.num_epochs")

_RATE = "fraction from 0 to 1 at spoof_threshold, spoof positive, higher is better"
DECISION_FIGURES = tuple(
    FigureKind(name, title, True, _RATE)
    for name, title in (
        ("accuracy", "Accuracy"),
        ("precision", "Precision"),
        ("recall", "Recall"),
        ("f1", "F1"),
    )
)
"""Figures at one threshold, beside those of `FIGURES` over all of them."""


@dataclass(frozen=True, slots=True, eq=False)
class SeedRun:
    """The scores of one run.

    Attributes:
        name: as the user gave it.
        table: scores of one partition.
        config: None where only a score file is known.
    """

    name: str
    table: ScoreTable
    config: Config | None = None

    @property
    def seed(self) -> int | None:
        """The run's seed; None where only a score file is known."""
        return None if self.config is None else self.config.train.seed


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """One figure over R runs.

    Attributes:
        kind: name, unit and direction.
        values: float64 [R], in the order of the runs.
        pooled: the figure of the averaged scores.
    """

    kind: FigureKind
    values: np.ndarray
    pooled: float

    @property
    def mean(self) -> float:
        """Mean over the runs."""
        return float(self.values.mean())

    @property
    def std(self) -> float:
        """Standard deviation over the runs, with R - 1 in the denominator."""
        return float(self.values.std(ddof=1))

    @property
    def best(self) -> int:
        """Index of the best run; the first of several."""
        return int(self.values.argmax() if self._higher_is_better else self.values.argmin())

    @property
    def worst(self) -> int:
        """Index of the worst run; the first of several."""
        return int(self.values.argmin() if self._higher_is_better else self.values.argmax())

    @property
    def _higher_is_better(self) -> bool:
        return "higher is better" in self.kind.unit


@dataclass(frozen=True, slots=True, eq=False)
class SeedSummary:
    """Figures over R runs, and the system that averages their scores.

    Attributes:
        runs: in the given order.
        spreads: one a figure.
        pooled: mean of the runs' scores a trial, with keys.
        spoof_threshold: on P(spoof), of `DECISION_FIGURES`.
        warnings: what a reader of the figures must know.
    """

    runs: tuple[SeedRun, ...]
    spreads: tuple[Spread, ...]
    pooled: ScoreTable
    spoof_threshold: float
    warnings: tuple[str, ...]


def read_run(path: Path, partition: str = "eval", trials: Sequence[Trial] = ()) -> SeedRun:
    """Read the scores of a run.

    Args:
        path: a run's work directory that ``evaluate`` has written into, or a score file.
        partition: folder of the scores in a work directory.
        trials: a protocol with the keys; none = the score file has them.

    Raises:
        ConfigError: the folder holds no run, or its config is damaged.
        DataError: the scores are missing or damaged, or do not fit the protocol.
    """
    config = read_config(path) if path.is_dir() else None
    file = path if config is None else path / partition / "scores.txt"
    if config is not None and not file.is_file():
        raise DataError(
            f"{file}: no such file; score the run first: evaluate --workdir {path} "
            f"--partition {partition}"
        )
    table = read_scores(file)
    if trials:
        table = join_scores(table, trials, source=str(file)).table()
    return SeedRun(str(path), table, config)


def summarise_seeds(
    runs: Sequence[SeedRun],
    *,
    asv: AsvOperatingPoint | None = None,
    costs: CostModel = ASVSPOOF5_COSTS,
) -> SeedSummary:
    """Compute every figure of every run and of the averaged scores.

    Args:
        runs: at least two, with scores of the same utterances.
        asv: speaker verification system of the tandem figures, which are left out without it.
        costs: of minDCF and actDCF.

    Raises:
        ConfigError: configs differ in more than the seed, or two runs have the same seed.
        DataError: fewer than two runs, one is named twice, utterances or keys differ, or there are
            no keys.
        MetricError: a class is missing.
    """
    _check_runs(runs)
    aligned = align_scores({run.name: run.table for run in runs})
    if aligned.labels is None:
        raise DataError(f"{runs[0].name}: the scores have no keys; wanted --protocol")
    first = runs[0].config
    spoof_threshold = 0.5 if first is None else first.eval.spoof_threshold
    pooled = aligned.scores.mean(axis=1)
    columns = [*aligned.scores.T, pooled]
    figures = [_figures(c, aligned.labels, spoof_threshold, asv, costs) for c in columns]
    spreads = tuple(
        Spread(kind, np.array([f[kind.name] for f in figures[:-1]]), figures[-1][kind.name])
        for kind in (*FIGURES, *DECISION_FIGURES)
        if kind.name in figures[0]
    )
    return SeedSummary(
        tuple(runs),
        spreads,
        aligned.table(pooled),
        spoof_threshold,
        _warnings(runs, aligned.scores),
    )


def seeds_record(summary: SeedSummary) -> dict[str, Any]:
    """Return everything but the pooled scores as plain numbers and strings, ready for JSON."""
    names = [run.name for run in summary.runs]
    labels = summary.pooled.labels
    assert labels is not None
    return {
        "schema_version": 1,
        "runs": [{"name": run.name, "seed": run.seed} for run in summary.runs],
        "num_bonafide": int(labels.sum()),
        "num_spoof": int(labels.size - labels.sum()),
        "spoof_threshold": summary.spoof_threshold,
        "figures": {
            spread.kind.name: {
                "unit": spread.kind.unit,
                "mean": spread.mean,
                "standard_deviation": spread.std,
                "best": float(spread.values[spread.best]),
                "best_run": names[spread.best],
                "worst": float(spread.values[spread.worst]),
                "worst_run": names[spread.worst],
                "pooled": spread.pooled,
                "values": spread.values.tolist(),
            }
            for spread in summary.spreads
        },
        "warnings": list(summary.warnings),
    }


def format_seeds(summary: SeedSummary) -> str:
    """Return the table for a terminal, without a final line end."""
    labels = summary.pooled.labels
    assert labels is not None
    num_bonafide, shorts = int(labels.sum()), _shorts(summary)
    lines = [
        f"{len(summary.runs)} runs on {labels.size:,} trials ({num_bonafide:,} bona fide, "
        f"{labels.size - num_bonafide:,} spoof)",
        *(f"  {short}: {run.name}" for short, run in zip(shorts, summary.runs, strict=True)),
        "",
        f"  {'':<20}{'mean':>10}{'std':>10}   {'best':<22}{'worst':<22}{'pooled':>10}",
    ]
    for spread in summary.spreads:
        text = spread.kind.text
        best, worst = (
            f"{text(spread.values[i])} ({shorts[i]})" for i in (spread.best, spread.worst)
        )
        lines.append(
            f"  {spread.kind.title:<20}{text(spread.mean):>10}{text(spread.std):>10}   "
            f"{best:<22}{worst:<22}{text(spread.pooled):>10}"
        )
    lines += ["", "  std: over runs, R - 1 in the denominator. pooled: mean of the runs' scores."]
    lines += [f"  WARNING: {warning}" for warning in summary.warnings]
    return "\n".join(lines)


def _shorts(summary: SeedSummary) -> list[str]:
    """Name each run in a word that fits into a table."""
    return [
        f"run {number}" if run.seed is None else f"seed {run.seed}"
        for number, run in enumerate(summary.runs, 1)
    ]


def _check_runs(runs: Sequence[SeedRun]) -> None:
    if len(runs) < 2:
        raise DataError(f"{len(runs)} run given; two or more were wanted")
    of_name: dict[str, SeedRun] = {}
    of_seed: dict[int, SeedRun] = {}
    first = next((run for run in runs if run.config is not None), None)
    for run in runs:
        if of_name.setdefault(run.name, run) is not run:
            raise DataError(f"{run.name} is given twice; different runs were wanted")
        if run.config is None or first is None or first.config is None:
            continue
        same_seed = thawed(run.config)
        same_seed.train = replace(same_seed.train, seed=first.config.train.seed)
        different = differences(first.config, same_seed, _MAY_DIFFER)
        if different:
            raise ConfigError(
                f"{run.name} differs from {first.name} in more than its seed: "
                f"{'; '.join(different)}; wanted runs of the same config"
            )
        earlier = of_seed.setdefault(run.config.train.seed, run)
        if earlier is not run:
            raise ConfigError(
                f"{run.name} has the seed of {earlier.name}, {run.seed}; wanted runs with "
                "different seeds (--config.train.seed)"
            )


def _figures(
    scores: np.ndarray,
    labels: np.ndarray,
    spoof_threshold: float,
    asv: AsvOperatingPoint | None,
    costs: CostModel,
) -> Mapping[str, float]:
    bonafide, spoof = split_by_label(scores, labels)
    found = measure(bonafide, spoof, curve_figures(costs, asv))
    figures = {name: estimate.value for name, estimate in found.items()}
    counts = confusion_at(scores, labels, spoof_threshold)
    return figures | {kind.name: getattr(counts, kind.name) for kind in DECISION_FIGURES}


def _warnings(runs: Sequence[SeedRun], scores: np.ndarray) -> tuple[str, ...]:
    found = []
    twins = [
        (runs[i].name, runs[j].name)
        for j in range(len(runs))
        for i in range(j)
        if (scores[:, i] == scores[:, j]).all()
    ]
    found += [f"{a} and {b} have the same scores; are they the same run?" for a, b in twins]
    spreads = scores.std(axis=0)
    if spreads.max() > 3 * spreads.min():
        found.append(
            "the runs' scores are of very different size, so the largest ones decide the pooled "
            "system; calibrate each run first, or fuse them"
        )
    return tuple(found)
