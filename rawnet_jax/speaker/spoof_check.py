"""What the countermeasure says of a clip that somebody wants to be known by."""

from dataclasses import dataclass

import numpy as np

from rawnet_jax.config import GateConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.audio import Samples
from rawnet_jax.errors import ConfigError
from rawnet_jax.labels import Label
from rawnet_jax.scoring.file_scorer import FileScore
from rawnet_jax.scoring.gate import Refusal
from rawnet_jax.scoring.model import ScoringModel
from rawnet_jax.scoring.recordings import score_recordings
from rawnet_jax.scoring.verdict import CANNOT_JUDGE, DecisionRule, record_of


@dataclass(frozen=True, slots=True)
class SpoofCheck:
    """The countermeasure's result on one clip.

    Attributes:
        verdict: "bonafide", "spoof" or "cannot judge".
        llr: natural-log likelihood ratio, bona fide over spoof; None where there is no verdict.
        reason: why there is none.
    """

    verdict: str
    llr: float | None
    reason: str | None = None

    @property
    def is_judged(self) -> bool:
        """Whether there is a verdict."""
        return self.llr is not None and self.verdict != CANNOT_JUDGE

    @property
    def is_bonafide(self) -> bool:
        """Whether the verdict is bona fide."""
        return self.is_judged and self.verdict == Label.BONAFIDE.key


def spoof_check_of(found: FileScore, decision: DecisionRule) -> SpoofCheck:
    """Return what scores of a recording mean for verification."""
    record = record_of(found, decision)
    return SpoofCheck(record["verdict"], record["llr"], record["reason"])


class SpoofGate:
    """A trained detector in front of the comparison of voices.

    Raises:
        ConfigError: the detector is not calibrated, so that its scores are not likelihood ratios.
    """

    def __init__(self, model: ScoringModel, decision: DecisionRule) -> None:
        if decision.calibration is None:
            raise ConfigError(
                f"{model.name}: not calibrated; the joint decision needs likelihood ratios: "
                "evaluate the run with dev scores first"
            )
        self._model = model
        self._decision = decision

    @property
    def bounds(self) -> GateConfig:
        """What of a recording can be judged."""
        return self._model.recipe.gate

    def check(
        self, waveform: np.ndarray, name: str = "clip", refusal: Refusal | None = None
    ) -> SpoofCheck:
        """Judge a clip.

        Args:
            waveform: float32 [n] at 16 kHz.
            name: for messages.
            refusal: why it cannot be judged, if that is known already: of its channels.
        """
        if refusal is not None:
            return SpoofCheck(CANNOT_JUDGE, None, f"{refusal.reason}: {refusal.detail}")
        source = Samples(waveform, SAMPLE_RATE_HZ, name)
        model = self._model
        [found] = score_recordings(
            [(name, source)], model.score_batch, model.recipe, num_devices=model.num_devices
        )
        return spoof_check_of(found, self._decision)
