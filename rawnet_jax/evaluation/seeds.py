"""Several runs of one experiment that differ in their seed: how far its metrics can be trusted.

One run of a network says little: with another seed, the same recipe gives other numbers. Here they
are computed again from each run's scores, so that all are computed alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.config import Config, thawed
from rawnet_jax.config_file import FREE_TO_CHANGE, differences, read_config
from rawnet_jax.data.join import Aligned, align_scores, join_scores
from rawnet_jax.data.score_file import ScoreTable, read_scores
from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.labels import UNSTATED
from rawnet_jax.metrics.asv import AsvScores
from rawnet_jax.metrics.dcf import ASVSPOOF5_COSTS, CostModel
from rawnet_jax.metrics.table import (
    DECISION_METRICS,
    METRICS,
    Metric,
    Setting,
    functions,
    measure,
)
from rawnet_jax.metrics.validation import refuse_huge, split_by_label

# A run of another length may be resumed, but it is another experiment than the finished one.
_MAY_DIFFER = tuple(name for name in FREE_TO_CHANGE if name != "config.train.num_epochs")


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
    """One metric over R runs.

    Attributes:
        metric: its row of the table.
        values: float64 [R], in the order of the runs.
        pooled: the metric of the averaged scores.
    """

    metric: Metric
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
        return int(self.values.argmax() if self.metric.better == "higher" else self.values.argmin())

    @property
    def worst(self) -> int:
        """Index of the worst run; the first of several."""
        return int(self.values.argmin() if self.metric.better == "higher" else self.values.argmax())


@dataclass(frozen=True, slots=True, eq=False)
class SeedSummary:
    """Metrics over R runs, and the system that averages their scores.

    Attributes:
        runs: in the given order.
        spreads: one per metric.
        pooled: mean of the runs' scores per trial, with keys.
        spoof_threshold: on P(spoof), of accuracy, precision, recall and F1.
        warnings: what a reader of the numbers must know.
    """

    runs: tuple[SeedRun, ...]
    spreads: tuple[Spread, ...]
    pooled: ScoreTable
    spoof_threshold: float
    warnings: tuple[str, ...]


def read_run(
    path: Path,
    partition: str = "eval",
    trials: Sequence[Trial] = (),
    one_means: str = UNSTATED,
) -> SeedRun:
    """Read the scores of a run.

    Args:
        path: a run's work directory that ``evaluate`` has written into, or a score file.
        partition: folder of the scores in a work directory.
        trials: a protocol with the keys; none = the score file has them.
        one_means: which label key 1 of a score file stands for.

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
    table = read_scores(file, one_means)
    if trials:
        table = join_scores(table, trials, source=str(file)).table()
    return SeedRun(str(path), table, config)


def summarise_seeds(
    runs: Sequence[SeedRun],
    *,
    asv: AsvScores | None = None,
    costs: CostModel = ASVSPOOF5_COSTS,
) -> SeedSummary:
    """Compute every metric of every run and of the averaged scores.

    Args:
        runs: at least two, with scores of the same utterances.
        asv: scores of a speaker verification system, for the tandem metrics; None = none.
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
        raise DataError(f"{runs[0].name}: the scores have no keys; give --protocol")
    refuse_huge(aligned.scores, "scores")
    first = runs[0].config
    spoof_threshold = 0.5 if first is None else first.eval.spoof_threshold
    pooled = aligned.scores.mean(axis=1)
    columns = [*aligned.scores.T, pooled]
    table = {**METRICS, **DECISION_METRICS}
    known = functions(Setting(costs, asv, spoof_threshold), table)
    found = [measure(*split_by_label(scores, aligned.labels), known) for scores in columns]
    spreads = tuple(
        Spread(table[name], np.array([f[name].value for f in found[:-1]]), found[-1][name].value)
        for name in known
    )
    return SeedSummary(
        tuple(runs),
        spreads,
        aligned.table(pooled),
        spoof_threshold,
        _warnings(runs, aligned),
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
            spread.metric.name: {
                "unit": spread.metric.unit_text,
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


def _check_runs(runs: Sequence[SeedRun]) -> None:
    if len(runs) < 2:
        raise DataError(f"{len(runs)} run given; there must be two or more")
    of_name: dict[str, SeedRun] = {}
    of_seed: dict[int, SeedRun] = {}
    first = next((run for run in runs if run.config is not None), None)
    for run in runs:
        if of_name.setdefault(run.name, run) is not run:
            raise DataError(f"{run.name} is given twice; runs must be different")
        if run.config is None or first is None or first.config is None:
            continue
        same_seed = thawed(run.config)
        same_seed.train = replace(same_seed.train, seed=first.config.train.seed)
        different = differences(first.config, same_seed, _MAY_DIFFER)
        if different:
            raise ConfigError(
                f"{run.name} differs from {first.name} in more than its seed: "
                f"{'; '.join(different)}; runs must be of the same config"
            )
        earlier = of_seed.setdefault(run.config.train.seed, run)
        if earlier is not run:
            raise ConfigError(
                f"{run.name} has the seed of {earlier.name}, {run.seed}; runs must have "
                "different seeds (--config.train.seed)"
            )


def _warnings(runs: Sequence[SeedRun], aligned: Aligned) -> tuple[str, ...]:
    scores = aligned.scores
    found = [
        f"{number:,} names of {name} differ from those of {runs[0].name} in folders or extension; "
        "they were matched by the rest of the name"
        for name, number in aligned.renamed.items()
    ]
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
