"""One interface to encoders of voices: from a waveform to a unit vector and seconds of speech."""

from dataclasses import dataclass

import numpy as np

from rawnet_jax.config import GateConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.metrics.calibration import Calibration
from rawnet_jax.scoring.speech import OFF, check_detector, speech_frames
from rawnet_jax.speaker.network import VoiceNetwork

KEPT_AROUND_S = 0.1
"""Of the audio beside speech so much is kept, so that no sound is cut off; pauses of less than
twice as much stay whole."""


@dataclass(frozen=True, slots=True, eq=False)
class Voice:
    """What an encoder makes of a clip.

    Attributes:
        vector: float32 [D], of length 1; zeros where nothing was speech.
        speech_s: net speech, seconds.
    """

    vector: np.ndarray
    speech_s: float


@dataclass(frozen=True, slots=True, eq=False)
class SpeakerEncoder:
    """An encoder of voices.

    Attributes:
        network: from a clip without its pauses to a vector.
        name: for people.
        digest: SHA-256 of everything that determines a vector, in hexadecimal. Vectors of encoders
            with different digests cannot be compared.
        speech: what looks for speech, see `rawnet_jax.config.GateConfig`: "silero", "energy", or
            "off" = every sample is speech.
        calibration: from cosines to log-likelihood ratios, the same speaker over another; None =
            not fitted.
    """

    network: VoiceNetwork
    name: str
    digest: str
    speech: str = "silero"
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        check_detector(GateConfig(speech=self.speech))

    @property
    def width(self) -> int:
        """Length of a vector."""
        return self.network.width

    def voice(self, waveform: np.ndarray) -> Voice:
        """Compute the vector of a clip.

        Args:
            waveform: float32 [n] at 16 kHz, full scale = 1, finite.

        Raises:
            DataError: an ONNX file cannot compute it.
        """
        waveform = np.asarray(waveform, np.float32)
        kept, speech_s = speech_mask(waveform, self.speech)
        if not kept.any():
            return Voice(np.zeros(self.width, np.float32), 0.0)
        return Voice(self.network.embed(self.network.prepared(waveform)[kept]), speech_s)


def speech_mask(waveform: np.ndarray, detector: str) -> tuple[np.ndarray, float]:
    """Find what of a clip is kept, and how much of it is speech.

    Args:
        waveform: float32 [n] at 16 kHz.
        detector: "silero", "energy" or "off".

    Returns:
        bool [n], speech and `KEPT_AROUND_S` around it; and seconds of speech alone.
    """
    if detector == OFF:
        return np.ones(len(waveform), bool), len(waveform) / SAMPLE_RATE_HZ
    kept = np.zeros(len(waveform), bool)
    around, found = int(KEPT_AROUND_S * SAMPLE_RATE_HZ), 0
    for start, end in speech_frames(waveform, detector):
        kept[max(start - around, 0) : end + around] = True
        found += end - start
    return kept, found / SAMPLE_RATE_HZ
