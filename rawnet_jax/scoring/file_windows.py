"""Audio files to windows, in threads that run ahead of the device.

Libraries that decode and resample let go of Python's lock, so threads use all cores. What waits is
bounded for each file and for their number, so memory grows with neither.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from rawnet_jax.config import AudioConfig, GateConfig
from rawnet_jax.data.audio import Source, from_int16, waveform_blocks
from rawnet_jax.errors import AudioError, ConfigError
from rawnet_jax.scoring.decoded import Decoded, Promised
from rawnet_jax.scoring.gate import ChannelMix, Reason, Refusal
from rawnet_jax.scoring.seek import Window, look_at, sought
from rawnet_jax.scoring.windows import WindowCutter

NUM_AHEAD = 64
"""Files that are decoded, or waiting to be, before the first of them is scored."""

_PART_SAMPLES = 2**18  # 1 MB of float32
_PARTS_WAITING = 2
_LOOK_UP_S = 0.1  # how often a thread that waits asks whether it should end
_OF_AUDIO_ERROR = "not finite"  # `AudioError.reason` of what the gate gives a name to


class End(NamedTuple):
    """What there is to say of a recording when it has been read.

    Attributes:
        num_samples: its length at 16 kHz; None where it could not be read.
        refusal: why the whole cannot be judged; None where it can.
        error: why it could not be read; None where it was.
        notes: what a listener should know of the file.
    """

    num_samples: int | None
    refusal: Refusal | None = None
    error: AudioError | None = None
    notes: tuple[str, ...] = ()


Present = Source | Decoded | Callable[[], np.ndarray]
"""What can be decoded, what another process decoded, or what reads a clip that was decoded before:
mono at 16 kHz, in 16-bit units."""

Recording = Present | Promised
"""That, or what another process is decoding."""

Part = list[Window] | End
"""Windows of a recording in order, in pieces; then one `End`."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How recordings are read.

    Attributes:
        window: length of a window in samples.
        hop: from one to the next in samples.
        whole: windows over all of a recording; False = only the first.
        audio: bounds on what is decoded; of length and level the gate decides.
        gate: bounds on what is judged.
        channel: the one that is taken, 1 = the first; None = the average of all.
        keeps_refused: what the gate refuses is scored nevertheless, and does not count.
        seeks: the first window that can be judged is looked for, see `rawnet_jax.scoring.seek`; it
            is the one that is read, or from where on there are windows.
    """

    window: int
    hop: int
    whole: bool = True
    audio: AudioConfig = field(default_factory=AudioConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    channel: int | None = None
    keeps_refused: bool = False
    seeks: bool = False

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            ConfigError: one is out of range.
        """
        if not 1 <= self.hop <= self.window:
            raise ConfigError(
                f"window {self.window}, hop {self.hop}: must be at least 1, and a hop of at most a "
                "window"
            )


def read_parts(
    path: Recording, how: Reading, watch: Callable[[np.ndarray], Any] | None = None
) -> Iterator[Part]:
    """Cut one recording into windows; what is wrong with it comes in its `End`.

    Args:
        path: the recording.
        how: settings.
        watch: is shown every block, float32 [n] at 16 kHz.
    """
    reader = _Reader(path.get() if isinstance(path, Promised) else path, how, watch)
    try:
        yield from reader.parts()
        yield End(reader.num_samples, reader.refusal(), notes=tuple(reader.notes))
    except AudioError as error:
        if how.gate.enabled and error.reason == _OF_AUDIO_ERROR:
            yield End(None, Refusal(Reason.NOT_FINITE, 1.0, 0.0, error.detail))
        else:
            yield End(None, error=error)


class _Reader:
    """One file while it is read."""

    def __init__(
        self, path: Present, how: Reading, watch: Callable[[np.ndarray], Any] | None
    ) -> None:
        self.num_samples = 0
        self.notes: list[str] = []
        self._path = path
        self._how = how
        self._watch = watch
        self._mix = ChannelMix(how.gate, how.channel)

    def parts(self) -> Iterator[list[Window]]:
        part: list[Window] = []
        size = 0
        for window in self._windows():
            part.append(window)
            size += window.num_samples
            if size >= _PART_SAMPLES:
                yield part
                part, size = [], 0
        if part:
            yield part

    def _windows(self) -> Iterator[Window]:
        cut = WindowCutter(self._blocks(), self._how.window, self._how.hop)
        if self._how.seeks:
            yield from sought(cut, self._how.gate, whole=self._how.whole)
            return
        for start, waveform in cut:
            if start and not self._how.whole:
                continue  # the rest is still read: it may be damaged
            gate = self._how.gate if self._how.gate.enabled else None
            yield look_at(start, waveform, gate, keeps_refused=self._how.keeps_refused)

    def refusal(self) -> Refusal | None:
        """Return why the whole of what was read cannot be judged."""
        if not self.num_samples:
            return Refusal(Reason.TOO_SHORT, 0.0, 0.0, "no sample is left at 16 kHz")
        if isinstance(self._path, Decoded):
            return self._path.refusal
        looked = self._how.gate.enabled or self._how.channel is not None
        return self._mix.refusal() if looked else None

    def _blocks(self) -> Iterator[np.ndarray]:
        for block in self._read():
            self.num_samples += len(block)
            if self._watch is not None:
                self._watch(block)
            yield block

    def _read(self) -> Iterable[np.ndarray]:
        if isinstance(self._path, Decoded):
            return self._path.blocks(self.notes)
        if callable(self._path):
            clip = self._path()
            return [from_int16(clip if self._how.whole else clip[: self._how.window])]
        bounds = replace(self._how.audio, min_duration_s=0.0)
        return waveform_blocks(self._path, bounds, self._mix, notes=self.notes)


class _Handed:
    """Parts on their way from the thread that reads a file to the one that scores it."""

    def __init__(self, stop: threading.Event) -> None:
        self._parts: queue.Queue[Part | BaseException] = queue.Queue(_PARTS_WAITING)
        self._stop = stop

    def fill(self, parts: Iterable[Part]) -> None:
        try:
            for part in parts:
                self._put(part)
        except BaseException as error:  # a defect: whoever waits for the parts raises it
            self._put(error)

    def _put(self, part: Part | BaseException) -> None:
        while not self._stop.is_set():
            try:
                return self._parts.put(part, timeout=_LOOK_UP_S)
            except queue.Full:
                continue
        return None

    def __iter__(self) -> Iterator[Part]:
        while True:
            part = self._parts.get()
            if isinstance(part, BaseException):
                raise part
            yield part
            if isinstance(part, End):
                return


def decode_ahead(
    files: Iterable[Callable[[], Iterator[Part]]], num_threads: int, num_ahead: int = NUM_AHEAD
) -> Iterator[Iterator[Part]]:
    """Read files in threads, the next ones while the first is used.

    Args:
        files: each opens one file and yields its parts, see `read_parts`.
        num_threads: how many are read at once.
        num_ahead: how many are begun before the first has been used; at least as many as threads.

    Yields:
        The parts of each file, in the order of `files`; to be used up before the next.
    """
    stop = threading.Event()
    waiting: deque[_Handed] = deque()
    coming = iter(files)
    pool = ThreadPoolExecutor(num_threads, thread_name_prefix="decode")

    def begin() -> None:
        opened = next(coming, None)
        if opened is not None:
            waiting.append(_Handed(stop))
            pool.submit(lambda handed, parts: handed.fill(parts()), waiting[-1], opened)

    try:
        for _ in range(max(num_ahead, num_threads)):
            begin()
        while waiting:
            yield iter(waiting.popleft())
            begin()
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
