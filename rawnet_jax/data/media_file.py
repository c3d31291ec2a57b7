"""Recordings that libsndfile does not read: m4a, mp4, webm, aac, amr, wma and their kin.

FFmpeg's libraries decode them, as the package PyAV brings them (the extra `media`). The program
`ffmpeg` is not used: every machine has another version of it, so another clip's length and other
samples, and its complaints are text for people. PyAV is BSD; FFmpeg in its wheels is LGPL 3.

It runs in a process of its own, see `rawnet_jax.data.media_worker` for what that may do.
"""

import contextlib
import importlib.util
import math
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from os import PathLike
from typing import Any, BinaryIO

import numpy as np

from rawnet_jax.data.audio_file import say_notes
from rawnet_jax.data.file_kinds import NEEDS_MEDIA, Kind, opened
from rawnet_jax.data.media_process import FAILED, MediaProcess, json_of, printable
from rawnet_jax.data.media_structure import rest_notes, structure_of
from rawnet_jax.data.recording_bytes import RecordingBytes
from rawnet_jax.errors import AudioError

_LOST_S = {"asf": 0.5}  # what a container may claim beyond its last sample
_MOST_LOST_S = 0.1
_GAP_S = 0.1
_CUT = re.compile(
    "prematurely|truncat|partial file", re.IGNORECASE
)  # what FFmpeg says of cut files
_NOT_READ = "not on whitelist"  # said of video
_ENDS_WITH_LAST_PACKET = ("ape", "tta", "ac3", "eac3")
_TAG = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


def is_installed() -> bool:
    """Return whether the extra `media` is."""
    try:
        return importlib.util.find_spec("av") is not None
    except ValueError:
        return False


def unreadable(name: object, kind: Kind) -> AudioError:
    """Return what says what a file is, and what to do with it."""
    what = f"it is {kind.words}"
    if kind.is_ours:
        what += " with a codec that libsndfile does not read"
    if kind.demuxer and not is_installed():
        cures = f"install the extra: pip install 'rawnet_jax[media]', or {_conversion(name)}"
        return AudioError(name, NEEDS_MEDIA, f"{what}; {cures}")
    if kind.has_sound and not kind.is_ours:
        return AudioError(name, "not audio", f"{what}; {_conversion(name)}")
    return AudioError(name, "not audio", f"{what}; it must be WAV, FLAC, Ogg or MP3")


def _conversion(name: object) -> str:
    if not isinstance(name, str | PathLike):
        return "convert it to WAV with ffmpeg"
    path = os.fspath(name)
    path = path if not str(path).startswith("-") else os.path.join(os.curdir, str(path))
    stem, extension = os.path.splitext(str(path))
    target = stem + (".wav" if extension.lower() != ".wav" else ".16k.wav")
    return f"convert it: ffmpeg -i {shlex.quote(str(path))} -ar 16000 {shlex.quote(target)}"


