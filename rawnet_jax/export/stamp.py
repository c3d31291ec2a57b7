"""The digest of a file, inside that file.

It stands where zeros stood when it was taken, so it covers every other byte: parameters, graph and
what the metadata says.
"""

import hashlib

from rawnet_jax.errors import DataError

FIELD = "file_sha256"
"""Of the metadata."""

BLANK = "0" * 64
"""What the field holds before `stamped`."""


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


def _place_of(content: bytes, field: bytes, value: bytes) -> int:
    """Return where a value stands after the name of its field: zeros may stand elsewhere too."""
    return content.index(value, content.index(field))
