"""``evaluate``: scores, figures and a report of a trained run."""

import argparse
import platform
import shlex
import sys
from datetime import datetime
from pathlib import Path

import flax
import jax
import numpy as np

from rawnet_jax.checkpoint import restore_variables
from rawnet_jax.commands.train import add_distributed_arguments, join_processes
from rawnet_jax.config import Config
from rawnet_jax.config_file import read_config, with_overrides
from rawnet_jax.data.cache import Cache
from rawnet_jax.data.loader import BatchIterator, BatchSource
from rawnet_jax.data.partitions import load_scoring_cache
from rawnet_jax.data.score_file import ScoreTable, write_scores
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.evaluation.report import ReportContext, write_report
from rawnet_jax.evaluation.summary import (
    ScoredSystem,
    Summary,
    format_table,
    summarise,
    write_metrics,
)
from rawnet_jax.losses import loss_named
from rawnet_jax.mesh import check_batch_size, make_mesh, replicated
from rawnet_jax.models.registry import build_model
from rawnet_jax.progress import BatchBars
from rawnet_jax.scoring.scorer import Scorer, Scores
from rawnet_jax.training.state import init_variables
from rawnet_jax.training.writer import epoch_history

EPILOG = """\
Written into the output folder: scores.txt (utterance attack key score; higher = more bona fide),
metrics.json, and report.html, one file to open in any browser.

The config comes from the work directory. Where the corpus lies, and how it is scored, may be
overridden: --config.data.root=/elsewhere --config.eval.batch_size=256
"""

CHANGEABLE = ("--config.data.", "--config.eval.", "--config.runtime.", "--config.note")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "evaluate",
        help="score a trained run and write its report",
        description="Score a partition with a trained run and write scores, figures, a report.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workdir", required=True, type=Path, help="folder of the trained run")
    parser.add_argument(
        "--partition",
        choices=("eval", "dev", "train"),
        default="eval",
        help="what to score (default: %(default)s; dev is what training selected on)",
    )
    parser.add_argument(
        "--checkpoint",
        default="best",
        metavar="WHICH",
        help="best (by dev EER), latest, or a step number (default: %(default)s)",
    )
    parser.add_argument(
        "--output", type=Path, help="folder for the results (default: WORKDIR/PARTITION)"
    )
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")
    add_distributed_arguments(parser)
    parser.set_defaults(run=run, takes_overrides=True)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    """Run the command; returns the exit status."""
    fixed = [word for word in overrides if not word.startswith(CHANGEABLE)]
    if fixed:
        raise ConfigError(
            f"{fixed[0]}: belongs to the training of {args.workdir}; evaluate takes only "
            f"{', '.join(prefix.rstrip('.') for prefix in CHANGEABLE)}"
        )
    config = with_overrides(read_config(args.workdir), overrides)
    join_processes(args)
    jax.config.update("jax_default_matmul_precision", config.runtime.matmul_precision)
    progress = not args.no_progress and jax.process_index() == 0
    cache = load_scoring_cache(config.data, args.partition, progress)
    scores, step = score_run(config, args.workdir, args.checkpoint, cache, progress)
    if jax.process_index() == 0:
        output = args.output or args.workdir / args.partition
        _write_results(config, args, cache, scores.score, step, output)
    return 0


def score_run(
    config: Config, workdir: Path, checkpoint: str, cache: Cache, progress: bool
) -> tuple[Scores, int]:
    """Score clips with a checkpoint of a run.

    Args:
        config: of the run.
        workdir: of the run.
        checkpoint: ``best``, ``latest`` or a step number.
        cache: the clips.
        progress: whether to draw a bar.

    Returns:
        Scores in the cache's order and the step of the checkpoint.
    """
    mesh = make_mesh()
    check_batch_size(mesh, config.eval.batch_size, "config.eval.batch_size")
    model = build_model(config.model)
    shapes = jax.eval_shape(
        lambda: init_variables(model, jax.random.key(0), config.data.num_samples)
    )
    variables, step = restore_variables(workdir, checkpoint, shapes, replicated(mesh))
    source = BatchSource(
        cache,
        batch_size=config.eval.batch_size,
        num_samples=config.data.num_samples,
        pad=config.data.pad,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    scorer = Scorer(model, mesh, loss_named(config.loss.name), config.loss.class_weights)
    with (
        BatchBars(progress)("scoring", source.batches_per_epoch) as bar,
        BatchIterator(source, num_threads=config.data.num_threads) as batches,
    ):
        return scorer.score(variables, batches, len(cache), bar), step


def _write_results(
    config: Config,
    args: argparse.Namespace,
    cache: Cache,
    score: np.ndarray,
    step: int,
    output: Path,
) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"--output {output}: {error.strerror}; wanted a folder") from error
    labels = np.array([-1 if t.label is None else t.label for t in cache.trials], np.int8)
    attacks = [trial.attack_id for trial in cache.trials]
    labelled = bool((labels >= 0).all())
    table = ScoreTable(
        [trial.utterance_id for trial in cache.trials],
        score,
        labels if labelled else None,
        attacks,
    )
    write_scores(output / "scores.txt", table)
    if not labelled:
        print(f"scores: {output / 'scores.txt'} (the protocol gives no keys, so no figures)")
        return
    title = f"{config.name} on {args.partition}"
    summary = summarise(ScoredSystem(title, score, labels, attacks), config.eval.spoof_threshold)
    context = _context(config, args, title, step, cache)
    write_metrics(output / "metrics.json", [summary], context.details)
    write_report(output / "report.html", [summary], context, epoch_history(args.workdir))
    _print(summary, config, output)


def _context(
    config: Config, args: argparse.Namespace, title: str, step: int, cache: Cache
) -> ReportContext:
    device = jax.devices()[0]
    details = {
        "corpus": f"{config.data.corpus}, partition {args.partition}",
        "model": config.model.name,
        "checkpoint": f"{args.checkpoint}, step {step}",
        "training seed": str(config.train.seed),
        "clip length": f"{config.data.num_samples} samples, pad {config.data.pad}",
        "left out": ", ".join(f"{n} {why}" for why, n in cache.skipped_reasons.items()) or "none",
        "devices": f"{jax.device_count()} x {device.device_kind} ({device.platform})",
        "versions": f"Python {platform.python_version()}, JAX {jax.__version__}, "
        f"Flax {flax.__version__}",
    }
    return ReportContext(
        title=title,
        created=datetime.now().strftime("%Y-%m-%d %H:%M"),
        command=shlex.join(sys.argv),
        details=details,
        notes=[config.note] if config.note else [],
    )


def _print(summary: Summary, config: Config, output: Path) -> None:
    print(format_table(summary))
    if config.note:
        print(f"\n  Note: {config.note}")
    print(f"\nscores:  {output / 'scores.txt'}")
    print(f"figures: {output / 'metrics.json'}")
    print(f"report:  {output / 'report.html'}")
