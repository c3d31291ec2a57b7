"""How fast each vocoder of `vocode` is on one core.

    python -m benchmarks.vocoders FOLDER                       # those without model files
    python -m benchmarks.vocoders FOLDER --model lyra          # and one with them

Real-time factor: seconds of processor time per second of speech, for each recording once, with
settings drawn again. The first call of a vocoder is not counted. Model files run on one thread.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.machine import num_cores, processor
from rawnet_jax.config import AudioConfig
from rawnet_jax.contract import SAMPLE_RATE_HZ
from rawnet_jax.copy_synthesis.model_files import model_vocoders
from rawnet_jax.copy_synthesis.table import chosen
from rawnet_jax.copy_synthesis.vocoder import Vocoder, copy_of
from rawnet_jax.data.audio import read_waveform
from rawnet_jax.simulate.speakers import recordings_in


def real_time_factors(row: Vocoder, waveforms: Sequence[np.ndarray]) -> list[float]:
    """Return the real-time factor of one vocoder for each recording."""
    factors = []
    for number, waveform in enumerate([waveforms[0], *waveforms]):
        rng = np.random.default_rng(number)
        settings = row.draw(rng)
        begun = time.process_time()
        copy_of(waveform, row, settings, rng)
        factors.append((time.process_time() - begun) * SAMPLE_RATE_HZ / len(waveform))
    return factors[1:]


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of recordings")
    parser.add_argument("--num-clips", type=int, default=20, help="recordings (default: 20)")
    parser.add_argument("--model", type=Path, action="append", default=[], help="as in vocode")
    args = parser.parse_args(words)
    paths = recordings_in(args.folder)
    step = max(1, len(paths) // args.num_clips)
    waveforms = [read_waveform(path, AudioConfig()) for path in paths[::step][: args.num_clips]]
    seconds = sum(map(len, waveforms)) / SAMPLE_RATE_HZ
    print(f"{processor()}, {num_cores()} cores, Python {sys.version.split()[0]}")
    print(f"{len(waveforms)} recordings, {seconds:.1f} s")
    print(f"{'vocoder':<18}{'median':>8}{'least':>8}{'most':>8}")
    with threadpool_limits(1):
        for row in chosen([], model_vocoders(args.model)):
            found = real_time_factors(row, waveforms)
            values = statistics.median(found), min(found), max(found)
            print(f"{row.name:<18}" + "".join(f"{value:8.4f}" for value in values), flush=True)


if __name__ == "__main__":
    main()
