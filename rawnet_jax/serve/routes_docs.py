"""A page that shows the OpenAPI document, all of it from this service."""

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

from rawnet_jax.serve.problems import Problem

router = APIRouter(include_in_schema=False)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""The page may load its own script, style and document, and nothing else."""

_FOLDER = Path(__file__).parent / "page"
_KINDS = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
}


@router.get("/docs")
async def docs() -> Response:
    """Give the page."""
    return _file("index.html")


@router.get("/docs/{name}")
async def part(name: str) -> Response:
    """Give a part of the page."""
    if name not in _KINDS:
        raise Problem("not-found")
    return _file(name)


def _file(name: str) -> Response:
    content = (_FOLDER / name).read_bytes()
    headers = {"Content-Security-Policy": POLICY, "Content-Type": _KINDS[name]}
    return Response(content, headers=headers)
