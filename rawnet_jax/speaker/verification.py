"""Enrolment and verification: who may be known by a voice, and whether a clip is that voice.

Both ask two things of every clip: whether it is bona fide, of a countermeasure, and whose voice it
is, of an encoder. The decision is joint, see `rawnet_jax.metrics.sasv`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from rawnet_jax.errors import ConfigError, DataError
from rawnet_jax.metrics.calibration import Calibration
from rawnet_jax.metrics.dcf import ODYSSEY2024_ADCF, TandemCosts
from rawnet_jax.metrics.sasv import BayesRule, bayes_rule, fused_llr
from rawnet_jax.speaker.encoder import SpeakerEncoder, Voice
from rawnet_jax.speaker.network import mean_voice
from rawnet_jax.speaker.spoof_check import SpoofCheck
from rawnet_jax.speaker.template import VoiceTemplate, now_utc

_DECIMALS = 4  # of a ratio before it meets a threshold: a batch must not turn a decision


class Decision(StrEnum):
    """What is said of an attempt; only `ACCEPT` lets anybody in."""

    ACCEPT = "accept"
    REJECT = "reject"
    INCONCLUSIVE = "inconclusive"
    NOT_ENROLLED = "not_enrolled"
    NOT_ENOUGH_SPEECH = "not_enough_speech"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True)
class Policy:
    """By what rules is enrolled and verified.

    Attributes:
        costs: priors and costs of the decision.
        band: nats on either side of the threshold within which the decision is "inconclusive".
        min_speech_s: net speech that a decision takes.
        enrol_clips: clips that an enrolment takes, each of them bona fide.
        enrol_speech_s: net speech in all of them.

    Raises:
        ConfigError: a number is out of range.
    """

    costs: TandemCosts = ODYSSEY2024_ADCF
    band: float = 0.5
    min_speech_s: float = 3.0
    enrol_clips: int = 3
    enrol_speech_s: float = 30.0

    def __post_init__(self) -> None:
        numbers = {
            "band": self.band,
            "min_speech_s": self.min_speech_s,
            "enrol_speech_s": self.enrol_speech_s,
        }
        for name, number in numbers.items():
            if not (math.isfinite(number) and number >= 0):
                raise ConfigError(f"{name} is {number:g}; it must be 0 or more")
        if self.enrol_clips < 1:
            raise ConfigError(f"enrol_clips is {self.enrol_clips}; it must be 1 or more")

    @property
    def rule(self) -> BayesRule:
        """Share of spoof and threshold of least expected cost."""
        return bayes_rule(self.costs)


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found of one attempt.

    Attributes:
        decision: what is to be done.
        reason: why, in a few words; None where the ratio says it all.
        cosine: of the clip's vector and the template; None where they were not compared.
        llr_asv: natural-log likelihood ratio, the speaker over another.
        llr_cm: natural-log likelihood ratio, bona fide over spoof.
        llr_sasv: both together, see `rawnet_jax.metrics.sasv.fused_llr`.
        threshold: that `llr_sasv` was held against.
        speech_s: net speech of the clip, seconds.
    """

    decision: Decision
    reason: str | None = None
    cosine: float | None = None
    llr_asv: float | None = None
    llr_cm: float | None = None
    llr_sasv: float | None = None
    threshold: float | None = None
    speech_s: float | None = None


@dataclass(frozen=True, slots=True)
class EnrolmentClip:
    """What was found of one clip of an enrolment.

    Attributes:
        name: of the clip.
        speech_s: net speech, seconds.
        check: of the countermeasure.
        reason: why it is not used; None where it is.
    """

    name: str
    speech_s: float
    check: SpoofCheck
    reason: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Enrolment:
    """What came of an enrolment.

    Attributes:
        template: of the voice; None where nobody was enrolled.
        clips: every clip.
        reason: why nobody was enrolled.
    """

    template: VoiceTemplate | None
    clips: Sequence[EnrolmentClip]
    reason: str | None = None
    speech_s: float = field(default=0.0)


def calibration_of(encoder: SpeakerEncoder) -> Calibration:
    """Return an encoder's calibration.

    Raises:
        ConfigError: it has none.
    """
    if encoder.calibration is None:
        raise ConfigError(
            f"{encoder.name}: not calibrated, so that a cosine is not a likelihood ratio; "
            "speaker-encoder --calibrate fits it on clips of known speakers"
        )
    return encoder.calibration


