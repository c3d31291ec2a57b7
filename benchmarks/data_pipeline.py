"""How fast audio is decoded, checked and batched, and how much memory that takes.

    python -m benchmarks.data_pipeline            # two minutes
    python -m benchmarks.data_pipeline --tiny     # seconds; the figures mean little

Everything runs on one core. Decoding is compared with plain `soundfile.read` on the same files, in
turns, so that a busy machine slows both. The 20 GB cache is a sparse file of zeros.
"""

import argparse
import datetime
import importlib.metadata
import os
import platform
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.machine import num_cores, processor
from rawnet_jax.config import AudioConfig, DataConfig, ProblemPolicy
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data.audio import read_waveform
from rawnet_jax.data.cache import open_or_build
from rawnet_jax.data.cache_files import map_part
from rawnet_jax.data.loader import BatchIterator, BatchSource
from rawnet_jax.data.trial import Clip, ProblemLedger, Trial
from rawnet_jax.labels import Label

BATCH_SIZE = 32
ONE_SECOND = SAMPLE_RATE_HZ


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    value: str
    target: str = ""
    met: bool | None = None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true", help="small sizes, for a quick check")
    parser.add_argument("--audio", type=Path, help="FLAC folder to decode instead of made-up files")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    num_files = 64 if arguments.tiny else 512
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = audio_files(arguments.audio, folder / "flac", num_files)
        rows = [
            *decoding(paths, num_rounds=3 if arguments.tiny else 15),
            *loading(paths, folder / "cache", seconds=0.3 if arguments.tiny else 3.0),
            *checking(folder, num_bytes=2**25 if arguments.tiny else 2**30),
            *large_cache(
                folder,
                num_bytes=2 * 10**8 if arguments.tiny else 20 * 10**9,
                num_batches=200 if arguments.tiny else 3000,
            ),
        ]
    print_table(rows)


def audio_files(audio: Path | None, folder: Path, num_files: int) -> list[Path]:
    """Return FLAC files: those of a folder, or new ones with noise that is shaped like speech."""
    if audio is not None:
        paths = sorted(audio.rglob("*.flac"))[:num_files]
        if not paths:
            raise SystemExit(f"{audio}: there are no .flac files")
        return paths
    folder.mkdir()
    generator = np.random.default_rng(0)
    paths = [folder / f"{number:05d}.flac" for number in range(num_files)]
    for path in paths:
        soundfile.write(path, speech_like(generator, generator.uniform(1.2, 4.0)), SAMPLE_RATE_HZ)
    return paths


def speech_like(generator: np.random.Generator, duration_s: float) -> np.ndarray:
    """Noise with a spectrum that falls by 12 dB an octave above 500 Hz, in syllables of 250 ms."""
    num_samples = int(duration_s * SAMPLE_RATE_HZ)
    spectrum = np.fft.rfft(generator.standard_normal(num_samples))
    frequency_hz = np.fft.rfftfreq(num_samples, 1 / SAMPLE_RATE_HZ)
    noise = np.fft.irfft(spectrum / (1 + (frequency_hz / 500) ** 2), num_samples)
    syllables = np.sin(np.pi * 4 * np.arange(num_samples) / SAMPLE_RATE_HZ) ** 2 + 0.01
    waveform = noise * syllables
    return 0.3 * waveform / np.abs(waveform).max()


def decoding(paths: Sequence[Path], num_rounds: int) -> list[Row]:
    """Files a second of `read_waveform` and of plain soundfile, in turns."""
    config = AudioConfig()

    def ours(path: Path) -> None:
        read_waveform(path, config)

    def plain(path: Path) -> None:
        soundfile.read(path, dtype="float32")

    def seconds(read: Callable[[Path], None]) -> float:
        start = time.perf_counter()
        for path in paths:
            read(path)
        return time.perf_counter() - start

    seconds(plain)  # brings the files into the page cache, for both
    times = [(seconds(ours), seconds(plain)) for _ in range(num_rounds)]
    ratio = statistics.median(plain_s / ours_s for ours_s, plain_s in times)
    ours_s, plain_s = (statistics.median(column) for column in zip(*times, strict=True))
    return [
        Row("decode FLAC, read_waveform", f"{len(paths) / ours_s:,.0f} files/s"),
        Row("decode FLAC, soundfile.read", f"{len(paths) / plain_s:,.0f} files/s"),
        Row("ratio of the two, median of rounds", f"{ratio:.2f}", ">= 0.80", ratio >= 0.8),
    ]


