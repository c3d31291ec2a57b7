"""Bodies of requests, counted and timed while they arrive."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from rawnet_jax.serve.problems import Problem
from rawnet_jax.serve.settings import Settings

FIELD = "file"
"""Of a multipart body: the one that holds the audio."""

_MOST_FIELDS = 8
_MOST_FIELD_BYTES = 4_096
_MOST_NAME = 255
_ROOM_BYTES = 2**16  # that a multipart body has beside its file
_CLOSE = {"Connection": "close"}


@dataclass(frozen=True, slots=True)
class Upload:
    """A recording as it was sent.

    Attributes:
        content: the bytes of the file.
        name: that the client gives it; "-" without.
        fields: other fields of a multipart body.
    """

    content: bytes
    name: str
    fields: dict[str, str]


async def read_upload(
    request: Request, settings: Settings, hold: Callable[[int], None] | None = None
) -> Upload:
    """Read the recording of a request: the body itself, or a file in a multipart one.

    Args:
        request: the request.
        settings: limits.
        hold: is told of every piece how many bytes it has; see `Admission.holding`.

    Raises:
        Problem: it is too large, too slow, or no multipart body where it says so.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    most = settings.max_body_bytes
    if kind != "multipart/form-data":
        content = await read_body(request, settings, most, hold)
        if not content:
            raise Problem("bad-request", "the body is empty")
        return Upload(content, "-", {})
    body = await read_body(request, settings, most + _ROOM_BYTES, hold)
    return await _of_form(request, body, most)


async def read_body(
    request: Request, settings: Settings, most: int, hold: Callable[[int], None] | None = None
) -> bytes:
    """Read the body of a request within its limits.

    Args:
        request: the request.
        settings: deadlines and rates.
        most: bytes.
        hold: see `read_upload`.

    Raises:
        Problem: it is larger, comes too slowly, or the client went away.
    """
    claimed = request.headers.get("content-length", "")
    if claimed.isdecimal() and int(claimed) > most:
        raise _too_large(most)
    found, begin_s = bytearray(), time.monotonic()
    stream = request.stream()
    while True:
        left_s = _left_s(settings, begin_s, len(found))
        try:
            piece = await asyncio.wait_for(anext(stream), max(left_s, 0.001))
        except StopAsyncIteration:
            return bytes(found)
        except TimeoutError:
            what = (
                f"{len(found)} bytes in {time.monotonic() - begin_s:.1f} s; a body must come "
                f"within {settings.body_s:g} s, at {settings.min_body_rate} bytes a second or more"
            )
            raise Problem("too-slow", what, headers=_CLOSE) from None
        except ClientDisconnect:
            raise Problem("bad-request", "the client went away") from None
        found += piece
        if len(found) > most:
            raise _too_large(most)
        if hold is not None:
            hold(len(piece))


def _left_s(settings: Settings, begin_s: float, num_bytes: int) -> float:
    """Return how long the next piece may take."""
    rate_s = settings.grace_s + num_bytes / settings.min_body_rate
    return begin_s + min(settings.body_s, rate_s) - time.monotonic()


def _too_large(most: int) -> Problem:
    return Problem("too-large", f"a recording may have {most} bytes", max_bytes=most)


class _InMemory(MultiPartParser):
    """Keeps files in memory: the body is there already, and audio is never written to disk."""

    spool_max_size = 2**62


async def _of_form(request: Request, body: bytes, most: int) -> Upload:
    async def pieces() -> AsyncGenerator[bytes, None]:
        yield body
        yield b""

    parser = _InMemory(
        request.headers,
        pieces(),
        max_files=1,
        max_fields=_MOST_FIELDS,
        max_part_size=_MOST_FIELD_BYTES,
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        said = getattr(error, "message", "it is not as it must be")
        raise Problem("bad-request", f"multipart body: {said}") from None
    try:
        file = form.get(FIELD)
        if not isinstance(file, UploadFile):
            what = f"a multipart body must have one file, in the field {FIELD!r}"
            raise Problem("bad-request", what)
        content = await file.read()
    finally:
        await form.close()
    if len(content) > most:
        raise _too_large(most)
    if not content:
        raise Problem("bad-request", "the file is empty")
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    return Upload(content, (file.filename or "-")[:_MOST_NAME], fields)
