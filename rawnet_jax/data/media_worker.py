"""Decodes one recording with FFmpeg's libraries, in a process that can do nothing else.

`rawnet_jax.data.media_file` runs this file by its path. It imports nothing of this package, so
that it starts fast. A file from a stranger meets decoders written in C here, so all doors are
closed before its first byte is read:

- no file, socket or program is opened any more: the limit of open files is 0 (POSIX; root could
  lift it again);
- address space, CPU time and the length of the output are bounded; nothing is written to disk;
- FFmpeg gets the demuxer by name, audio decoders alone, no protocol and no second file;
- on Linux no new privileges, and a network of its own without devices, where the system lets us;
- it ends when the pipe at its standard input closes, so with its parent, however that ends.

Standard output is a row of messages: a letter, the length (uint32, little endian), the content.
``H`` the header and ``Z`` the end are JSON objects, ``B`` is a block of float32 samples, channels
interleaved; ``E`` is a JSON list of the reason and the detail of an `AudioError`.
"""

import ctypes
import errno
import fcntl
import io
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Iterator
from typing import Any

MEMORY_BYTES = 2**29
"""Of address space; FFmpeg and Python take 120 MB of it."""

CPU_START_S = 20
CPU_PER_AUDIO_S = 0.1
"""CPU time: some seconds, and a share of the longest audio that is accepted."""

BLOCK_BYTES = 2**18
"""No block of samples is larger."""

DECODERS = (
    *("aac", "aac_latm", "ac3", "eac3", "alac", "amrnb", "amrwb", "libopencore_amrnb"),
    *("libopencore_amrwb", "ape", "flac", "opus", "libopus", "vorbis", "speex", "libspeex", "tta"),
    *("mp1float", "mp1", "mp2float", "mp2", "mp3float", "mp3", "wavpack", "wmav1", "wmav2"),
    *("wmapro", "wmalossless", "wmavoice", "pcm_alaw", "pcm_mulaw", "pcm_s8", "pcm_u8"),
    *("pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_f32le"),
    *("pcm_f32be", "pcm_f64le", "pcm_f64be", "adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms"),
    *("qdm2", "qdmc", "gsm", "gsm_ms", "libgsm", "libgsm_ms", "mace3", "mace6", "adpcm_g726"),
    *("g722", "g723_1", "truespeech", "nellymoser", "qcelp", "evrc", "ilbc", "libilbc"),
)
"""The only decoders that FFmpeg may use: of audio, for what phones and recorders write."""

_TAKES_ASYNC = getattr(os, "O_ASYNC", 0)
_NEW_NETWORK, _NEW_USER = 0x4000_0000, 0x1000_0000  # of unshare(2)
_NO_NEW_PRIVILEGES = 38  # of prctl(2)
_DEFAULT = 1  # of the flags of a stream
_SKIP_MANUAL = 1 << 29  # of the flags of a codec
_MOST_STREAMS = 64
_MOST_SAID = 8  # lines of FFmpeg that are passed on
_WHITELIST = "not on whitelist"  # said of video, which is not read


class Refused(Exception):
    """Why the recording is not decoded: `reason` and `detail` of an `AudioError`."""


def main() -> None:
    """Decode.

    Arguments: the file's descriptor, the demuxer, the most seconds of audio, and the byte at which
    the recording stops (-1 = where the file does).
    """
    descriptor, demuxer, most_s, stop = int(sys.argv[1]), sys.argv[2], *map(float, sys.argv[3:5])
    _end_with_parent()
    try:
        import av
        import av.logging
        import av.subtitles.codeccontext
        import av.subtitles.stream  # which PyAV would import when it is too late

        _close_doors(most_s)
        with io.FileIO(descriptor, closefd=False) as file:
            end = _decode(av, _ReadOnly(file, int(stop)), demuxer, most_s)
    except Refused as error:
        _send(b"E", list(error.args))
    except MemoryError:
        _send(b"E", ["decoding failed", f"it takes more than {MEMORY_BYTES >> 20} MiB of memory"])
    except Exception as error:  # of whatever kind: one line for the parent
        _send(b"E", ["decoding failed", f"{type(error).__name__}: {error}"])
    else:
        _send(b"Z", end)


def _end_with_parent() -> None:
    """Have SIGIO, which ends a process, come when the pipe at standard input closes."""
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | _TAKES_ASYNC)


def _close_doors(most_s: float) -> None:
    cpu_s = int(CPU_START_S + CPU_PER_AUDIO_S * min(most_s, 1e7))
    limits = {
        "RLIMIT_AS": MEMORY_BYTES,
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_NPROC": 0,
        "RLIMIT_NOFILE": 0,
    }
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        if libc.unshare(_NEW_NETWORK):
            libc.unshare(_NEW_NETWORK | _NEW_USER)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))  # SIGXCPU tells why it ended
    for name, most in limits.items():
        kind = getattr(resource, name, None)
        if kind is not None:
            resource.setrlimit(kind, (most, most))


class _ReadOnly:
    """What FFmpeg sees of the file: no name, no way to write, nothing behind the stop."""

    name = ""

    def __init__(self, file: io.FileIO, stop: int) -> None:
        self.tell = file.tell
        self._file = file
        self._stop = stop if stop >= 0 else file.seek(0, io.SEEK_END)
        file.seek(0)

    def read(self, size: int) -> bytes:
        return self._file.read(max(min(size, self._stop - self._file.tell()), 0))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            return self._file.seek(max(self._stop + offset, 0))
        return self._file.seek(offset, whence)


def _opens_nothing(*_: object) -> None:
    raise Refused("not audio", "it names other files, which are not opened")


