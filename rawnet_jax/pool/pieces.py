"""From a recording in a clone to the pieces of it in a pool: runs in worker processes."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from rawnet_jax.config import AudioConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.copy_synthesis.vocoder import Vocoder, copy_of
from rawnet_jax.data.audio import Encoded, from_int16, read_waveform
from rawnet_jax.errors import AudioError, DataError
from rawnet_jax.pool.clones import BlobReader
from rawnet_jax.pool.features import measured
from rawnet_jax.pool.laws import (
    LENGTH_S,
    PieceLaws,
    draw_piece,
    draw_recording,
    dressed,
    generator,
    joined,
    levelled,
    trimmed,
)
from rawnet_jax.pool.plan import Recording

AUDIO_FOLDER = "flac"
"""Folder of the pieces below a pool."""

AUDIO = AudioConfig(min_sample_rate_hz=15_000, max_duration_s=900.0)
"""What is decoded: below 15 kHz a recording has no speech up to 7.5 kHz."""

_SILENT_RMS = 1e-3
_MOST_PAUSES = 2.0  # of a long recording this many times as much is trimmed as pieces need

_open: list[BlobReader] = []  # of this process; the last clone that it read


@dataclass(frozen=True, slots=True)
class Made:
    """What came of one recording.

    Attributes:
        name: of the recording, see `Recording.name`.
        pieces: of each its utterance id, digest, number of samples, laws and features, in types of
            JSON.
        problem: why there is none, or of a file that was left out; "" = nothing.
    """

    name: str
    pieces: list[dict[str, Any]]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PieceMaker:
    """Makes the pieces of recordings.

    Attributes:
        folder: of the pool.
        git_dirs: clone of each repository.
        seed: of every draw.
        vocoders: by the name of their copies' system.
        is_clean: pieces go through no law but those of cutting.
    """

    folder: Path
    git_dirs: Mapping[str, Path]
    seed: int
    vocoders: Mapping[str, Vocoder]
    is_clean: bool = False

    def __call__(self, recording: Recording) -> Made:
        """Write the pieces of one recording.

        Raises:
            DataError: git ended, or a piece cannot be written.
        """
        git_dir = self.git_dirs[recording.repository]
        parts, source, problem = [], [], ""
        rng = generator(self.seed, recording.key)
        for path, blob in zip(recording.paths, recording.blobs, strict=True):
            try:
                waveform = _decoded(git_dir, f"{recording.repository}: {path}", blob)
            except AudioError as error:
                problem = str(error)
                continue
            source.append(waveform)
            most = round(_MOST_PAUSES * recording.pieces * LENGTH_S[1] * SAMPLE_RATE_HZ)
            parts.append(trimmed(waveform[:most], draw_recording(rng)))
        if not parts:
            return Made(recording.name, [], problem)
        before = measured(np.concatenate(source)[: 10 * SAMPLE_RATE_HZ])
        before["duration_s"] = sum(map(len, source)) / SAMPLE_RATE_HZ
        pieces = self._pieces(recording, joined(parts), before)
        if not pieces and not problem:
            problem = f"{recording.repository}: {recording.paths[0]}: too short or silent"
        return Made(recording.name, pieces, problem)

    def _pieces(
        self, recording: Recording, waveform: np.ndarray, before: dict[str, float]
    ) -> list[dict[str, Any]]:
        pieces: list[dict[str, Any]] = []
        at = 0
        for number in range(recording.pieces):
            rng = generator(self.seed, f"{recording.key}\n#{number}")
            laws = draw_piece(rng)
            part = waveform[at : at + round(laws.length_s * SAMPLE_RATE_HZ)]
            if len(part) < LENGTH_S[0] * SAMPLE_RATE_HZ:
                break
            if np.sqrt(np.mean(np.square(part, dtype=np.float64))) > _SILENT_RMS:
                name = f"{recording.name}_{number}"
                signal, settings = self._copied(recording, number, part)
                samples = levelled(signal) if self.is_clean else dressed(signal, laws, rng)
                pieces.append(
                    {
                        "utterance": name,
                        "source": f"{recording.source.name}_{number}",
                        "settings": settings,
                        "sha256": self._write(name, samples),
                        "num_samples": len(samples),
                        "start_s": round(at / SAMPLE_RATE_HZ, 4),
                        "laws": _said(laws, self.is_clean),
                        "source_features": before,
                        "features": measured(from_int16(samples)),
                    }
                )
            at += len(part)
        return pieces

    def _copied(
        self, recording: Recording, number: int, part: np.ndarray
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the piece, or its copy by the recording's vocoder, and what was drawn for it."""
        if not recording.vocoder:
            return part, {}
        vocoder = self.vocoders[recording.vocoder]
        rng = generator(self.seed, f"{recording.key}\n#{number}\n~{recording.vocoder}")
        settings = vocoder.draw(rng)
        return copy_of(np.asarray(part, np.float32), vocoder, settings, rng), settings

    def _write(self, name: str, samples: np.ndarray) -> str:
        """Write a piece and return the SHA-256 of its file."""
        stream = io.BytesIO()
        soundfile.write(stream, samples, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
        path = piece_path(self.folder, name)
        try:
            path.write_bytes(stream.getvalue())
        except OSError as error:
            raise DataError(f"{path}: cannot be written: {error.strerror}") from None
        return hashlib.sha256(stream.getvalue()).hexdigest()


def _said(laws: PieceLaws, is_clean: bool) -> dict[str, Any]:
    """Return the laws that a piece went through; of a clean one, its length alone."""
    if not is_clean:
        return asdict(laws)
    return dict.fromkeys(asdict(laws)) | {"length_s": laws.length_s}


def piece_path(folder: Path, name: str) -> Path:
    """Return where a piece of a pool lies."""
    return folder / AUDIO_FOLDER / f"{name}.flac"


def _decoded(git_dir: Path, name: str, blob: str) -> np.ndarray:
    content = _reader(git_dir).read(blob)
    if content is None:
        raise DataError(f"{git_dir}: content {blob} of {name} is gone")
    return read_waveform(Encoded(content, name), AUDIO)


def _reader(git_dir: Path) -> BlobReader:
    """Return this process's reader of a clone; recordings of one clone come in a row."""
    if not _open or _open[0].git_dir != git_dir:
        close_readers()
        _open.append(BlobReader(git_dir))
    return _open[0]


def close_readers() -> None:
    """End the git process of this process, if there is one."""
    while _open:
        _open.pop().close()
