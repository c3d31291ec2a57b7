"""``evaluate --workdir``: scores a trained run and says everything about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from rawnet_jax.atomic_file import make_folder
from rawnet_jax.checkpoint_names import BEST
from rawnet_jax.config import Config, GateConfig
from rawnet_jax.config_file import read_config
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.join import align_scores
from rawnet_jax.data.partitions import Clips, load_scoring_cache
from rawnet_jax.data.recognise import settled_config
from rawnet_jax.data.score_file import pooled_scores, read_scores, score_table, write_scores
from rawnet_jax.data.trial import Trial, labels_of
from rawnet_jax.errors import ConfigError
from rawnet_jax.evaluation.assess import AssessOptions, assess
from rawnet_jax.evaluation.cannot_judge import (
    CannotJudge,
    UnjudgedTrial,
    kept_positions,
    worst_case_eer,
)
from rawnet_jax.evaluation.columns import ATTACK, columns_of
from rawnet_jax.evaluation.outliers import OutlierFigures
from rawnet_jax.evaluation.resampling import Resampling
from rawnet_jax.evaluation.seeds import SeedRun
from rawnet_jax.evaluation.summary import ScoredSystem, Summary
from rawnet_jax.jobs.console import say_written
from rawnet_jax.jobs.measuring import AssessingOptions
from rawnet_jax.jobs.options import RunOptions
from rawnet_jax.jobs.outliers import bounded, with_measured_distance
from rawnet_jax.jobs.processes import ProcessOptions, joined
from rawnet_jax.jobs.reference import keep_reference
from rawnet_jax.jobs.seeds import report_seeds
from rawnet_jax.jobs.trained_run import (
    Model,
    dev_clips,
    left_out,
    models_of,
    rule_text,
    run_details,
    train_data,
    warnings_of_whole_corpus,
)
from rawnet_jax.presets.files import is_preset
from rawnet_jax.reports.cannot_judge_table import write_cannot_judge
from rawnet_jax.reports.output import Results, write_results
from rawnet_jax.reports.report import ReportContext, context_now
from rawnet_jax.reports.tables import format_summaries
from rawnet_jax.run import AVERAGED, Run, configs_of, this_share
from rawnet_jax.runtime import start_runtime
from rawnet_jax.scoring.clips import ClipScores
from rawnet_jax.scoring.outlier import range_of, remove_outlier_rule, save_outlier_rule
from rawnet_jax.scoring.verdict import (
    CALIBRATION_JSON,
    OperatingPoint,
    how_scored,
    save_calibration,
    save_operating_point,
)
from rawnet_jax.terminal import show
from rawnet_jax.training.writer import epoch_history


@dataclass(frozen=True, kw_only=True)
class EvaluateRunOptions(AssessingOptions, RunOptions, ProcessOptions):
    """Options of ``evaluate --workdir``, named as its flags; see ``evaluate --help``."""

    dev: bool
    dev_scores: Sequence[Path] | None


class _Scored(NamedTuple):
    """A partition: its clips, their scores, and which trials are measured.

    Where the gate refuses, trials that it refuses have a score but are not measured.
    """

    clips: Clips
    found: ClipScores
    trials: list[Trial]
    score: np.ndarray
    lengths_s: np.ndarray
    distance: np.ndarray  # [K, 2] of clip and first window; [K, 0] where it is not measured


def evaluate_run(options: EvaluateRunOptions) -> int:
    """Evaluate the run's one model, or each of its seeds and then all; returns the exit status.

    Raises:
        RawnetError: whatever is wrong with the run, its corpus or the options.
    """
    trained, config = configs_of(options.workdir, options.overrides)
    with joined(options):
        start_runtime(config.runtime)
        _evaluate_models(options, trained, config)
    return 0


def _evaluate_models(options: EvaluateRunOptions, trained: Config, config: Config) -> None:
    progress = options.progress and jax.process_index() == 0
    config, why = settled_config(config)
    if why:
        show(why)
    given = pooled_scores(options.dev_scores) if options.dev_scores else None
    cache = load_scoring_cache(config.data, options.partition, progress, this_share())
    has_labels = labels_of(cache.trials) is not None
    clips = {options.partition: cache}
    if options.partition != "dev" and options.dev and has_labels:
        dev = dev_clips(trained, config, progress)
        clips |= {} if dev is None else {"dev": dev}
    assessing = options.assessing(columns_of(cache.trials, _lengths_s(cache)))
    models = models_of(
        *(config, options.workdir, options.overrides, options.output, options.partition)
    )
    if len(models) > 1 and given is not None:
        raise ConfigError(f"--dev-scores: {options.workdir} has several seeds; it takes one")
    steps = [_evaluate_one(options, model, assessing, clips, given, progress) for model in models]
    if len(models) > 1 and jax.process_index() == 0 and has_labels:
        show()
        runs = [
            SeedRun(str(m.workdir), read_scores(m.output / "scores.txt"), read_config(m.workdir))
            for m in models
        ]
        report_seeds(runs, assessing.asv, options.output or options.workdir / options.partition)
        if options.checkpoint == BEST and "dev" in clips and options.partition != "dev":
            _keep_averaged(options, config, models, assessing, steps[0])


def _keep_averaged(
    options: EvaluateRunOptions,
    config: Config,
    models: Sequence[Model],
    assessing: AssessOptions,
    step: int,
) -> None:
    """Leave what the mean scores of all seeds on dev taught, for ``score --seed averaged``."""
    main, dev = (
        align_scores({str(m.workdir): read_scores(m.output / name) for m in models})
        for name in ("scores.txt", "dev_scores.txt")
    )
    assert main.labels is not None
    scores, dev_scores = main.scores.mean(axis=1), dev.scores.mean(axis=1)
    system = ScoredSystem(
        AVERAGED, scores, main.labels, dev_scores=dev_scores, dev_labels=dev.labels
    )
    only_the_decision = replace(
        assessing, asv=None, breakdowns=(), resampling=Resampling(num_replicates=0)
    )
    (summary,) = assess([system], only_the_decision)
    _keep_operating_point(options.workdir, config, summary, step, range_of(dev_scores))


def _evaluate_one(
    options: EvaluateRunOptions,
    model: Model,
    assessing: AssessOptions,
    clips: Mapping[str, Clips],
    given: tuple[np.ndarray, np.ndarray | None] | None,
    progress: bool,
) -> int:
    """Score one model and say everything about it; returns the checkpoint's step."""
    config, output = model.config, model.output
    run = Run.load(config, model.workdir, options.checkpoint)
    # A preset keeps the rule that it came with.
    fits = options.checkpoint == BEST and "dev" in clips and not is_preset(model.workdir)
    num_fitted = 0
    if fits:
        data = train_data(read_config(model.workdir), config)
        run, num_fitted = with_measured_distance(run, data, clips["dev"].trials, progress)
        keep_reference(model.workdir, run, clips["dev"], progress)
    scored = {name: _measured(c, run.score(c, progress), config.gate) for name, c in clips.items()}
    if jax.process_index():
        return run.step
    make_folder(output)
    gate = _cannot_judge(scored, config.gate)
    write_cannot_judge(output, gate)
    main, dev = scored[options.partition], scored.get("dev")
    write_scores(output / "scores.txt", score_table(main.trials, main.score))
    labels = labels_of(main.trials)
    if labels is None:
        show(f"scores: {output / 'scores.txt'} (the protocol gives no keys, so no metrics)")
        show("\n".join(gate.warnings))
        return run.step
    columns = columns_of(main.trials, main.lengths_s)
    title = f"{config.name} on {options.partition}"
    system = ScoredSystem(title, main.score, labels, columns.get(ATTACK), columns)
    if dev is not None and dev is not main:
        write_scores(output / "dev_scores.txt", score_table(dev.trials, dev.score))
        given = given or (dev.score, labels_of(dev.trials))
    if given is not None:
        system = replace(system, dev_scores=given[0], dev_labels=given[1])
    context = _context(options, title, model, run.step, clips, gate)
    cannot_judge = gate.record()
    figures = _keep_outlier_rule(model.workdir, run, num_fitted, scored) if fits else None
    if figures is not None:
        details = {**context.details, "unlike training": figures.details}
        context = replace(context, details=details)
        cannot_judge["unlike_training"] = figures.record()
    assessing = replace(assessing, spoof_threshold=config.eval.spoof_threshold)
    (summary,) = assess([system], assessing)
    history = epoch_history(model.workdir)
    results = Results([summary], context, history=history, cannot_judge=cannot_judge)
    show(format_summaries([summary], (), context.warnings))
    if figures is not None:
        show(f"\n  Unlike training: {figures.details}")
    if config.note:
        show(f"\n  Note: {config.note}")
    show()
    say_written([("scores", output / "scores.txt")])
    say_written(write_results(output, results))
    if options.checkpoint == BEST:
        _keep_decision(model, summary, run.step, system.dev_scores)
    return run.step


