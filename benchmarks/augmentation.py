"""How fast clips are augmented, beside the usual NumPy and SciPy form on the same machine.

    python -m benchmarks.augmentation                    # a few minutes
    python -m benchmarks.augmentation --only rir noise
    python -m benchmarks.augmentation --tiny             # seconds; the figures mean little

Every augmentation of the registry with its default fields and probability 1, on batches of
four-second clips. One side is one jitted call a batch; the other goes from clip to clip and puts
the results into a batch (`augmentation_numpy.py`). They run in turns, so that a busy machine slows
both; the ratio is the median of the ratios of the rounds. Recordings are made-up noises of 2 to 20
s and impulse responses of 1 s. NumPy has one thread; XLA takes all cores that it is given, unless
--one-core.
"""

import argparse
import datetime
import importlib.metadata
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import numpy as np

from benchmarks.augmentation_numpy import EFFECTS, RATE_HZ
from benchmarks.machine import num_cores, processor
from rawnet_jax.augment.bank import Banks, noise_bank, response_bank
from rawnet_jax.augment.chain import make_chain
from rawnet_jax.augment.registry import augment_config
from rawnet_jax.huge_pages import restart_with_huge_pages

TARGET_RATIO = 3.0


@dataclass(frozen=True)
class Row:
    """One line of the table: clips a second of both sides, and what compiling took."""

    name: str
    ours: float
    plain: float
    ratio: float
    compile_s: float


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=EFFECTS, help="some of them")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a clip")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--one-core", action="store_true", help="hold both sides to one core")
    parser.add_argument("--tiny", action="store_true", help="two short clips, one round")
    arguments = parser.parse_args(argv)
    if arguments.tiny:
        arguments.batch_size, arguments.seconds, arguments.rounds = 2, 0.1, 1
    if arguments.one_core and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print_machine(arguments.batch_size, arguments.seconds)
    material = Material.made_up(arguments.batch_size, int(arguments.seconds * RATE_HZ))
    for name in arguments.only or EFFECTS:
        print_row(measured(name, material, arguments.rounds))
    return 0


@dataclass(frozen=True)
class Material:
    """What is augmented, and with what."""

    clips: np.ndarray  # float32 [B, T]
    recordings: dict[str, list[np.ndarray]]
    banks: Banks

    @classmethod
    def made_up(cls, batch_size: int, num_samples: int) -> "Material":
        rng = np.random.default_rng(0)
        clips = (0.1 * rng.standard_normal((batch_size, num_samples))).astype(np.float32)
        noises = [
            rng.standard_normal(int(num_samples * length)).astype(np.float32)
            for length in rng.uniform(0.5, 5, 20)
        ]
        decay = np.exp(-6.9 * np.arange(RATE_HZ) / RATE_HZ / 0.4)
        rooms = [(decay * rng.standard_normal(RATE_HZ)).astype(np.float32) for _ in range(20)]
        banks = Banks(noise_bank(noises, num_samples), response_bank(rooms, RATE_HZ))
        return cls(clips, {"noise": noises, "rir": rooms}, jax.device_put(banks))


def measured(name: str, material: Material, num_rounds: int) -> Row:
    """Time one augmentation and its plain form in turns."""
    ours, plain = our_form(name, material), plain_form(name, material)
    start = time.perf_counter()
    ours()
    compile_s = time.perf_counter() - start
    plain()
    times = [(seconds(ours), seconds(plain)) for _ in range(num_rounds)]
    ours_s, plain_s = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(plain / ours for ours, plain in times)
    num_clips = len(material.clips)
    return Row(name, num_clips / ours_s, num_clips / plain_s, ratio, compile_s)


def our_form(name: str, material: Material) -> Callable[[], object]:
    augmentation, _, algorithm = name.partition(" ")
    fields = {"algorithm": int(algorithm)} if algorithm else {}
    chain = make_chain(augment_config({augmentation: fields}))
    apply = jax.jit(chain.apply)
    waveform = jax.device_put(material.clips)
    num_samples = jax.device_put(np.full(len(waveform), waveform.shape[1], np.int32))
    key = jax.random.key(0)
    return lambda: jax.block_until_ready(apply(material.banks, key, waveform, num_samples))


def plain_form(name: str, material: Material) -> Callable[[], np.ndarray]:
    effect, kind = EFFECTS[name]
    recordings = material.recordings.get(kind, [np.zeros(1, np.float32)])
    rng = np.random.default_rng(0)

    def run() -> np.ndarray:
        batch = np.empty_like(material.clips)
        for row, clip in zip(batch, material.clips, strict=True):
            row[:] = effect(rng, clip, recordings[rng.integers(len(recordings))])
        return batch

    return run


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def print_machine(batch_size: int, clip_s: float) -> None:
    versions = [f"{n} {importlib.metadata.version(n)}" for n in ("jax", "numpy", "scipy")]
    print(f"date      {datetime.date.today()}")
    print(f"machine   {processor()}, {num_cores()} cores; JAX on {jax.devices()[0].device_kind}")
    print(f"versions  {', '.join(versions)}")
    print(f"batches   {batch_size} clips of {clip_s:g} s")
    print()
    print(f"{'augmentation':<22}{'clips/s':>10}{'NumPy':>10}{'ratio':>8}{'compile s':>11}")


def print_row(row: Row) -> None:
    verdict = "" if row.ratio >= TARGET_RATIO else f"  below {TARGET_RATIO:g}"
    print(
        f"{row.name:<22}{row.ours:>10,.0f}{row.plain:>10,.0f}{row.ratio:>8.1f}"
        f"{row.compile_s:>11.1f}{verdict}",
        flush=True,
    )


if __name__ == "__main__":
    restart_with_huge_pages()  # as our commands do
    raise SystemExit(main())
