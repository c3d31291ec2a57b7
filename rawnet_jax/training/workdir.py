"""The folders of a run, on all hosts the same.

A run with several seeds trains them in one program; each is otherwise a run of its own, with a work
directory ``seed_N`` that scoring and export read like any other.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import jax
from filelock import FileLock, Timeout

from rawnet_jax.config import Config, thawed
from rawnet_jax.config_check import checked
from rawnet_jax.config_file import FILE_NAME, read_config, refuse_other_experiment, save_config
from rawnet_jax.errors import ConfigError
from rawnet_jax.mesh import barrier

LOCK = ".lock"  # held while a training is at work


@contextlib.contextmanager
def held(workdir: Path) -> Iterator[None]:
    """Make the work directory and keep other trainings out of it; on several hosts, the first does.

    The operating system ends the hold with the process, however that ends.

    Raises:
        ConfigError: it cannot be made, or another training is at work in it.
    """
    if jax.process_index() != 0:
        yield
        return
    _make(workdir)
    try:
        lock = FileLock(workdir / LOCK).acquire(timeout=0)
    except Timeout:
        raise ConfigError(
            f"--workdir {workdir}: another training is at work in it; wait for its end, or name "
            "another folder"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"--workdir {workdir}: {error.strerror}; it must be a folder that can be written"
        ) from error
    with lock:
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # Windows: it is open
                (workdir / LOCK).unlink()


def prepare_workdir(config: Config, workdir: Path) -> None:
    """Make the work directory, or check that it holds this very experiment.

    Raises:
        ConfigError: if it cannot be made, or holds a run with other settings.
    """
    refuse_member_alone(workdir)
    folders = member_workdirs(config, workdir)
    for folder in (workdir, *folders):
        _make(folder)
    if (workdir / FILE_NAME).exists():
        refuse_other_experiment(read_config(workdir), config, workdir)
    if jax.process_index() == 0:
        save_config(config, workdir)
        for number, folder in enumerate(folders):
            save_config(member_config(config, number), folder)
    barrier("workdir")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--workdir {folder}: {error.strerror}; it must be a folder") from error


def member_config(config: Config, number: int) -> Config:
    """Return the config of one seed alone; that of the whole run where it has one seed."""
    if config.train.num_seeds == 1:
        return config
    alone = thawed(config)
    alone.train.seed += number
    alone.train.num_seeds = 1
    return checked(alone)


def member_workdirs(config: Config, workdir: Path) -> list[Path]:
    """Return the folder of each seed of a run."""
    seeds = [config.train.seed + number for number in range(config.train.num_seeds)]
    return [workdir] if len(seeds) == 1 else [workdir / f"seed_{seed}" for seed in seeds]


def refuse_member_alone(workdir: Path) -> None:
    """Check that a work directory is not that of one seed among several.

    Raises:
        ConfigError: naming the run that it belongs to.
    """
    path = workdir.absolute().parent / FILE_NAME
    if not workdir.name.startswith("seed_") or not path.exists():
        return
    if read_config(path.parent).train.num_seeds > 1:
        raise ConfigError(
            f"{workdir} is one seed of the run in {path.parent}, which trains all of them; use "
            "that --workdir, or one elsewhere"
        )
