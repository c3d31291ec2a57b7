"""``cross-corpus``: a run on every corpus of a list."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rawnet_jax.atomic_file import make_folder
from rawnet_jax.config import Config
from rawnet_jax.data.corpus_list import (
    PLACE_FIELDS,
    ListedCorpus,
    config_on,
    read_corpus_list,
    unique_names,
)
from rawnet_jax.data.partitions import Clips, load_listed_cache
from rawnet_jax.data.splits import load_train_and_dev
from rawnet_jax.data.trial import ProblemLedger, labels_of
from rawnet_jax.errors import ConfigError, RawnetError
from rawnet_jax.evaluation.cross_corpus import CorpusRow, CorpusScores, CrossCorpus, measure_corpus
from rawnet_jax.evaluation.kept_scores import KeptScores
from rawnet_jax.evaluation.resampling import Resampling
from rawnet_jax.jobs.chosen_run import results_folder
from rawnet_jax.jobs.console import say_written
from rawnet_jax.jobs.measuring import MeasuringOptions
from rawnet_jax.jobs.options import RunOptions
from rawnet_jax.jobs.trained_run import (
    KeptScorer,
    Model,
    choose_threshold,
    dev_clips,
    models_of,
    rule_text,
    run_details,
)
from rawnet_jax.metrics.thresholds import Threshold
from rawnet_jax.reports.cross_corpus_page import write_cross_corpus_files
from rawnet_jax.reports.cross_corpus_tables import format_cross_corpus, format_spread
from rawnet_jax.reports.report import context_now
from rawnet_jax.run import Run, configs_of
from rawnet_jax.runtime import start_runtime
from rawnet_jax.terminal import complain, show

_LOG = logging.getLogger(__name__)

FOLDER = "cross_corpus"
OWN = "own"
EXIT_INCOMPLETE = 1


@dataclass(frozen=True, kw_only=True)
class CrossCorpusOptions(MeasuringOptions, RunOptions):
    """Options of ``cross-corpus``, named as its flags; see ``cross-corpus --help``."""

    corpora: Sequence[ListedCorpus]
    list: Path | None
    own: bool
    dev: bool
    output: Path | None
    progress: bool


def cross_corpus(options: CrossCorpusOptions) -> int:
    """Score a run on every corpus; returns the exit status: 1 where one could not be scored.

    Raises:
        RawnetError: whatever is wrong with the run, the list or the options; not with a corpus.
    """
    corpora = [*options.corpora, *(() if options.list is None else read_corpus_list(options.list))]
    if not corpora:
        raise ConfigError("cross-corpus: give --corpus or --list")
    corpora = unique_names(corpora)
    trained, config = configs_of(options.workdir, options.overrides)
    start_runtime(config.runtime)
    if options.own and trained.data.root:
        corpora = [_own_corpus(trained), *corpora]
    output = options.output or results_folder(options.workdir) / FOLDER
    results = []
    for model in models_of(config, options.workdir, options.overrides, output, FOLDER):
        results.append(_evaluate_one(options, model, trained, corpora))
        show()
    if len(results) > 1:
        show(format_spread(results))
    return EXIT_INCOMPLETE if any(row.failed for r in results for row in r.rows) else 0


def _own_corpus(trained: Config) -> ListedCorpus:
    place = {name: getattr(trained.data, name) for name in PLACE_FIELDS}
    return ListedCorpus(OWN, place, same_attacks=True)


def _evaluate_one(
    options: CrossCorpusOptions, model: Model, trained: Config, corpora: Sequence[ListedCorpus]
) -> CrossCorpus:
    """Score one model on all corpora and write everything about it."""
    config, output = model.config, model.output
    make_folder(output)
    run = Run.load(config, model.workdir, options.checkpoint)
    kept = KeptScorer(run, KeptScores(output / "scores"), options.progress)
    dev = dev_clips(trained, config, options.progress) if options.dev else None
    threshold = choose_threshold(kept, dev, options.threshold_rule, options.costs)
    attacks = _trained_attacks(trained)
    resampling = options.resampling

    def measured(corpus: ListedCorpus, partition: str) -> CorpusRow:
        """Score and measure one partition; what is wrong with it is said, and is in its row."""
        row = CorpusRow(corpus.name, corpus.place["corpus"], partition)
        try:
            data = config_on(config, corpus).data
            clips = load_listed_cache(data, partition, options.progress)
            name = re.sub(r"[^\w.-]+", "_", f"{corpus.name}-{partition}")
            scores = kept.score(name, clips, row.title)
            known = _attacks_on(corpus, trained, attacks)
            return _measured(row, clips, scores, threshold, known, resampling)
        except RawnetError as error:
            complain(f"error: {row.title}: {error}")
            return replace(row, problem=str(error), failed=True)

    result = CrossCorpus(
        name=config.name,
        checkpoint=f"{options.checkpoint}, step {run.step}",
        threshold=None if threshold is None else threshold.value,
        threshold_rule=rule_text(threshold),
        interval_level=resampling.level if resampling.num_replicates else None,
        rows=tuple(measured(corpus, part) for corpus in corpora for part in corpus.partitions),
    )
    _write(output, config, result)
    return result


def _measured(
    row: CorpusRow,
    clips: Clips,
    scores: np.ndarray,
    threshold: Threshold | None,
    attacks: frozenset[str] | None,
    resampling: Resampling,
) -> CorpusRow:
    labels = labels_of(clips.trials)
    if labels is None:
        return replace(row, problem=f"{len(clips):,} trials scored; no keys, so no metrics")
    left_out = sum(clips.skipped_reasons.values())
    row = replace(row, problem=f"{left_out:,} clips left out" if left_out else "")
    scored = CorpusScores(
        scores,
        labels,
        [trial.attack_id for trial in clips.trials],
        [trial.speaker_id for trial in clips.trials],
    )
    return measure_corpus(row, scored, threshold, attacks, resampling)


def _trained_attacks(trained: Config) -> frozenset[str] | None:
    """Return the attacks that the run was trained on; None, with a warning, where unknown."""
    try:
        clips, _ = load_train_and_dev(trained.data, ProblemLedger(trained.data.problems))
    except RawnetError as error:
        _LOG.warning("unseen attacks are not set apart: %s", error)
        return None
    return frozenset(clip.trial.attack_id for clip in clips if clip.trial.attack_id) or None


def _attacks_on(
    corpus: ListedCorpus, trained: Config, attacks: frozenset[str] | None
) -> frozenset[str] | None:
    """Return them where the ids of a corpus mean the same: A07 is another attack elsewhere."""
    same = corpus.same_attacks
    if same is None:
        same = (
            corpus.place["corpus"] == trained.data.corpus
            and Path(corpus.place["root"]).resolve() == Path(trained.data.root).resolve()
        )
    return attacks if same else None


def _write(output: Path, config: Config, result: CrossCorpus) -> None:
    details = run_details(config, result.checkpoint)
    notes = [config.note] if config.note else []
    context = context_now(f"{config.name} across corpora", details, notes=notes)
    show(format_cross_corpus(result))
    show()
    say_written(write_cross_corpus_files(output, result, context))
