"""``evaluate --workdir``: scores a trained run and says everything about it."""

import argparse
from dataclasses import replace
from pathlib import Path

import jax

from rawnet_jax.atomic_file import make_folder
from rawnet_jax.cli.judged_trials import cannot_judge, judged_trials
from rawnet_jax.cli.kept_scorer import rule_in_words
from rawnet_jax.cli.report_context import report_context, say_written
from rawnet_jax.cli.run_clips import (
    BEST,
    dev_clips,
    each_model,
    labels_of,
    left_out,
    run_details,
    score_table,
    this_share,
)
from rawnet_jax.cli.seeds import report_seeds
from rawnet_jax.cli.train import joined_processes
from rawnet_jax.config import Config
from rawnet_jax.config_file import read_config
from rawnet_jax.data.partitions import Clips, load_scoring_cache
from rawnet_jax.data.score_file import read_scores, write_scores
from rawnet_jax.evaluation.assess import AssessOptions, assess
from rawnet_jax.evaluation.cannot_judge import CannotJudge
from rawnet_jax.evaluation.columns import ATTACK, columns_of, parse_breakdowns
from rawnet_jax.evaluation.seeds import SeedRun
from rawnet_jax.evaluation.summary import ScoredSystem, Summary
from rawnet_jax.reports.cannot_judge_table import write_cannot_judge
from rawnet_jax.reports.output import Results, write_results
from rawnet_jax.reports.report import ReportContext
from rawnet_jax.reports.tables import format_summaries
from rawnet_jax.run import Run, configs_of
from rawnet_jax.runtime import start_runtime
from rawnet_jax.scoring.verdict import (
    CALIBRATION_JSON,
    OperatingPoint,
    how_scored,
    save_calibration,
    save_operating_point,
)
from rawnet_jax.training.writer import epoch_history


def evaluate_run(args: argparse.Namespace, overrides: list[str], options: AssessOptions) -> int:
    """Run the command for a trained run; returns the exit status.

    Raises:
        RawnetError: whatever is wrong with the run, its corpus or the flags.
    """
    trained, config = configs_of(args.workdir, overrides)
    with joined_processes(args):
        start_runtime(config.runtime)
        _evaluate_seeds(args, trained, config, overrides, options)
    return 0


def _evaluate_seeds(
    args: argparse.Namespace,
    trained: Config,
    config: Config,
    overrides: list[str],
    options: AssessOptions,
) -> None:
    """Evaluate the run's one model, or each of its seeds and then all together."""
    progress = not args.no_progress and jax.process_index() == 0
    cache = load_scoring_cache(config.data, args.partition, progress, this_share())
    dev = None
    if args.partition != "dev" and not args.no_dev and labels_of(cache) is not None:
        dev = dev_clips(trained, config, progress)
    models = each_model(args, config, overrides, args.partition)
    for one, own in models:
        _evaluate_one(one, own, options, cache, dev)
    if len(models) > 1 and jax.process_index() == 0 and labels_of(cache) is not None:
        print()
        runs = [
            SeedRun(
                str(one.workdir), read_scores(one.output / "scores.txt"), read_config(one.workdir)
            )
            for one, _ in models
        ]
        report_seeds(runs, options.asv, args.output or args.workdir / args.partition)


def _evaluate_one(
    args: argparse.Namespace,
    config: Config,
    options: AssessOptions,
    cache: Clips,
    dev: Clips | None,
) -> None:
    """Score one model and say everything about it."""
    columns = columns_of(cache.trials)
    if args.by is not None:
        options = replace(options, breakdowns=parse_breakdowns(args.by, columns))
    caches = {args.partition: cache} | ({} if dev is None else {"dev": dev})
    progress = not args.no_progress and jax.process_index() == 0
    scorer = Run.load(config, args.workdir, args.checkpoint or BEST)
    scored = {name: (clips, scorer.score(clips, progress)) for name, clips in caches.items()}
    if jax.process_index():
        return
    output = args.output
    make_folder(output)
    gate = cannot_judge(scored, config.gate)
    write_cannot_judge(output, gate)
    judged = {name: judged_trials(*found, config.gate) for name, found in scored.items()}
    trials, score = judged[args.partition].trials, judged[args.partition].score
    write_scores(output / "scores.txt", score_table(judged[args.partition], score))
    labels = labels_of(judged[args.partition])
    if labels is None:
        print(f"scores: {output / 'scores.txt'} (the protocol gives no keys, so no metrics)")
        print("\n".join(gate.warnings))
        return
    columns = columns_of(trials)
    system = ScoredSystem(_title(config, args), score, labels, columns.get(ATTACK), columns)
    if dev is not None:
        write_scores(output / "dev_scores.txt", score_table(judged["dev"], judged["dev"].score))
        system = replace(
            system, dev_scores=judged["dev"].score, dev_labels=labels_of(judged["dev"])
        )
    context = _context(config, args, scorer.step, cache, dev, gate)
    _write(args, config, system, options, context, gate, scorer.step)


def _title(config: Config, args: argparse.Namespace) -> str:
    return f"{config.name} on {args.partition}"


def _write(
    args: argparse.Namespace,
    config: Config,
    system: ScoredSystem,
    options: AssessOptions,
    context: ReportContext,
    gate: CannotJudge,
    step: int,
) -> None:
    output = args.output
    options = replace(options, spoof_threshold=config.eval.spoof_threshold)
    (summary,) = assess([system], options)
    results = Results(
        [summary], context, history=epoch_history(args.workdir), cannot_judge=gate.record()
    )
    print(format_summaries([summary], (), context.warnings))
    if config.note:
        print(f"\n  Note: {config.note}")
    print()
    say_written([("scores", output / "scores.txt")])
    say_written(write_results(output, results))
    if (args.checkpoint or BEST) == BEST:
        _keep_operating_point(args.workdir, config, summary, step)


def _keep_operating_point(workdir: Path, config: Config, summary: Summary, step: int) -> None:
    """Leave what dev taught where whoever scores with this run's best checkpoint finds it."""
    decision = summary.decision
    if summary.calibrated is not None:
        save_calibration(workdir / CALIBRATION_JSON, summary.calibrated.calibration)
    if decision.from_dev or summary.calibrated is not None:
        threshold, is_llr = decision.threshold, decision.is_calibrated
        rule, how = rule_in_words(threshold), how_scored(config.eval)
        point = OperatingPoint(threshold.value, rule, is_llr, step, how)
        save_operating_point(workdir, point)


def _context(
    config: Config,
    args: argparse.Namespace,
    step: int,
    cache: Clips,
    dev: Clips | None,
    gate: CannotJudge,
) -> ReportContext:
    details = {"corpus": f"{config.data.corpus}, partition {args.partition}"}
    details |= run_details(config, f"{args.checkpoint or BEST}, step {step}")
    details["dev"] = "not scored"
    if dev is not None:
        details["dev"] = f"{len(dev):,} trials, for threshold and calibration"
    details["left out"] = left_out(cache)
    details["cannot be judged"] = gate.details if config.gate.enabled else "not looked for"
    notes = [config.note] if config.note else []
    return report_context(_title(config, args), details, notes=notes, warnings=gate.warnings)
