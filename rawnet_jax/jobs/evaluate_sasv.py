"""``evaluate --scores`` of files that name a claimed speaker: spoofing-aware verification."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rawnet_jax.atomic_file import make_folder
from rawnet_jax.data.sasv_file import SasvTable, is_sasv_file, read_sasv, with_keys
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.evaluation.sasv import SasvOptions, assess_sasv
from rawnet_jax.jobs.console import say_written
from rawnet_jax.jobs.voices import COSTS
from rawnet_jax.reports.report import context_now
from rawnet_jax.reports.sasv_page import write_sasv
from rawnet_jax.reports.sasv_record import format_sasv
from rawnet_jax.terminal import show


@dataclass(frozen=True, kw_only=True)
class SasvJob:
    """What is measured, and how.

    Attributes:
        files: scores by system.
        protocol: list of trials with keys; None = the files have them.
        dev_files: dev scores by system; None = there are none.
        dev_protocol: list of their trials.
        costs: name in `rawnet_jax.jobs.voices.COSTS`.
        num_replicates: of intervals.
        by_speaker: draw claimed speakers.
        level: of intervals.
        output: folder to write.
    """

    files: Mapping[str, Path]
    protocol: Path | None
    dev_files: Mapping[str, Path] | None
    dev_protocol: Path | None
    costs: str
    num_replicates: int
    by_speaker: bool
    level: float
    output: Path


def are_sasv_files(paths: list[Path], protocol: Path | None) -> bool:
    """Return whether score files name claimed speakers.

    Raises:
        ConfigError: some do and some do not.
        DataError: a file cannot be read.
    """
    if protocol is not None and is_sasv_file(protocol):
        return True
    found = [is_sasv_file(path) for path in paths]
    if any(found) and not all(found):
        other = paths[found.index(False)]
        raise ConfigError(
            f"--scores {other}: names no claimed speaker, as another file does; files of one kind "
            "are evaluated together"
        )
    return all(found)


def evaluate_sasv(job: SasvJob) -> int:
    """Measure the files and write a report; returns the exit status.

    Raises:
        DataError: a file is wrong, or files do not fit together.
        MetricError: a class of trials is missing.
    """
    options = SasvOptions(
        costs=COSTS[job.costs],
        num_replicates=job.num_replicates,
        by_speaker=job.by_speaker,
        level=job.level,
    )
    trials = None if job.protocol is None else read_sasv(job.protocol, keys_only=True)
    dev_trials = None if job.dev_protocol is None else read_sasv(job.dev_protocol, keys_only=True)
    summaries = []
    for name, path in job.files.items():
        dev = None if job.dev_files is None else _table(job.dev_files[name], dev_trials)
        summaries.append(assess_sasv(name, _table(path, trials), dev, options))
    make_folder(job.output)
    context = context_now(f"{', '.join(job.files)}: spoofing-aware verification", _details(job))
    show(format_sasv(summaries))
    show()
    say_written(write_sasv(job.output, summaries, context))
    return 0


def _table(path: Path, trials: SasvTable | None) -> SasvTable:
    table = read_sasv(path)
    if trials is not None:
        return with_keys(table, trials, path)
    if table.keys is None:
        raise DataError(f"{path}: no keys; --protocol must name the list of trials")
    return table


def _details(job: SasvJob) -> dict[str, str]:
    details = {f"scores of {name}": str(path) for name, path in job.files.items()}
    details["trials"] = str(job.protocol or "the keys in the files")
    if job.dev_files is not None:
        details["dev scores"] = ", ".join(map(str, job.dev_files.values()))
    costs = COSTS[job.costs]
    details["priors (target, nontarget, spoof)"] = (
        f"{costs.p_target:g}, {costs.p_nontarget:g}, {costs.p_spoof:g}"
    )
    details["costs (miss, nontarget, spoof)"] = (
        f"{costs.c_miss:g}, {costs.c_fa:g}, {costs.c_fa_spoof:g} ({costs.name})"
    )
    details["versions"] = f"Python {platform.python_version()}, NumPy {np.__version__}"
    return details
