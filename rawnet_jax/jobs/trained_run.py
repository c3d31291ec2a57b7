"""What every command that scores the clips of a trained run needs: models, clips, threshold."""

import logging
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import flax
import jax
import numpy as np

from rawnet_jax.config import Config, DataConfig
from rawnet_jax.config_file import read_config, with_overrides
from rawnet_jax.data.layouts import CORPORA
from rawnet_jax.data.loader import WaveformSource
from rawnet_jax.data.partitions import Clips, load_scoring_cache
from rawnet_jax.data.score_file import score_table
from rawnet_jax.data.trial import labels_of
from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.evaluation.decision import ThresholdRule, find_threshold
from rawnet_jax.evaluation.kept_scores import KeptScores, fingerprint
from rawnet_jax.jobs.chosen_run import results_folder
from rawnet_jax.labels import Label
from rawnet_jax.metrics.dcf import CostModel
from rawnet_jax.metrics.thresholds import Threshold
from rawnet_jax.presets.files import is_preset
from rawnet_jax.robustness.clips import fingerprint_clips
from rawnet_jax.run import Run, this_share
from rawnet_jax.scoring.verdict import load_operating_point
from rawnet_jax.scoring.windows import hop_samples
from rawnet_jax.training.workdir import member_workdirs

_LOG = logging.getLogger(__name__)


class Model(NamedTuple):
    """One network of a run: a run of several seeds has several."""

    workdir: Path
    output: Path
    config: Config


def models_of(
    config: Config, workdir: Path, overrides: Sequence[str], output: Path | None, name: str
) -> list[Model]:
    """Return a run's one model, or one per seed.

    Args:
        config: of the run.
        workdir: of the run.
        overrides: of the configs.
        output: folder for the results; with several models each has a folder in it.
        name: of the folder for the results in a model's work directory, without `output`; a preset
            is never written into.
    """
    folders = member_workdirs(config, workdir)
    outputs = [results_folder(folder) / name for folder in folders]
    if output:
        outputs = [output / f.name for f in folders] if len(folders) > 1 else [output]
    return [
        Model(folder, place, with_overrides(read_config(folder), overrides))
        for folder, place in zip(folders, outputs, strict=True)
    ]


def dev_clips(trained: Config, config: Config, progress: bool) -> Clips | None:
    """Open the dev clips that training selected on; None, with a warning, where there are none."""
    try:
        cache = load_scoring_cache(train_data(trained, config), "dev", progress, this_share())
    except DataError as error:
        _LOG.warning("dev is not scored, so nothing is calibrated: %s", error)
        return None
    labels = labels_of(cache.trials)
    if labels is None or Label.BONAFIDE not in labels:
        _LOG.warning("dev is not scored, so nothing is calibrated: it lacks bona fide speech")
        return None
    return cache


def train_data(trained: Config, config: Config) -> DataConfig:
    """Return the corpus of train and dev: a run that is evaluated on another keeps its own.

    A preset and imported weights have none of their own.
    """
    is_own = config.data.corpus == trained.data.corpus or not trained.data.root
    return config.data if is_own else trained.data


def warnings_of_whole_corpus(trained: Config, config: Config, partition: str) -> tuple[str, ...]:
    """Return a warning where a partition is the whole corpus, and the run was trained on it.

    Args:
        trained: config that the run was trained with.
        config: what it is evaluated on.
        partition: of that.
    """
    data, of_training = config.data, trained.data
    layout = CORPORA.get(data.corpus)
    if layout is None or not layout.undivided or partition == "dev" or not of_training.root:
        return ()
    named = getattr(data, f"{partition}_protocol")
    same = (data.corpus, Path(data.root).resolve()) == (
        of_training.corpus,
        Path(of_training.root).resolve(),
    )
    if not same or named != of_training.train_protocol:
        return ()
    return (
        f"{data.corpus} is published without partitions: this is the whole of it, and the run was "
        "trained and selected on the same recordings; the figures flatter",
    )


