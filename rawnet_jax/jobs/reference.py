"""Speech and fakes that a detector knows, as ``evaluate`` draws them from dev."""

import logging
from pathlib import Path

import jax
import numpy as np

from rawnet_jax.data.drawn import drawn
from rawnet_jax.data.loader import WaveformSource
from rawnet_jax.data.trial import labels_of
from rawnet_jax.labels import Label
from rawnet_jax.run import Run
from rawnet_jax.scoring.reference import Reference, save_reference

_LOG = logging.getLogger(__name__)


def keep_reference(workdir: Path, run: Run, dev: WaveformSource, progress: bool) -> None:
    """Score clips that are drawn from dev, with embeddings, and leave these in a work directory.

    Nothing is left where none are asked for, and, with a warning, where dev has no keys.

    Args:
        workdir: of the run.
        run: one network; ``config.eval.reference_clips`` of each class are drawn.
        dev: clips of dev.
        progress: whether to draw a bar.

    Raises:
        DataError: the file cannot be written.
    """
    num, seed = run.config.eval.reference_clips, run.config.data.split_seed
    if not num:
        return
    clips = drawn(dev, num, seed)
    labels = labels_of(clips.trials)
    if not len(clips) or labels is None:
        _LOG.warning("no reference embeddings: dev has no trials with keys")
        return
    found = run.score(clips, progress, "drawn from dev", embeds=True)
    names = tuple(
        (t.speaker_id if t.label == Label.BONAFIDE else t.attack_id) or "" for t in clips.trials
    )
    judged = np.isfinite(found.score) & np.isfinite(found.more).all(axis=1)
    judged[[row.position for row in found.refused]] = False
    whole = Reference(
        found.score.astype(np.float64), found.more, np.asarray(labels), names, run.step
    )
    if not jax.process_index():
        save_reference(workdir, whole.rows(judged))
