"""What operators and their tools ask: ``/v1/model``, ``/healthz``, ``/readyz``, ``/metrics``."""

import math
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from rawnet_jax import __version__
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.serve.access import Caller, TheService
from rawnet_jax.serve.documented import problems
from rawnet_jax.serve.messages import HealthMessage, ModelCard
from rawnet_jax.serve.meters import CONTENT_TYPE
from rawnet_jax.serve.problems import Problem
from rawnet_jax.serve.service import Service

router = APIRouter(tags=["operation"])
metrics_router = APIRouter(tags=["operation"])


@router.get(
    "/v1/model",
    summary="Name the model",
    response_model=ModelCard,
    responses=problems(401),
)
async def model(service: TheService, who: Caller) -> Response:
    """Tell name, digest, calibration and threshold of the model, and all limits."""
    card = model_card(service)
    if who.is_gate:  # to whom a threshold would be the first half of an oracle
        card |= {"threshold": None, "calibration": None, "self_test_score": None}
    return JSONResponse(card)


@router.get("/healthz", summary="Ask whether the service lives", response_model=HealthMessage)
async def healthz() -> Response:
    """Answer, which shows that the event loop lives."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/readyz",
    summary="Ask whether the service is ready",
    response_model=HealthMessage,
    responses=problems(503),
)
async def readyz(service: TheService) -> Response:
    """Answer 200 where recordings are judged: self-test passed, queue not full, decoders alive."""
    reason = service.not_ready
    if reason:
        raise Problem("not-ready", reason, retry_after_s=1)
    return JSONResponse({"status": "ready"})


@metrics_router.get("/metrics", summary="Counters for Prometheus", response_class=Response)
async def metrics(service: TheService) -> Response:
    """Give counters and histograms in Prometheus' text form."""
    return Response(service.meters.text(), headers={"Content-Type": CONTENT_TYPE})


def model_card(service: Service) -> dict[str, Any]:
    """Return what there is to say of the model, ready for JSON; see `ModelCard`."""
    info, recipe = service.detector.info, service.detector.model.recipe
    golden = service.engine.golden
    return {
        "name": info.name,
        "digest": info.digest,
        "threshold": info.threshold,
        "threshold_on": info.threshold_on,
        "threshold_rule": info.threshold_rule,
        "calibration": info.calibration,
        "notes": list(service.detector.notes),
        "window_s": recipe.window / SAMPLE_RATE_HZ,
        "aggregation": recipe.aggregation or "first",
        "self_test_score": golden if math.isfinite(golden) else None,
        "sealed_decoders": service.pool.is_sealed,
        "version": __version__,
        "limits": service.settings.to_dict(),
    }
