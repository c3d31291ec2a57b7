"""``search``: look for hyper-parameters with the lowest dev EER, in as many processes as wanted."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rawnet_jax.atomic_file import write_bytes_atomically
from rawnet_jax.cli.train import add_config_arguments
from rawnet_jax.config_file import load_config
from rawnet_jax.data.partitions import load_training_caches
from rawnet_jax.progress import BatchBars
from rawnet_jax.reports.search_tables import (
    COMPLETE,
    Row,
    finished_rows,
    format_results,
    outcome_line,
    train_command,
    write_table,
)
from rawnet_jax.search.defaults import default_declarations
from rawnet_jax.search.space import parse_space
from rawnet_jax.search.study import PRUNERS, Plan, SearchStudy, open_study, reopen_study
from rawnet_jax.search.worker import Workers, keep_to, work
from rawnet_jax.training.report import say

EPILOG = """\
What to search (any field of the config, as often as wanted; quote what a shell would read):

  --search config.optimizer.learning_rate=log:1e-4..1e-2       a range; log: equal ratios are
                                                               equally likely
  --search config.model.fields.hidden_dropout=0.1..0.7         whole numbers if the field's are
  --search config.train.batch_size=16,32,64                    choices
  --search 'config.model.fields.channels=(16,32)|(32,64)'      choices that hold commas
  --search config.model.fields.channels.0=16,32,64             one place of a tuple, from 0

Without --search, for Conv1D: filters, kernel width and dropout of each layer, dropout before the
last one, learning rate and batch size.

  python -m rawnet_jax search --config configs/conv1d_speech.py --study runs/conv1d_search \\
      --num-trials 40 --config.data.root=FOLDER --config.train.num_epochs=10

