"""Noises and impulse responses of a pool: what training adds to its clips and convolves them with.

They are not pieces: no list, law or report has them.
"""

import hashlib
import io
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath

import numpy as np

from rawnet_jax.config import AudioConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.csv_text import csv_text
from rawnet_jax.data.audio import Encoded, to_int16
from rawnet_jax.data.augment_banks import first_channel
from rawnet_jax.data.protocols import AUDIO_EXTENSIONS
from rawnet_jax.errors import AudioError, DataError
from rawnet_jax.pool.clones import read_blobs
from rawnet_jax.pool.table import NOISE, RESPONSE
from rawnet_jax.simulate.corpus_writer import encoded, write_bytes

FOLDERS = {NOISE: "noise", RESPONSE: "rir"}
"""Folders below a pool, named as the fields of a config that read them."""

LENGTH_S = {NOISE: 15.0, RESPONSE: 3.0}
"""So much of the beginning of a file is kept."""

BACKGROUND_TABLE = "backgrounds.csv"
"""File of a pool that says where each of them is from."""

ARCHIVE = ".tar.gz"
"""What ends so may hold noises or responses: each audio file in it is one."""

_COLUMNS = (
    *("path", "kind", "repository", "commit", "source_path", "source_blob", "licence"),
    *("seconds", "sha256"),
)
_PEAK = 0.9
_MOST_UNPACKED_BYTES = 2**26
_GAIN = 2.0**-10  # while decoding, so that nothing is clipped; a power of two rounds nothing
_AUDIO = AudioConfig(min_peak=AudioConfig().min_peak * _GAIN)


@dataclass(frozen=True, slots=True)
class Background:
    """A file of a repository with a noise or an impulse response, or an archive of some.

    Attributes:
        kind: ``noise`` or ``response``.
        repository: ``owner/name``.
        commit: that it is read at.
        path: of the file.
        blob: git's name of its content.
        licence: of the recording.
    """

    kind: str
    repository: str
    commit: str
    path: str
    blob: str
    licence: str


@dataclass(frozen=True, slots=True)
class WrittenBackground:
    """A noise or an impulse response in a pool.

    Attributes:
        background: that it is from.
        source_path: of its file; one in an archive has the archive's path before its own.
        path: below the pool.
        seconds: of its length.
        sha256: of its file.
    """

    background: Background
    source_path: str
    path: str
    seconds: float
    sha256: str


def write_backgrounds(
    folder: Path, backgrounds: Sequence[Background], git_dirs: Mapping[str, Path]
) -> tuple[list[WrittenBackground], list[str]]:
    """Write noises and impulse responses as FLAC, and the table of them; what was there is removed.

    Mono (the first channel), 16 kHz, 16 bit, one peak for all: training sets the level, and 16
    bit leave little of a faint one. Names come from repository and path alone. Without backgrounds
    nothing is written.

    Args:
        folder: of the pool.
        backgrounds: those of one repository in a row.
        git_dirs: clone of each repository.

    Returns:
        What was written, in the order of the names, and a line for each file that was not.

    Raises:
        DataError: a content is gone, git ended, or a file cannot be written.
    """
    for name in FOLDERS.values():
        shutil.rmtree(folder / name, ignore_errors=True)
    written, problems = [], []
    for each, content in _contents(backgrounds, git_dirs):
        try:
            files = _unpacked(each, content)
        except AudioError as error:
            problems.append(str(error))
            continue
        for source_path, file in files:
            try:
                written.append(_write(folder, each, source_path, file))
            except AudioError as error:
                problems.append(str(error))
    written.sort(key=lambda each: each.path)
    if backgrounds:
        rows = [_COLUMNS, *map(_row, written)]
        write_bytes(folder / BACKGROUND_TABLE, csv_text(rows).encode())
    return written, problems


def backgrounds_digest(written: Sequence[WrittenBackground]) -> str:
    """Return the SHA-256 of names and digests of all noises and responses."""
    lines = "".join(f"{each.sha256}  {each.path}\n" for each in written)
    return hashlib.sha256(lines.encode()).hexdigest()


def _contents(
    backgrounds: Sequence[Background], git_dirs: Mapping[str, Path]
) -> Iterator[tuple[Background, bytes]]:
    for repository, group in groupby(backgrounds, key=lambda each: each.repository):
        files = list(group)
        git_dir = git_dirs[repository]
        contents = read_blobs(git_dir, [each.blob for each in files])
        for each, content in zip(files, contents, strict=True):
            if content is None:
                raise DataError(
                    f"{git_dir}: content {each.blob} of {repository}: {each.path} is gone"
                )
            yield each, content


def _unpacked(background: Background, content: bytes) -> list[tuple[str, bytes]]:
    """Return path and content of a file, or of each audio file in an archive."""
    if not background.path.lower().endswith(ARCHIVE):
        return [(background.path, content)]
    name = f"{background.repository}: {background.path}"
    found, num_bytes = [], 0
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            for member in archive:
                num_bytes += member.size
                if num_bytes > _MOST_UNPACKED_BYTES:
                    raise AudioError(name, "too long", "it unpacks to more than 64 MiB")
                file = archive.extractfile(member) if member.isfile() else None
                if file is not None and member.name.lower().endswith(AUDIO_EXTENSIONS):
                    found.append((f"{background.path}/{member.name}", file.read()))
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise AudioError(
            name, "damaged", f"the archive is damaged or incomplete: {error}"
        ) from None
    return found


def _write(
    folder: Path, background: Background, source_path: str, content: bytes
) -> WrittenBackground:
    name = f"{background.repository}: {source_path}"
    samples = _samples(Encoded(content, name), background.kind)
    path = f"{FOLDERS[background.kind]}/{_name(background.repository, source_path)}.flac"
    (folder / path).parent.mkdir(exist_ok=True)
    file = encoded(samples, "FLAC")
    write_bytes(folder / path, file)
    return WrittenBackground(
        background,
        source_path,
        path,
        round(len(samples) / SAMPLE_RATE_HZ, 4),
        hashlib.sha256(file).hexdigest(),
    )


def _samples(source: Encoded, kind: str) -> np.ndarray:
    waveform = first_channel(source, _AUDIO, max_s=LENGTH_S[kind], gain=_GAIN) / _GAIN
    return to_int16(waveform * (_PEAK / float(np.abs(waveform).max())))[0]


def _name(repository: str, source_path: str) -> str:
    """Return a name that no other file has, and that no other file of a table changes."""
    stem = re.sub("[^A-Za-z0-9.-]+", "-", PurePosixPath(source_path).stem)[:60]
    digest = hashlib.sha256(f"{repository}\n{source_path}".encode()).hexdigest()
    return f"{repository.replace('/', '+')}_{stem}_{digest[:8]}"


def _row(written: WrittenBackground) -> tuple[str | float, ...]:
    each = written.background
    return (
        *(written.path, each.kind, each.repository, each.commit, written.source_path, each.blob),
        *(each.licence, written.seconds, written.sha256),
    )
