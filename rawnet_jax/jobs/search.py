"""``search``: look for hyper-parameters with the lowest dev EER, in as many processes as wanted."""

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rawnet_jax.atomic_file import write_bytes_atomically
from rawnet_jax.config_file import load_config
from rawnet_jax.data.partitions import load_training_caches
from rawnet_jax.data.recognise import settled_config
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
from rawnet_jax.search.study import Plan, SearchStudy, open_study, reopen_study
from rawnet_jax.search.worker import Workers, keep_to, work
from rawnet_jax.terminal import show
from rawnet_jax.training.report import say


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """Options of ``search`` that its workers are told, too, named as its flags."""

    study: Path
    num_trials: int
    pruner: str
    warmup_epochs: int
    seed: int

    @property
    def plan(self) -> Plan:
        """How trials are drawn and stopped."""
        return Plan(self.num_trials, self.seed, self.pruner, self.warmup_epochs)


@dataclass(frozen=True, kw_only=True)
class SearchOptions(PlanOptions):
    """Options of ``search``, named as its flags; see ``search --help``."""

    config: str
    overrides: Sequence[str]
    search: Sequence[str]
    workers: int
    progress: bool


def search(options: SearchOptions) -> int:
    """Start a study, or resume it; returns the exit status.

    Raises:
        RawnetError: whatever is wrong with the config, the space, the corpus or the study.
    """
    config = load_config(options.config, options.overrides)
    config, _ = settled_config(config)
    space = parse_space(options.search or default_declarations(config), config)
    study = open_study(options.study, options.plan, config, space)
    study.retry_dead()
    if study.num_finished() < study.num_wanted:
        # What is wrong with the corpus shows here, once, and not in every trial.
        load_training_caches(config.data, progress=options.progress)
        _search(options, study)
    rows = finished_rows(study)
    show(format_results(study, rows))
    show()
    _say_best(options, study, rows)
    _write(study, rows)
    return 0


def work_for(options: PlanOptions, cores: str, parent: int) -> int:
    """Carry out trials for a search; returns the exit status.

    Args:
        options: of the study.
        cores: that this process keeps to; "" = all.
        parent: process that started this one; when it is gone, this one ends.
    """
    keep_to(cores)
    study = reopen_study(options.study, options.plan)
    from rawnet_jax.runtime import start_runtime
    from rawnet_jax.search.objective import train_trial

    start_runtime(study.config.runtime)
    work(study, train_trial, orphaned=lambda: os.getppid() != parent)
    return 0


def _search(options: SearchOptions, study: SearchStudy) -> None:
    """Let workers carry out trials, and tell how they go."""
    command = [sys.executable, "-P", "-m", "rawnet_jax", "search-worker"]
    command += ["--study", str(options.study), "--num-trials", str(options.num_trials)]
    command += ["--pruner", options.pruner, "--warmup-epochs", str(options.warmup_epochs)]
    command += ["--seed", str(options.seed), "--parent", str(os.getpid())]
    told = {row.number for row in finished_rows(study)}
    bars = BatchBars(options.progress)

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
            Workers(command, options.study, options.workers) as workers,
        ):
            workers.wait(look)
    finally:
        study.retry_dead()  # those that were stopped wait for the next start


def _say_best(options: SearchOptions, study: SearchStudy, rows: Sequence[Row]) -> None:
    if not rows or rows[0].state != COMPLETE:
        show("no trial was trained to its end")
        return
    best = rows[0]
    workdir = study.workdir(best.number)
    own = study.space.overrides(study.config, best.values)
    again = train_command(options.config, [*options.overrides, *own], options.study / "best")
    show(f"best:       trial {best.number}, dev EER {100 * best.dev_eer:.2f} %")
    show(f"score it:   python evaluate.py --workdir {shlex.quote(str(workdir))}")
    show(f"train again: {again}")


def _write(study: SearchStudy, rows: Sequence[Row]) -> None:
    """Write the table and the pictures, and tell where they are."""
    from rawnet_jax.reports import search_plots  # brings Matplotlib

    show(f"table:      {write_table(study, rows)}")
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
        show(
            f"no importance.png: it takes {search_plots.MIN_TRIALS} complete trials with different "
            f"dev EERs; there are {num_complete}"
        )
    for name, picture in pictures.items():
        path = study.folder / name
        write_bytes_atomically(path, picture)
        show(f"picture:    {path}")
