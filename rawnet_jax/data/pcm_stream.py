"""Audio from a pipe: raw PCM or WAV, as it comes in and without seeking."""

import io
import logging
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rawnet_jax.config import AudioConfig
from rawnet_jax.data.chunk_files import is_placeholder
from rawnet_jax.errors import AudioError, ConfigError

_LOG = logging.getLogger(__name__)

ENCODINGS = ("s16le", "f32le", "u8", "s24le", "s32le", "f64le")
"""Raw PCM: signed, float or unsigned; bits; little-endian. As ffmpeg calls them."""

_TYPES = {"s16le": "<i2", "s32le": "<i4", "f32le": "<f4", "f64le": "<f8", "u8": "u1"}
_WAV_ENCODINGS = {
    (1, 8): "u8",
    (1, 16): "s16le",
    (1, 24): "s24le",
    (1, 32): "s32le",
    (3, 32): "f32le",
    (3, 64): "f64le",
}
_EXTENSIBLE = 0xFFFE  # the format is in the first two bytes of a longer header's GUID
_MAX_PEAK = 1e3  # full scale = 1; beyond it the bytes are no samples of that encoding
_MAX_HEADER_BYTES = 2**24  # pictures and notes stand before the samples
_READ_BYTES = 2**16


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """How samples are written down.

    Attributes:
        encoding: one of `ENCODINGS`.
        sample_rate_hz: frames per second.
        num_channels: samples in a frame.
    """

    encoding: str
    sample_rate_hz: int
    num_channels: int = 1

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self.num_channels * _sample_bytes(self.encoding)


class PcmStream:
    """Blocks of audio from a pipe or a file.

    Attributes:
        format: as the header of a WAV says, or as it was given.
    """

    def __init__(
        self, file: io.BufferedReader | io.BytesIO, name: str, raw: PcmFormat | None = None
    ) -> None:
        """Read the header of a WAV, or believe what is known of raw PCM.

        Args:
            file: what to read; only `read1` and `read` are called.
            name: what errors call it.
            raw: there is no header; the format of the samples.

        Raises:
            AudioError: there is no WAV header, or it holds no PCM; or there is one before samples
                that are declared raw.
        """
        self._file = file
        self._name = name
        self._left: int | None = None  # bytes of samples that the header promises; None = any
        start = file.read(12)
        is_wav = start[:4] in (b"RIFF", b"RF64") and start[8:] == b"WAVE"
        if raw is not None and is_wav:
            what = "it begins with a WAV header, which tells the format itself: leave out --format"
            raise AudioError(name, "not raw samples", what)
        if raw is None and not start:
            raise AudioError(name, "empty", "there are no bytes")
        if raw is None and not is_wav:
            what = "no WAV header; for raw samples give --format, --rate and --channels"
            raise AudioError(name, "not audio", what)
        self._pending = start if raw is not None else b""
        self.format = self._read_header() if raw is None else raw

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
            AudioError: samples are so large that the format must be another; or more samples follow
                those that the header tells of.
        """
        frame_bytes = self.format.frame_bytes
        for data in self._bytes():
            self._pending += data
            whole = len(self._pending) // frame_bytes * frame_bytes
            if whole:
                samples = _decoded(self._pending[:whole], self.format)
                self._pending = self._pending[whole:]
                self._check_level(samples)
                yield samples
        if self._pending:
            _LOG.warning(
                "%s: %d bytes at its end are no whole frame", self._name, len(self._pending)
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
        self._skip(size % 2)
        while head := self._file.read(8):
            if head[:4] in (b"RIFF", b"RF64", b"data"):
                raise AudioError(self._name, "damaged", "another recording follows its end")
            if len(head) < 8 or not all(0x20 <= byte < 0x7F for byte in head[:4]):
                num_bytes = len(head) + self._skip(None)
                what = "bytes behind its end are no audio and are not read"
                _LOG.warning("%s: %d %s", self._name, num_bytes, what)
                return
            size = int.from_bytes(head[4:], "little")
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

    def _read_header(self) -> PcmFormat:
        found: PcmFormat | None = None
        num_read = 0
        while True:
            name, size = struct.unpack("<4sI", self._exactly(8))
            if name == b"data":
                break
            num_read += size
            if num_read > _MAX_HEADER_BYTES:
                raise AudioError(self._name, "damaged", f"no samples in {num_read} bytes of header")
            body = self._exactly(size + size % 2)
            if name == b"fmt ":
                found = self._parsed(body)
        if found is None:
            raise AudioError(self._name, "damaged", "its WAV header tells no format")
        if size and not is_placeholder(size):
            self._left = size
        return found

    def _parsed(self, body: bytes) -> PcmFormat:
        """Return the format that a format chunk names."""
        if len(body) < 16:
            raise AudioError(self._name, "damaged", f"{len(body)} bytes of WAV format")
        code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
        if code == _EXTENSIBLE and len(body) >= 26:
            code = int.from_bytes(body[24:26], "little")
        encoding = _WAV_ENCODINGS.get((code, bits))
        if encoding is None:
            what = f"WAV of format {code} with {bits} bits; it must be PCM or float"
            raise AudioError(self._name, "not PCM", what)
        return PcmFormat(encoding, rate, channels)

    def _exactly(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise AudioError(self._name, "truncated", "it ends in its WAV header")
        return data


def raw_format(
    encoding: str | None, sample_rate_hz: int | None, num_channels: int | None
) -> PcmFormat | None:
    """Return the format that flags describe; None = look for a header.

    Raises:
        ConfigError: rate or channels without an encoding, or an encoding without a rate.
    """
    if encoding is None:
        if sample_rate_hz is not None or num_channels is not None:
            raise ConfigError("--rate and --channels describe raw samples: give --format too")
        return None
    if sample_rate_hz is None:
        raise ConfigError(f"--format {encoding} has no header: give --rate too")
    return PcmFormat(encoding, sample_rate_hz, num_channels or 1)


def _sample_bytes(encoding: str) -> int:
    return 3 if encoding == "s24le" else np.dtype(_TYPES[encoding]).itemsize


def _decoded(data: bytes, form: PcmFormat) -> np.ndarray:
    """Return float32 [n, channels] of whole frames."""
    if form.encoding == "s24le":
        wide = np.zeros((len(data) // 3, 4), np.uint8)  # the lowest byte stays 0
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        values = wide.view("<i4")[:, 0]
    else:
        values = np.frombuffer(data, _TYPES[form.encoding])
    if form.encoding == "u8":
        samples = (values.astype(np.float32) - 128) / 128
    elif values.dtype.kind == "i":
        full_scale = 2.0 ** (8 * values.dtype.itemsize - 1)
        samples = (values * (1 / full_scale)).astype(np.float32)
    else:
        # Beyond float32 is infinite; what is not finite is noticed later.
        with np.errstate(over="ignore", invalid="ignore"):
            samples = values.astype(np.float32)
    return samples.reshape(-1, form.num_channels)
