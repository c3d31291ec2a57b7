"""The speakers of a service: encoder, templates and policy behind the routes of voices."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.detector import Detector
from rawnet_jax.errors import ConfigError
from rawnet_jax.serve.access import Principal
from rawnet_jax.serve.templates import OtherEncoderError, TemplateStore
from rawnet_jax.speaker.encoder import SpeakerEncoder, Voice
from rawnet_jax.speaker.sealing import Sealer
from rawnet_jax.speaker.spoof_check import SpoofCheck
from rawnet_jax.speaker.template import VoiceTemplate
from rawnet_jax.speaker.verification import Policy, Verification, calibration_of, verify

_WARMING_S = (1.0, 3.0, 6.0, 12.0, 40.0)  # noises, so that every batch of an encoder is compiled


class Voices:
    """Encoder, templates and policy.

    Attributes:
        encoder: of voices.
        store: templates.
        policy: of enrolment and decisions.
    """

    def __init__(
        self,
        detector: Detector,
        encoder: SpeakerEncoder,
        folder: str | Path,
        sealer: Sealer,
        policy: Policy | None = None,
    ) -> None:
        """Open the templates, and compile the encoder.

        Args:
            detector: of the service; calibrated.
            encoder: calibrated.
            folder: of templates.
            sealer: with the service's key.
            policy: None = the defaults.

        Raises:
            ConfigError: detector or encoder is not calibrated.
            DataError: the folder cannot be made.
        """
        calibration_of(encoder)
        if detector.decision.calibration is None:
            raise ConfigError(
                f"{detector.info.name}: not calibrated; decisions on speakers need likelihood "
                "ratios: evaluate the run with dev scores first"
            )
        self.encoder, self.policy = encoder, policy or Policy()
        self.store = TemplateStore(folder, sealer, encoder.digest, encoder.width)
        # One thread: vectors of many clients at once would slow the detector down.
        self._thread = ThreadPoolExecutor(1, "voices")
        self._warm()

    def _warm(self) -> None:
        rng = np.random.default_rng(0)
        for seconds in _WARMING_S:
            noise = 0.1 * rng.standard_normal(int(seconds * SAMPLE_RATE_HZ))
            self.encoder.network.embed(noise.astype(np.float32))

    async def voice(self, waveform: np.ndarray) -> Voice:
        """Return whose voice a recording is: float32 [n] at 16 kHz."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self.encoder.voice, waveform)

    def template(self, tenant: str, speaker: str) -> VoiceTemplate | None:
        """Return a speaker's template, rotated; None = not enrolled with this encoder."""
        try:
            return self.store.get(tenant, speaker)
        except OtherEncoderError:
            return None

    def verify(self, tenant: str, speaker: str, voice: Voice, check: SpoofCheck) -> Verification:
        """Decide whether a recording is bona fide speech of a speaker.

        Raises:
            SealError: the template was tampered with.
        """
        rotated = Voice(self.store.rotated(tenant, voice.vector), voice.speech_s)
        template = self.template(tenant, speaker)
        return verify(rotated, check, template, self.encoder, self.policy)

    def about(self) -> dict[str, Any]:
        """Return encoder and policy, ready for JSON."""
        rule, policy = self.policy.rule, self.policy
        return {
            "encoder": self.encoder.name,
            "encoder_digest": self.encoder.digest,
            "costs": policy.costs.name,
            "spoof_share": rule.spoof_share,
            "threshold": rule.threshold,
            "band": policy.band,
            "min_speech_s": policy.min_speech_s,
            "enrol_clips": policy.enrol_clips,
            "enrol_speech_s": policy.enrol_speech_s,
        }


def tenant_of(who: Principal) -> str:
    """Return whose speakers a key sees: the part of its name before the first dot.

    So ``bank.app`` and ``bank.analyst`` have the same speakers, and ``shop.app`` has others.
    """
    return who.key_id.partition(".")[0]


def open_voices(
    detector: Detector,
    encoder: Path,
    folder: Path | None,
    key: Path | None,
    policy: Policy,
    *,
    speech: str | None,
) -> Voices:
    """Return the speakers of a service, from the options of ``serve``.

    Raises:
        RawnetError: an option is missing, or something cannot be used.
    """
    if folder is None or key is None:
        raise ConfigError("--encoder: needs --speakers, a folder, and --template-key, a file")
    from rawnet_jax.speaker.encoder_folder import load_encoder  # brings JAX

    sealer = Sealer.read(key, "--template-key")
    loaded = load_encoder(encoder, speech=speech or "silero")
    return Voices(detector, loaded, folder, sealer, policy)
