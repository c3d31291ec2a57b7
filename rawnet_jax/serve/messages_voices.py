"""The forms of answers on speakers, as the OpenAPI document describes them."""

from pydantic import BaseModel, ConfigDict, Field

from rawnet_jax.serve.messages import AudioMessage


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class EnrolledClipMessage(_Message):
    """One clip of an enrolment."""

    name: str
    speech_s: float
    verdict: str = Field(description="of the detector")
    llr: float | None
    reason: str | None = Field(description="why it is not used")


class SpeakerMessage(_Message):
    """An enrolled speaker."""

    speaker_id: str
    enrolled: bool
    created: str | None = Field(None, description="ISO 8601 in UTC")
    num_clips: int | None = None
    speech_s: float | None = Field(None, description="net speech in all clips")
    clips: list[EnrolledClipMessage] | None = Field(None, description="for analysts, on enrolment")
    request_id: str


class TemplateMessage(_Message):
    """All that is kept of a speaker."""

    speaker_id: str
    content: str
    schema_version: int
    encoder: str = Field(description="SHA-256 of what determines a vector")
    num_clips: int
    speech_s: float
    created: str
    vector: list[float]


class RevokedMessage(_Message):
    """What came of revoking a tenant's templates."""

    num_deleted: int
    request_id: str


class VerifyDecisionMessage(_Message):
    """What a gate's key gets of a verification."""

    decision: str = Field(
        description="accept, reject, inconclusive, not_enrolled, not_enough_speech or locked"
    )
    retry_after_s: float | None = Field(description="when locked; null = not without help")
    request_id: str


class VerificationMessage(VerifyDecisionMessage):
    """What an analyst gets of a verification."""

    reason: str | None
    cosine: float | None
    llr_asv: float | None = Field(description="natural log, the speaker over another")
    llr_cm: float | None = Field(description="natural log, bona fide over spoof")
    llr_sasv: float | None = Field(description="both together")
    threshold: float | None
    speech_s: float | None = Field(description="net speech")
    audio: AudioMessage | None
    timing_ms: dict[str, float]
