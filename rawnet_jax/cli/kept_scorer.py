"""Scoring that goes on where it was cut off, and the threshold that a run brings along."""

import numpy as np

from rawnet_jax.cli.run_clips import labels_of, score_table
from rawnet_jax.data.loader import WaveformSource
from rawnet_jax.data.partitions import Clips
from rawnet_jax.errors import ConfigError
from rawnet_jax.evaluation.decision import ThresholdRule, find_threshold
from rawnet_jax.evaluation.kept_scores import KeptScores, fingerprint
from rawnet_jax.labels import Label
from rawnet_jax.metrics.dcf import CostModel
from rawnet_jax.metrics.thresholds import Threshold
from rawnet_jax.robustness.clips import fingerprint_clips
from rawnet_jax.run import Run


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
        self._store.put(name, key, score_table(clips, found.score))
        return found.score.astype(np.float64)


def rule_in_words(threshold: Threshold | None) -> str:
    """Say how a run's threshold was found; "" where there is none."""
    if threshold is None:
        return ""
    return threshold.rule if threshold.p_miss is None else f"{threshold.rule} on dev"


def choose_threshold(
    kept: KeptScorer, dev: Clips | None, rule: ThresholdRule | None, costs: CostModel
) -> Threshold | None:
    """Choose a run's threshold on its own dev clips, for whatever it meets later.

    Args:
        kept: scores the dev clips.
        dev: None = there are none.
        rule: None = that of the EER.
        costs: of the rule ``cost``.

    Returns:
        None without dev clips, or with those of one class and no rule that is content with it.

    Raises:
        ConfigError: the rule needs what is not there.
    """
    if rule is not None and rule.name == "bayes":
        raise ConfigError(
            "--threshold-rule bayes: is for calibrated scores; a rule that looks at dev, or "
            "value=SCORE, was wanted"
        )
    labels = None if dev is None else labels_of(dev)
    if dev is None or labels is None:
        return None if rule is None else find_threshold(rule, costs, None)
    scores = kept.score("dev", dev, "dev")
    classes = (scores[labels == Label.BONAFIDE], scores[labels == Label.SPOOF])
    if rule is None and not classes[1].size:
        return None
    return find_threshold(rule or ThresholdRule("eer"), costs, classes)
