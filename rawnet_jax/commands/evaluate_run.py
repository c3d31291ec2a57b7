"""``evaluate --workdir``: scores a trained run and says everything about it."""

import argparse
import logging
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import flax
import jax
import numpy as np

from rawnet_jax.checkpoint import restore_variables
from rawnet_jax.commands.seeds import report_seeds
from rawnet_jax.commands.train import joined_processes
from rawnet_jax.config import Config
from rawnet_jax.config_file import read_config, with_overrides
from rawnet_jax.data.divided_cache import Share
from rawnet_jax.data.loader import BatchIterator, BatchSource
from rawnet_jax.data.partitions import Clips, load_scoring_cache
from rawnet_jax.data.score_file import ScoreTable, read_scores, write_scores
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.evaluation.assess import AssessOptions, assess
from rawnet_jax.evaluation.columns import ATTACK, columns_of, parse_breakdowns
from rawnet_jax.evaluation.output import CALIBRATION_JSON, Results, make_folder, write_results
from rawnet_jax.evaluation.report import ReportContext
from rawnet_jax.evaluation.seeds import SeedRun
from rawnet_jax.evaluation.summary import ScoredSystem
from rawnet_jax.evaluation.tables import format_summaries
from rawnet_jax.losses import make_loss
from rawnet_jax.mesh import check_batch_size, gathered, make_mesh, replicated
from rawnet_jax.metrics.asv import operating_point
from rawnet_jax.metrics.calibration import save_calibration
from rawnet_jax.models.registry import build_model
from rawnet_jax.progress import BatchBars
from rawnet_jax.runtime import start_runtime
from rawnet_jax.scoring.scorer import Scorer, Scores
from rawnet_jax.training.state import init_variables
from rawnet_jax.training.workdir import member_workdirs
from rawnet_jax.training.writer import epoch_history

_LOG = logging.getLogger(__name__)

CHANGEABLE = ("--config.data.", "--config.eval.", "--config.runtime.", "--config.note")
BEST = "best"


def evaluate_run(args: argparse.Namespace, overrides: list[str], options: AssessOptions) -> int:
    """Run the command for a trained run; returns the exit status.

    Raises:
        RawnetError: whatever is wrong with the run, its corpus or the flags.
    """
    fixed = [word for word in overrides if not word.startswith(CHANGEABLE)]
    if fixed:
        raise ConfigError(
            f"{fixed[0]}: belongs to the training of {args.workdir}; evaluate takes only "
            f"{', '.join(prefix.rstrip('.') for prefix in CHANGEABLE)}"
        )
    trained = read_config(args.workdir)
    config = with_overrides(trained, overrides)
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
    cache = load_scoring_cache(config.data, args.partition, progress, _share())
    dev = None
    if args.partition != "dev" and not args.no_dev and _labels(cache) is not None:
        dev = _dev_cache(trained, config, progress)
    folders = member_workdirs(config, args.workdir)
    outputs = [folder / args.partition for folder in folders]
    if args.output:
        outputs = [args.output / f.name for f in folders] if len(folders) > 1 else [args.output]
    for folder, output in zip(folders, outputs, strict=True):
        own = with_overrides(read_config(folder), overrides)
        one = argparse.Namespace(**{**vars(args), "workdir": folder, "output": output})
        _evaluate_one(one, own, options, cache, dev)
    if len(folders) > 1 and jax.process_index() == 0 and _labels(cache) is not None:
        print()
        runs = [
            SeedRun(str(folder), read_scores(output / "scores.txt"), read_config(folder))
            for folder, output in zip(folders, outputs, strict=True)
        ]
        asv = None if options.asv is None else operating_point(options.asv)
        report_seeds(runs, asv, args.output or args.workdir / args.partition)


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
    labels = _labels(cache)
    checkpoint = args.checkpoint or BEST
    caches = [cache] if dev is None else [cache, dev]
    progress = not args.no_progress and jax.process_index() == 0
    scores, step = score_run(config, args.workdir, checkpoint, caches, progress)
    if jax.process_index():
        return
    output = args.output
    make_folder(output)
    write_scores(output / "scores.txt", _table(cache, scores[0].score))
    if labels is None:
        print(f"scores: {output / 'scores.txt'} (the protocol gives no keys, so no figures)")
        return
    system = ScoredSystem(
        _title(config, args), scores[0].score, labels, columns.get(ATTACK), columns
    )
    if dev is not None:
        write_scores(output / "dev_scores.txt", _table(dev, scores[1].score))
        system = replace(system, dev_scores=scores[1].score, dev_labels=_labels(dev))
    _write(args, config, system, options, _context(config, args, step, cache, dev))


def _share() -> Share:
    return Share(jax.process_index(), jax.process_count(), gathered)


