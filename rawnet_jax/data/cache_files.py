"""What lies in a cache's folder, and how it is named, written and trusted.

| file | content |
|---|---|
| ``part-00000.i16`` | the samples of a run of clips, int16 little-endian, one after the other |
| ``part-00000.json`` | what is in that part; written after it: a part without it is not finished |
| ``index.npy`` | one `index_dtype` record per clip that can be used |
| ``index.json`` | checksums, and the clips that cannot be used; written last |

Every file is written under another name and renamed, so it is there in full or not at all. A folder
belongs to one list of files and one set of audio settings; which version of a file a part was made
from (size, time of change) is in the part's key. The folder may be deleted at any time.
"""

import dataclasses
import hashlib
import json
import mmap
import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from rawnet_jax.atomic_file import temporary_beside
from rawnet_jax.config import AudioConfig, DataConfig
from rawnet_jax.data.fetch import NOT_FETCHED
from rawnet_jax.data.file_kinds import NEEDS_MEDIA
from rawnet_jax.data.media_file import is_installed
from rawnet_jax.data.trial import Clip
from rawnet_jax.storage.rows import Row

FORMAT_VERSION = 1
PART_CLIPS = 256  # about 25 MB of speech: little is lost when a build is interrupted
SAMPLE_DTYPE = np.dtype("<i2")


@dataclass(frozen=True)
class PartPlan:
    """A part of a cache that is to be written: which recordings, in which versions."""

    name: str
    first_clip: int
    sources: tuple[str | Row, ...]  # paths, or rows of a manifest
    key: str


@dataclass(frozen=True)
class CachePlan:
    """All parts that a cache is to have.

    Attributes:
        name: of the folder; it stands for the list of files and the audio settings.
        key: stands for the versions of all files, too.
        parts: in order of clips.
    """

    name: str
    key: str
    parts: tuple[PartPlan, ...]


@dataclass(frozen=True)
class PartRecord:
    """What a finished part holds.

    Attributes:
        key: `PartPlan.key` that it was made for.
        crc32: of the samples' bytes.
        num_samples: a clip's length; 0 where it cannot be used.
        skipped: (position in the part, message, reason) of each clip that cannot be used.
        num_clipped: samples beyond full scale, which were clipped.
    """

    key: str
    crc32: int
    num_samples: list[int]
    skipped: list[tuple[int, str, str]]
    num_clipped: int


class DamagedError(Exception):
    """A file of a cache is not there, or not what was written."""


def cache_root(config: DataConfig) -> Path:
    """Return the folder that holds all caches."""
    named = config.cache_dir or os.environ.get("RAWNET_JAX_CACHE", "")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "rawnet_jax"


def plan_cache(clips: Sequence[Clip], audio: AudioConfig) -> CachePlan:
    """Look at every file (not into it) and lay out the cache; of a manifest its rows tell."""
    settings = json.dumps([FORMAT_VERSION, dataclasses.asdict(audio)], sort_keys=True)
    sources = [
        clip.audio if isinstance(clip.audio, Row) else os.path.abspath(clip.audio) for clip in clips
    ]
    names = (
        f"{clip.trial.utterance_id}\0{place_of(source)}"
        for clip, source in zip(clips, sources, strict=True)
    )
    parts = []
    for first in range(0, len(sources), PART_CLIPS):
        chunk = tuple(sources[first : first + PART_CLIPS])
        key = _digest([settings, *(f"{place_of(one)}\0{_version(one)}" for one in chunk)])
        parts.append(PartPlan(f"part-{first // PART_CLIPS:05d}", first, chunk, key))
    name = _digest([settings, str(PART_CLIPS), *names])[:20]
    return CachePlan(name, _digest([part.key for part in parts]), tuple(parts))


def place_of(source: str | Row) -> str:
    """Return the path of a file, or the URI of a row."""
    return source if isinstance(source, str) else source.uri


def _version(source: str | Row) -> str:
    if isinstance(source, Row):
        return f"{source.size} {source.etag}"
    try:
        status = os.stat(source)
    except (OSError, ValueError):
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns}"


def _digest(lines: Sequence[str]) -> str:
    text = "\n".join(lines).encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()


def index_dtype(id_bytes: int) -> np.dtype:
    """Return the record of `index.npy` for utterance ids of at most `id_bytes` bytes."""
    return np.dtype(
        [
            ("clip", "<i8"),  # position in the list that the cache was made for
            ("part", "<i4"),
            ("offset", "<i8"),  # in samples, from the start of the part
            ("num_samples", "<i8"),
            ("utterance_id", f"S{max(1, id_bytes)}"),  # UTF-8
        ]
    )


def _private(path: str, flags: int) -> int:
    """Open a file for its owner alone: the cache holds people's voices."""
    return os.open(path, flags, 0o600)


def write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> Any:
    """Write a file that is either there in full or not at all, even after a power cut.

    Args:
        path: the file's final name.
        write: gets the open file.

    Returns:
        What `write` returned.
    """
    temporary = temporary_beside(path)
    try:
        with open(temporary, "xb", opener=_private) as file:
            result = write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # or the rename may be lost
    finally:
        os.close(folder)
    return result


def write_json(path: Path, body: Any) -> None:
    """Write JSON with a checksum in front, atomically."""
    text = json.dumps(body).encode()
    write_atomically(path, lambda file: file.write(b"%08x\n" % zlib.crc32(text) + text))


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote.

    Raises:
        FileNotFoundError: if it is not there.
        DamagedError: if it is not as it was written.
    """
    checksum, _, text = path.read_bytes().partition(b"\n")
    if checksum != b"%08x" % zlib.crc32(text):
        raise DamagedError(f"{path.name}: its checksum differs")
    return json.loads(text)


def read_record(folder: Path, plan: PartPlan) -> PartRecord | None:
    """Return what a finished part holds, or None if it is to be made (again)."""
    try:
        record = PartRecord(**read_json(folder / f"{plan.name}.json"))
        if record.key != plan.key or may_be_readable_now(record.skipped):
            return None
        map_part(folder / f"{plan.name}.i16", sum(record.num_samples), record.crc32)
    except (FileNotFoundError, DamagedError):
        return None
    return record


def may_be_readable_now(skipped: Sequence[tuple[int, str, str]]) -> bool:
    """Return whether clips were left out for what may be over: a missing extra or network."""
    reasons = {reason for _, _, reason in skipped}
    return NOT_FETCHED in reasons or (NEEDS_MEDIA in reasons and is_installed())


def map_part(path: Path, num_samples: int, crc32: int) -> np.ndarray:
    """Map a part into memory and check it through the mapping: what is checked is what is used.

    Returns:
        int16 [num_samples], read-only; stays as it is when the file is replaced.

    Raises:
        DamagedError: if it is not there or not what was written.
    """
    num_bytes = num_samples * SAMPLE_DTYPE.itemsize
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size != num_bytes:
                raise DamagedError(f"{path.name}: its size differs")
            if num_bytes == 0:
                return np.empty(0, SAMPLE_DTYPE)
            mapped = mmap.mmap(file.fileno(), num_bytes, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise DamagedError(f"{path.name} is missing") from None
    if zlib.crc32(mapped) != crc32:
        raise DamagedError(f"{path.name}: its checksum differs")
    return np.frombuffer(mapped, SAMPLE_DTYPE)