def _measured(clips: Clips, found: ClipScores, gate: GateConfig) -> _Scored:
    """Leave out what the gate refuses, if it is to refuse.

    Raises:
        DataError: nothing is left.
    """
    distance = np.concatenate([found.more, found.more_of_first], axis=1)
    if gate.action != "refuse":
        return _Scored(clips, found, clips.trials, found.score, _lengths_s(clips), distance)
    refused = {row.position for row in found.refused}
    kept = kept_positions(len(clips), refused)
    trials = [clips.trials[i] for i in kept.tolist()]
    lengths_s = _lengths_s(clips)[kept]
    return _Scored(clips, found, trials, found.score[kept], lengths_s, distance[kept])


def _lengths_s(clips: Clips) -> np.ndarray:
    return np.asarray(clips.num_samples) / SAMPLE_RATE_HZ


def _keep_outlier_rule(
    workdir: Path, run: Run, num_fitted: int, scored: Mapping[str, _Scored]
) -> OutlierFigures | None:
    """Leave the rule on what is unlike training where whoever scores finds it.

    Returns:
        What it does to the trials; None where there is none: it is not asked for, or not fitted.
    """
    if not run.config.eval.outlier_share:
        remove_outlier_rule(workdir)
    if run.outliers is None:
        return None
    partitions = {name: (part.distance, labels_of(part.trials)) for name, part in scored.items()}
    found = bounded(run.outliers, num_fitted, partitions)
    if found is None:
        return None
    save_outlier_rule(workdir, found[0])
    return found[1]


