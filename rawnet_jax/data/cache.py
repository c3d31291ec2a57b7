"""Decoded audio of a list of clips, packed as 16-bit samples and mapped into memory.

`open_or_build` decodes what is not there yet and checks all of what is there: a cache that was
damaged, or whose audio files have changed, is repaired part by part and never trained on. See
`rawnet_jax.data.cache_files` for what lies on the disk.
"""

import contextlib
import logging
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from rawnet_jax.config import DataConfig
from rawnet_jax.data.cache_build import build_parts, usable_cores
from rawnet_jax.data.cache_files import (
    SAMPLE_DTYPE,
    CachePlan,
    DamagedError,
    PartPlan,
    PartRecord,
    cache_root,
    index_dtype,
    map_part,
    may_be_readable_now,
    plan_cache,
    read_json,
    write_atomically,
    write_json,
)
from rawnet_jax.data.trial import Clip, ProblemLedger, Trial
from rawnet_jax.errors import DataError

_LOG = logging.getLogger(__name__)

_Report = Callable[[int, str, str], None]  # clip, message, reason


@dataclass(frozen=True)
class _Contents:
    """A folder whose every byte was checked."""

    index: np.ndarray
    parts: list[np.ndarray]
    skipped: list[tuple[int, str, str]]  # clip, message, reason


class Cache:
    """Waveforms of the clips that can be used, in the order of the list they come from.

    Attributes:
        folder: where it lies.
        trials: one per waveform.
        num_samples: int64 [len], length of each waveform at 16 kHz.
        clip_numbers: int64 [len], where each stands in the list it comes from.
        owner: None: every process can read every clip; see `rawnet_jax.data.divided_cache`.
        skipped_reasons: how many clips were left out, by `AudioError.reason`.
    """

    def __init__(self, folder: Path, clips: Sequence[Clip], contents: _Contents) -> None:
        index = contents.index
        self.folder = folder
        self.clip_numbers = index["clip"].astype(np.int64)
        self.owner: np.ndarray | None = None
        self.trials: list[Trial] = [clips[position].trial for position in index["clip"]]
        self.num_samples = index["num_samples"].astype(np.int64)
        self.skipped_reasons = Counter(reason for _, _, reason in contents.skipped)
        self._part = np.ascontiguousarray(index["part"])
        self._offset = np.ascontiguousarray(index["offset"])
        self._parts = contents.parts

    def __len__(self) -> int:
        return len(self.trials)

    def waveform(self, position: int) -> np.ndarray:
        """Return int16 [num_samples[position]], read-only, a view of the mapped file."""
        start = self._offset[position]
        return self._parts[self._part[position]][start : start + self.num_samples[position]]


def open_or_build(
    clips: Sequence[Clip], config: DataConfig, ledger: ProblemLedger, *, progress: bool
) -> Cache:
    """Return the checked cache of these clips; decode what is missing, changed or damaged.

    Several processes may call this at once: one builds, the others wait for it.

    Args:
        clips: in the order that the cache is to have.
        config: `audio`, `cache_dir` and `num_workers` are read.
        ledger: every clip that cannot be used is reported as "bad_audio", in order of clips, also
            when the cache was there already.
        progress: whether to show a progress bar while decoding.

    Raises:
        DataError: if the ledger's policy demands it, if no clip can be used, or if the cache cannot
            be written.
    """
    if not clips:
        raise DataError("there are no clips to decode")
    plan = plan_cache(clips, config.audio)
    folder = cache_root(config) / plan.name

    num_reported = 0

    def report(clip: int, message: str, _reason: str) -> None:
        nonlocal num_reported
        source = clips[clip].trial.source
        ledger.report("bad_audio", f"{source}: {message}" if source else message)
        num_reported += 1

    try:
        contents = _open_finished(folder, plan, clips, logging.DEBUG)
        if contents is None:
            contents = _build(folder, plan, clips, config, report, progress)
    except OSError as error:
        raise DataError(
            f"audio cache {folder}: {error.strerror or error}; make room there or set"
            " config.data.cache_dir"
        ) from error
    for skipped in contents.skipped[num_reported:]:  # those of a cache that was there already
        report(*skipped)
    cache = Cache(folder, clips, contents)
    if cache.skipped_reasons:
        reasons = ", ".join(f"{name} {n}" for name, n in cache.skipped_reasons.most_common())
        _LOG.warning("%d of %d clips left out: %s", len(clips) - len(cache), len(clips), reasons)
    if not len(cache):
        raise DataError(f"none of {len(clips)} clips has audio that can be used")
    return cache


def _open_finished(
    folder: Path, plan: CachePlan, clips: Sequence[Clip], level: int, *, is_new: bool = False
) -> _Contents | None:
    """Return what `_open` returns, or None, and log at `level` why."""
    try:
        return _open(folder, plan, clips, is_new=is_new)
    except FileNotFoundError:
        _LOG.log(min(level, logging.INFO), "audio cache %s: not finished", folder)
    except DamagedError as error:
        _LOG.log(level, "audio cache %s: %s; making that again", folder, error)
    return None