class MediaFile:
    """Reads as `rawnet_jax.data.audio_file.AudioFile` does.

    Attributes:
        name: what errors call it.
        format: what the file is.
        subtype: FFmpeg's name of the codec.
        samplerate: of the samples.
        channels: of the samples.
        frames: None: nobody knows before it is decoded.
        notes: what a listener should know; they are logged where reading comes to the end.
    """

    frames = None

    def __init__(
        self, source: str | PathLike[str] | bytes, name: object, kind: Kind, most_s: float
    ) -> None:
        """Look at the structure of the file and begin to decode it.

        Args:
            source: a path, or the bytes of a file.
            name: what errors call it.
            kind: what it is.
            most_s: seconds of audio that the decoder may give.

        Raises:
            AudioError: the extra is missing, or the file is cut or damaged.
            OSError: the file cannot be read.
        """
        if not is_installed():
            raise unreadable(name, kind)
        self.name, self.format = name, kind.words
        self._kind = kind
        self._rest: memoryview = memoryview(b"")
        self._num_frames, self._is_done = 0, False
        with opened(source) as file:
            self._structure = structure_of(RecordingBytes(file, name), kind)
            self._source = source
            self.notes = self._structure.notes
            with _on_disk(file, source) as descriptor:
                self._process = MediaProcess(
                    descriptor, name, kind.demuxer, most_s, self._structure.stop
                )
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        letter, content = self._process.receive()
        header = json_of(content, self.name)
        if letter != b"H" or not isinstance(header, dict):
            raise self._broken()
        self._header = header
        self.samplerate = int(self._number(header, "rate"))
        self.channels = int(self._number(header, "channels"))
        self.subtype = printable(header.get("codec"))
        if not (1 <= self.samplerate <= 10**7 and 1 <= self.channels <= 1024):
            raise self._broken()
        count, place = self._number(header, "audio_streams"), self._number(header, "place")
        if count > 1:
            note = f"it has {count:.0f} audio streams; only number {place + 1:.0f} is read"
            self.notes = (*self.notes, note)

    def read(self, frames: int, dtype: str = "float32", always_2d: bool = False) -> np.ndarray:
        """Return the next frames, [n] or [n, channels]; fewer at the end only.

        Raises:
            AudioError: the decoder gives up, or ends before the end.
        """
        missing = frames * self.channels * 4
        pieces = []
        while missing and (self._rest or self._fill()):
            pieces.append(bytes(self._rest[:missing]))
            self._rest = self._rest[missing:]
            missing -= len(pieces[-1])
        block = np.frombuffer(b"".join(pieces), np.float32).astype(dtype)
        self._num_frames += len(block) // self.channels
        return block if self.channels == 1 and not always_2d else block.reshape(-1, self.channels)

    def _fill(self) -> bool:
        """Take the next block; return False where there is none."""
        if self._is_done:
            return False
        letter, content = self._process.receive()
        if letter == b"B" and content and len(content) % (4 * self.channels) == 0:
            self._rest = memoryview(content)
            return True
        if letter != b"Z":
            raise self._broken()
        self._is_done = True
        self._end(json_of(content, self.name))
        return False

    def _end(self, end: Any) -> None:
        """Hold what was decoded against what the container claims."""
        lines = end.get("said") if isinstance(end, dict) else None
        if not isinstance(lines, list):
            raise self._broken()
        said = [printable(line) for line in lines if _NOT_READ not in str(line)]
        cut = next((text for text in said if _CUT.search(text)), None)
        if cut is not None:
            raise AudioError(self.name, "truncated", f"FFmpeg says: {cut}")
        decoded_s = self._number(end, "frames") / self.samplerate
        begin_s, end_s = self._seconds(end.get("begin_s")), self._seconds(end.get("end_s"))
        self._check_length(decoded_s, max(decoded_s, end_s or 0.0))
        gaps_s = 0.0 if self._kind.is_estimated else (end_s or 0.0) - (begin_s or 0.0) - decoded_s
        if gaps_s > _GAP_S and said:
            what = f"{gaps_s:.2f} s are missing inside; FFmpeg says: {said[0]}"
            raise AudioError(self.name, "damaged", what)
        notes = [f"FFmpeg says: {text}" for text in said]
        if gaps_s > _GAP_S:
            notes.append(f"{gaps_s:.2f} s of gaps between its packets are left out")
        if self._kind.demuxer in _ENDS_WITH_LAST_PACKET:
            notes += self._rest_notes(int(self._number(end, "end_byte")))
        self.notes = (*self.notes, *notes)
        say_notes(self.name, self.notes)

    def _rest_notes(self, end_byte: int) -> tuple[str, ...]:
        try:
            with opened(self._source) as file:
                return rest_notes(RecordingBytes(file, self.name), end_byte)
        except OSError as error:  # it is gone meanwhile
            raise AudioError(self.name, "unreadable", str(error.strerror)) from None

    def _check_length(self, decoded_s: float, reached_s: float) -> None:
        lost_s = _LOST_S.get(self._kind.demuxer, _MOST_LOST_S)
        if decoded_s < self._structure.least_s - lost_s:
            what = f"the decoder gave {decoded_s:.2f} of {self._structure.least_s:.2f} s"
            raise AudioError(self.name, "damaged", what)
        claimed_s = None if self._kind.is_estimated else self._claimed_s()
        if claimed_s is not None and reached_s < claimed_s - lost_s:
            what = f"the decoder gave {reached_s:.2f} of {claimed_s:.2f} s"
            raise AudioError(self.name, "truncated", what)

    def _claimed_s(self) -> float | None:
        """Return where the container says that the stream ends; None = it does not."""
        tag = _TAG.fullmatch(str(self._header.get("tag", "")))
        if tag is not None:
            return 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3])
        stream_s = self._seconds(self._header.get("stream_s"))
        if stream_s is None and self._header.get("streams") == 1:
            return self._seconds(self._header.get("whole_s"))
        return stream_s

    def _number(self, message: dict[str, Any], key: str) -> float:
        value = self._seconds(message.get(key))
        if value is None:
            raise self._broken()
        return value

    def _seconds(self, value: Any) -> float | None:
        is_number = isinstance(value, int | float) and abs(value) < 1e15 and math.isfinite(value)
        return float(value) if is_number else None

    def _broken(self) -> AudioError:
        return AudioError(self.name, FAILED, "the decoder broke its protocol")

    def close(self) -> None:
        """End the decoder."""
        self._process.close()

    def __enter__(self) -> "MediaFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def _on_disk(file: BinaryIO, source: Any) -> Iterator[int]:
    """Give a descriptor of the recording, at its beginning."""
    if not isinstance(source, bytes):
        file.seek(0)
        yield file.fileno()
        return
    with _spool() as spool:
        spool.write(source)
        spool.flush()
        spool.seek(0)
        yield spool.fileno()


def _spool() -> Any:
    if hasattr(os, "memfd_create"):  # in memory
        return os.fdopen(os.memfd_create("recording"), "w+b")
    return tempfile.TemporaryFile()
