"""Recordings of every container, made by code, and what is read of them."""

import functools
import io
import struct

import numpy as np
import pytest
import soundfile

from rawnet_jax.config import AudioConfig
from rawnet_jax.data.audio import Encoded, open_audio
from rawnet_jax.data.mp3_frames import header_of
from rawnet_jax.data.ogg_pages import page_checksum
from rawnet_jax.errors import AudioError

CONFIG = AudioConfig()
RATE = 16_000
KINDS = {
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "opus": ("OGG", "OPUS"),
    "vorbis": ("OGG", "VORBIS"),
    "flac": ("FLAC", "PCM_16"),
}
CHUNKED = {
    "wav": ("WAV", "PCM_16"),
    "float": ("WAV", "FLOAT"),
    "mulaw": ("WAV", "ULAW"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "au": ("AU", "PCM_16"),
}
ID3V1 = b"TAG" + bytes(125)
ID3V2 = b"ID3\x04\0\0\0\0\0\x05hello"
APE = b"APETAGEX" + struct.pack("<IIII8x", 2000, 32, 0, 0)


def buzz(num_samples: int, seed: int = 0, channels: int = 1) -> np.ndarray:
    """Noise with syllables: float64 [n] or [n, channels]."""
    rng = np.random.default_rng(seed)
    loudness = np.abs(np.sin(np.arange(num_samples) / 2_000))
    values = rng.normal(0, 0.1, (num_samples, channels)).clip(-0.9, 0.9) * loudness[:, None]
    return values[:, 0] if channels == 1 else values


def encoded(kind: str, samples: np.ndarray, rate: int = RATE, **options: object) -> bytes:
    container, subtype = (KINDS | CHUNKED)[kind]
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype, format=container, **options)
    return file.getvalue()


def decoded(content: bytes) -> np.ndarray:
    """Read all samples as `score` does."""
    with open_audio(Encoded(content), CONFIG) as file:
        blocks = []
        while len(block := file.read(2**20)):
            blocks.append(block)
        assert sum(map(len, blocks)) == file.frames
    return np.concatenate(blocks)


def plain(content: bytes) -> np.ndarray:
    """Read what libsndfile reads by itself."""
    with soundfile.SoundFile(io.BytesIO(content)) as file:
        return file.read(2**20, dtype="float32")


def refusal(content: bytes) -> str:
    with pytest.raises(AudioError) as caught:
        decoded(content)
    assert "\n" not in str(caught.value)
    return caught.value.reason


def ogg_pages(content: bytes) -> list[tuple[int, int]]:
    """Return [start, stop) of every page."""
    pages, at = [], 0
    while at < len(content):
        table = content[at + 27 : at + 27 + content[at + 26]]
        pages.append((at, at + 27 + len(table) + sum(table)))
        at = pages[-1][1]
    return pages


@functools.cache
def long_ogg(kind: str) -> bytes:
    return encoded(kind, buzz(30 * RATE))


def with_page(content: bytes, page: tuple[int, int], at: int, new: bytes) -> bytes:
    """Overwrite bytes of a page and set its checksum."""
    changed = bytearray(content[page[0] : page[1]])
    changed[at : at + len(new)] = new
    changed[22:26] = page_checksum(changed)
    return content[: page[0]] + bytes(changed) + content[page[1] :]


def without_xing(content: bytes) -> bytes:
    first = header_of(content[1], content[2])
    assert first is not None
    assert b"Xing" in content[:48] or b"Info" in content[:48]
    return content[first.size :]


def wav_of(content: bytes, code: int, claim: int | None = None) -> bytes:
    form = struct.pack("<HHIIHHHHIHHH", code, 1, RATE, 8_000, 1, 0, 12, 1, 2, 576, 1, 0)
    size = len(content) if claim is None else claim
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", len(body) + len(content)) + body + content


SHORT = {kind: encoded(kind, buzz(2 * RATE)) for kind in [*KINDS, *CHUNKED]}
DECODED = {kind: plain(content) for kind, content in SHORT.items()}


def outcome(content: bytes) -> tuple[int, bool] | None:
    """Return how many samples were read and whether there was a note; None = refused."""
    try:
        with open_audio(Encoded(content), CONFIG) as file:
            return len(file.read(2**22)), bool(file.notes)
    except AudioError:
        return None
