"""Speakers of the service: enrol, ask for, delete and export them; verify a recording."""

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rawnet_jax.serve.access import Analyst, Caller, Principal, TheService
from rawnet_jax.serve.answers import pace
from rawnet_jax.serve.attempt_guard import AttemptGuard, Hold
from rawnet_jax.serve.body import read_upload
from rawnet_jax.serve.clip_uploads import read_uploads
from rawnet_jax.serve.documented import BODY, problems
from rawnet_jax.serve.messages_voices import (
    SpeakerMessage,
    TemplateMessage,
    VerificationMessage,
    VerifyDecisionMessage,
)
from rawnet_jax.serve.problems import Problem
from rawnet_jax.serve.service import Judged, Service
from rawnet_jax.serve.voices import Voices, tenant_of
from rawnet_jax.speaker.spoof_check import spoof_check_of
from rawnet_jax.speaker.template import VoiceTemplate
from rawnet_jax.speaker.verification import Decision, Enrolment, Verification, enrol

router = APIRouter(tags=["speakers"])

_DIGITS = 4
_REPLAYED = "replayed"
_CLIPS: dict[str, Any] = {
    "required": True,
    "description": "clips of one speaker, each a field `file`",
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {
                    "file": {"type": "array", "items": {"type": "string", "format": "binary"}}
                },
                "required": ["file"],
            }
        }
    },
}

SpeakerId = Annotated[
    str, Path(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="of your choice; no name")
]
SpeakerQuery = Annotated[
    str, Query(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="whom the caller claims")
]
Challenge = Annotated[
    str | None, Query(max_length=256, description="of POST /v1/challenges; single use")
]
Channel = Annotated[int | None, Query(ge=1, le=64, description="take this one; else the average")]
Replace = Annotated[bool, Query(description="in place of an earlier enrolment")]


def voices_of(service: Service) -> Voices:
    """Return the speakers of a service.

    Raises:
        Problem: it has none.
    """
    found: Voices | None = getattr(service, "voices", None)
    if found is None:
        raise Problem("not-found", "this service knows no speakers; see serve --encoder")
    return found


@router.put(
    "/v1/speakers/{speaker_id}",
    summary="Enrol a speaker",
    status_code=201,
    response_model=SpeakerMessage,
    openapi_extra={"requestBody": _CLIPS},
    responses=problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503),
)
async def put_speaker(
    request: Request,
    speaker_id: SpeakerId,
    service: TheService,
    who: Caller,
    replace: Replace = False,
) -> Response:
    """Enrol a speaker by clips that the detector calls bona fide, every one of them."""
    voices, tenant = voices_of(service), tenant_of(who)
    service.check_accepts()
    with service.admission.receiving(who.key_id):
        uploads = await read_uploads(request, service.settings)
    came_s = time.monotonic()
    try:
        known = await asyncio.to_thread(voices.template, tenant, speaker_id)
        if known is not None and not replace:
            raise Problem("conflict", "enrolled already; replace=true takes the place of it")
        clips = []
        with service.admission.working(who.key_id):
            for upload in uploads:
                judged = await service.judge(
                    upload.content, name=upload.name, max_s=service.settings.max_audio_gate_s
                )
                check = spoof_check_of(judged.scored.found, service.detector.decision)
                clips.append((upload.name, await voices.voice(judged.decoded.waveform), check))
        found = enrol(clips, voices.encoder, voices.policy)
        if found.template is None:
            raise _not_enrolled(found, who)
        await asyncio.to_thread(voices.store.put, tenant, speaker_id, found.template)
    finally:
        await pace(who, came_s, service.settings.answer_step_s)
    request_id: str = request.state.request_id
    said = _speaker(speaker_id, found.template, request_id)
    if not who.is_gate:
        said["clips"] = _clips(found)
    return JSONResponse(said, 201)


@router.get(
    "/v1/speakers/{speaker_id}",
    summary="Ask whether a speaker is enrolled",
    response_model=SpeakerMessage,
    response_model_exclude_none=True,
    responses=problems(401, 404, 422),
)
async def get_speaker(
    request: Request, speaker_id: SpeakerId, service: TheService, who: Caller
) -> Response:
    """Tell since when a speaker is enrolled, and by how much speech."""
    voices = voices_of(service)
    template = await asyncio.to_thread(voices.template, tenant_of(who), speaker_id)
    if template is None:
        raise Problem("not-found", "not enrolled")
    return JSONResponse(_speaker(speaker_id, template, request.state.request_id))


@router.delete(
    "/v1/speakers/{speaker_id}",
    summary="Delete a speaker",
    status_code=204,
    responses=problems(401, 404, 422),
)
async def delete_speaker(speaker_id: SpeakerId, service: TheService, who: Caller) -> Response:
    """Delete all that is kept of a speaker."""
    voices = voices_of(service)
    if not await asyncio.to_thread(voices.store.delete, tenant_of(who), speaker_id):
        raise Problem("not-found", "not enrolled")
    return Response(status_code=204)


