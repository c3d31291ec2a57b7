"""A trained work directory, opened once: config, network, variables, decision rule.

Every command that uses a trained run, and the Python interface, go through `Run`.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh

from rawnet_jax.checkpoint_names import BEST
from rawnet_jax.config import Config, thawed
from rawnet_jax.config_file import read_config, to_dict, with_overrides
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.divided_cache import Share
from rawnet_jax.data.loader import WaveformSource
from rawnet_jax.errors import CheckpointError, ConfigError
from rawnet_jax.mesh import dividing_rows, gathered, make_mesh, replicated
from rawnet_jax.models.ensemble import merged
from rawnet_jax.models.registry import build_model
from rawnet_jax.models.variables import variable_shapes
from rawnet_jax.presets.files import is_preset, read_preset
from rawnet_jax.presets.variables import stored_variables
from rawnet_jax.progress import BatchBars
from rawnet_jax.runtime import start_runtime
from rawnet_jax.scoring.clips import ClipScores, score_clips
from rawnet_jax.scoring.embedder import Embedder
from rawnet_jax.scoring.model_watch import no_finite_score
from rawnet_jax.scoring.outlier import OutlierRule, load_outlier_rule, with_distance
from rawnet_jax.scoring.recordings import Recipe, recipe_of
from rawnet_jax.scoring.scorer import Scorer
from rawnet_jax.scoring.streaming import StreamingScorer, hop_of_seconds
from rawnet_jax.scoring.verdict import (
    DecisionRule,
    OperatingPoint,
    load_decision,
    load_operating_point,
)
from rawnet_jax.scoring.windows import hop_samples
from rawnet_jax.training.workdir import member_workdirs

CHANGEABLE = tuple(f"--config.{name}" for name in ("data.", "eval.", "gate.", "runtime.", "note"))
"""Overrides that a trained run takes; all others belong to its training."""

AVERAGED = "averaged"
"""Names the system whose score is the mean over the seeds of a run."""

_HOW_FLAGS = tuple(
    f"--config.eval.{name}" for name in ("aggregate", "window_samples", "window_hop")
)
_OF_DATA = ("num_samples", "pad", "bucket_samples")  # what decides a clip's row in a batch
# On a score.
_WITHOUT_EFFECT = (
    *("batch_size", "spoof_threshold", "action"),
    *("outlier_share", "outlier_clips", "reference_clips"),
)


@dataclass(frozen=True, eq=False)
class Run:
    """A trained run, ready to score.

    Attributes:
        workdir: its folder.
        checkpoint: ``best``, ``latest``, ``swa`` or a step number, as asked for.
        step: of the checkpoint.
        config: of the run, with the overrides of whoever opened it.
        model: the network.
        variables: ``{"params", "batch_stats"}`` of the checkpoint, on the devices.
        mesh: the devices of this process.
        point: the threshold that evaluation chose on dev; None = it has not.
        outliers: the rule on what is unlike training; None = there is none.
    """

    workdir: Path
    checkpoint: str
    step: int
    config: Config
    model: nn.Module
    variables: dict[str, Any]
    mesh: Mesh
    point: OperatingPoint | None = None
    outliers: OutlierRule | None = None

    @classmethod
    def open(
        cls,
        workdir: Path,
        checkpoint: str = BEST,
        overrides: Sequence[str] = (),
        *,
        seed: int | str | None = None,
    ) -> "Run":
        """Open a run to score as it was evaluated.

        Args:
            workdir: of the run.
            checkpoint: ``best``, ``latest``, ``swa`` or a step number.
            overrides: ``--config.group.field=value``; those that say how clips are scored win over
                what evaluation found.
            seed: of a run of several seeds the one to open, or "averaged" for the mean of all.

        Raises:
            ConfigError: there is no run, an override belongs to training, or the run has several
                seeds and none is named.
            CheckpointError: there is no such checkpoint, or it is damaged or of another model.
            DataError: the run's threshold file is damaged.
        """
        trained, config = configs_of(workdir, overrides)
        folders = member_workdirs(trained, workdir)
        if len(folders) > 1:
            chosen = _chosen(workdir, folders, seed)
            if chosen is None:
                return _averaged(workdir, [cls.open(f, checkpoint, overrides) for f in folders])
            return cls.open(chosen, checkpoint, overrides)
        if seed is not None and str(seed) != str(trained.train.seed):
            raise ConfigError(f"{workdir}: seed {seed}: the run has one, {trained.train.seed}")
        point = load_operating_point(workdir)
        if point is not None and not any(word.startswith(_HOW_FLAGS) for word in overrides):
            found = [f"--config.eval.{name}={value}" for name, value in point.how.items()]
            config = with_overrides(config, found)
        start_runtime(config.runtime)
        run = replace(cls.load(config, workdir, checkpoint), point=point)
        rule = load_outlier_rule(workdir) if config.eval.outlier_share else None
        return replace(run, outliers=rule if rule and rule.step == run.step else None)

    @classmethod
    def load(cls, config: Config, workdir: Path, checkpoint: str = BEST) -> "Run":
        """Load one model of a run whose config is known.

        Args:
            config: of the run; where clips come from is not read.
            workdir: of the run.
            checkpoint: ``best``, ``latest``, ``swa`` or a step number.

        Raises:
            CheckpointError: there is no such checkpoint, or it is damaged or of another model.
        """
        everywhere = make_mesh()
        rows = dividing_rows(everywhere, config.eval.batch_size)
        config = replace(config, eval=replace(config.eval, batch_size=rows))
        model = build_model(config.model)
        shapes = variable_shapes(model, config.data.num_samples)
        variables, step = stored_variables(workdir, checkpoint, shapes, replicated(everywhere))
        mesh = make_mesh(jax.local_devices())
        if mesh != everywhere:  # each process scores clips of its own
            variables = jax.device_put(jax.device_get(variables), replicated(mesh))
        return cls(workdir, checkpoint, step, config, model, variables, mesh)

    def decision(self, *, prior: float = 0.5, threshold: float | None = None) -> DecisionRule:
        """Return the decision rule: calibration, threshold, prior.

        Args:
            prior: of spoof, for P(spoof).
            threshold: of scores, instead of the run's own.

        Raises:
            ConfigError: a number is out of range.
            DataError: a file of the run is damaged.
        """
        return load_decision(
            self.workdir,
            self.config,
            self.step,
            point=self.point,
            is_best=self.checkpoint == BEST,
            prior=prior,
            threshold=threshold,
            outliers=None if self.outliers is None else self.outliers.bound,
        )

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.config.name

    @property
    def num_devices(self) -> int:
        """Number of devices that a batch is split over."""
        return self.mesh.size

    @cached_property
    def recipe(self) -> Recipe:
        """How recordings are scored: windows, padding, gate, aggregation."""
        return recipe_of(self.config)

    @cached_property
    def _scorer(self) -> Scorer:
        return Scorer(self.model, self.mesh)

    @cached_property
    def _embedder(self) -> Embedder:
        return Embedder(self.model, self.mesh, self.variables)

    def stream(
        self,
        *,
        hop_s: float | None = None,
        sample_rate_hz: int = SAMPLE_RATE_HZ,
        channel: int | None = None,
    ) -> StreamingScorer:
        """Return a scorer of audio that comes in pieces.

        Args:
            hop_s: from one window to the next in seconds; None = as the config says.
            sample_rate_hz: of what is pushed.
            channel: take this channel, 1 = the first; None = the average of all.

        Raises:
            ConfigError: a number is out of range.
        """
        window = self.config.eval.window_samples or self.config.data.num_samples
        hop = hop_samples(window, self.config.eval.window_hop)
        where = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        return StreamingScorer(
            self.model,
            jax.device_put(self.variables, where),
            window=window,
            hop=hop if hop_s is None else hop_of_seconds(hop_s, window),
            pad=self.config.data.pad,
            bucket_samples=tuple(self.config.data.bucket_samples),
            gate=self.config.gate if self.config.gate.enabled else None,
            measure=None if self.outliers is None else self.outliers.measure,
            sample_rate_hz=sample_rate_hz,
            channel=channel,
        )

    def score(
        self,
        clips: WaveformSource,
        progress: bool,
        title: str = "scoring",
        *,
        embeds: bool = False,
    ) -> ClipScores:
        """Score every clip of a list once, shared among all processes.

        Args:
            clips: as they are stored; they are cut or filled here as the config says.
            progress: whether to draw a bar.
            title: of the bar.
            embeds: give the embeddings of clips as `ClipScores.more`.

        Returns:
            A score per clip, in the order of the list: of its first part or, by
            ``config.eval.aggregate``, of its windows; and what the gate refused. With a rule on
            what is unlike training, `ClipScores.more` is the distance.

        Raises:
            CheckpointError: no clip has a finite score: the model is at fault.
        """
        share, score_batch = this_share(), self.score_batch
        num_more = 0 if self.outliers is None else 1
        if embeds:
            score_batch, num_more = self._embedder, self._embedder.width(self.recipe.window)
        with BatchBars(progress)(title, -(-len(clips) // share.count), unit="clip") as bar:
            found = score_clips(
                clips,
                score_batch,
                self.recipe,
                batch_size=self.config.eval.batch_size // share.count,
                num_threads=self.config.data.num_threads,
                share=share,
                num_more=num_more,
                tick=bar.update,
            )
        judged = np.delete(found.score, [row.position for row in found.refused])
        if judged.size and not np.isfinite(judged).any():
            raise CheckpointError(no_finite_score(self.workdir, judged.size))
        return found

    def score_batch(self, waveform: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        """Score one batch that is at hand, on the devices of this process.

        Args:
            waveform: float32 [B, T], B a multiple of the number of devices; each shape is compiled
                once.
            num_samples: int32 [B], 0 in rows that hold nothing.

        Returns:
            float32 [B], or with a rule on what is unlike training [B, 2]: score and distance; NaN
            in rows that hold nothing.
        """
        if self.outliers is not None:
            return with_distance(self._embedder(waveform, num_samples), self.outliers.measure)
        rows = len(waveform)
        batch = {
            "waveform": waveform,
            "num_samples": num_samples,
            "label": np.full(rows, -1, np.int32),
            "index": np.where(num_samples > 0, np.arange(rows), -1),
        }
        return self._scorer.score(self.variables, [batch], rows)[0].score

    def embed_batch(self, waveform: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        """Return float32 [B, 1 + D], scores and embeddings of one batch; see `score_batch`."""
        return self._embedder(waveform, num_samples)

    @cached_property
    def how_it_scores(self) -> dict[str, Any]:
        """What determines a score but for the parameters, by section of the config."""
        config = to_dict(self.config)
        if self.config.model.members == 1:  # fingerprints stay what they were without this field
            del config["model"]["members"]
        return {
            "model": config["model"],
            "data": {name: config["data"][name] for name in _OF_DATA},
            "eval": {k: v for k, v in config["eval"].items() if k not in _WITHOUT_EFFECT},
            "gate": {k: v for k, v in config["gate"].items() if k not in _WITHOUT_EFFECT},
        }

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything that determines a score: network, parameters, windows, gate."""
        digest = hashlib.sha256(json.dumps([*self.how_it_scores.values()], sort_keys=True).encode())
        for path, leaf in jax.tree_util.tree_leaves_with_path(self.variables):
            digest.update(jax.tree_util.keystr(path).encode())
            digest.update(np.ascontiguousarray(leaf).tobytes())
        return digest.hexdigest()


