"""``benchmark``: a run, and the packaged detector, on all known corpora below a folder."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rawnet_jax.atomic_file import make_folder
from rawnet_jax.checkpoint_names import BEST
from rawnet_jax.config import Config
from rawnet_jax.data.asv_score_file import read_asv_scores
from rawnet_jax.data.corpus_list import ListedCorpus, config_on
from rawnet_jax.data.partitions import load_listed_cache
from rawnet_jax.data.places import asv_scores_of
from rawnet_jax.data.recognise import Recognised, recognise_below, said
from rawnet_jax.data.trial import labels_of
from rawnet_jax.errors import ConfigError, DataError, RawnetError
from rawnet_jax.evaluation.benchmark import BenchmarkRow, BenchmarkSystem, measured, pooled
from rawnet_jax.evaluation.cross_corpus import CorpusScores
from rawnet_jax.evaluation.kept_scores import KeptScores
from rawnet_jax.jobs.chosen_run import results_folder
from rawnet_jax.jobs.console import say_written
from rawnet_jax.jobs.measuring import MeasuringOptions
from rawnet_jax.jobs.options import RunOptions
from rawnet_jax.jobs.trained_run import KeptScorer, Model, models_of, warnings_of_whole_corpus
from rawnet_jax.metrics.calibration import Calibration
from rawnet_jax.presets.catalog import DEFAULT, preset_folder
from rawnet_jax.presets.files import is_preset
from rawnet_jax.reports.benchmark_tables import format_system, write_benchmark
from rawnet_jax.run import Run, configs_of
from rawnet_jax.runtime import start_runtime
from rawnet_jax.scoring.verdict import load_decision
from rawnet_jax.terminal import complain, show

FOLDER = "benchmark"
EXIT_INCOMPLETE = 1
_PARTITION = "eval"


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions(MeasuringOptions, RunOptions):
    """Options of ``benchmark``, named as its flags; see ``benchmark --help``."""

    data: Path
    corpora: Sequence[str] | None
    packaged: bool
    problems: str
    list: bool
    output: Path | None
    progress: bool


def benchmark(options: BenchmarkOptions) -> int:
    """Score all corpora that are found; returns the exit status: 1 where one could not be scored.

    Raises:
        RawnetError: whatever is wrong with the run, the folder or the options; not with a corpus.
    """
    found = _chosen(recognise_below(options.data), options)
    for name, one in found.items():
        show(f"{name}: {one.root}: {said(one)}")
    if options.list:
        return 0
    show()
    corpora = [_listed(name, one, options.problems) for name, one in found.items()]
    trained, config = configs_of(options.workdir, options.overrides)
    start_runtime(config.runtime)
    output = options.output or results_folder(options.workdir) / FOLDER
    make_folder(output)
    models = models_of(config, options.workdir, options.overrides, output, FOLDER)
    systems = [_on_all(options, model, trained, corpora, output) for model in models]
    packaged = preset_folder(DEFAULT) if options.packaged else None
    if packaged is not None and packaged.resolve() != options.workdir.resolve():
        trained, config = configs_of(packaged, ())
        model = Model(packaged, output, config)
        systems.append(_on_all(replace(options, checkpoint=BEST), model, trained, corpora, output))
    say_written(write_benchmark(output, systems))
    failed = any(row.failed for system in systems for row in system.rows)
    return EXIT_INCOMPLETE if failed else 0


def _chosen(found: Sequence[Recognised], options: BenchmarkOptions) -> dict[str, Recognised]:
    """Return what is scored, by the name that it has in the table."""
    if not found:
        raise DataError(
            f"{options.data}: no known corpus in it or two levels below; the command check tells "
            "of one folder what it is"
        )
    counts = [one.corpus for one in found]
    named = {
        one.corpus
        if counts.count(one.corpus) == 1
        else f"{one.corpus} in {os.path.relpath(one.root, options.data)}": one
        for one in found
    }
    if options.corpora is None:
        return named
    unknown = [name for name in options.corpora if name not in counts]
    if unknown:
        raise ConfigError(
            f"--corpora {unknown[0]}: is not in {options.data}; there are {', '.join(named)}"
        )
    return {name: one for name, one in named.items() if one.corpus in options.corpora}


def _listed(name: str, found: Recognised, problems: str) -> ListedCorpus:
    place = {"corpus": found.corpus, "root": str(found.root)}
    return ListedCorpus(name, place, (_PARTITION,), problems)


def _on_all(
    options: BenchmarkOptions,
    model: Model,
    trained: Config,
    corpora: Sequence[ListedCorpus],
    output: Path,
) -> BenchmarkSystem:
    """Score one model on all corpora; what was scored before is kept."""
    run = Run.load(model.config, model.workdir, options.checkpoint)
    kept = KeptScorer(run, KeptScores(output / "scores"), options.progress)
    name = model.workdir.name if is_preset(model.workdir) else model.config.name
    calibration = load_decision(
        model.workdir, model.config, run.step, is_best=options.checkpoint == BEST
    ).calibration
    rows: list[BenchmarkRow] = []
    parts: list[CorpusScores] = []
    for corpus in corpora:
        row = BenchmarkRow(corpus.name, corpus.place["corpus"], corpus.place["root"])
        try:
            row, scored = _on_one(row, corpus, model, trained, kept, name, options)
            if scored is not None:
                asv = asv_scores_of(config_on(model.config, corpus).data, _PARTITION)
                known = None if asv is None else read_asv_scores(asv)
                row = measured(row, scored, calibration, known, options.resampling)
                parts.append(scored)
        except RawnetError as error:
            complain(f"error: {corpus.name}: {error}")
            row = replace(row, problem=str(error), failed=True)
        rows.append(row)
    system = BenchmarkSystem(
        name,
        f"{options.checkpoint}, step {run.step}",
        _note(calibration),
        tuple(rows),
        pooled(parts, calibration, options.resampling),
    )
    show(format_system(system))
    show()
    return system


def _on_one(
    row: BenchmarkRow,
    corpus: ListedCorpus,
    model: Model,
    trained: Config,
    kept: KeptScorer,
    name: str,
    options: BenchmarkOptions,
) -> tuple[BenchmarkRow, CorpusScores | None]:
    """Score one corpus; without keys there is nothing to measure."""
    config = config_on(model.config, corpus)
    clips = load_listed_cache(config.data, _PARTITION, options.progress)
    file = re.sub(r"[^\w.-]+", "_", f"{name}-{corpus.name}")
    scores = kept.score(file, clips, f"{name} on {corpus.name}")
    labels = labels_of(clips.trials)
    if labels is None:
        return replace(row, problem=f"{len(clips):,} trials scored; no keys, so no metrics"), None
    left_out = sum(clips.skipped_reasons.values())
    said_of = [f"{left_out:,} clips left out"] if left_out else []
    said_of += warnings_of_whole_corpus(trained, config, _PARTITION)
    trials = clips.trials
    scored = CorpusScores(
        scores, labels, [t.attack_id for t in trials], [t.speaker_id for t in trials]
    )
    return replace(row, problem="; ".join(said_of)), scored


def _note(calibration: Calibration | None) -> str:
    if calibration is None:
        return "C_llr reads the scores as they are: the run has no calibration (evaluate fits one)"
    return (
        "C_llr is of the scores as the run's own calibration, fitted on its dev trials, reads them"
    )
