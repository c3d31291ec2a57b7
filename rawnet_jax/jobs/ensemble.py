"""``ensemble``: trained runs of one network become one run that averages their scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rawnet_jax import __version__
from rawnet_jax.atomic_file import new_folder, refuse_used
from rawnet_jax.config_file import SOURCE_NAME, read_config
from rawnet_jax.errors import ConfigError
from rawnet_jax.flat_weights import in_16_bit
from rawnet_jax.jobs.console import say_written
from rawnet_jax.jobs.made_run import fill_run
from rawnet_jax.models.ensemble import merged
from rawnet_jax.run import Run, ensemble_config
from rawnet_jax.variable_check import check_finite


@dataclass(frozen=True, kw_only=True)
class EnsembleOptions:
    """Options of ``ensemble``, named as its flags; see ``ensemble --help``."""

    runs: Sequence[Path]
    workdir: Path
    checkpoint: str
    half: bool

    def __post_init__(self) -> None:
        if len(self.runs) < 2:
            raise ConfigError("ensemble: must have two runs or more")


def ensemble(options: EnsembleOptions) -> int:
    """Make the run; returns the exit status.

    Raises:
        RawnetError: a run cannot be opened, or differs from the first in more than its training;
            then nothing is made.
    """
    refuse_used(options.workdir, "--workdir")
    runs = [Run.open(path, options.checkpoint) for path in options.runs]
    _check_alike(runs)
    config = ensemble_config(read_config(runs[0].workdir), len(runs))
    variables = merged([jax.device_get(run.variables) for run in runs])
    if options.half:
        halves = in_16_bit(variables["params"], rounded=True)
        variables["params"] = jax.tree.map(np.float32, halves)
        check_finite(variables, options.workdir, "leave --half out")
    with new_folder(options.workdir, "--workdir") as folder:
        fill_run(folder, config, variables, _source(runs))
    written = [(f"member {i}", f"{run.workdir}, step {run.step}") for i, run in enumerate(runs)]
    say_written([*written, ("run", f"{options.workdir} (config.json, {SOURCE_NAME}, checkpoints)")])
    return 0


def _check_alike(runs: Sequence[Run]) -> None:
    first = runs[0]
    seen: dict[str, Path] = {}
    for run in runs:
        if run.config.model.members > 1:
            raise ConfigError(f"{run.workdir}: is an ensemble; give its members")
        for name, value in run.how_it_scores.items():
            if value != first.how_it_scores[name]:
                raise ConfigError(
                    f"{run.workdir}: config.{name} differs from that of {first.workdir}; "
                    "it must be the same"
                )
        if run.fingerprint in seen:
            raise ConfigError(f"{run.workdir}: is the same network as {seen[run.fingerprint]}")
        seen[run.fingerprint] = run.workdir


def _source(runs: Sequence[Run]) -> dict[str, Any]:
    return {
        "ensemble": [
            {"workdir": run.workdir.name, "step": run.step, "fingerprint": run.fingerprint}
            for run in runs
        ],
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "rawnet_jax": __version__,
    }
