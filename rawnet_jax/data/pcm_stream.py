"""Audio from a pipe: raw PCM, WAV or AU, as it comes in and without seeking."""

import io
import logging
from collections.abc import Iterator

import numpy as np

from rawnet_jax.config import AudioConfig
from rawnet_jax.data.chunk_files import RECORDINGS
from rawnet_jax.data.pcm import PcmFormat, decoded
from rawnet_jax.data.stream_header import SNIFFED_BYTES, Header, is_header, read_header
from rawnet_jax.errors import AudioError

_LOG = logging.getLogger(__name__)

_MAX_PEAK = 1e3  # full scale = 1; beyond it the bytes are not samples of that encoding
_READ_BYTES = 2**16


class PcmStream:
    """Blocks of audio from a pipe or a file.

    Attributes:
        format: as the header of a WAV or AU says, or as it was given.
    """

    def __init__(
        self, file: io.BufferedReader | io.BytesIO, name: str, raw: PcmFormat | None = None
    ) -> None:
        """Read the header of a WAV or AU, or believe what is known of raw PCM.

        Args:
            file: what to read; only `read1` and `read` are called.
            name: what errors call it.
            raw: there is no header; the format of the samples.

        Raises:
            AudioError: there are no bytes, there is no header, or it holds no PCM; or there is one
                before samples that are declared raw.
        """
        self._file = file
        self._name = name
        start = file.read(SNIFFED_BYTES)
        if not start:
            raise AudioError(name, "empty", "there are no bytes")
        if raw is not None and is_header(start):
            what = "it begins with a header, which tells the format itself: leave out --format"
            raise AudioError(name, "not raw samples", what)
        if raw is None and not is_header(start):
            what = "no WAV or AU header; for raw samples give --format, --rate and --channels"
            raise AudioError(name, "not audio", what)
        self._pending = start if raw is not None else b""
        header = Header(raw, None) if raw is not None else read_header(start, file.read, name)
        self.format = header.format
        self._left = header.num_bytes  # that the header promises; None = any
        self._chunks = header.chunks

    def check(self, bounds: AudioConfig) -> None:
        """Hold the format against the bounds on rate and channels.

        Raises:
            AudioError: it is beyond them.
        """
        rate, channels = self.format.sample_rate_hz, self.format.num_channels
        low, high = bounds.min_sample_rate_hz, bounds.max_sample_rate_hz
        if not low <= rate <= high:
            what = f"{rate} Hz; it must be {low} to {high} Hz"
            raise AudioError(self._name, "sample rate out of bounds", what)
        if not 1 <= channels <= bounds.max_channels:
            what = f"{channels}; it must be 1 to {bounds.max_channels}"
            raise AudioError(self._name, "number of channels out of bounds", what)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield float32 [n, channels], full scale = 1, as soon as bytes are there.

        Raises:
            AudioError: there are no samples; they are so large that the format must be another; or
                more follow those that the header tells of.
        """
        is_empty = True
        frame_bytes = self.format.frame_bytes
        for data in self._bytes():
            self._pending += data
            whole = len(self._pending) // frame_bytes * frame_bytes
            if whole:
                is_empty = False
                samples = decoded(self._pending[:whole], self.format)
                self._pending = self._pending[whole:]
                self._check_level(samples)
                yield samples
        if is_empty:
            raise AudioError(self._name, "empty", "there is no whole sample")
        if self._pending:
            _LOG.warning(
                "%s: %d bytes at its end are not a whole frame", self._name, len(self._pending)
            )
        if self._left:
            _LOG.warning("%s: ends %d bytes before its header says", self._name, self._left)

    def _bytes(self) -> Iterator[bytes]:
        if self._pending:
            yield b""  # what was read to look for a header may be whole frames
        size = self._left
        while self._left is None or self._left > 0:
            wanted = _READ_BYTES if self._left is None else min(_READ_BYTES, self._left)
            data = self._file.read1(wanted)
            if not data:
                return
            if self._left is not None:
                self._left -= len(data)
            yield data
        if size is not None:
            self._look_behind(size)

    def _look_behind(self, size: int) -> None:
        """Refuse more samples behind those that the header tells of; other chunks may stand there.

        A player would pass over them in one program and play them in another.
        """
        self._skip(size % 2 if self._chunks else 0)
        while head := self._file.read(8):
            if head[:4] in (*RECORDINGS, b"data"):
                raise AudioError(self._name, "damaged", "another recording follows its end")
            is_name = len(head) == 8 and all(0x20 <= byte < 0x7F for byte in head[:4])
            if not (self._chunks and is_name):
                num_bytes = len(head) + self._skip(None)
                what = "bytes behind its end are not audio and are not read"
                _LOG.warning("%s: %d %s", self._name, num_bytes, what)
                return
            size = int.from_bytes(head[4:], "little" if self._chunks == "<" else "big")
            self._skip(size + size % 2)

    def _skip(self, num_bytes: int | None) -> int:
        """Read so many bytes, None = all; return how many there were."""
        found = 0
        while num_bytes is None or found < num_bytes:
            wanted = _READ_BYTES if num_bytes is None else min(_READ_BYTES, num_bytes - found)
            data = self._file.read1(wanted)
            if not data:
                break
            found += len(data)
        return found

    def _check_level(self, samples: np.ndarray) -> None:
        # What is not finite is the gate's to judge, and hides no other sample.
        peak = np.abs(samples).max(initial=0.0, where=np.isfinite(samples))
        if peak > _MAX_PEAK:
            what = f"a sample is {peak:.3g} times full scale; is it {self.format.encoding}?"
            raise AudioError(self._name, "too loud", what)