def loading(paths: Sequence[Path], cache_dir: Path, seconds: float) -> list[Row]:
    """One-second clips a second from a cache that is in memory."""
    clips = [
        Clip(Trial(f"{number}", Label(number % 2), path.name), path)
        for number, path in enumerate(paths)
    ]
    config = DataConfig(cache_dir=str(cache_dir), num_workers=1)
    start = time.perf_counter()
    cache = open_or_build(clips, config, ProblemLedger(ProblemPolicy()), progress=False)
    built_s = time.perf_counter() - start
    rows = [Row("build a cache, one process", f"{len(clips) / built_s:,.0f} files/s")]
    for crop, pad in (("first", "zero"), ("random", "repeat")):
        source = BatchSource(
            cache,
            batch_size=BATCH_SIZE,
            num_samples=ONE_SECOND,
            crop=crop,
            pad=pad,
            shuffle=True,
            num_epochs=10**6,
        )
        with BatchIterator(source) as batches:
            next(batches)  # starts the threads
            rate = clips_a_second(batches, seconds)
        rows.append(
            Row(
                f"load one-second clips, {crop} crop, {pad} pad",
                f"{rate:,.0f} clips/s",
                "> 10,000",
                rate > 10_000,
            )
        )
    return rows


def clips_a_second(batches: BatchIterator, seconds: float) -> float:
    num_clips = 0
    start = time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        num_clips += int((next(batches)["num_samples"] > 0).sum())
    return num_clips / passed


def checking(folder: Path, num_bytes: int) -> list[Row]:
    """Bytes a second of the check that every part goes through when a cache is opened."""
    data = np.random.default_rng(0).bytes(num_bytes)
    path = folder / "part"
    path.write_bytes(data)
    checksum = zlib.crc32(data)
    del data
    rates = []
    for _ in range(3):
        start = time.perf_counter()
        map_part(path, num_bytes // 2, checksum)
        rates.append(num_bytes / (time.perf_counter() - start) / 1e9)
    path.unlink()
    return [Row("check a cache that is in memory", f"{statistics.median(rates):.1f} GB/s")]


class SparseCache:
    """A cache of zeros of any size, in files that take no room."""

    def __init__(self, folder: Path, num_bytes: int, part_bytes: int = 2**25) -> None:
        self._clips_a_part = part_bytes // (2 * ONE_SECOND)
        num_parts = -(-num_bytes // part_bytes)
        self.num_samples = np.full(num_parts * self._clips_a_part, ONE_SECOND, np.int64)
        self.trials = [Trial(f"u{n}", Label.SPOOF, "") for n in range(len(self.num_samples))]
        self._parts = []
        for number in range(num_parts):
            path = folder / f"sparse-{number:05d}"
            with open(path, "wb") as file:
                file.truncate(part_bytes)
            self._parts.append(np.memmap(path, np.int16, "r").view(np.ndarray))

    def __len__(self) -> int:
        return len(self.trials)

    @property
    def owner(self) -> None:
        """Every process can read every clip."""

    def waveform(self, position: int) -> np.ndarray:
        """Return int16 [16000]."""
        part, clip = divmod(position, self._clips_a_part)
        return self._parts[part][clip * ONE_SECOND : (clip + 1) * ONE_SECOND]


def large_cache(folder: Path, num_bytes: int, num_batches: int) -> list[Row]:
    """Memory beside the page cache while random batches of a large cache are loaded."""
    cache = SparseCache(folder, num_bytes)
    source = BatchSource(
        cache,
        batch_size=BATCH_SIZE,
        num_samples=ONE_SECOND,
        crop="random",
        shuffle=True,
        num_epochs=10**6,
    )
    peak_mb = 0.0
    with BatchIterator(source) as batches:
        for number in range(num_batches):
            next(batches)
            if number % 50 == 0:
                peak_mb = max(peak_mb, anonymous_mb())
    name = f"memory beside the page cache, {num_bytes / 1e9:.1f} GB cache"
    if np.isnan(peak_mb):
        return [Row(name, "not known on this system")]
    return [Row(name, f"{peak_mb:,.0f} MB", "< 1,000 MB", peak_mb < 1000)]


def anonymous_mb() -> float:
    """Memory of this process that is not a mapped file, in MB; NaN without Linux's /proc."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except FileNotFoundError:
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def print_table(rows: Sequence[Row]) -> None:
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("numpy", "soundfile", "soxr", "grain")
    )
    print(f"date      {datetime.date.today()}")
    print(f"machine   {processor()}, {num_cores()} cores, one used; {platform.system()}")
    print(f"versions  Python {platform.python_version()}, {versions}")
    print(f"          libsndfile {soundfile.__libsndfile_version__}")
    print()
    width = max(len(row.name) for row in rows)
    for row in rows:
        verdict = "" if row.met is None else f"{row.target}: {'met' if row.met else 'MISSED'}"
        print(f"{row.name:<{width}}  {row.value:>18}  {verdict}".rstrip())


if __name__ == "__main__":
    main()
