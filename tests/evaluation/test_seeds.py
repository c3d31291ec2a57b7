"""Several seeds: figures by hand, the pooled system, and what counts as the same experiment."""

import json
import statistics

import numpy as np
import pytest

from rawnet_jax.config import Config
from rawnet_jax.config_file import save_config
from rawnet_jax.data.score_file import ScoreTable, write_scores
from rawnet_jax.data.trial import Trial
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.evaluation.seeds import (
    SeedRun,
    read_run,
    seeds_record,
    summarise_seeds,
)
from rawnet_jax.labels import Label
from rawnet_jax.metrics.asv import AsvScores
from rawnet_jax.metrics.det import eer
from rawnet_jax.metrics.validation import split_by_label
from rawnet_jax.reports.seeds_table import format_seeds

LABELS = np.repeat((1, 0), 60)
UTTERANCES = [f"u{i}" for i in range(LABELS.size)]


def scores_of(seed):
    return 1.5 * LABELS + np.random.default_rng(seed).normal(size=LABELS.size) - 0.75


def config_of(seed, **changes):
    config = Config()
    config.train.seed = seed
    for dotted, value in changes.items():
        group, _, name = dotted.partition("__")
        setattr(getattr(config, group), name, value)
    return config


def run_of(seed, scores=None, **changes):
    scores = scores_of(seed) if scores is None else scores
    table = ScoreTable(UTTERANCES, scores, LABELS)
    return SeedRun(f"run{seed}", table, config_of(seed, **changes))


def rate(scores):
    return eer(*split_by_label(scores, LABELS)).eer


def test_figures_are_those_of_the_runs():
    summary = summarise_seeds([run_of(seed) for seed in (3, 1, 2)])
    spread = {s.metric.name: s for s in summary.spreads}
    rates = [rate(scores_of(seed)) for seed in (3, 1, 2)]
    assert spread["eer"].values.tolist() == rates
    assert spread["eer"].mean == pytest.approx(statistics.mean(rates))
    assert spread["eer"].std == pytest.approx(statistics.stdev(rates))
    assert rates[spread["eer"].best] == min(rates)
    assert rates[spread["eer"].worst] == max(rates)
    for higher in ("auc", "accuracy", "precision", "recall", "f1"):
        values = spread[higher].values
        assert values[spread[higher].best] == values.max()
        assert values[spread[higher].worst] == values.min()
    right = (scores_of(3) > 0) == (LABELS == 1)
    assert spread["accuracy"].values[0] == right.mean()
    assert "min_tdcf_legacy" not in spread
    assert not summary.warnings


def test_pooled_scores_are_the_mean_and_join_by_utterance():
    a, b = run_of(1), run_of(2)
    turned = ScoreTable(UTTERANCES[::-1], b.table.scores[::-1], LABELS[::-1])
    summary = summarise_seeds([a, SeedRun("run2", turned, b.config)])
    mean = (scores_of(1) + scores_of(2)) / 2
    np.testing.assert_allclose(summary.pooled.scores, mean, rtol=1e-15)
    assert list(summary.pooled.utterance_ids) == UTTERANCES
    spread = next(s for s in summary.spreads if s.metric.name == "eer")
    assert spread.pooled == rate(mean)
    assert spread.pooled < spread.mean


def test_tandem_figures_come_with_asv_scores():
    rng = np.random.default_rng(0)
    asv = AsvScores(rng.normal(3, 1, 99), rng.normal(0, 1, 99), rng.normal(2, 1, 99))
    summary = summarise_seeds([run_of(1), run_of(2)], asv=asv)
    assert {"min_tdcf_legacy", "min_tdcf_revised", "t_eer"} <= {
        s.metric.name for s in summary.spreads
    }


def test_decisions_are_at_the_configs_threshold():
    runs = [run_of(seed, eval__spoof_threshold=0.9) for seed in (1, 2)]
    summary = summarise_seeds(runs)
    assert summary.spoof_threshold == 0.9
    accuracy = next(s for s in summary.spreads if s.metric.name == "accuracy")
    called_spoof = 1 / (1 + np.exp(scores_of(1))) >= 0.9
    assert accuracy.values[0] == (called_spoof == (LABELS == 0)).mean()


