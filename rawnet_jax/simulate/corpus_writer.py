"""Writes corpora in the layout of ASVspoof 2017 version 2: folders, clips, protocols, whole or not.

Both classes go through `write_clip`, so that level, offset, dither and file format follow one law
and separate nothing.
"""

import io
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from filelock import BaseFileLock, FileLock, Timeout
from scipy.fft import irfft, rfft, rfftfreq

from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.audio import INT16_SCALE, to_int16
from rawnet_jax.errors import DataError
from rawnet_jax.simulate.devices import ENVIRONMENTS, device_rows
from rawnet_jax.simulate.rooms import Environment

MANIFEST = "corpus.json"
"""File in a written corpus that names what wrote it, and marks it as ours to replace."""

LEVEL_DBFS = (-32.0, -22.0)
"""Range from which a clip's RMS level is drawn, whatever its class."""

USABLE_BAND = 0.48
"""Share of a sample rate below which recordings have their signal."""

_MAX_PEAK = 0.9
_PROTOCOL_ENDINGS = {"train": "trn", "dev": "trl", "eval": "trl"}


@dataclass(frozen=True, slots=True)
class ProtocolEntry:
    """One line of an ASVspoof 2017 version 2 protocol.

    Attributes:
        partition: ``train``, ``dev`` or ``eval``.
        file_name: such as ``T_1000001.wav``.
        key: ``genuine`` or ``spoof``.
        speaker_id: who speaks.
        phrase_id: what is spoken; ``-`` where unknown.
        replay_ids: environment, playback and recording device; ``-`` for genuine speech.
    """

    partition: str
    file_name: str
    key: str
    speaker_id: str
    phrase_id: str
    replay_ids: tuple[str, str, str] = ("-", "-", "-")

    @property
    def line(self) -> str:
        """The seven columns."""
        columns = (self.file_name, self.key, self.speaker_id, self.phrase_id, *self.replay_ids)
        return " ".join(columns)

    @property
    def path(self) -> Path:
        """Place of the clip below the corpus root."""
        return audio_folder(self.partition) / self.file_name


@dataclass(frozen=True, slots=True)
class CorpusSummary:
    """What a writer did.

    Attributes:
        root: the corpus.
        was_written: False if it was there already.
        counts: number of clips by (partition, key).
        problems: one line per source file that was left out.
    """

    root: Path
    was_written: bool
    counts: Mapping[tuple[str, str], int]
    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Tell it in one line."""
        parts = []
        for partition in _PROTOCOL_ENDINGS:
            number = {key: self.counts.get((partition, key), 0) for key in ("genuine", "spoof")}
            if any(number.values()):
                parts.append(f"{partition} {number['genuine']} genuine + {number['spoof']} spoof")
        verb = "written" if self.was_written else "there already, nothing to do"
        return f"{self.root}: {verb}: {', '.join(parts)}"


def audio_folder(partition: str) -> Path:
    """Folder of a partition's clips below the corpus root."""
    return Path(f"ASVspoof2017_V2_{partition}")


def protocol_file(partition: str) -> Path:
    """A partition's protocol below the corpus root."""
    ending = _PROTOCOL_ENDINGS[partition]
    return Path("protocol_V2") / f"ASVspoof2017_V2_{partition}.{ending}.txt"


def clip_name(partition: str, number: int) -> str:
    """File name of the clip with a number from 1, such as ``T_1000001.wav``."""
    return f"{partition[0].upper()}_{1_000_000 + number}.wav"


