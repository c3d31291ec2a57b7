"""What it costs to find the true end of a recording, beside decoding it.

    python -m benchmarks.decoding            # two minutes
    python -m benchmarks.decoding --tiny     # seconds; the figures mean little

Plain files of each kind, decoded in turns: by `read_waveform`, by `read_waveform` with nothing but
soundfile below it (which believes headers), and by `soundfile.read`. One core, processor time.
"""

import argparse
import datetime
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import soundfile

from benchmarks.data_pipeline import speech_like
from benchmarks.machine import num_cores, processor
from rawnet_jax.config import AudioConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.data import audio

KINDS = {
    "WAV": ("WAV", "PCM_16"),
    "WAV, float": ("WAV", "FLOAT"),
    "FLAC": ("FLAC", "PCM_16"),
    "Ogg Vorbis": ("OGG", "VORBIS"),
    "Ogg Opus": ("OGG", "OPUS"),
    "MP3": ("MP3", "MPEG_LAYER_III"),
}
CONFIG = AudioConfig()


class BelievesHeaders(soundfile.SoundFile):
    """Opens a file as `rawnet_jax.data.audio_file.AudioFile` does, and asks no questions."""

    def __init__(self, source: Any, _name: object) -> None:
        super().__init__(source)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true", help="few rounds, for a quick check")
    num_rounds = 5 if parser.parse_args().tiny else 61
    print(f"date      {datetime.date.today()}")
    print(f"machine   {processor()}, {num_cores()} cores, one used; {platform.system()}")
    print(f"versions  Python {platform.python_version()}, NumPy {np.__version__}")
    print(f"          soundfile {soundfile.__version__}, {soundfile.__libsndfile_version__}")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print()
    heads = ("read_waveform", "headers believed", "ratio", "soundfile.read")
    print(f"{'ms':<18} {heads[0]:>14} {heads[1]:>17} {heads[2]:>20} {heads[3]:>15}")
    with tempfile.TemporaryDirectory() as folder:
        for kind, seconds in ((kind, seconds) for seconds in (2, 60) for kind in KINDS):
            path = Path(folder) / "recording"
            write(path, kind, seconds)
            print(row(f"{kind}, {seconds} s", path, 20 if seconds < 10 else 1, num_rounds))


def write(path: Path, kind: str, seconds: int) -> None:
    container, subtype = KINDS[kind]
    samples = speech_like(np.random.default_rng(0), seconds)
    soundfile.write(path, samples, SAMPLE_RATE_HZ, subtype, format=container)


def row(name: str, path: Path, num_reads: int, num_rounds: int) -> str:
    """Time all three ways in turns; the ratio is of the first to the second."""
    ours(path)  # brings the file into the page cache
    rounds = []
    for _ in range(num_rounds):
        whole = timed(ours, path, num_reads)
        with mock.patch.object(audio, "AudioFile", BelievesHeaders):
            without = timed(ours, path, num_reads)
        rounds.append((whole, without, timed(plain, path, num_reads)))
    ratios = sorted(times[0] / times[1] for times in rounds)
    first, second, third = (statistics.median(column) for column in zip(*rounds, strict=True))
    low, high = ratios[num_rounds // 10], ratios[-1 - num_rounds // 10]
    ratio = f"{statistics.median(ratios):.3f} ({low:.2f}..{high:.2f})"
    return f"{name:<18} {first:>14.3f} {second:>17.3f} {ratio:>20} {third:>15.3f}"


def timed(way: Callable[[Path], object], path: Path, num_reads: int) -> float:
    """Return milliseconds of a read."""
    start = time.thread_time()
    for _ in range(num_reads):
        way(path)
    return 1e3 * (time.thread_time() - start) / num_reads


def ours(path: Path) -> object:
    return audio.read_waveform(path, CONFIG)


def plain(path: Path) -> object:
    return soundfile.read(path, dtype="float32")


if __name__ == "__main__":
    main()
