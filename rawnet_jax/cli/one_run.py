"""The one model of a work directory, scored and judged as it was evaluated."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rawnet_jax.cli.run_clips import BEST, scoring_configs
from rawnet_jax.config import Config
from rawnet_jax.config_file import with_overrides
from rawnet_jax.errors import ConfigError
from rawnet_jax.scoring.verdict import Judge, load_judge, load_operating_point
from rawnet_jax.training.workdir import member_workdirs

_HOW_FLAGS = tuple(
    f"--config.eval.{name}" for name in ("aggregate", "window_samples", "window_hop")
)


def config_of_one(workdir: Path, overrides: Sequence[str]) -> Config:
    """Return the config of a run that is one model, with clips scored as it was evaluated.

    Args:
        workdir: of the run.
        overrides: of the command line; those that say how clips are scored win.

    Raises:
        ConfigError: there is no run, it has several models, or an override belongs to training.
        DataError: the run's threshold file is damaged.
    """
    trained, config = scoring_configs(workdir, overrides)
    folders = member_workdirs(trained, workdir)
    if len(folders) > 1:
        raise ConfigError(
            f"{workdir} holds {len(folders)} models, one a seed; give the --workdir of one, such "
            f"as {folders[0]}"
        )
    point = load_operating_point(workdir)
    if point is None or any(word.startswith(_HOW_FLAGS) for word in overrides):
        return config
    return with_overrides(config, [f"--config.eval.{k}={v}" for k, v in point.how.items()])


def judge_of(args: argparse.Namespace, config: Config, step: int) -> Judge:
    """Return what reads the scores of a run, by the flags of `rawnet_jax.cli.run_flags`.

    Raises:
        ConfigError: a number is out of range.
        DataError: a file of the run is damaged.
    """
    return load_judge(
        args.workdir,
        config,
        step,
        is_best=args.checkpoint == BEST,
        prior=args.p_spoof,
        threshold=args.threshold,
    )
