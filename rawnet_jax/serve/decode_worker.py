"""Decodes recordings of strangers, one after the other, in a process that can do nothing else.

`rawnet_jax.serve.decode_process` starts it. Standard input is a row of requests, standard output
one of answers: length of a JSON object and of what follows it (uint32, little endian), the object,
the bytes. A request is a recording with the bounds on it; an answer is float32 samples at 16 kHz
with what was found out about them.

Of the two kinds of worker, one reads what libsndfile decodes, and all doors are closed behind it
before the first recording comes. The other reads what the extra `media` does: FFmpeg's libraries
run in a process of their own for each recording (see `rawnet_jax.data.media_worker`), so this kind
must be able to start one; it decodes nothing itself.
"""

import io
import json
import logging
import os
import signal
import struct
import sys
import time
from typing import Any

import numpy as np
import soundfile

from rawnet_jax.config import AudioConfig, GateConfig
from rawnet_jax.data.audio import Encoded
from rawnet_jax.data.file_kinds import kind_of_file
from rawnet_jax.data.mp3_frames import begins_mp3
from rawnet_jax.errors import AudioError
from rawnet_jax.scoring.decoded import Decoded, decode
from rawnet_jax.serve.seal import limit, seal

HEAD = struct.Struct("<II")
"""Before every message: bytes of the JSON object, and of what follows it."""

FAILED = "decoding failed"
"""`AudioError.reason` where the process gives up."""

_NAME = "recording"
_HEAD_BYTES = 2**13
LIFE = 20
"""A process may take so many times the CPU time of one recording in its life."""

_FORMS = (("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"))


def main() -> None:
    """Answer requests until there are none.

    Arguments: "sound" or "media", bytes of address space, seconds of CPU time for a recording, and
    the most bytes of one.
    """
    is_sound, memory_bytes, cpu_s, most_bytes = sys.argv[1] == "sound", *map(int, sys.argv[2:5])
    logging.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    if is_sound:
        sys.modules["av"] = None  # type: ignore[assignment]  # as if it were not installed
        _import_all()
    # A file in memory, which the extra `media` takes, counts as a file.
    limit(memory_bytes, LIFE * cpu_s, 0 if is_sound else most_bytes, 0 if is_sound else None)
    is_sealed = is_sound and seal()
    _write({"ready": True, "sealed": is_sealed}, b"")
    while (request := _read()) is not None:
        signal.setitimer(signal.ITIMER_PROF, cpu_s)  # SIGPROF ends the process
        _write(*_answer(*request))
        signal.setitimer(signal.ITIMER_PROF, 0)


def _import_all() -> None:
    """Decode one recording of each kind, so that nothing is imported or opened later."""
    waveform = (0.1 * np.sin(np.arange(8_000) / 5)).astype(np.float32)
    for container, codec in _FORMS:
        file = io.BytesIO()
        try:
            soundfile.write(file, waveform, 8_000, format=container, subtype=codec)
        except (ValueError, soundfile.SoundFileError):  # an older libsndfile writes fewer
            continue
        decode(Encoded(file.getvalue(), _NAME), AudioConfig(), GateConfig())
    decode(Encoded(b"no audio", _NAME), AudioConfig(), GateConfig())


def _answer(request: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
    seen: dict[str, Any] = {}

    def look(file: Any) -> None:
        seen.update(
            container=str(file.format),
            codec=str(file.subtype),
            rate_hz=int(file.samplerate),
            channels=int(file.channels),
        )

    audio, gate = AudioConfig(**request["audio"]), GateConfig(**request["gate"])
    try:
        found = decode(Encoded(content, _NAME), audio, gate, request["channel"], look)
    except MemoryError:
        found = _failed("it takes too much memory")
    except Exception as defect:  # of whatever kind: this recording's alone
        found = _failed(type(defect).__name__)
    refusal, error = found.refusal, found.error
    said = {
        "refusal": refusal and [refusal.reason, refusal.value, refusal.limit, refusal.detail],
        "error": error and [error.reason, error.detail],
        "notes": list(found.notes),
        "seen": seen,
        "is_audio": _begins_as_audio(content),
        "cpu_s": time.process_time(),
    }
    return said, found.waveform.astype("<f4", copy=False).tobytes()


def _begins_as_audio(content: bytes) -> bool:
    """Return whether the first bytes are those of a kind of file that is read here."""
    kind = kind_of_file(content)
    if kind is None:
        return begins_mp3(content[:_HEAD_BYTES])
    return kind.has_sound and (kind.is_ours or bool(kind.demuxer))


def _failed(what: str) -> Decoded:
    return Decoded(np.zeros(0, np.float32), error=AudioError(_NAME, FAILED, what))


def _read() -> tuple[dict[str, Any], bytes] | None:
    head = _exactly(HEAD.size)
    if head is None:
        return None
    num_text, num_bytes = HEAD.unpack(head)
    text, content = _exactly(num_text), _exactly(num_bytes)
    if text is None or content is None:
        return None
    return json.loads(text), content


def _exactly(num_bytes: int) -> bytes | None:
    """Read so many bytes; None where standard input ends before."""
    pieces = []
    while num_bytes:
        piece = os.read(0, min(num_bytes, 2**20))
        if not piece:
            return None
        pieces.append(piece)
        num_bytes -= len(piece)
    return b"".join(pieces)


def _write(said: dict[str, Any], content: bytes) -> None:
    text = json.dumps(said).encode()
    data = memoryview(HEAD.pack(len(text), len(content)) + text + content)
    while data:
        data = data[os.write(1, data) :]
