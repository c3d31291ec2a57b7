"""The service as an ASGI application."""

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from rawnet_jax import __version__
from rawnet_jax.serve import (
    routes_docs,
    routes_gate,
    routes_health,
    routes_score,
    routes_speakers,
    routes_stream,
    routes_twilio,
)
from rawnet_jax.serve.documented import add_problem_schema
from rawnet_jax.serve.envelope import Envelope
from rawnet_jax.serve.problems import Problem
from rawnet_jax.serve.service import Service

_ABOUT = (
    "Judges whether recordings of speech are bona fide or spoofed (synthetic, converted, "
    "replayed). A score is higher the more bona fide a recording is."
)
_BY_STATUS = {404: "not-found", 405: "method-not-allowed", 400: "bad-request"}


def build_app(service: Service) -> FastAPI:
    """Return the application.

    Args:
        service: it is started and stopped by whoever runs the application, see `serve.server`.
    """
    app = _App(
        title="rawnet_jax",
        version=__version__,
        description=_ABOUT,
        docs_url=None,  # their pages load scripts from elsewhere; see routes_docs
        redoc_url=None,
    )
    app.state.service = service
    for kind in (Problem, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _on_error)
    app.include_router(routes_score.router)
    for routes in (routes_gate, routes_stream, routes_twilio):
        app.include_router(routes.router)
    app.include_router(routes_health.router)
    app.include_router(routes_docs.router)
    if service.voices is not None:
        app.include_router(routes_speakers.router)
    if service.shows_metrics:
        app.include_router(routes_health.metrics_router)
    app.add_middleware(Envelope, meters=service.meters)
    if service.gate.origins:
        # Added last, it is asked first: browsers send no key when they ask what a page may do.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(service.gate.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "X-API-Key"],
            expose_headers=["Retry-After", "X-Request-ID"],
        )
    return app


class _App(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        if self.openapi_schema is None:
            document = super().openapi()
            add_problem_schema(document)
            self.openapi_schema = document
        return self.openapi_schema


async def _on_error(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    return problem.response(getattr(request.state, "request_id", ""))


def problem_of(error: Exception) -> Problem:
    """Turn any exception into the problem that the client is told."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        # The input is not echoed: it may be anything.
        said = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:8]
        )
        return Problem("bad-parameter", said)
    if isinstance(error, HTTPException):
        kind = _BY_STATUS.get(error.status_code, "http-error")
        return Problem(kind, status=error.status_code, headers=error.headers or {})
    return Problem("internal")