def _decode(av: Any, file: _ReadOnly, demuxer: str, most_s: float) -> dict[str, Any]:
    """Send the header and all samples; return what is said at the end."""
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(True)
    with av.logging.Capture() as said:
        try:
            container = _opened(av, file, demuxer)
        except av.error.FFmpegError as error:
            raise _refusal(error, said, "opened") from None
        with container:
            stream = _audio_stream(container)
            said.clear()  # of streams that are not read
            reader = _Reader(container, stream)
            try:
                for frame in reader.frames(av):
                    if not reader.num_frames:
                        _send(b"H", _header(container, stream, frame))
                    reader.num_frames += frame.samples
                    if reader.num_frames > most_s * frame.sample_rate + 1:
                        raise Refused("too long", f"more than {most_s:g} s")
                    _send_samples(frame)
            except av.error.FFmpegError as error:
                where = f"decoded after {reader.num_frames} frames"
                raise _refusal(error, said, where) from None
            if not reader.num_frames and said:
                raise Refused("damaged", f"no sample can be decoded: {said[-1][2].strip()}")
            if not reader.num_frames:
                raise Refused("empty", "the file has no samples")
            return reader.end() | {"said": [text.strip() for _, _, text in said][:_MOST_SAID]}


def _opened(av: Any, file: _ReadOnly, demuxer: str) -> Any:
    options = {
        "protocol_whitelist": "none",
        "format_whitelist": demuxer,
        "codec_whitelist": ",".join(DECODERS),
        "max_streams": str(_MOST_STREAMS),
    }
    return av.open(
        file,
        format=demuxer,
        options=options,
        io_open=_opens_nothing,
        metadata_errors="replace",
    )


def _refusal(error: Any, said: list[tuple[int, str, str]], what: str) -> Exception:
    """Return the error that tells what FFmpeg refused."""
    if error.errno == errno.ENOMEM:
        return MemoryError()
    told = [text.strip() for _, _, text in said if _WHITELIST not in text]
    detail = "; ".join(told[-2:]) or str(error.strerror)
    if detail.startswith("Error number"):  # which says nothing
        detail = "FFmpeg refuses what is there"
    return Refused("damaged", f"it cannot be {what}: {detail}")


def _audio_stream(container: Any) -> Any:
    """Return the stream that a player would play."""
    streams = list(container.streams.audio)
    if not streams:
        raise Refused("not audio", "it holds no audio stream")
    default = [stream for stream in streams if int(stream.disposition) & _DEFAULT]
    stream = (default or streams)[0]
    context = stream.codec_context
    if context is None or context.codec.name not in DECODERS:
        name = "unknown" if context is None else context.codec.name
        raise Refused("not audio", f"its audio codec is not read: {name}")
    context.thread_count = 1
    if container.format.name == "caf" and context.codec.name == "alac":
        context.flags2 |= _SKIP_MANUAL  # or the end is cut twice, by the packets and by the table
    return stream


class _Reader:
    """Frames of one stream as float32, and what was seen on the way."""

    def __init__(self, container: Any, stream: Any) -> None:
        self.num_frames = 0
        self._container = container
        self._stream = stream
        self._begin_s: float | None = None
        self._end_s: float | None = None
        self._end_byte = 0

    def end(self) -> dict[str, Any]:
        return {
            "frames": self.num_frames,
            "begin_s": self._begin_s,
            "end_s": self._end_s,
            "end_byte": self._end_byte,
        }

    def frames(self, av: Any) -> Iterator[Any]:
        resampler, first = None, None
        for packet in self._container.demux(self._stream):
            if packet.is_corrupt:
                raise Refused("truncated", "a packet of it is cut")
            if packet.pos is not None and packet.pos >= 0 and packet.size:
                self._end_byte = max(self._end_byte, packet.pos + packet.size)
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise Refused("damaged", f"a frame is damaged after {self.num_frames} frames")
                form = (frame.sample_rate, frame.layout.name, frame.format.name)
                if resampler is None:  # to float32 alone: rate and channels stay
                    first, kept = form, {"layout": frame.layout, "rate": frame.sample_rate}
                    resampler = av.AudioResampler(format="flt", **kept)
                if form != first:
                    what = f"{first} is followed by {form} after {self.num_frames} frames"
                    raise Refused("mixed parts", what)
                self._clock(frame)
                yield from resampler.resample(frame)
        if resampler is not None:
            yield from resampler.resample(None)

    def _clock(self, frame: Any) -> None:
        if frame.pts is not None and frame.time_base is not None:
            begin_s = float(frame.pts * frame.time_base)
            self._begin_s = begin_s if self._begin_s is None else self._begin_s
            self._end_s = begin_s + frame.samples / frame.sample_rate


def _header(container: Any, stream: Any, frame: Any) -> dict[str, Any]:
    length = stream.duration
    return {
        "rate": frame.sample_rate,
        "channels": frame.layout.nb_channels,
        "codec": stream.codec_context.codec.name,
        "stream_s": None if length is None else float(length * stream.time_base),
        "tag": stream.metadata.get("DURATION", ""),
        "whole_s": None if container.duration is None else container.duration / 1e6,
        "streams": len(container.streams),
        "audio_streams": len(container.streams.audio),
        "place": [other.index for other in container.streams.audio].index(stream.index),
    }


def _send_samples(frame: Any) -> None:
    view = memoryview(frame.planes[0])[: frame.samples * frame.layout.nb_channels * 4]
    for start in range(0, len(view), BLOCK_BYTES):
        _write(b"B", bytes(view[start : start + BLOCK_BYTES]))


def _send(kind: bytes, content: object) -> None:
    _write(kind, json.dumps(content).encode())


def _write(kind: bytes, content: bytes) -> None:
    data = memoryview(kind + struct.pack("<I", len(content)) + content)
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    main()
