"""``evaluate --robustness``: the same trials under noise, rooms, codecs and cuts."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rawnet_jax.atomic_file import make_folder
from rawnet_jax.cli.kept_scorer import KeptScorer, choose_threshold, rule_in_words
from rawnet_jax.cli.report_context import report_context, say_written
from rawnet_jax.cli.run_clips import (
    BEST,
    dev_clips,
    each_model,
    labels_of,
    left_out,
    run_details,
)
from rawnet_jax.config import Config
from rawnet_jax.data.augment_banks import read_recordings
from rawnet_jax.data.partitions import Clips, load_scoring_cache
from rawnet_jax.errors import DataError
from rawnet_jax.evaluation.assess import AssessOptions
from rawnet_jax.evaluation.columns import SPEAKER, columns_of
from rawnet_jax.evaluation.kept_scores import KeptScores, fingerprint
from rawnet_jax.reports.robustness_page import write_report_files
from rawnet_jax.reports.robustness_tables import comparable, format_comparison, format_report
from rawnet_jax.robustness.clips import DegradedClips, fingerprint_clips, stratified
from rawnet_jax.robustness.conditions import Condition, Missing, Recordings, build_grid
from rawnet_jax.robustness.figures import Judged, Robustness, measure_rows
from rawnet_jax.run import Run, configs_of
from rawnet_jax.runtime import start_runtime

FOLDER = "robustness"


@dataclass(frozen=True)
class _Trials:
    """What is scored, the same for all seeds of a run.

    Attributes:
        clips: of the partition.
        rows: int64 [N], which of them.
        key: stands for them and their audio.
        conditions: in the order of the report.
        dev: clips that the threshold is chosen on; None without.
        notes: sentences for the report.
    """

    clips: Clips
    rows: np.ndarray
    key: str
    conditions: Sequence[Condition | Missing]
    dev: Clips | None
    notes: Sequence[str]


def evaluate_robustness(
    args: argparse.Namespace, overrides: list[str], options: AssessOptions
) -> int:
    """Run the command; returns the exit status.

    Raises:
        RawnetError: whatever is wrong with the run, its corpus, the recordings or the flags.
    """
    trained, config = configs_of(args.workdir, overrides)
    start_runtime(config.runtime)
    trials = _trials(args, trained, config)
    name = FOLDER if args.partition == "eval" else f"{FOLDER}_{args.partition}"
    reports = []
    for one, own in each_model(args, config, overrides, name):
        report = _evaluate_one(one, own, options, trials)
        reports.append(replace(report, name=one.workdir.name))
    if len(reports) > 1:
        print()
        print(format_comparison(*comparable(reports)))
    return 0


def _trials(args: argparse.Namespace, trained: Config, config: Config) -> _Trials:
    """Open the clips and lay out the grid."""
    progress = not args.no_progress
    noise, noise_note = _recordings(args.noise_dir, config, "noise")
    responses, responses_note = _recordings(args.rir_dir, config, "rir")
    conditions, missing = build_grid(noise, responses, args.conditions or ())
    clips = load_scoring_cache(config.data, args.partition, progress)
    labels = labels_of(clips)
    if labels is None or len(set(labels.tolist())) < 2:
        raise DataError(
            f"{config.data.root}: partition {args.partition} lacks keys or a class; error rates "
            "need bona fide and spoof trials"
        )
    rows = stratified(clips.trials, args.limit)
    dev = clips if args.partition == "dev" else None
    if dev is None and not args.no_dev:
        dev = dev_clips(trained, config, progress)
    notes = [config.note] if config.note else []
    if len(rows) < len(clips):
        notes.append(f"{len(rows):,} of {len(clips):,} trials, with the shares of all attacks.")
    if args.partition == "dev":
        notes.append("The threshold was chosen on these very trials, clean.")
    grid: list[Condition | Missing] = [*conditions, *missing]
    return _Trials(
        clips,
        rows,
        fingerprint_clips(clips, rows),
        [_with_reason(row, clips.num_samples[rows]) for row in grid],
        dev,
        [*notes, *noise_note, *responses_note],
    )


def _recordings(
    given: str | None, config: Config, name: str
) -> tuple[Recordings | None, list[str]]:
    """Read the noises or impulse responses, where a folder is known; with a note for readers."""
    trained_with: str = getattr(config.augment, f"{name}_dir")
    folder = given or trained_with
    if not folder:
        return None, []
    if not given and not Path(folder).is_dir():
        what = f"config.augment.{name}_dir: {folder}: no such folder"
        return None, [f"{what}; generated instead. --{name}-dir names another."]
    found = Recordings(folder, read_recordings(folder, name, config.data.audio))
    note = []
    if trained_with and Path(folder).resolve() == Path(trained_with).resolve():
        note = [
            f"The recordings of {folder} were used in training, too: with others the run may fare "
            "worse."
        ]
    return found, note


def _with_reason(row: Condition | Missing, num_samples: np.ndarray) -> Condition | Missing:
    """Leave a condition out that no trial is touched by."""
    if isinstance(row, Missing) or row.max_s is None:
        return row
    if np.any(row.num_samples(num_samples) < num_samples):
        return row
    return Missing(row.name, row.family, row.title, f"no trial is longer than {row.max_s:g} s")


def _evaluate_one(
    args: argparse.Namespace, config: Config, options: AssessOptions, trials: _Trials
) -> Robustness:
    """Score one model under all conditions and write everything about it."""
    make_folder(args.output)
    scorer = Run.load(config, args.workdir, args.checkpoint or BEST)
    kept = KeptScorer(scorer, KeptScores(args.output / "scores"), not args.no_progress)
    labels = labels_of(trials.clips)
    assert labels is not None
    labels = labels[trials.rows]
    threshold = choose_threshold(kept, trials.dev, options.rule, options.costs)
    measured = [row for row in trials.conditions if isinstance(row, Condition)]
    scores = {}
    for number, condition in enumerate(measured, 1):
        clips = DegradedClips(trials.clips, trials.rows, condition)
        key = fingerprint(trials.key, condition.fingerprint)
        title = f"{number}/{len(measured)} {condition.title}"
        scores[condition.name] = kept.score(condition.name, clips, title, key)
    speakers = columns_of(trials.clips.trials).get(SPEAKER, [None] * len(trials.clips))
    judged = Judged(labels, threshold, options.resampling, [speakers[i] for i in trials.rows])
    report = Robustness(
        name=config.name,
        partition=args.partition,
        checkpoint=f"{args.checkpoint or BEST}, step {scorer.step}",
        trials=trials.key,
        num_bonafide=int(labels.sum()),
        num_spoof=int(labels.size - labels.sum()),
        threshold=None if threshold is None else threshold.value,
        threshold_rule=rule_in_words(threshold),
        interval_level=options.resampling.level if options.resampling.num_replicates else None,
        rows=measure_rows(trials.conditions, scores, judged),
    )
    _write(args, config, report, trials)
    return report


def _write(args: argparse.Namespace, config: Config, report: Robustness, trials: _Trials) -> None:
    details = {"corpus": f"{config.data.corpus}, partition {args.partition}"}
    details |= run_details(config, report.checkpoint)
    details["left out"] = left_out(trials.clips)
    title = f"Robustness of {config.name} on {args.partition}"
    context = report_context(title, details, notes=trials.notes)
    print(format_report(report))
    for note in trials.notes:
        print(f"  Note: {note}")
    print()
    say_written(write_report_files(args.output, report, context))