def _cannot_judge(scored: Mapping[str, _Scored], gate: GateConfig) -> CannotJudge:
    """Collect what the gate found; the evaluated partition comes first."""
    rows = tuple(
        UnjudgedTrial(partition, part.clips.trials[row.position], *row[1:])
        for partition, part in scored.items()
        for row in part.found.refused
    )
    refused = gate.action == "refuse"
    first = next(iter(scored.values()))
    labels = labels_of(first.clips.trials)
    positions = [row.position for row in first.found.refused]
    worst = None
    if refused and positions and labels is not None:
        worst = worst_case_eer(first.found.score, labels, positions)
    totals = {partition: len(part.clips) for partition, part in scored.items()}
    return CannotJudge(refused, totals, rows, worst)


def _keep_decision(
    model: Model, summary: Summary, step: int, dev_scores: np.ndarray | None
) -> None:
    bounds = (None, None) if dev_scores is None else range_of(dev_scores)
    kept = model.workdir
    if is_preset(kept):
        kept = model.output
        say_written([("preset", f"stays as it is; threshold and calibration are in {kept}")])
    _keep_operating_point(kept, model.config, summary, step, bounds)


def _keep_operating_point(
    workdir: Path,
    config: Config,
    summary: Summary,
    step: int,
    bounds: tuple[float | None, float | None],
) -> None:
    """Leave what dev taught where whoever scores with this run's best checkpoint finds it."""
    decision = summary.decision
    if summary.calibrated is not None:
        save_calibration(workdir / CALIBRATION_JSON, summary.calibrated.calibration)
    if decision.from_dev or summary.calibrated is not None:
        threshold, is_llr = decision.threshold, decision.is_calibrated
        rule, how = rule_text(threshold), how_scored(config.eval)
        point = OperatingPoint(threshold.value, rule, is_llr, step, how, *bounds)
        save_operating_point(workdir, point)


def _context(
    options: EvaluateRunOptions,
    title: str,
    model: Model,
    step: int,
    clips: Mapping[str, Clips],
    gate: CannotJudge,
) -> ReportContext:
    workdir, config = model.workdir, model.config
    details = {"corpus": f"{config.data.corpus}, partition {options.partition}"}
    details |= run_details(config, f"{options.checkpoint}, step {step}")
    details["dev"] = "not scored"
    if options.dev_scores:
        details["dev"] = f"scores of {', '.join(map(str, options.dev_scores))}"
    elif "dev" in clips and options.partition != "dev":
        details["dev"] = f"{len(clips['dev']):,} trials, for threshold and calibration"
    details["left out"] = left_out(clips[options.partition])
    details["cannot be judged"] = gate.details if config.gate.enabled else "not looked for"
    notes = [config.note] if config.note else []
    trained = read_config(workdir)
    warnings = (*gate.warnings, *warnings_of_whole_corpus(trained, config, options.partition))
    return context_now(title, details, notes=notes, warnings=warnings)