def _build(
    folder: Path,
    plan: CachePlan,
    clips: Sequence[Clip],
    config: DataConfig,
    report: _Report,
    progress: bool,
) -> _Contents:
    with _locked(folder):
        # Another process may have built it while this one waited for the lock.
        contents = _open_finished(folder, plan, clips, logging.WARNING)
        if contents is not None:
            return contents
        parts = build_parts(
            folder, plan, config.audio, num_workers=config.num_workers, progress=progress
        )
        with contextlib.closing(parts):
            _write_index(folder, plan, clips, _reported(parts, report))
        contents = _open_finished(folder, plan, clips, logging.ERROR, is_new=True)
    if contents is None:
        raise DataError(f"audio cache {folder}: what was written reads back differently")
    return contents


def _reported(
    parts: Iterator[tuple[PartPlan, PartRecord]], report: _Report
) -> Iterator[tuple[PartPlan, PartRecord]]:
    """Report a part's bad clips as soon as it is made: a policy of "error" need not wait."""
    for part, record in parts:
        for position, message, reason in record.skipped:
            report(part.first_clip + position, message, reason)
        yield part, record


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)  # it holds people's voices
    lock = filelock.FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        _LOG.info("audio cache %s: waiting for another process that builds it", folder)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _write_index(
    folder: Path,
    plan: CachePlan,
    clips: Sequence[Clip],
    parts: Iterator[tuple[PartPlan, PartRecord]],
) -> None:
    ids = [clip.trial.utterance_id.encode("utf-8", "surrogateescape") for clip in clips]
    index = np.zeros(len(clips), index_dtype(max(map(len, ids), default=1)))
    index["clip"] = np.arange(len(clips))
    index["utterance_id"] = ids
    checksums: list[int] = []
    skipped: list[tuple[int, str, str]] = []
    num_clipped = 0
    for number, (part, record) in enumerate(parts):
        rows = index[part.first_clip : part.first_clip + len(part.sources)]
        rows["part"] = number
        rows["num_samples"] = record.num_samples
        rows["offset"][1:] = np.cumsum(record.num_samples, dtype=np.int64)[:-1]
        checksums.append(record.crc32)
        skipped += [(part.first_clip + n, message, why) for n, message, why in record.skipped]
        num_clipped += record.num_clipped
    if num_clipped:
        _LOG.warning("audio cache %s: %d samples beyond full scale clipped", folder, num_clipped)
    index = index[index["num_samples"] > 0]
    write_atomically(folder / "index.npy", lambda file: np.save(file, index))
    body = {
        "key": plan.key,
        "index_crc32": zlib.crc32((folder / "index.npy").read_bytes()),
        "part_crc32": checksums,
        "skipped": skipped,
    }
    write_json(folder / "index.json", body)


def _open(folder: Path, plan: CachePlan, clips: Sequence[Clip], *, is_new: bool) -> _Contents:
    """Map a finished cache and check every byte of it.

    Args:
        folder: of the cache.
        plan: what it must be.
        clips: that it was made for.
        is_new: it was finished just now, so that what could not be fetched is not tried again.

    Raises:
        FileNotFoundError: if it was never finished.
        DamagedError: if it is not what was written, or not what `plan` asks for.
    """
    summary = read_json(folder / "index.json")
    if summary["key"] != plan.key:
        raise DamagedError("audio files have changed since the cache was written")
    if not is_new and may_be_readable_now(summary["skipped"]):
        raise DamagedError("clips that could not be fetched or decoded then may be readable now")
    index = _read_index(folder, summary, clips)
    num_samples = np.zeros(len(plan.parts), np.int64)
    np.add.at(num_samples, index["part"], index["num_samples"])
    start_s = time.monotonic()
    with ThreadPoolExecutor(usable_cores(), thread_name_prefix="cache-check") as executor:
        paths = [folder / f"{part.name}.i16" for part in plan.parts]
        parts = list(executor.map(map_part, paths, num_samples.tolist(), summary["part_crc32"]))
    num_bytes = int(num_samples.sum()) * SAMPLE_DTYPE.itemsize
    _LOG.info(
        "audio cache %s: %d clips, %.2f GB, checked in %.1f s",
        *(folder, len(index), num_bytes / 1e9, time.monotonic() - start_s),
    )
    return _Contents(index, parts, summary["skipped"])


def _read_index(folder: Path, summary: dict[str, Any], clips: Sequence[Clip]) -> np.ndarray:
    path = folder / "index.npy"
    try:
        checksum = zlib.crc32(path.read_bytes())
    except FileNotFoundError:
        raise DamagedError("index.npy is missing") from None
    if checksum != summary["index_crc32"]:
        raise DamagedError("index.npy: its checksum differs")
    index = np.load(path, mmap_mode="r")
    ids = [clips[clip].trial.utterance_id for clip in index["clip"]]
    if index["utterance_id"].tolist() != [i.encode("utf-8", "surrogateescape") for i in ids]:
        raise DamagedError("index.npy: utterances are not those of the protocol")
    return index
