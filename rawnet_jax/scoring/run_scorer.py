"""A trained run, ready to score: its model, one of its checkpoints, one compiled step."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rawnet_jax.checkpoint import restore_variables
from rawnet_jax.config import Config
from rawnet_jax.config_file import to_dict
from rawnet_jax.data.loader import BatchIterator, WaveformSource
from rawnet_jax.data.sources import scoring_source
from rawnet_jax.losses import make_loss
from rawnet_jax.mesh import check_batch_size, gathered, make_mesh, replicated
from rawnet_jax.models.registry import build_model
from rawnet_jax.models.variables import variable_shapes
from rawnet_jax.progress import BatchBars
from rawnet_jax.scoring.judged import Findings, ScoringPlan
from rawnet_jax.scoring.scorer import Scorer, Scores


@dataclass(frozen=True)
class RunScores(Scores):
    """Scores of a list of clips, and what the gate saw.

    Attributes:
        findings: clips that cannot be judged; they have a score all the same.
    """

    findings: Findings


_OF_DATA = ("num_samples", "pad", "bucket_samples")  # what decides a clip's row in a batch
_WITHOUT_EFFECT = ("batch_size", "spoof_threshold", "action")  # on a score


class RunScorer:
    """Scores lists of clips with a checkpoint of a run.

    Args:
        config: of the run; where the clips come from is not read.
        workdir: of the run.
        checkpoint: ``best``, ``latest``, ``swa`` or a step number.

    Attributes:
        step: of the checkpoint.

    Raises:
        ConfigError: the batch size does not divide over the devices.
        CheckpointError: there is no such checkpoint, or it is damaged or of another model.
    """

    def __init__(self, config: Config, workdir: Path, checkpoint: str) -> None:
        mesh = make_mesh()
        check_batch_size(mesh, config.eval.batch_size, "config.eval.batch_size")
        model = build_model(config.model)
        shapes = variable_shapes(model, config.data.num_samples)
        self._config = config
        self._variables, self.step = restore_variables(
            workdir, checkpoint, shapes, replicated(mesh)
        )
        self._scorer = Scorer(model, mesh, make_loss(config.loss), config.loss.class_weights)

    def score(self, clips: WaveformSource, progress: bool, title: str = "scoring") -> RunScores:
        """Score every clip of a list once.

        Args:
            clips: as they are stored; they are cut or filled here as the config says.
            progress: whether to draw a bar.
            title: of the bar.

        Returns:
            A score a clip, in the order of the list: of its first part or, by
            ``config.eval.aggregate``, of its windows; and what the gate saw.
        """
        config = self._config
        plan = ScoringPlan(clips, config)
        source = scoring_source(
            plan.source,
            config.data,
            config.eval,
            jax.process_index(),
            jax.process_count(),
            num_samples=plan.num_samples,
        )
        with (
            BatchBars(progress)(title, source.batches_per_epoch) as bar,
            BatchIterator(source, num_threads=config.data.num_threads) as batches,
        ):
            found = self._scorer.score(self._variables, batches, len(plan.source), bar)[0]
        score, findings = plan.fold(found.score, gathered)
        return RunScores(score, found.loss, findings)

    def score_batch(self, waveform: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        """Score one batch that is at hand, in a single process.

        Args:
            waveform: float32 [B, T], B a multiple of the number of devices; each shape is compiled
                once.
            num_samples: int32 [B], 0 in rows that hold nothing.

        Returns:
            float32 [B], NaN in rows that hold nothing.
        """
        rows = len(waveform)
        batch = {
            "waveform": waveform,
            "num_samples": num_samples,
            "label": np.full(rows, -1, np.int32),
            "index": np.where(num_samples > 0, np.arange(rows), -1),
        }
        return self._scorer.score(self._variables, [batch], rows)[0].score

    @property
    def variables(self) -> dict[str, Any]:
        """``{"params", "batch_stats"}`` of the checkpoint."""
        return self._variables

    @cached_property
    def fingerprint(self) -> str:
        """What stands for all that decides a clip's score: network, parameters, how it is cut."""
        config = to_dict(self._config)
        data = {name: config["data"][name] for name in _OF_DATA}
        scoring = {k: v for k, v in config["eval"].items() if k not in _WITHOUT_EFFECT}
        gate = {k: v for k, v in config["gate"].items() if k not in _WITHOUT_EFFECT}
        settings = [config["model"], data, scoring, gate]
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for path, leaf in jax.tree_util.tree_leaves_with_path(self._variables):
            digest.update(jax.tree_util.keystr(path).encode())
            digest.update(np.ascontiguousarray(leaf).tobytes())
        return digest.hexdigest()
