"""What decoding in a process of its own costs: an m4a against the same audio as WAV.

    python -m benchmarks.media            # half a minute
    python -m benchmarks.media --tiny     # seconds; the figures mean little

Needs the extra `media`. Every reading of the m4a starts a process and ends it; the two kinds are
read in turns, so that a busy machine slows both.
"""

import argparse
import datetime
import importlib.metadata
import io
import platform
import statistics
import tempfile
import time

import numpy as np
import soundfile

from benchmarks.machine import num_cores, processor
from rawnet_jax.config import AudioConfig
from rawnet_jax.data.audio import Encoded, open_audio, read_waveform
from rawnet_jax.data.file_kinds import kind_of_file

RATE = 44_100


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true", help="small sizes, for a quick check")
    tiny = parser.parse_args().tiny
    today, versions = datetime.date.today(), importlib.metadata.version
    print(f"{today}, {num_cores()} cores of {processor()}, Python {platform.python_version()},")
    print(f"PyAV {versions('av')}, soundfile {versions('soundfile')}\n")
    print("| audio at 44.1 kHz, mono | m4a, s | WAV, s | m4a: times real time |")
    print("|---|---:|---:|---:|")
    for seconds, rounds in ((1, 3), (10, 3)) if tiny else ((1, 20), (10, 20), (600, 3)):
        samples = speech_like(seconds)
        m4a, wav = medians((m4a_of(samples), wav_of(samples)), rounds)
        print(f"| {seconds} s | {m4a:.3f} | {wav:.4f} | {seconds / m4a:.0f} |")
    small = m4a_of(speech_like(1))
    (start,) = medians((small,), 5 if tiny else 20, read=open_only)
    print(f"\nUntil the first samples are there: {start:.3f} s")
    kind, whole = kind_share(20 if tiny else 100)
    print(f"Telling the kind of a 3 s FLAC: {kind * 1e6:.0f} µs, {kind / whole:.1%} of reading it")


def kind_share(num_files: int) -> tuple[float, float]:
    """Return CPU seconds for telling what a FLAC file is, and for reading it."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/a.flac"
        soundfile.write(path, speech_like(3)[: 3 * 16_000], 16_000)
        taken = []
        for read in (kind_of_file, lambda name: read_waveform(name, AudioConfig())):
            start = time.process_time()
            for _ in range(num_files):
                read(path)
            taken.append((time.process_time() - start) / num_files)
    return taken[0], taken[1]


def speech_like(seconds: int) -> np.ndarray:
    """Return int16 [n]: noise with syllables, so that an encoder has something to do."""
    generator = np.random.default_rng(0)
    noise = generator.standard_normal(seconds * RATE)
    syllables = np.abs(np.sin(np.arange(len(noise)) * (2 * np.pi * 2 / RATE)))
    return (3_000 * noise * syllables).clip(-30_000, 30_000).astype(np.int16)


def m4a_of(samples: np.ndarray) -> Encoded:
    import av

    stream = io.BytesIO()
    with av.open(stream, "w", format="ipod") as container:
        audio = container.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
        for part in resampler.resample(frame):
            container.mux(audio.encode(part))
        container.mux(audio.encode(None))
    return Encoded(stream.getvalue(), "m4a")


def wav_of(samples: np.ndarray) -> Encoded:
    stream = io.BytesIO()
    soundfile.write(stream, samples, RATE, format="WAV")
    return Encoded(stream.getvalue(), "wav")


def read_whole(encoded: Encoded) -> None:
    read_waveform(encoded, AudioConfig(max_duration_s=3_600.0))


def open_only(encoded: Encoded) -> None:
    with open_audio(encoded, AudioConfig()) as file:
        file.read(1)


def medians(contents, rounds, read=read_whole) -> list[float]:
    """Return the median time of each, read in turns."""
    taken: list[list[float]] = [[] for _ in contents]
    for _ in range(rounds):
        for content, times in zip(contents, taken, strict=True):
            start = time.perf_counter()
            read(content)
            times.append(time.perf_counter() - start)
    return [statistics.median(times) for times in taken]


if __name__ == "__main__":
    main()
