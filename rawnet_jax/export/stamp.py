"""The digest of a file, inside that file.

It stands where zeros stood when it was taken, so it covers every other byte: parameters, graph and
what the metadata says.
"""

import hashlib
import io
import json
import re
import zipfile

from rawnet_jax.errors import DataError

FIELD = "file_sha256"
"""Of the metadata."""

BLANK = "0" * 64
"""What the field holds before `stamped`."""

PROGRAM_FIELD = "program_sha256"
"""Of the metadata of a StableHLO file, an archive: the digest of its program alone."""

_ZIP = b"PK\x03\x04"
_NOTED = re.compile(FIELD.encode() + rb'(?:\x12@|": ")(.{64})', re.DOTALL)  # ONNX; JSON in TFLite


def stamped(content: bytes) -> bytes:
    """Return a file with its digest in the place of `BLANK`, which it holds once."""
    blank, digest = BLANK.encode(), hashlib.sha256(content).hexdigest().encode()
    at = _place_of(content, FIELD.encode(), blank)
    return content[:at] + digest + content[at + len(blank) :]


def check_stamp(content: bytes, digest: str | None, path: object) -> None:
    """Check that a file is as it was written; one without a digest, of an older version, passes.

    Args:
        content: of the file.
        digest: that its metadata names.
        path: for the error.

    Raises:
        DataError: it is not.
    """
    if digest is None:
        return
    noted = digest.encode("utf-8", "replace")
    try:
        at = _place_of(content, FIELD.encode(), noted)
    except ValueError:
        at = len(content)
    blank = content[:at] + BLANK.encode() + content[at + len(noted) :]
    if len(noted) != len(BLANK) or hashlib.sha256(blank).hexdigest() != digest:
        raise DataError(
            f"{path}: damaged: its SHA-256 must be the one in its metadata; export the run again"
        )


def check_file(content: bytes, path: object) -> None:
    """Check that an exported file of any format is as it was written.

    Args:
        content: of the file; one without a digest, of an older version, passes.
        path: for the error.

    Raises:
        DataError: it is not.
    """
    if content.startswith(_ZIP):
        _check_archive(content, path)
        return
    if FIELD.encode() in content:
        found = _NOTED.search(content)
        check_stamp(content, "" if found is None else found[1].decode("latin-1"), path)


def _check_archive(content: bytes, path: object) -> None:
    """Check a StableHLO file, whose parts have check sums of their own besides."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            program = archive.read("program.bin")
            digest = json.loads(archive.read("metadata.json")).get(PROGRAM_FIELD)
    except (zipfile.BadZipFile, KeyError, ValueError, AttributeError, RuntimeError) as error:
        raise DataError(f"{path}: damaged: {error}; export the run again") from None
    if digest not in (None, hashlib.sha256(program).hexdigest()):
        raise DataError(
            f"{path}: damaged: the SHA-256 of its program must be the one in its metadata; export "
            "the run again"
        )


def _place_of(content: bytes, field: bytes, value: bytes) -> int:
    """Return where a value stands after the name of its field: zeros may stand elsewhere too."""
    return content.index(value, content.index(field))