def enrol(
    clips: Sequence[tuple[str, Voice, SpoofCheck]],
    encoder: SpeakerEncoder,
    policy: Policy | None = None,
) -> Enrolment:
    """Make a template of clips of one voice.

    A clip that the countermeasure does not call bona fide, that holds no speech, or that is another
    voice than the rest (where the encoder is calibrated: a ratio below 0 against the mean of the
    others) ends the enrolment: it is not left out in silence, for somebody tried to get it in.

    Args:
        clips: name, voice and countermeasure's result of each.
        encoder: that the voices are from.
        policy: how many clips and how much speech it takes; None = the defaults of `Policy`.
    """
    policy = policy or Policy()
    found = [
        EnrolmentClip(name, voice.speech_s, check, _clip_fault(voice, check))
        for name, voice, check in clips
    ]
    if encoder.calibration is not None and len(clips) > 2 and not any(c.reason for c in found):
        vectors = np.stack([voice.vector for _, voice, _ in clips])
        found = [
            clip
            if ratio >= 0
            else EnrolmentClip(clip.name, clip.speech_s, clip.check, "another voice than the rest")
            for clip, ratio in zip(found, _against_the_rest(vectors, encoder), strict=True)
        ]
    speech_s = sum(clip.speech_s for clip in found if clip.reason is None)
    reason = _enrolment_fault(found, speech_s, policy)
    if reason is not None:
        return Enrolment(None, found, reason, speech_s)
    vector = mean_voice(np.stack([voice.vector for _, voice, _ in clips]))
    template = VoiceTemplate(vector, encoder.digest, len(clips), speech_s, now_utc())
    return Enrolment(template, found, None, speech_s)


def _clip_fault(voice: Voice, check: SpoofCheck) -> str | None:
    if not check.is_judged:
        return f"cannot judge: {check.reason or 'no score'}"
    if not check.is_bonafide:
        return "not bona fide"
    return None if voice.vector.any() else "no speech"


def _against_the_rest(vectors: np.ndarray, encoder: SpeakerEncoder) -> list[float]:
    """Return the ratio of each voice [N, D] against the mean of the others."""
    rest = [mean_voice(np.delete(vectors, i, axis=0)) for i in range(len(vectors))]
    cosines = np.array([float(a @ b) for a, b in zip(vectors, rest, strict=True)])
    return [float(ratio) for ratio in calibration_of(encoder).apply(cosines)]


def _enrolment_fault(clips: Sequence[EnrolmentClip], speech_s: float, policy: Policy) -> str | None:
    refused = [clip for clip in clips if clip.reason is not None]
    if refused:
        return f"{len(refused)} of {len(clips)} clips refused, first {refused[0].name}: " + (
            refused[0].reason or ""
        )
    if len(clips) < policy.enrol_clips:
        return f"{len(clips)} clips; there must be {policy.enrol_clips} or more"
    if speech_s < policy.enrol_speech_s:
        return f"{speech_s:.1f} s of speech; there must be {policy.enrol_speech_s:g} s or more"
    return None


def verify(
    voice: Voice,
    check: SpoofCheck,
    template: VoiceTemplate | None,
    encoder: SpeakerEncoder,
    policy: Policy | None = None,
) -> Verification:
    """Decide whether a clip is bona fide speech of an enrolled voice.

    Args:
        voice: of the clip.
        check: countermeasure's result on the clip.
        template: of the claimed speaker; None = not enrolled.
        encoder: that the voice is from.
        policy: costs, band, speech; None = the defaults of `Policy`.

    Raises:
        ConfigError: the encoder is not calibrated.
        DataError: the template is of another encoder.
    """
    policy = policy or Policy()
    calibration = calibration_of(encoder)
    if template is None:
        return Verification(Decision.NOT_ENROLLED, speech_s=voice.speech_s)
    if template.encoder != encoder.digest:
        raise DataError(
            f"the template is of another encoder ({template.encoder[:16]}) than {encoder.name} "
            f"({encoder.digest[:16]}); the speaker must be enrolled again"
        )
    if voice.speech_s < policy.min_speech_s or not voice.vector.any():
        reason = f"{voice.speech_s:.1f} s of speech; it takes {policy.min_speech_s:g} s"
        return Verification(Decision.NOT_ENOUGH_SPEECH, reason, speech_s=voice.speech_s)
    if not check.is_judged or check.llr is None:
        reason = f"cannot judge: {check.reason or 'no score'}"
        return Verification(Decision.INCONCLUSIVE, reason, speech_s=voice.speech_s)
    cosine = float(voice.vector.astype(np.float64) @ template.vector.astype(np.float64))
    llr_asv = round(float(calibration.apply(cosine)), _DECIMALS)
    llr_cm = round(check.llr, _DECIMALS)
    rule = policy.rule
    fused = round(float(fused_llr(llr_asv, llr_cm, rule.spoof_share)), _DECIMALS)
    return Verification(
        decision_at(fused, rule.threshold, policy.band),
        None,
        cosine,
        llr_asv,
        llr_cm,
        fused,
        rule.threshold,
        voice.speech_s,
    )


def decision_at(llr_sasv: float, threshold: float, band: float) -> Decision:
    """Return the decision on a fused ratio.

    Accepted at ``threshold + band`` and above, rejected below ``threshold - band``; between them
    (with a band of 0 nothing is) it is inconclusive.
    """
    if llr_sasv >= threshold + band:
        return Decision.ACCEPT
    return Decision.REJECT if llr_sasv < threshold - band else Decision.INCONCLUSIVE
