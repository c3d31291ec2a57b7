"""Scores a run on every corpus of a list and writes the table."""

import argparse
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rawnet_jax.atomic_file import make_folder
from rawnet_jax.cli.evaluate_flags import costs_of, resampling_of, rule_of
from rawnet_jax.cli.kept_scorer import KeptScorer, choose_threshold, rule_in_words
from rawnet_jax.cli.report_context import report_context, say_written
from rawnet_jax.cli.run_clips import (
    BEST,
    dev_clips,
    each_model,
    labels_of,
    run_details,
)
from rawnet_jax.config import Config
from rawnet_jax.data.corpus_list import PLACE_FIELDS, ListedCorpus, config_on
from rawnet_jax.data.partitions import Clips, load_listed_cache
from rawnet_jax.data.splits import load_train_and_dev
from rawnet_jax.data.trial import ProblemLedger
from rawnet_jax.errors import RawnetError
from rawnet_jax.evaluation.cross_corpus import CorpusRow, CorpusScores, CrossCorpus, measure_corpus
from rawnet_jax.evaluation.kept_scores import KeptScores
from rawnet_jax.metrics.thresholds import Threshold
from rawnet_jax.reports.cross_corpus_page import write_cross_corpus_files
from rawnet_jax.reports.cross_corpus_tables import format_cross_corpus, format_spread
from rawnet_jax.run import Run, configs_of
from rawnet_jax.runtime import start_runtime

_LOG = logging.getLogger(__name__)

FOLDER = "cross_corpus"
OWN = "own"
EXIT_INCOMPLETE = 1


def evaluate_corpora(
    args: argparse.Namespace, overrides: list[str], corpora: Sequence[ListedCorpus]
) -> int:
    """Run the command; returns the exit status.

    Raises:
        RawnetError: whatever is wrong with the run or the flags; not with a corpus.
    """
    trained, config = configs_of(args.workdir, overrides)
    start_runtime(config.runtime)
    if not args.no_own:
        corpora = [_own_corpus(trained), *corpora]
    args.output = args.output or args.workdir / FOLDER
    results = []
    for one, own in each_model(args, config, overrides, FOLDER):
        results.append(_evaluate_one(one, trained, own, corpora))
        print()
    if len(results) > 1:
        print(format_spread(results))
    return EXIT_INCOMPLETE if any(row.failed for r in results for row in r.rows) else 0


def _own_corpus(trained: Config) -> ListedCorpus:
    place = {name: getattr(trained.data, name) for name in PLACE_FIELDS}
    return ListedCorpus(OWN, place, same_attacks=True)


def _evaluate_one(
    args: argparse.Namespace, trained: Config, config: Config, corpora: Sequence[ListedCorpus]
) -> CrossCorpus:
    """Score one model on all corpora and write everything about it."""
    make_folder(args.output)
    scorer = Run.load(config, args.workdir, args.checkpoint or BEST)
    kept = KeptScorer(scorer, KeptScores(args.output / "scores"), not args.no_progress)
    dev = None if args.no_dev else dev_clips(trained, config, not args.no_progress)
    threshold = choose_threshold(kept, dev, rule_of(args), costs_of(args))
    attacks = _trained_attacks(trained)
    rows = [
        _row(
            args, config, kept, corpus, partition, threshold, _attacks_on(corpus, trained, attacks)
        )
        for corpus in corpora
        for partition in corpus.partitions
    ]
    resampling = resampling_of(args)
    result = CrossCorpus(
        name=config.name,
        checkpoint=f"{args.checkpoint or BEST}, step {scorer.step}",
        threshold=None if threshold is None else threshold.value,
        threshold_rule=rule_in_words(threshold),
        interval_level=resampling.level if resampling.num_replicates else None,
        rows=tuple(rows),
    )
    _write(args, config, result)
    return result


def _row(
    args: argparse.Namespace,
    config: Config,
    kept: KeptScorer,
    corpus: ListedCorpus,
    partition: str,
    threshold: Threshold | None,
    attacks: frozenset[str] | None,
) -> CorpusRow:
    """Score and measure one partition; what is wrong with it is said, and stands in its row."""
    row = CorpusRow(corpus.name, corpus.place["corpus"], partition)
    try:
        clips = load_listed_cache(config_on(config, corpus).data, partition, not args.no_progress)
        name = re.sub(r"[^\w.-]+", "_", f"{corpus.name}-{partition}")
        scores = kept.score(name, clips, row.title)
        return _measured(row, clips, scores, threshold, attacks, args)
    except RawnetError as error:
        print(f"error: {row.title}: {error}", file=sys.stderr)
        return replace(row, problem=str(error), failed=True)


def _measured(
    row: CorpusRow,
    clips: Clips,
    scores: np.ndarray,
    threshold: Threshold | None,
    attacks: frozenset[str] | None,
    args: argparse.Namespace,
) -> CorpusRow:
    labels = labels_of(clips)
    if labels is None:
        return replace(row, problem=f"{len(clips):,} trials scored; no keys, so no figures")
    left_out = sum(clips.skipped_reasons.values())
    row = replace(row, problem=f"{left_out:,} clips left out" if left_out else "")
    scored = CorpusScores(
        scores,
        labels,
        [trial.attack_id for trial in clips.trials],
        [trial.speaker_id for trial in clips.trials],
    )
    return measure_corpus(row, scored, threshold, attacks, resampling_of(args))


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


def _write(args: argparse.Namespace, config: Config, result: CrossCorpus) -> None:
    details = run_details(config, result.checkpoint)
    notes = [config.note] if config.note else []
    context = report_context(f"{config.name} across corpora", details, notes=notes)
    print(format_cross_corpus(result))
    print()
    say_written(write_cross_corpus_files(args.output, result, context))
