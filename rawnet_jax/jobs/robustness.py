"""``evaluate --robustness``: the same trials under noise, rooms, codecs and cuts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rawnet_jax.atomic_file import make_folder
from rawnet_jax.config import Config
from rawnet_jax.data.augment_banks import read_recordings
from rawnet_jax.data.partitions import Clips, load_scoring_cache
from rawnet_jax.data.trial import labels_of
from rawnet_jax.errors import DataError
from rawnet_jax.evaluation.columns import SPEAKER, columns_of
from rawnet_jax.evaluation.kept_scores import KeptScores, fingerprint
from rawnet_jax.jobs.console import say_written
from rawnet_jax.jobs.measuring import MeasuringOptions
from rawnet_jax.jobs.options import RunOptions, at_least
from rawnet_jax.jobs.trained_run import (
    KeptScorer,
    Model,
    choose_threshold,
    dev_clips,
    left_out,
    models_of,
    rule_text,
    run_details,
)
from rawnet_jax.reports.report import context_now
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


@dataclass(frozen=True, kw_only=True)
class RobustnessOptions(MeasuringOptions, RunOptions):
    """Options of ``evaluate --robustness``, named as its flags; see ``evaluate --help``."""

    partition: str
    dev: bool
    limit: int
    conditions: Sequence[str] | None
    noise_dir: str | None
    rir_dir: str | None
    output: Path | None
    progress: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("--limit", self.limit, 0)


def evaluate_robustness(options: RobustnessOptions) -> int:
    """Score a run's models under all conditions; returns the exit status.

    Raises:
        RawnetError: whatever is wrong with the run, its corpus, the recordings or the options.
    """
    trained, config = configs_of(options.workdir, options.overrides)
    start_runtime(config.runtime)
    trials = _trials(options, trained, config)
    name = FOLDER if options.partition == "eval" else f"{FOLDER}_{options.partition}"
    models = models_of(config, options.workdir, options.overrides, options.output, name)
    reports = [
        replace(_evaluate_one(options, model, trials), name=model.workdir.name) for model in models
    ]
    if len(reports) > 1:
        print()
        print(format_comparison(*comparable(reports)))
    return 0


def _trials(options: RobustnessOptions, trained: Config, config: Config) -> _Trials:
    """Open the clips and lay out the grid."""
    progress = options.progress
    noise, noise_note = _recordings(options.noise_dir, config, "noise")
    responses, responses_note = _recordings(options.rir_dir, config, "rir")
    conditions, missing = build_grid(noise, responses, options.conditions or ())
    clips = load_scoring_cache(config.data, options.partition, progress)
    labels = labels_of(clips.trials)
    if labels is None or len(set(labels.tolist())) < 2:
        raise DataError(
            f"{config.data.root}: partition {options.partition} lacks keys or a class; error rates "
            "need bona fide and spoof trials"
        )
    rows = stratified(clips.trials, options.limit)
    dev = clips if options.partition == "dev" else None
    if dev is None and options.dev:
        dev = dev_clips(trained, config, progress)
    notes = [config.note] if config.note else []
    if len(rows) < len(clips):
        notes.append(f"{len(rows):,} of {len(clips):,} trials, with the shares of all attacks.")
    if options.partition == "dev":
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


def _evaluate_one(options: RobustnessOptions, model: Model, trials: _Trials) -> Robustness:
    """Score one model under all conditions and write everything about it."""
    make_folder(model.output)
    run = Run.load(model.config, model.workdir, options.checkpoint)
    kept = KeptScorer(run, KeptScores(model.output / "scores"), options.progress)
    labels = labels_of(trials.clips.trials)
    assert labels is not None
    labels = labels[trials.rows]
    threshold = choose_threshold(kept, trials.dev, options.threshold_rule, options.costs)
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
        name=model.config.name,
        partition=options.partition,
        checkpoint=f"{options.checkpoint}, step {run.step}",
        trials=trials.key,
        num_bonafide=int(labels.sum()),
        num_spoof=int(labels.size - labels.sum()),
        threshold=None if threshold is None else threshold.value,
        threshold_rule=rule_text(threshold),
        interval_level=options.resampling.level if options.resampling.num_replicates else None,
        rows=measure_rows(trials.conditions, scores, judged),
    )
    _write(options, model, report, trials)
    return report


def _write(options: RobustnessOptions, model: Model, report: Robustness, trials: _Trials) -> None:
    config = model.config
    details = {"corpus": f"{config.data.corpus}, partition {options.partition}"}
    details |= run_details(config, report.checkpoint)
    details["left out"] = left_out(trials.clips)
    title = f"Robustness of {config.name} on {options.partition}"
    context = context_now(title, details, notes=trials.notes)
    print(format_report(report))
    for note in trials.notes:
        print(f"  Note: {note}")
    print()
    say_written(write_report_files(model.output, report, context))