def write_clip(
    path: Path,
    waveform: np.ndarray,
    rng: np.random.Generator,
    bandwidth_hz: float = 0.5 * SAMPLE_RATE_HZ,
) -> None:
    """Write a clip as 16 kHz 16-bit WAV under the level law that holds for both classes.

    The mean is removed, the RMS set to a level drawn from `LEVEL_DBFS` (lower where the peak would
    pass 0.9), and triangular dither of one quantisation step is added before rounding.

    Args:
        path: file to write.
        waveform: float [num_samples] at 16 kHz.
        rng: source of level and dither.
        bandwidth_hz: nothing is kept above; a narrow-band source has no replay noise up there.

    Raises:
        DataError: if the file cannot be written.
    """
    signal = centred(waveform, bandwidth_hz)
    level = 10.0 ** (rng.uniform(*LEVEL_DBFS) / 20.0)
    write_bytes(path, encoded(dithered(signal * gain_to(signal, level), rng), "WAV"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file.

    Raises:
        DataError: it cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from None


def centred(waveform: np.ndarray, bandwidth_hz: float) -> np.ndarray:
    """Return float64 [n] without what is above a frequency, and without its mean."""
    signal = np.asarray(waveform, dtype=np.float64)
    if bandwidth_hz < 0.5 * SAMPLE_RATE_HZ:
        signal = _band_limited(signal, bandwidth_hz)
    return signal - np.mean(signal)


def gain_to(signal: np.ndarray, level: float) -> float:
    """Return what brings a signal to an RMS level, or to a peak of 0.9 where that is less."""
    rms, peak = np.sqrt(np.mean(signal**2)), np.max(np.abs(signal))
    return float(min(level / max(rms, 1e-9), _MAX_PEAK / max(peak, 1e-9)))


def dithered(signal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return int16 [n]: triangular dither of one step is added before rounding."""
    dither = rng.random(len(signal)) - rng.random(len(signal))
    return to_int16(signal + dither / INT16_SCALE)[0]


def encoded(samples: np.ndarray, container: str) -> bytes:
    """Return int16 [n] at 16 kHz as a file of a format, ``WAV`` or ``FLAC``."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE_HZ, subtype="PCM_16", format=container)
    return buffer.getvalue()


def count_clips(entries: Iterable[ProtocolEntry]) -> Counter[tuple[str, str]]:
    """Return the number of clips by (partition, key)."""
    return Counter((entry.partition, entry.key) for entry in entries)


def write_protocols(root: Path, entries: Iterable[ProtocolEntry]) -> None:
    """Write one protocol per partition, lines in the order of entries."""
    lines: dict[str, list[str]] = {}
    for entry in entries:
        lines.setdefault(entry.partition, []).append(entry.line)
    for partition, text in lines.items():
        path = root / protocol_file(partition)
        path.parent.mkdir(exist_ok=True)
        write_lines(path, text)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write lines as UTF-8 with Unix line ends."""
    text = "".join(f"{line}\n" for line in lines)
    # A file name that is not UTF-8 must not stop the list that it stands in.
    path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def text_of_name(name: str) -> str:
    """Return a name of a file as UTF-8 text of one line."""
    text = name.encode("utf-8", "backslashreplace").decode()
    return text.replace("\n", "\\n").replace("\r", "\\r")


def write_device_table(root: Path, environments: Sequence[Environment] = ENVIRONMENTS) -> None:
    """Write ``devices.tsv``, which lists what the ids in the protocols mean."""
    rows = [("id", "description", "used in"), *device_rows(environments)]
    write_lines(root / "devices.tsv", ["\t".join(row) for row in rows])


def make_audio_folders(root: Path, entries: Iterable[ProtocolEntry]) -> None:
    """Make the folders that clips are written to."""
    for partition in {entry.partition for entry in entries}:
        (root / audio_folder(partition)).mkdir(exist_ok=True)


def write_manifest(root: Path, manifest: Mapping[str, Any]) -> None:
    """Write `MANIFEST`; it comes last and so marks a corpus as whole."""
    write_lines(root / MANIFEST, [json.dumps(manifest, indent=2, sort_keys=True)])


def read_manifest(root: Path) -> dict[str, Any] | None:
    """Return what `write_manifest` wrote, or None where there is no readable manifest."""
    try:
        manifest = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None


@contextmanager
def new_corpus(output_dir: str | os.PathLike[str], *, overwrite: bool) -> Iterator[Path]:
    """Give a temporary folder beside `output_dir` that becomes it when the block ends well.

    Args:
        output_dir: must not exist or be empty, unless `overwrite`.
        overwrite: replace what is there, if it is a corpus with a `MANIFEST`.

    Raises:
        DataError: if something is in the way, or another process writes the same corpus.
    """
    output = Path(output_dir).resolve()
    check_free(output, overwrite)
    partial_dir = output.with_name(f".{output.name}.partial")
    lock = locked(partial_dir, output)
    root, replaced = partial_dir / "corpus", partial_dir / "replaced"
    try:
        for leftover in (root, replaced):  # of a run that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        root.mkdir()
        yield root
        check_free(output, overwrite)
        put_in_place(root, output, replaced)
    finally:
        lock.release()
        shutil.rmtree(partial_dir, ignore_errors=True)


def _band_limited(signal: np.ndarray, bandwidth_hz: float) -> np.ndarray:
    """Remove everything above a frequency, with a raised-cosine edge 5 % wide below it."""
    frequency_hz = rfftfreq(len(signal), 1.0 / SAMPLE_RATE_HZ)
    position = np.clip((bandwidth_hz - frequency_hz) / (0.05 * bandwidth_hz), 0.0, 1.0)
    return np.asarray(irfft(rfft(signal) * (0.5 - 0.5 * np.cos(np.pi * position)), len(signal)))


def check_free(output: Path, overwrite: bool) -> None:
    """Refuse to write where something is in the way.

    Raises:
        DataError: something is.
    """
    if not output.exists():
        return
    if not output.is_dir():
        raise DataError(f"{output}: is a file; it must be a new folder")
    if not any(output.iterdir()):
        return
    if not overwrite:
        raise DataError(f"{output}: exists and is not empty; name a new folder or use --overwrite")
    if read_manifest(output) is None:
        raise DataError(
            f"{output}: holds no {MANIFEST}, so it is not a corpus of ours; it will not be deleted"
        )


def locked(partial_dir: Path, output: Path) -> BaseFileLock:
    """Make the folder that a corpus is written in, and keep other processes out of it.

    Raises:
        DataError: another process is in it, or it cannot be made.
    """
    lock = FileLock(partial_dir / ".lock")
    try:
        partial_dir.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise DataError(f"{output}: another process is writing it") from None
    except OSError as error:
        raise DataError(f"{output}: cannot be written: {error.strerror}") from None
    return lock


def put_in_place(root: Path, output: Path, replaced: Path) -> None:
    """Rename a whole corpus to its place; what is there goes to `replaced`."""
    if output.exists() and any(output.iterdir()):
        os.replace(output, replaced)
    elif output.exists():
        output.rmdir()
    os.replace(root, output)