@router.get(
    "/v1/speakers/{speaker_id}/export",
    summary="Export a speaker",
    response_model=TemplateMessage,
    responses=problems(401, 403, 404, 422),
)
async def export_speaker(speaker_id: SpeakerId, service: TheService, who: Analyst) -> Response:
    """Return all that is kept of a speaker; for analysts alone."""
    voices = voices_of(service)
    if await asyncio.to_thread(voices.template, tenant_of(who), speaker_id) is None:
        raise Problem("not-found", "not enrolled")
    found = await asyncio.to_thread(voices.store.export, tenant_of(who), speaker_id)
    return JSONResponse(found)


@router.post(
    "/v1/verify",
    summary="Verify a speaker",
    response_model=VerificationMessage | VerifyDecisionMessage,
    openapi_extra={"requestBody": BODY},
    responses=problems(400, 401, 403, 404, 408, 413, 415, 422, 429, 503),
)
async def verify_speaker(
    request: Request,
    service: TheService,
    who: Caller,
    speaker_id: SpeakerQuery,
    challenge_id: Challenge = None,
    channel: Channel = None,
) -> Response:
    """Decide whether a recording is bona fide speech of an enrolled speaker."""
    voices, tenant = voices_of(service), tenant_of(who)
    service.check_accepts()
    with service.admission.receiving(who.key_id):
        upload = await read_upload(request, service.settings)
    came_s, request_id = time.monotonic(), request.state.request_id
    guard = AttemptGuard(service)
    hold = await guard.begin(voices.subject(tenant, speaker_id), who)
    try:
        if hold.wait_s is not None:
            return _locked(hold, who, request_id)
        guard.use_challenge(challenge_id, who)
        async with guard.counted(hold) as attempt:
            with service.admission.working(who.key_id):
                judged = await service.judge(
                    upload.content,
                    name=upload.name,
                    channel=channel,
                    max_s=service.settings.max_audio_gate_s,
                )
                voice = await voices.voice(judged.decoded.waveform)
            check = spoof_check_of(judged.scored.found, service.detector.decision)
            found = await asyncio.to_thread(voices.verify, tenant, speaker_id, voice, check)
            is_replayed = await guard.is_replayed(judged)
            if is_replayed and found.decision in (Decision.ACCEPT, Decision.INCONCLUSIVE):
                found = Verification(Decision.REJECT, _REPLAYED, speech_s=found.speech_s)
            attempt.decision = found.decision
    finally:
        await pace(who, came_s, service.settings.answer_step_s)
    return JSONResponse(_decided(found, judged, who, request_id))


def _decided(
    found: Verification, judged: Judged, who: Principal, request_id: str
) -> dict[str, Any]:
    said: dict[str, Any] = {
        "decision": found.decision.value,
        "retry_after_s": None,
        "request_id": request_id,
    }
    if who.is_gate:
        return said
    numbers = ("cosine", "llr_asv", "llr_cm", "llr_sasv", "threshold", "speech_s")
    return said | {
        "reason": found.reason,
        **{name: _rounded(getattr(found, name)) for name in numbers},
        "audio": judged.seen,
        "timing_ms": judged.timing_ms,
    }


def _locked(hold: Hold, who: Principal, request_id: str) -> Response:
    wait_s = hold.wait_s
    forever = wait_s is None or wait_s == float("inf")
    said: dict[str, Any] = {
        "decision": Decision.LOCKED.value,
        "retry_after_s": None if forever else _rounded(wait_s),
        "request_id": request_id,
    }
    if not who.is_gate:
        empty = ("cosine", "llr_asv", "llr_cm", "llr_sasv", "threshold", "speech_s", "audio")
        said |= {"reason": "too many failures", **dict.fromkeys(empty), "timing_ms": {}}
    headers = {} if forever or wait_s is None else {"Retry-After": str(max(1, round(wait_s)))}
    return JSONResponse(said, headers=headers)


def _not_enrolled(found: Enrolment, who: Principal) -> Problem:
    if who.is_gate:
        return Problem("not-enrolled")
    return Problem("not-enrolled", found.reason or "", clips=_clips(found))


def _clips(found: Enrolment) -> list[dict[str, Any]]:
    return [
        {
            "name": clip.name,
            "speech_s": round(clip.speech_s, _DIGITS),
            "verdict": clip.check.verdict,
            "llr": _rounded(clip.check.llr),
            "reason": clip.reason,
        }
        for clip in found.clips
    ]


def _speaker(speaker_id: str, template: VoiceTemplate, request_id: str) -> dict[str, Any]:
    return {
        "speaker_id": speaker_id,
        "enrolled": True,
        "created": template.created,
        "num_clips": template.num_clips,
        "speech_s": round(template.speech_s, _DIGITS),
        "request_id": request_id,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
