"""Several recordings in one request: what an enrolment takes."""

from collections.abc import AsyncGenerator

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from rawnet_jax.serve.body import FIELD, Upload, read_body
from rawnet_jax.serve.problems import Problem
from rawnet_jax.serve.settings import Settings

MOST_CLIPS = 32
_ROOM_BYTES = 2**16
_MOST_NAME = 255


class _InMemory(MultiPartParser):
    """Keeps files in memory: audio is never written to disk."""

    spool_max_size = 2**62


async def read_uploads(request: Request, settings: Settings) -> list[Upload]:
    """Read the recordings of a multipart request, fields of the name ``file``.

    Raises:
        Problem: it is too large or too slow, no multipart body, or has no recording or too many.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise Problem("bad-request", f"the body must be multipart/form-data, a {FIELD!r} per clip")
    most = settings.max_body_bytes
    body = await read_body(request, settings, most + _ROOM_BYTES)

    async def pieces() -> AsyncGenerator[bytes, None]:
        yield body
        yield b""

    parser = _InMemory(request.headers, pieces(), max_files=MOST_CLIPS, max_fields=0)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        said = getattr(error, "message", "it is not as it must be")
        raise Problem("bad-request", f"multipart body: {said}") from None
    try:
        files = [file for file in form.getlist(FIELD) if isinstance(file, UploadFile)]
        found = [
            Upload(await file.read(), (file.filename or f"clip {i}")[:_MOST_NAME], {})
            for i, file in enumerate(files, 1)
        ]
    finally:
        await form.close()
    if not found or not all(upload.content for upload in found):
        raise Problem("bad-request", f"there must be a file in each field {FIELD!r}, none empty")
    return found
