"""Speakers of the service: enrol, ask for, delete and export them; verify a recording."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rawnet_jax.errors import DataError
from rawnet_jax.serve.access import Analyst, Caller, Principal, TheService
from rawnet_jax.serve.answers import pace
from rawnet_jax.serve.attempts import Outcome
from rawnet_jax.serve.body import Upload, read_upload
from rawnet_jax.serve.clip_uploads import read_uploads
from rawnet_jax.serve.documented import BODY, problems
from rawnet_jax.serve.messages_voices import (
    RevokedMessage,
    SpeakerMessage,
    TemplateMessage,
    VerificationMessage,
    VerifyDecisionMessage,
)
from rawnet_jax.serve.problems import Problem
from rawnet_jax.serve.service import Judged, Service
from rawnet_jax.serve.visit import REPLAYED, Claims, Visit, network_of, visit
from rawnet_jax.serve.voices import Voices, tenant_of
from rawnet_jax.speaker.spoof_check import spoof_check_of
from rawnet_jax.speaker.template import VoiceTemplate
from rawnet_jax.speaker.verification import Decision, Enrolment, Verification, enrol

router = APIRouter(tags=["speakers"])

_DIGITS = 4
_LOCKS = ("locked", "wait")  # problems of a visit that are a decision here
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
    claims = _claims(request, tenant, speaker_id)
    async with visit(request, service, who, "/v1/speakers", claims) as one:
        with service.admission.receiving(who.key_id):
            uploads = await read_uploads(request, service.settings)
        came_s = time.monotonic()
        try:
            known = await asyncio.to_thread(voices.template, tenant, speaker_id)
            if known is not None and not replace:
                raise Problem("conflict", "enrolled already; replace=true takes the place of it")
            found = await _enrolment(service, voices, who, uploads)
            one.extra |= {"event": "enrolment", "speech_s": _rounded(found.speech_s)}
            is_enrolled = found.template is not None
            # Or clips could be tried here as often as one likes.
            one.outcome = Outcome.VOID if is_enrolled else Outcome.FAILED
            await one.log("enrolled" if is_enrolled else "not_enrolled", None)
            if found.template is not None:
                await asyncio.to_thread(voices.store.put, tenant, speaker_id, found.template)
        finally:
            await pace(who, came_s, service.settings.answer_step_s)
    if found.template is None:
        raise _not_enrolled(found, who)
    said = _speaker(speaker_id, found.template, request.state.request_id)
    if not who.is_gate:
        said["clips"] = _clips(found)
    return JSONResponse(said, 201)


async def _enrolment(
    service: Service, voices: Voices, who: Principal, uploads: Sequence[Upload]
) -> Enrolment:
    clips = []
    with service.admission.working(who.key_id):
        for upload in uploads:
            judged = await service.judge(
                upload.content, name=upload.name, max_s=service.settings.max_audio_gate_s
            )
            check = spoof_check_of(judged.scored.found, service.detector.decision)
            clips.append((upload.name, await voices.voice(judged.decoded.waveform), check))
            # A clip that enrols somebody must not let anybody in.
            await _remember(service, judged)
    return enrol(clips, voices.encoder, voices.policy)


async def _remember(service: Service, judged: Judged) -> None:
    try:
        await asyncio.to_thread(service.gate.replayed.check, judged.decoded.waveform)
    except DataError:
        raise Problem("not-recorded", "recordings cannot be remembered") from None


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
async def delete_speaker(
    request: Request, speaker_id: SpeakerId, service: TheService, who: Caller
) -> Response:
    """Delete all that is kept of a speaker."""
    voices, tenant = voices_of(service), tenant_of(who)
    if not await asyncio.to_thread(voices.store.delete, tenant, speaker_id):
        raise Problem("not-found", "not enrolled")
    await _logged(request, service, who, speaker_id, "deleted")
    return Response(status_code=204)


@router.delete(
    "/v1/speakers",
    summary="Revoke all templates",
    response_model=RevokedMessage,
    responses=problems(401, 403),
)
async def revoke_speakers(request: Request, service: TheService, who: Analyst) -> Response:
    """Delete all speakers of the tenant, and make templates that leaked useless; analysts alone."""
    voices, tenant = voices_of(service), tenant_of(who)
    number = await asyncio.to_thread(voices.store.revoke, tenant)
    await _logged(request, service, who, "*", "revoked")
    return JSONResponse({"num_deleted": number, "request_id": request.state.request_id})


@router.get(
    "/v1/speakers/{speaker_id}/export",
    summary="Export a speaker",
    response_model=TemplateMessage,
    responses=problems(401, 403, 404, 422),
)
async def export_speaker(
    request: Request, speaker_id: SpeakerId, service: TheService, who: Analyst
) -> Response:
    """Return all that is kept of a speaker; for analysts alone."""
    voices = voices_of(service)
    if await asyncio.to_thread(voices.template, tenant_of(who), speaker_id) is None:
        raise Problem("not-found", "not enrolled")
    found = await asyncio.to_thread(voices.store.export, tenant_of(who), speaker_id)
    await _logged(request, service, who, speaker_id, "exported")
    return JSONResponse(found)


async def _logged(
    request: Request, service: Service, who: Principal, speaker_id: str, event: str
) -> None:
    tag = service.gate.secret.tag("subject", f"{tenant_of(who)}/{speaker_id}")
    network = network_of(request)
    one = Visit(service, who, "/v1/speakers", request.state.request_id, None, tag, network)
    one.extra["event"] = event
    await one.log("-", None)


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
    claims = _claims(request, tenant, speaker_id, challenge_id)
    try:
        async with visit(request, service, who, "/v1/verify", claims) as one:
            with service.admission.receiving(who.key_id):
                upload = await read_upload(request, service.settings)
            came_s = time.monotonic()
            try:
                judged = await _judged(service, who, upload, channel)
                voice = await voices.voice(judged.decoded.waveform)
                check = spoof_check_of(judged.scored.found, service.detector.decision)
                found = await asyncio.to_thread(voices.verify, tenant, speaker_id, voice, check)
                found = await _concluded(one, found, judged, upload)
            finally:
                await pace(who, came_s, service.settings.answer_step_s)
    except Problem as problem:
        if problem.kind not in _LOCKS:
            raise
        return _locked(problem, who, request.state.request_id)
    return JSONResponse(_decided(found, judged, who, request.state.request_id))


async def _judged(service: Service, who: Principal, upload: Upload, channel: int | None) -> Judged:
    with service.admission.working(who.key_id):
        return await service.judge(
            upload.content,
            name=upload.name,
            channel=channel,
            max_s=service.settings.max_audio_gate_s,
        )


async def _concluded(
    one: Visit, found: Verification, judged: Judged, upload: Upload
) -> Verification:
    """Look whether the recording was here before, write the log, and count the attempt."""
    one.extra |= {
        "event": "verification",
        "llr": _rounded(found.llr_cm),
        "llr_sasv": _rounded(found.llr_sasv),
        "threshold": _rounded(found.threshold),
        "speech_s": _rounded(found.speech_s),
        **{name: judged.seen.get(name) for name in ("container", "codec", "rate_hz", "channels")},
        **{f"{part}_ms": milliseconds for part, milliseconds in judged.timing_ms.items()},
    }
    digest = await asyncio.to_thread(lambda: hashlib.sha256(upload.content).hexdigest())
    said = await one.decide(
        found.decision.value, found.reason, lambda: judged.decoded.waveform, digest
    )
    if said.reason == REPLAYED:
        found = Verification(Decision.REJECT, REPLAYED, speech_s=found.speech_s)
    one.outcome = outcome_of(found.decision)
    return found


def outcome_of(decision: Decision) -> Outcome:
    """Return how a decision counts.

    What is inconclusive on a score counts as a failure, or it would tell an attacker how near he
    is.
    """
    if decision == Decision.ACCEPT:
        return Outcome.PASSED
    return Outcome.CANNOT_JUDGE if decision == Decision.NOT_ENOUGH_SPEECH else Outcome.FAILED


def _claims(
    request: Request, tenant: str, speaker_id: str, challenge_id: str | None = None
) -> Claims:
    """Return what a client says, the speaker as the subject."""
    said = Claims.of_headers(request)
    return Claims(challenge_id or said.challenge_id, f"{tenant}/{speaker_id}", said.source)


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


def _locked(problem: Problem, who: Principal, request_id: str) -> Response:
    """Return the answer to an attempt that must wait, or must not be made at all."""
    wait_s = problem.retry_after_s
    said: dict[str, Any] = {
        "decision": Decision.LOCKED.value,
        "retry_after_s": _rounded(wait_s),
        "request_id": request_id,
    }
    if not who.is_gate:
        empty = ("cosine", "llr_asv", "llr_cm", "llr_sasv", "threshold", "speech_s", "audio")
        said |= {"reason": "too many failures", **dict.fromkeys(empty), "timing_ms": {}}
    headers = {} if wait_s is None else {"Retry-After": str(max(1, round(wait_s)))}
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
