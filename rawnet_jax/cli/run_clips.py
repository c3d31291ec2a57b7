"""What every command that scores a trained run needs: its config, its clips, their labels."""

import argparse
import logging
import platform
from collections.abc import Sequence
from typing import Protocol

import flax
import jax
import numpy as np

from rawnet_jax.config import Config
from rawnet_jax.config_file import read_config, with_overrides
from rawnet_jax.data.divided_cache import Share
from rawnet_jax.data.partitions import Clips, load_scoring_cache
from rawnet_jax.data.score_file import ScoreTable
from rawnet_jax.data.trial import Trial
from rawnet_jax.data.window_plan import hop_samples
from rawnet_jax.errors import DataError
from rawnet_jax.labels import Label
from rawnet_jax.mesh import gathered
from rawnet_jax.training.workdir import member_workdirs

_LOG = logging.getLogger(__name__)

BEST = "best"


class HasTrials(Protocol):
    """A list of clips, or what is left of one."""

    @property
    def trials(self) -> list[Trial]:
        """Return one a clip."""


def each_model(
    args: argparse.Namespace, config: Config, overrides: Sequence[str], name: str
) -> list[tuple[argparse.Namespace, Config]]:
    """Return flags and config of a run's one model, or of each of its seeds.

    Args:
        args: with the workdir of the run, and the folder for the results or None.
        config: of the run.
        overrides: of the command line.
        name: of the folder for the results in a model's work directory, where `args` names none.

    Returns:
        Flags, with workdir and output of the model alone, and its config.
    """
    folders = member_workdirs(config, args.workdir)
    outputs = [folder / name for folder in folders]
    if args.output:
        outputs = [args.output / f.name for f in folders] if len(folders) > 1 else [args.output]
    return [
        (
            argparse.Namespace(**{**vars(args), "workdir": folder, "output": output}),
            with_overrides(read_config(folder), overrides),
        )
        for folder, output in zip(folders, outputs, strict=True)
    ]


def this_share() -> Share:
    """Return which process this is, and how many there are."""
    return Share(jax.process_index(), jax.process_count(), gathered)


def dev_clips(trained: Config, config: Config, progress: bool) -> Clips | None:
    """Open the dev clips that training selected on; None, with a warning, where there are none."""
    # A run that is evaluated on another corpus keeps the dev clips of its own.
    data = config.data if config.data.corpus == trained.data.corpus else trained.data
    try:
        cache = load_scoring_cache(data, "dev", progress, this_share())
    except DataError as error:
        _LOG.warning("dev is not scored, so nothing is calibrated: %s", error)
        return None
    labels = labels_of(cache)
    if labels is None or Label.BONAFIDE not in labels:
        _LOG.warning("dev is not scored, so nothing is calibrated: it lacks bona fide speech")
        return None
    return cache


def labels_of(clips: HasTrials) -> np.ndarray | None:
    """Return int8 [N], or None where a trial has no label."""
    labels = [trial.label for trial in clips.trials]
    return None if None in labels else np.array(labels, np.int8)


def score_table(clips: HasTrials, score: np.ndarray) -> ScoreTable:
    """Return the scores [N] of clips under the names that their protocol gives them."""
    names = [trial.utterance_id for trial in clips.trials]
    return ScoreTable(names, score, labels_of(clips), [trial.attack_id for trial in clips.trials])


def run_details(config: Config, checkpoint: str) -> dict[str, str]:
    """Return what a reader of a report must know of a run and of the machine."""
    device = jax.devices()[0]
    return {
        "model": config.model.name,
        "checkpoint": checkpoint,
        "training seed": str(config.train.seed),
        "clip length": _length_in_words(config),
        "devices": f"{jax.device_count()} x {device.device_kind} ({device.platform})",
        "versions": f"Python {platform.python_version()}, JAX {jax.__version__}, "
        f"Flax {flax.__version__}",
    }


def left_out(clips: Clips) -> str:
    """Say which clips of a partition were skipped, and why."""
    return ", ".join(f"{n} {why}" for why, n in clips.skipped_reasons.items()) or "none"


def _length_in_words(config: Config) -> str:
    length, how = config.data.num_samples, config.eval.aggregate
    if not how:
        return f"{length} samples, pad {config.data.pad}"
    length = config.eval.window_samples or length
    return (
        f"windows of {length} samples, {hop_samples(length, config.eval.window_hop)} from one to "
        f"the next; {how} of their scores; pad {config.data.pad}"
    )
