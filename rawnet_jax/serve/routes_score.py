"""``POST /v1/score``: a recording in, a verdict out; long ones later, as jobs."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rawnet_jax.serve.access import Caller, Principal, TheService
from rawnet_jax.serve.answers import answer, pace
from rawnet_jax.serve.body import Upload, read_upload
from rawnet_jax.serve.documented import BODY, problems
from rawnet_jax.serve.job_store import Job
from rawnet_jax.serve.messages import DecisionMessage, JobMessage, ScoreMessage
from rawnet_jax.serve.problems import Problem
from rawnet_jax.serve.service import Service
from rawnet_jax.serve.visit import Visit, visit

router = APIRouter(tags=["score"])

_ASYNC = "respond-async"  # of the header Prefer, RFC 7240
_MOST_CHANNEL = 64

Windows = Annotated[bool, Query(description="with the time line of all windows; analysts alone")]
Channel = Annotated[
    int | None,
    Query(ge=1, le=_MOST_CHANNEL, description="take this one, 1 = the first; else the average"),
]
Prefer = Annotated[str, Header(description="respond-async: judged later, as a job")]


@router.post(
    "/v1/score",
    summary="Judge a recording",
    response_model=ScoreMessage | DecisionMessage,
    openapi_extra={"requestBody": BODY},
    responses={
        202: {"model": JobMessage, "description": "It is judged later; Location names the job."},
        **problems(400, 401, 403, 408, 413, 415, 422, 429, 503),
    },
)
async def score(
    request: Request,
    service: TheService,
    who: Caller,
    windows: Windows = False,
    channel: Channel = None,
    prefer: Prefer = "",
) -> Response:
    """Judge a recording: the body is an audio file, or a form with one in the field ``file``."""
    is_later = _ASYNC in {word.strip().lower() for word in prefer.split(",")}
    if who.is_gate and (windows or is_later):
        raise Problem("forbidden", "a gate's key gets decisions alone, at once, without windows")
    service.check_accepts()
    async with visit(request, service, who, "/v1/score") as one:
        return await _decided(request, one, is_later, channel, windows)


async def _decided(
    request: Request, one: Visit, is_later: bool, channel: int | None, windows: bool
) -> Response:
    service, who, began_s = one.service, one.who, time.monotonic()
    with service.admission.holding() as hold:
        with service.admission.receiving(who.key_id):
            upload = await read_upload(request, service.settings, hold)
        came_s = time.monotonic()
        service.meters.received.observe(came_s - began_s)
        if is_later:
            return _later(one, upload, channel, windows)
        try:
            with service.admission.working(who.key_id):
                judged = await service.judge(
                    upload.content,
                    name=upload.name,
                    channel=channel,
                    windows=windows,
                    max_s=_max_s(service, who),
                )
                found = await one.conclude(judged, upload.content)
        finally:
            await pace(who, came_s, service.settings.answer_step_s)
    info, told = service.detector.info, one.request_id
    return JSONResponse(answer(judged, who, info, told, found.verdict, found.reason))


@router.get(
    "/v1/jobs/{job_id}",
    summary="Ask for a job",
    response_model=JobMessage,
    response_model_exclude_none=True,
    responses=problems(401, 404, 422),
)
async def get_job(job_id: str, service: TheService, who: Caller) -> Response:
    """Tell the state of a job and, when it is done, the answer."""
    return JSONResponse(_job_message(service.jobs.get(who.key_id, job_id)))


@router.delete(
    "/v1/jobs/{job_id}",
    summary="End a job",
    status_code=204,
    responses=problems(401, 404, 422),
)
async def delete_job(job_id: str, service: TheService, who: Caller) -> Response:
    """End a job and forget its result."""
    service.jobs.delete(who.key_id, job_id)
    return Response(status_code=204)


def _later(one: Visit, upload: Upload, channel: int | None, windows: bool) -> Response:
    service, who = one.service, one.who

    async def work() -> dict[str, Any]:
        with service.admission.working(who.key_id):
            judged = await service.judge(
                upload.content,
                name=upload.name,
                channel=channel,
                windows=windows,
                max_s=_max_s(service, who),
                wait_s=service.settings.job_life_s,
            )
            found = await one.conclude(judged, upload.content)
        info = service.detector.info
        return answer(judged, who, info, one.request_id, found.verdict, found.reason)

    job = service.jobs.add(who.key_id, work)
    headers = {"Location": f"/v1/jobs/{job.job_id}", "Preference-Applied": _ASYNC}
    return JSONResponse(_job_message(job), 202, headers)


def _max_s(service: Service, who: Principal) -> float:
    settings = service.settings
    return settings.max_audio_gate_s if who.is_gate else settings.max_audio_s


def _job_message(job: Job) -> dict[str, Any]:
    said: dict[str, Any] = {"job_id": job.job_id, "state": job.state}
    if job.result is not None:
        said["result"] = job.result
    if job.problem is not None:
        said["problem"] = job.problem.content(job.job_id)
    return said