The first trial is the config as it is. The same command goes on with a study that was stopped or
killed, up to --num-trials; started a second time meanwhile, it helps. The study folder then holds
trials.csv, history.png, importance.png, slices.png, and a work directory a trial in trials/, for
evaluate.py --workdir. Only dev is looked at. More: docs/search.md.
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Register the command, and the one that it starts its workers by."""
    parser = commands.add_parser(
        "search",
        help="search for good hyper-parameters",
        description="Train a config many times with other settings, drawn by Optuna's TPE, and "
        "show which reach the lowest dev EER. Hopeless trials are stopped early.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config_arguments(parser)
    _add_plan_arguments(parser)
    parser.add_argument(
        "--search",
        action="append",
        default=[],
        metavar="FIELD=VALUES",
        help="a field and what it may be, see below; give one for each field",
    )
    parser.add_argument(
        "--workers",
        type=_positive,
        default=1,
        metavar="N",
        help="trials at a time, each in a process of its own (default: %(default)s)",
    )
    parser.add_argument("--no-progress", action="store_true", help="no bar, only a line a trial")
    parser.set_defaults(run=run)
    worker = commands.add_parser("search-worker")  # without help: not for people
    _add_plan_arguments(worker)
    worker.add_argument("--cores", default="")
    worker.add_argument("--parent", type=int, required=True)
    worker.set_defaults(run=run_worker)


def _add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--study", type=Path, required=True, metavar="DIR", help="folder; made if it is not there"
    )
    parser.add_argument(
        "--num-trials",
        type=_positive,
        required=True,
        metavar="N",
        help="trials in all, with those that the study has already",
    )
    parser.add_argument(
        "--pruner",
        choices=PRUNERS,
        default="median",
        help="median: stop a trial whose dev EER is above the median of the others at that epoch; "
        "hyperband: let ever fewer trials train on (default: %(default)s)",
    )
    parser.add_argument(
        "--warmup-epochs",
        type=_positive,
        default=2,
        metavar="N",
        help="--pruner median stops no trial before (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=_at_least_0,
        default=0,
        metavar="N",
        help="of what is drawn (default: %(default)s)",
    )


def _at_least_0(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text}: wanted at least 0")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: wanted at least 1")
    return number


def _plan(args: argparse.Namespace) -> Plan:
    return Plan(args.num_trials, args.seed, args.pruner, args.warmup_epochs)


def run(args: argparse.Namespace, overrides: list[str]) -> int:
    """Run the command; returns the exit status."""
    config = load_config(args.config, overrides)
    space = parse_space(args.search or default_declarations(config), config)
    study = open_study(args.study, _plan(args), config, space)
    study.retry_dead()
    if study.num_finished() < study.num_wanted:
        # What is wrong with the corpus shows here, once, and not in every trial.
        load_training_caches(config.data, progress=not args.no_progress)
        _search(args, study)
    rows = finished_rows(study)
    print(format_results(study, rows))
    print()
    _say_best(args, overrides, study, rows)
    _write(study, rows)
    return 0


def run_worker(args: argparse.Namespace, _overrides: list[str]) -> int:
    """Carry out trials for a search; returns the exit status."""
    keep_to(args.cores)
    study = reopen_study(args.study, _plan(args))
    from rawnet_jax.runtime import start_runtime
    from rawnet_jax.search.objective import train_trial

    start_runtime(study.config.runtime)
    work(study, train_trial, orphaned=lambda: os.getppid() != args.parent)
    return 0


def _search(args: argparse.Namespace, study: SearchStudy) -> None:
    """Let workers carry out trials, and tell how they go."""
    command = [sys.executable, "-P", "-m", "rawnet_jax", "search-worker"]
    command += ["--study", str(args.study), "--num-trials", str(args.num_trials)]
    command += ["--pruner", args.pruner, "--warmup-epochs", str(args.warmup_epochs)]
    command += ["--seed", str(args.seed), "--parent", str(os.getpid())]
    told = {row.number for row in finished_rows(study)}
    bars = BatchBars(not args.no_progress)

    def look() -> None:
        rows = finished_rows(study)
        for row in sorted(rows, key=lambda row: row.number):
            if row.number not in told:
                told.add(row.number)
                say(outcome_line(row))
        bar.update(len(rows) - bar.n)
        if rows and rows[0].state == COMPLETE:
            bar.set_postfix(best=f"{100 * rows[0].dev_eer:.2f} %", refresh=False)

    try:
        with (
            bars("trials", study.num_wanted, len(told), "trial") as bar,
            Workers(command, args.study, args.workers) as workers,
        ):
            workers.wait(look)
    finally:
        study.retry_dead()  # those that were stopped wait for the next start


def _say_best(
    args: argparse.Namespace, overrides: list[str], study: SearchStudy, rows: Sequence[Row]
) -> None:
    if not rows or rows[0].state != COMPLETE:
        print("no trial was trained to its end")
        return
    best = rows[0]
    workdir = study.workdir(best.number)
    own = study.space.overrides(study.config, best.values)
    again = train_command(args.config, [*overrides, *own], args.study / "best")
    print(f"best:       trial {best.number}, dev EER {100 * best.dev_eer:.2f} %")
    print(f"score it:   python evaluate.py --workdir {shlex.quote(str(workdir))}")
    print(f"train anew: {again}")


def _write(study: SearchStudy, rows: Sequence[Row]) -> None:
    """Write the table and the pictures, and tell where they are."""
    from rawnet_jax.reports import search_plots  # brings Matplotlib

    print(f"table:      {write_table(study, rows)}")
    pictures = {}
    scored = [row for row in rows if row.dev_eer == row.dev_eer]
    if scored:
        pictures["history.png"] = search_plots.history_png(rows)
        pictures["slices.png"] = search_plots.slices_png(scored, study.space)
    shares = search_plots.importances(study)
    num_complete = sum(row.state == COMPLETE for row in rows)
    if shares:
        pictures["importance.png"] = search_plots.importance_png(shares, num_complete)
    else:
        print(
            f"no importance.png: it takes {search_plots.MIN_TRIALS} complete trials with different "
            f"dev EERs; there are {num_complete}"
        )
    for name, picture in pictures.items():
        path = study.folder / name
        write_bytes_atomically(path, picture)
        print(f"picture:    {path}")
