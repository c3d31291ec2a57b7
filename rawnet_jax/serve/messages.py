"""The forms of answers, as the OpenAPI document describes them."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProblemMessage(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="names the kind of problem and stays as it is")
    title: str
    status: int
    detail: str = ""
    request_id: str = ""


class WindowMessage(_Message):
    """One window of a recording."""

    start_s: float
    end_s: float
    verdict: str
    score: float | None
    llr: float | None
    p_spoof: float | None


class AudioMessage(_Message):
    """The file as it was decoded."""

    container: str
    codec: str
    rate_hz: int
    channels: int


class ModelMessage(_Message):
    """Which model gave a score."""

    name: str
    digest: str


class ScoreMessage(_Message):
    """The record of ``score --format jsonl``, and what there is to say of the request."""

    path: str = Field(description="the file's name as it was sent; - without")
    verdict: str = Field(description="bonafide, spoof or cannot judge")
    score: float | None = Field(description="higher = more bona fide; rounded to 1e-4")
    llr: float | None = Field(description="natural-log likelihood ratio, bona fide over spoof")
    p_spoof: float | None = Field(description="probability of spoof at the prior")
    prior: float | None
    duration_s: float | None
    scored_s: float
    num_windows: int
    scored_from_s: float
    reason: str | None = Field(description="why there is no verdict")
    notes: list[str]
    spoof_s: list[list[float]] | None = Field(
        None, description="with windows: what windows of spoof cover"
    )
    windows: list[WindowMessage] | None = Field(None, description="with windows: all of them")
    request_id: str
    audio: AudioMessage
    model: ModelMessage
    timing_ms: dict[str, float]


class DecisionMessage(_Message):
    """What a gate's key gets."""

    verdict: str = Field(description="bonafide, spoof or cannot judge")
    reason: str | None = Field(description="a class of reason where there is no verdict")
    request_id: str


class GateMessage(DecisionMessage):
    """What a gate without an upstream decides."""

    challenge_id: str | None
    audio_sha256: str = Field(description="of the body")
    token: str | None = Field(
        description="where it is bonafide and decisions are signed: the decision as a JWS"
    )


class ChallengeMessage(_Message):
    """What a recording may name once."""

    id: str
    nonce: str = Field(description="random; stands in the signed decision")
    phrase: str = Field(description="digits to speak; that they were spoken is not checked here")
    expires_at: float = Field(description="Unix time")


class TicketMessage(_Message):
    """What opens one socket."""

    ticket: str
    expires_at: float = Field(description="Unix time")


class KeySetMessage(_Message):
    """Public keys (RFC 7517)."""

    keys: list[dict[str, str]]


class CallMessage(BaseModel):
    """What is known of a telephone call; analysts are told more."""

    call_sid: str
    state: str = Field(description="running, done, failed or refused")
    verdict: str | None = Field(None, description="bonafide, spoof or cannot judge")
    token: str | None = Field(None, description="where it is done and bonafide: the decision")


class JobMessage(_Message):
    """A recording that is judged later."""

    job_id: str
    state: str = Field(description="queued, running, done or failed")
    result: ScoreMessage | DecisionMessage | None = None
    problem: ProblemMessage | None = None


class ModelCard(_Message):
    """The model, and by what it is read."""

    name: str
    digest: str
    threshold: float | None
    threshold_on: str
    threshold_rule: str
    calibration: dict[str, Any] | None
    notes: list[str]
    window_s: float
    aggregation: str
    self_test_score: float | None
    sealed_decoders: bool
    version: str
    limits: dict[str, float]
    speakers: dict[str, Any] | None = Field(
        None, description="encoder of voices, and the policy of decisions; null = none"
    )


class HealthMessage(_Message):
    """Whether the service lives or is ready."""

    status: str