def _dev_cache(trained: Config, config: Config, progress: bool) -> Clips | None:
    """Open the dev clips that training selected on; None, with a warning, where there are none."""
    # A run that is evaluated on another corpus keeps the dev clips of its own.
    data = config.data if config.data.corpus == trained.data.corpus else trained.data
    try:
        cache = load_scoring_cache(data, "dev", progress, _share())
    except DataError as error:
        _LOG.warning("dev is not scored, so nothing is calibrated: %s", error)
        return None
    labels = _labels(cache)
    if labels is None or len(set(labels.tolist())) < 2:
        _LOG.warning("dev is not scored, so nothing is calibrated: it lacks a class")
        return None
    return cache


def _labels(cache: Clips) -> np.ndarray | None:
    """Return int8 [N], or None where a trial has no label."""
    labels = [trial.label for trial in cache.trials]
    return None if None in labels else np.array(labels, np.int8)


def _table(cache: Clips, score: np.ndarray) -> ScoreTable:
    names = [trial.utterance_id for trial in cache.trials]
    return ScoreTable(names, score, _labels(cache), [trial.attack_id for trial in cache.trials])


def _title(config: Config, args: argparse.Namespace) -> str:
    return f"{config.name} on {args.partition}"


def _write(
    args: argparse.Namespace,
    config: Config,
    system: ScoredSystem,
    options: AssessOptions,
    context: ReportContext,
) -> None:
    output = args.output
    options = replace(options, spoof_threshold=config.eval.spoof_threshold)
    summaries = assess([system], options)
    results = Results(summaries, context, history=epoch_history(args.workdir))
    print(format_summaries(summaries))
    if config.note:
        print(f"\n  Note: {config.note}")
    print(f"\n{'scores:':<13}{output / 'scores.txt'}")
    for what, where in write_results(output, results):
        print(f"{what + ':':<13}{where}")
    analysis = summaries[0].analysis
    is_best = (args.checkpoint or BEST) == BEST
    if is_best and analysis is not None and analysis.calibrated is not None:
        # Whoever scores with this run's best checkpoint finds it here.
        save_calibration(args.workdir / CALIBRATION_JSON, analysis.calibrated.calibration)


def score_run(
    config: Config, workdir: Path, checkpoint: str, caches: Sequence[Clips], progress: bool
) -> tuple[list[Scores], int]:
    """Score clips with a checkpoint of a run.

    Args:
        config: of the run.
        workdir: of the run.
        checkpoint: ``best``, ``latest`` or a step number.
        caches: lists of clips.
        progress: whether to draw a bar.

    Returns:
        Scores of each list, in its order, and the step of the checkpoint.
    """
    mesh = make_mesh()
    check_batch_size(mesh, config.eval.batch_size, "config.eval.batch_size")
    model = build_model(config.model)
    shapes = jax.eval_shape(
        lambda: init_variables(model, jax.random.key(0), config.data.num_samples)
    )
    variables, step = restore_variables(workdir, checkpoint, shapes, replicated(mesh))
    scorer = Scorer(model, mesh, make_loss(config.loss), config.loss.class_weights)
    return [_score(scorer, variables, config, cache, progress) for cache in caches], step


def _score(scorer: Scorer, variables: Any, config: Config, cache: Clips, progress: bool) -> Scores:
    source = BatchSource(
        cache,
        batch_size=config.eval.batch_size,
        num_samples=config.data.num_samples,
        pad=config.data.pad,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    with (
        BatchBars(progress)("scoring", source.batches_per_epoch) as bar,
        BatchIterator(source, num_threads=config.data.num_threads) as batches,
    ):
        return scorer.score(variables, batches, len(cache), bar)[0]


def _context(
    config: Config, args: argparse.Namespace, step: int, cache: Clips, dev: Clips | None
) -> ReportContext:
    device = jax.devices()[0]
    details = {
        "corpus": f"{config.data.corpus}, partition {args.partition}",
        "model": config.model.name,
        "checkpoint": f"{args.checkpoint or BEST}, step {step}",
        "dev": "not scored"
        if dev is None
        else f"{len(dev):,} trials, for threshold and calibration",
        "training seed": str(config.train.seed),
        "clip length": f"{config.data.num_samples} samples, pad {config.data.pad}",
        "left out": ", ".join(f"{n} {why}" for why, n in cache.skipped_reasons.items()) or "none",
        "devices": f"{jax.device_count()} x {device.device_kind} ({device.platform})",
        "versions": f"Python {platform.python_version()}, JAX {jax.__version__}, "
        f"Flax {flax.__version__}",
    }
    return ReportContext(
        title=_title(config, args),
        created=datetime.now().strftime("%Y-%m-%d %H:%M"),
        command=shlex.join(sys.argv),
        details=details,
        notes=[config.note] if config.note else [],
    )
