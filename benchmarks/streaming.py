"""What a stream costs: compute time of a push, real-time factor, on one core.

    python -m benchmarks.streaming                               # every model; minutes
    python -m benchmarks.streaming --models conv1d --runs 5
    python -m benchmarks.streaming --tiny                        # Conv1D, seconds

Each model streams noise in chunks of --chunk-ms through `StreamingScorer` with the input gate, at
the size that it was published for, with random parameters. A run is --seconds of audio after the
first window, in a process of its own that may use one core; --runs of them follow each other. Of
each run: the median, the 95th percentile and the largest time of a push; the median and the largest
of those that end a window (the delay from the last sample of a window to its score); and the
real-time factor, the time of all pushes over the length of the audio; and how long the core worked
on 100 ms of audio, on average. The table has the median of the runs and, in brackets, the least and
the greatest. A machine that others use at the same time makes all but the last larger.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from typing import Any

from benchmarks.machine import processor
from rawnet_jax.huge_pages import restart_with_huge_pages

COLUMNS = {
    "push_ms": "push ms, median",
    "push_p95_ms": "95 %",
    "push_max_ms": "largest",
    "delay_ms": "window's delay ms, median",
    "delay_max_ms": "largest",
    "real_time_factor": "real-time factor",
    "cpu_ms": "CPU ms for 100 ms",
}
DEFAULT_HOP_S = 0.5
CONV1D_HOP_S = 0.1


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", metavar="NAME", help="rows of the registry")
    parser.add_argument("--chunk-ms", type=float, default=100.0, help="audio in a push")
    parser.add_argument(
        "--hop",
        type=float,
        metavar="SECONDS",
        help=f"between windows (default: {CONV1D_HOP_S:g} for conv1d, else {DEFAULT_HOP_S:g})",
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="audio in a run")
    parser.add_argument("--rate", type=int, default=16_000, metavar="HZ", help="of what is pushed")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="Conv1D, two runs of two seconds")
    parser.add_argument("--one", metavar="NAME", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.tiny:
        args.models, args.seconds, args.runs = ["conv1d"], 2.0, 2
    if args.one:
        hop_s = args.hop or (CONV1D_HOP_S if args.one == "conv1d" else DEFAULT_HOP_S)
        print(json.dumps(measure(args.one, args.chunk_ms / 1e3, hop_s, args.seconds, args.rate)))
        return 0
    print(header(args))
    print(f"| model | window s | hop s | {' | '.join(COLUMNS.values())} |")
    print("|" + "---|" * (3 + len(COLUMNS)))
    for name in args.models or registered():
        print(row(name, [in_own_process(name, args) for _ in range(args.runs)]), flush=True)
    return 0


def registered() -> list[str]:
    from rawnet_jax.models.registry import MODELS

    return list(MODELS)


def header(args: argparse.Namespace) -> str:
    import jax

    load = f"load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else "load unknown"
    return (
        f"{processor()}, one core ({load}); Python {platform.python_version()}, JAX "
        f"{jax.__version__}; pushes of {args.chunk_ms:g} ms at {args.rate} Hz, {args.runs} runs of "
        f"{args.seconds:g} s\n"
    )


def in_own_process(name: str, args: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.streaming", "--one", name]
    command += ["--chunk-ms", str(args.chunk_ms), "--seconds", str(args.seconds)]
    command += ["--rate", str(args.rate)] + (["--hop", str(args.hop)] if args.hop else [])
    print(f"measuring {name} …", file=sys.stderr)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: {name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def row(name: str, runs: list[dict[str, float]]) -> str:
    cells = [name, f"{runs[0]['window_s']:.2f}", f"{runs[0]['hop_s']:g}"]
    for column in COLUMNS:
        values = sorted(run[column] for run in runs)
        middle = statistics.median(values)
        cells.append(f"{middle:.3g} ({values[0]:.3g} to {values[-1]:.3g})")
    return "| " + " | ".join(cells) + " |"


def measure(name: str, chunk_s: float, hop_s: float, seconds: float, rate: int) -> dict[str, float]:
    """Stream noise through one model; see the module's docstring for what is measured."""
    import jax
    import numpy as np

    from rawnet_jax.config import GateConfig
    from rawnet_jax.contract import SAMPLE_RATE_HZ
    from rawnet_jax.models.registry import MODELS, build_model, model_config
    from rawnet_jax.models.variables import variable_shapes
    from rawnet_jax.scoring.streaming import StreamingScorer

    window, hop = MODELS[name].num_samples, round(hop_s * SAMPLE_RATE_HZ)
    model = build_model(model_config(name))
    shapes = variable_shapes(model, window)
    rng = np.random.default_rng(0)

    def drawn(leaf: Any) -> Any:
        scale = 1 / max(leaf.size, 1) ** 0.5
        return jax.numpy.asarray(rng.uniform(0, scale, leaf.shape).astype(leaf.dtype))

    scorer = StreamingScorer(
        model,
        jax.tree.map(drawn, shapes),
        window=window,
        hop=hop,
        gate=GateConfig(),
        sample_rate_hz=rate,
    )
    scorer.warm_up()
    chunk = max(1, round(chunk_s * rate))
    noise = (0.1 * rng.standard_normal(10 * chunk)).astype(np.float32)
    chunks = noise.reshape(10, chunk)
    for i in range(round(window / SAMPLE_RATE_HZ * rate / chunk) + 1):
        scorer.push(chunks[i % 10])
    pushes, delays = [], []
    cpu_started = time.process_time()
    for i in range(max(10, round(seconds * rate / chunk))):
        started = time.perf_counter()
        found = scorer.push(chunks[i % 10])
        pushes.append(1e3 * (time.perf_counter() - started))
        if found:
            delays.append(pushes[-1])
    cpu_s, audio_s = time.process_time() - cpu_started, len(pushes) * chunk / rate
    return {
        "window_s": window / SAMPLE_RATE_HZ,
        "hop_s": hop / SAMPLE_RATE_HZ,
        "push_ms": statistics.median(pushes),
        "push_p95_ms": float(np.percentile(pushes, 95)),
        "push_max_ms": max(pushes),
        "delay_ms": statistics.median(delays),
        "delay_max_ms": max(delays),
        "real_time_factor": sum(pushes) / 1e3 / audio_s,
        "cpu_ms": 1e3 * cpu_s * 0.1 / audio_s,
    }


if __name__ == "__main__":
    restart_with_huge_pages()  # as our commands do
    if "--one" in sys.argv and hasattr(os, "sched_setaffinity"):
        # Before JAX counts the cores and makes a thread for each.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sys.exit(main())