def this_share() -> Share:
    """Return which process this is, and how many there are."""
    return Share(jax.process_index(), jax.process_count(), gathered)


def configs_of(workdir: Path, overrides: Sequence[str]) -> tuple[Config, Config]:
    """Return the config that a run was trained with, and that one with the overrides.

    Raises:
        ConfigError: there is no run, or an override belongs to its training.
        CheckpointError: it is a preset, and one of its files is not as it was made.
    """
    fixed = [word for word in overrides if not word.startswith(CHANGEABLE)]
    if fixed:
        raise ConfigError(
            f"{fixed[0]}: belongs to the training of {workdir}; here there are only "
            f"{', '.join(prefix.rstrip('.') for prefix in CHANGEABLE)}"
        )
    if is_preset(workdir):
        read_preset(workdir).check()
    trained = read_config(workdir)
    return trained, with_overrides(trained, overrides)


def _chosen(workdir: Path, folders: Sequence[Path], seed: int | str | None) -> Path | None:
    """Return the folder of one seed; None for the averaged system."""
    if seed == AVERAGED:
        return None
    named = {folder.name.removeprefix("seed_"): folder for folder in folders}
    if str(seed) in named:
        return named[str(seed)]
    what = "" if seed is None else f"; there is no seed {seed}"
    raise ConfigError(
        f"{workdir} holds {len(folders)} models, one per seed{what}; name a seed "
        f"({', '.join(named)}), or {AVERAGED}, or give the --workdir of one, such as {folders[0]}"
    )


def _averaged(workdir: Path, runs: Sequence[Run]) -> Run:
    """Return the mean of several; the rule on what is unlike training is that of each alone."""
    config = ensemble_config(runs[0].config, len(runs))
    model, variables = build_model(config.model), merged([run.variables for run in runs])
    one = replace(runs[0], workdir=workdir, point=None, outliers=None)
    return replace(one, config=config, model=model, variables=variables)


def ensemble_config(config: Config, count: int) -> Config:
    """Return the config of the network that averages those of several runs of this config."""
    config = thawed(config)
    config.model.members = count
    config.train.num_seeds = 1
    return config
