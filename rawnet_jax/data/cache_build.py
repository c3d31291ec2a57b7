"""Decode clips into the parts of a cache, in several processes, and resume where a run was cut off.

The processes are plain children that read jobs from a pipe. `multiprocessing` is not used: a fork
would copy JAX's threads in a broken state, and its other start methods import the caller's main
program (all of JAX) into every worker and leave workers behind after a ``kill -9``. These end by
themselves as soon as their pipe does.
"""

import contextlib
import logging
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from rawnet_jax.config import AudioConfig
from rawnet_jax.data.audio import read_waveform, to_int16
from rawnet_jax.data.cache_files import (
    SAMPLE_DTYPE,
    CachePlan,
    PartPlan,
    PartRecord,
    place_of,
    read_record,
    write_atomically,
    write_json,
)
from rawnet_jax.data.decoder_lines import drop_decoder_lines
from rawnet_jax.data.fetch import Recordings
from rawnet_jax.errors import AudioError, DataError
from rawnet_jax.progress import make_bar
from rawnet_jax.storage.rows import Row

_LOG = logging.getLogger(__name__)

_PARTS_A_WORKER = 4  # starting a process costs about as much as decoding two parts
_PROGRESS_S = 0.2  # seconds between a worker's messages

OnClips = Callable[[int], Any]


def build_parts(
    folder: Path,
    plan: CachePlan,
    audio: AudioConfig,
    *,
    num_workers: int,
    progress: bool,
) -> Generator[tuple[PartPlan, PartRecord], None, None]:
    """Make the parts that are missing, and yield all parts in order.

    Args:
        folder: of the cache; its lock is held.
        plan: what it is to hold.
        audio: bounds on what is accepted.
        num_workers: processes; 0 = one per core.
        progress: whether to show a progress bar.

    Raises:
        OSError: if the folder cannot be written.
        DataError: if a decoding process dies.
    """
    with ThreadPoolExecutor(usable_cores(), thread_name_prefix="cache-check") as executor:
        finished = list(executor.map(lambda part: read_record(folder, part), plan.parts))
    missing = [part for part, record in zip(plan.parts, finished, strict=True) if record is None]
    num_clips = sum(len(part.sources) for part in plan.parts)
    num_done = num_clips - sum(len(part.sources) for part in missing)
    if num_done and missing:
        _LOG.info("audio cache %s: resuming at %d of %d clips", folder, num_done, num_clips)
    num_workers = min(num_workers or usable_cores(), -(-len(missing) // _PARTS_A_WORKER))
    bar = make_bar("decoding", num_clips, shown=progress, initial=num_done, stays=True)
    lock = threading.Lock()

    def on_clips(number: int) -> None:
        with lock:
            bar.update(number)

    try:
        with bar, _builder(folder, audio, missing, num_workers, on_clips) as result_of:
            for part, record in zip(plan.parts, finished, strict=True):
                yield part, record if record is not None else result_of(part)
    finally:
        for left_over in folder.glob("*.tmp"):  # of processes that were killed
            left_over.unlink(missing_ok=True)


def usable_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def build_part(folder: Path, part: PartPlan, audio: AudioConfig, on_clips: OnClips) -> PartRecord:
    """Decode the clips of one part and write it.

    Raises:
        OSError: if it cannot be written.
    """
    num_samples: list[int] = []
    skipped: list[tuple[int, str, str]] = []
    clipped: list[int] = []

    def decode(file: IO[bytes]) -> int:
        crc32 = 0
        for position, source in enumerate(part.sources):
            one = source if isinstance(source, str) else next(coming)
            try:
                samples, _ = to_int16(read_waveform(one, audio, on_clipped=clipped.append))
            except AudioError as error:
                skipped.append((position, str(error), error.reason))
                num_samples.append(0)
            else:
                data = samples.astype(SAMPLE_DTYPE, copy=False).data
                crc32 = zlib.crc32(data, crc32)
                file.write(data)
                num_samples.append(len(samples))
            on_clips(1)
        return crc32

    with Recordings([one for one in part.sources if isinstance(one, Row)]) as recordings:
        coming = (source for _, source in recordings)
        crc32 = write_atomically(folder / f"{part.name}.i16", decode)
    record = PartRecord(part.key, crc32, num_samples, skipped, sum(clipped))
    write_json(folder / f"{part.name}.json", asdict(record))
    return record


@contextlib.contextmanager
def _builder(
    folder: Path,
    audio: AudioConfig,
    parts: Sequence[PartPlan],
    num_workers: int,
    on_clips: OnClips,
) -> Iterator[Callable[[PartPlan], PartRecord]]:
    """Give a function that returns a part's record once it is made."""
    if num_workers <= 1:
        yield lambda part: build_part(folder, part, audio, on_clips)
        return
    workers = [_Worker() for _ in range(num_workers)]
    idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def run(part: PartPlan) -> PartRecord:
        worker = idle.get()
        try:
            return worker.build(folder, part, audio, on_clips)
        finally:
            idle.put(worker)

    with ThreadPoolExecutor(num_workers, thread_name_prefix="cache-build") as executor:
        try:
            futures: dict[str, Future[PartRecord]] = {
                part.name: executor.submit(run, part) for part in parts
            }
            yield lambda part: futures[part.name].result()
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.stop()


class _Worker:
    """A process that makes one part at a time."""

    def __init__(self) -> None:
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": path},
            process_group=0,  # Ctrl-C goes to the parent alone, which ends this
        )

    def build(
        self, folder: Path, part: PartPlan, audio: AudioConfig, on_clips: OnClips
    ) -> PartRecord:
        """Make one part, as `build_part` does."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            pickle.dump((folder, part, audio), self._process.stdin)
            self._process.stdin.flush()
            while isinstance(message := pickle.load(self._process.stdout), int):
                on_clips(message)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            status = self._process.wait()
            raise DataError(
                f"a decoding process ended with status {status} between "
                f"{place_of(part.sources[0])} and {place_of(part.sources[-1])}; "
                "config.data.num_workers=1 decodes without processes"
            ) from None
        if isinstance(message, OSError):
            raise message
        return message

    def stop(self) -> None:
        """End the process; a part that it was making is lost."""
        self._process.terminate()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _work() -> None:
    """Make the parts that come in by standard input until it ends."""
    jobs = sys.stdin.buffer
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing else may write between replies
    drop_decoder_lines(own_stderr=True)

    def reply(message: object) -> None:
        pickle.dump(message, replies)
        replies.flush()

    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            folder, part, audio = pickle.load(jobs)
            counter = _Counter(reply)
            try:
                record = build_part(folder, part, audio, counter.add)
            except BrokenPipeError:
                raise
            except OSError as error:
                reply(error)
            else:
                counter.flush()
                reply(record)


class _Counter:
    """Passes on how many clips are done, a few times a second."""

    def __init__(self, send: Callable[[int], None]) -> None:
        self._send = send
        self._number = 0
        self._next_s = time.monotonic() + _PROGRESS_S

    def add(self, number: int) -> None:
        self._number += number
        if time.monotonic() >= self._next_s:
            self.flush()
            self._next_s = time.monotonic() + _PROGRESS_S

    def flush(self) -> None:
        self._send(self._number)
        self._number = 0


if __name__ == "__main__":
    _work()