def run_details(config: Config, checkpoint: str) -> dict[str, str]:
    """Return what a reader of a report must know of a run and of the machine."""
    device = jax.devices()[0]
    return {
        "model": config.model.name,
        "checkpoint": checkpoint,
        "training seed": str(config.train.seed),
        "clip length": _clip_length(config),
        "devices": f"{jax.device_count()} x {device.device_kind} ({device.platform})",
        "versions": f"Python {platform.python_version()}, JAX {jax.__version__}, "
        f"Flax {flax.__version__}",
    }


def left_out(clips: Clips) -> str:
    """Say which clips of a partition were skipped, and why."""
    return ", ".join(f"{n} {why}" for why, n in clips.skipped_reasons.items()) or "none"


def _clip_length(config: Config) -> str:
    length, how = config.data.num_samples, config.eval.aggregate
    if not how:
        return f"{length} samples, pad {config.data.pad}"
    length = config.eval.window_samples or length
    return (
        f"windows of {length} samples, {hop_samples(length, config.eval.window_hop)} from one to "
        f"the next; {how} of their scores; pad {config.data.pad}"
    )


class KeptScorer:
    """Scores what was not scored before.

    Args:
        scorer: of the run.
        store: where scores are kept.
        progress: whether to draw bars.
    """

    def __init__(self, scorer: Run, store: KeptScores, progress: bool) -> None:
        self._scorer = scorer
        self._store = store
        self._progress = progress

    @property
    def preset_threshold(self) -> Threshold | None:
        """The threshold of scores that a preset brings along; None of a run, which has its dev."""
        workdir = self._scorer.workdir
        point = load_operating_point(workdir) if is_preset(workdir) else None
        return None if point is None or point.on_llr else Threshold(point.threshold, point.rule)

    def score(
        self, name: str, clips: WaveformSource, title: str, clips_key: str = ""
    ) -> np.ndarray:
        """Return float64 [N], kept from an earlier call, or scored and kept now.

        Args:
            name: of the file.
            clips: what is scored.
            title: of the bar.
            clips_key: stands for the clips and all of their samples; "" = it is found by reading
                them.

        Raises:
            DataError: the scores cannot be written, or one is not finite.
        """
        clips_key = clips_key or fingerprint_clips(clips, np.arange(len(clips)))
        key = fingerprint(self._scorer.fingerprint, clips_key)
        known = self._store.get(name, key, [trial.utterance_id for trial in clips.trials])
        if known is not None:
            return known
        found = self._scorer.score(clips, self._progress, title)
        self._store.put(name, key, score_table(clips.trials, found.score))
        return found.score.astype(np.float64)


def rule_text(threshold: Threshold | None) -> str:
    """Say how a run's threshold was found; "" where there is none."""
    if threshold is None:
        return ""
    return threshold.rule if threshold.p_miss is None else f"{threshold.rule} on dev"


def choose_threshold(
    kept: KeptScorer, dev: Clips | None, rule: ThresholdRule | None, costs: CostModel
) -> Threshold | None:
    """Choose a run's threshold on its own dev clips, for whatever it meets later.

    That of a preset was chosen when it was made; it counts unless `rule` asks for another.

    Args:
        kept: scores the dev clips.
        dev: None = there are none.
        rule: None = that of the EER.
        costs: of the rule ``cost``.

    Returns:
        None without dev clips, or with those of one class and no rule that takes it.

    Raises:
        ConfigError: the rule needs what is not there.
    """
    if rule is not None and rule.name == "bayes":
        raise ConfigError(
            "--threshold-rule bayes: is for calibrated scores; give a rule that reads dev, or "
            "value=SCORE"
        )
    if rule is None and kept.preset_threshold is not None:
        return kept.preset_threshold
    labels = None if dev is None else labels_of(dev.trials)
    if dev is None or labels is None:
        return None if rule is None else find_threshold(rule, costs, None)
    scores = kept.score("dev", dev, "dev")
    classes = (scores[labels == Label.BONAFIDE], scores[labels == Label.SPOOF])
    if rule is None and not classes[1].size:
        return None
    return find_threshold(rule or ThresholdRule("eer"), costs, classes)