def test_record_and_table_say_the_same():
    summary = summarise_seeds([run_of(seed) for seed in (3, 1, 2)])
    record = json.loads(json.dumps(seeds_record(summary), allow_nan=False))
    assert [run["seed"] for run in record["runs"]] == [3, 1, 2]
    assert (record["num_bonafide"], record["num_spoof"]) == (60, 60)
    figure = record["figures"]["eer"]
    assert figure["values"] == [rate(scores_of(seed)) for seed in (3, 1, 2)]
    assert figure["best"] == min(figure["values"])
    best_seed = (3, 1, 2)[figure["values"].index(figure["best"])]
    assert figure["best_run"] == f"run{best_seed}"
    table = format_seeds(summary)
    assert f"{100 * figure['best']:.2f} % (seed {best_seed})" in table
    assert f"{100 * figure['standard_deviation']:.2f} %" in table
    assert "3 runs on 120 trials (60 bona fide, 60 spoof)" in table


@pytest.mark.parametrize(
    "changes",
    [{"optimizer__learning_rate": 0.1}, {"data__num_samples": 99}, {"train__num_epochs": 3}],
)
def test_another_experiment_is_refused(changes):
    [(dotted, value)] = changes.items()
    field = f"config.{dotted.replace('__', '.')} was .* and is {value}"
    with pytest.raises(ConfigError, match=f"run2 differs from run1 .*{field}"):
        assert len(summarise_seeds([run_of(1), run_of(2, **changes)]).runs) == 2


@pytest.mark.parametrize(
    "changes", [{"data__root": "/elsewhere"}, {"data__num_workers": 3}, {"eval__batch_size": 5}]
)
def test_another_machine_is_not_another_experiment(changes):
    assert len(summarise_seeds([run_of(1), run_of(2, **changes)]).runs) == 2


@pytest.mark.parametrize(
    ("runs", "error", "message"),
    [
        (lambda: [run_of(1)], DataError, "1 run given"),
        (lambda: [run_of(1), run_of(1)], DataError, "run1 is given twice"),
        (
            lambda: [run_of(1), SeedRun("again", run_of(1).table, config_of(1))],
            ConfigError,
            "again has the seed of run1, 1",
        ),
        (
            lambda: [
                run_of(1),
                SeedRun("b", ScoreTable(["v"], np.ones(1), np.ones(1)), config_of(2)),
            ],
            DataError,
            "utterances of b have no score",
        ),
        (
            lambda: [SeedRun(n, ScoreTable(["v"], np.ones(1))) for n in "ab"],
            DataError,
            "a: the scores have no keys",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(runs, error, message):
    with pytest.raises(error, match=message):
        summarise_seeds(runs())


def test_twins_and_unequal_sizes_are_warned_about():
    twins = summarise_seeds([run_of(1), run_of(2, scores_of(1))])
    assert "run1 and run2 have the same scores" in twins.warnings[0]
    assert twins.warnings[0] in format_seeds(twins)
    unequal = summarise_seeds([run_of(1), run_of(2, 10 * scores_of(2))])
    assert "very different size" in unequal.warnings[0]


def test_runs_are_read_from_folders_and_files(tmp_path):
    folder = tmp_path / "run"
    (folder / "dev").mkdir(parents=True)
    with pytest.raises(ConfigError, match="no run here"):
        read_run(folder)
    save_config(config_of(7), folder)
    with pytest.raises(DataError, match=r"evaluate --workdir .*run --partition eval"):
        read_run(folder)
    file = folder / "dev" / "scores.txt"
    write_scores(file, ScoreTable(["a", "b"], np.array([1.0, -1.0])), "asvspoof2021")
    run = read_run(folder, "dev")
    assert (run.seed, run.table.labels) == (7, None)
    trials = [Trial("b", Label.SPOOF, "b"), Trial("a", Label.BONAFIDE, "a")]
    alone = read_run(file, trials=trials)
    assert alone.seed is None
    assert alone.table.labels is not None
    assert alone.table.scores.tolist() == [-1.0, 1.0]
