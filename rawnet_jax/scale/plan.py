"""A manifest as shards of about the same number of bytes."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from rawnet_jax.errors import DataError
from rawnet_jax.storage.rows import sizes


class Plan(NamedTuple):
    """Shards of a manifest.

    Attributes:
        shards: where each begins, its rows, its bytes.
        rows: of all.
        num_bytes: of all.
    """

    shards: list[list[int]]
    rows: int
    num_bytes: int


def plan_shards(manifest: Path, shard_bytes: int, shard_files: int) -> Plan:
    """Divide a manifest; in one pass, in memory of a few numbers a shard.

    Args:
        manifest: the file.
        shard_bytes: a shard ends with the file that reaches this.
        shard_files: and has at most so many.

    Raises:
        DataError: the manifest is missing, damaged or empty.
    """
    shards: list[list[int]] = []
    begin = count = held = total = rows = 0
    for at, size in sizes(manifest):
        if not count:
            begin = at
        count, held, rows, total = count + 1, held + size, rows + 1, total + size
        if held >= shard_bytes or count >= shard_files:
            shards.append([begin, count, held])
            count = held = 0
    if count:
        shards.append([begin, count, held])
    if not rows:
        raise DataError(f"{manifest}: has no row; it must name a file or more")
    return Plan(shards, rows, total)


def manifest_digest(manifest: Path) -> str:
    """Return SHA-256 of a manifest.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with open(manifest, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{manifest}: cannot be read: {error.strerror}") from error
